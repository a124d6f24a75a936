//! VPCs on a real kernel, in a network namespace (and one of mounts) for each test. Without the right to make one it says so
//! and tests nothing.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod namespace;

use std::future::Future;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Instant;

use hostnet::{
    Attachment, Bandwidth, Config, Direction, Group, MakeVpcError, Member, Network, OpenNetworkError,
    OpenVpcsError, Outside, Peer, Policy, Protocol, Rule, Service, Vpcs, VpcsConfig,
};
use ipnet::Ipv4Net;
use namespace::{GATEWAY, HOST, WORLD, Wire, everything, host_mac, in_namespace, ip, nft, uplink};

const PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 70);
const OTHER_PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 71);

fn cidr() -> Ipv4Net {
    "10.0.0.0/16".parse().unwrap()
}

fn pool() -> Vec<Ipv4Net> {
    vec!["192.0.2.64/26".parse().unwrap()]
}

fn config(folder: &Path) -> VpcsConfig {
    let services = vec![Service::Udp(53)];
    VpcsConfig { folder: folder.join("netns"), pool: pool(), services, ..VpcsConfig::default() }
}

/// With a folder of the test's own for the namespaces.
fn with_folder<T: Future<Output = ()>>(test: impl FnOnce(VpcsConfig) -> T + Send + 'static) {
    in_namespace(async || {
        let folder = tempfile::tempdir().unwrap();
        test(config(folder.path())).await;
    });
}

/// A guest's place in the first subnets of a VPC, by its last two numbers.
fn place(network: &Network, subnet: u8, number: u8) -> Attachment {
    Attachment {
        tap: network.tap_name(u32::from(subnet) << 8 | u32::from(number)),
        owner: None,
        mac: [0x52, 0x54, 0, 0, subnet, number],
        address: Ipv4Addr::new(10, 0, subnet, number),
        router: Ipv4Addr::new(10, 0, subnet, 1),
    }
}

fn member(network: &Network, number: u8, outside: Outside) -> Member {
    let Attachment { tap, address, .. } = place(network, 0, number);
    Member { tap, address, groups: Vec::new(), outside, bandwidth: Bandwidth::default() }
}

/// Lets everybody do everything with these members.
fn open_to_all(mut members: Vec<Member>) -> Policy {
    for member in &mut members {
        member.groups.push("all".to_owned());
    }
    let peer = Peer::Cidr("0.0.0.0/0".parse().unwrap());
    let all = Rule { direction: Direction::In, protocol: Protocol::All, peer };
    Policy { members, groups: vec![Group { name: "all".to_owned(), rules: vec![all, Rule::ALL_OUT] }] }
}

#[test]
fn two_vpcs_with_the_same_addresses_stay_apart() {
    with_folder(async |config| {
        let world = uplink();
        let vpcs = Vpcs::open(config).await.unwrap();
        let (one, two) = (vpcs.make(1, cidr()).await.unwrap(), vpcs.make(2, cidr()).await.unwrap());
        assert_eq!(vpcs.present().unwrap(), [1, 2]);
        let mut guests = Vec::new();
        for network in [&one, &two] {
            let first = Wire::attached(network, &place(network, 0, 5)).await;
            let second = Wire::attached(network, &place(network, 7, 5)).await;
            guests.push((first, second));
        }
        let [(one_first, one_second), (two_first, two_second)] = guests.try_into().ok().unwrap();

        // Within a VPC, from subnet to subnet, whose routers are their first addresses.
        one_first.send_udp(1, (one_second.address, 2), b"one");
        two_first.send_udp(1, (two_second.address, 2), b"two");
        assert_eq!((one_second.hears(), two_second.hears()), ("one".to_owned(), "two".to_owned()));
        two_second.send_udp(1, (two_first.address, 2), b"two");
        one_second.send_udp(1, (one_first.address, 2), b"one");
        assert_eq!((one_first.hears(), two_first.hears()), ("one".to_owned(), "two".to_owned()));
        for (guest, router) in [(&one_first, [10, 0, 0, 1]), (&one_second, [10, 0, 7, 1])] {
            guest.ask(router.into());
            assert_eq!(guest.answer(), (router.into(), hostnet::ROUTER_MAC));
        }

        // Outside both are the host, and each gets its own answers.
        let mut seen = Vec::new();
        for (guest, payload) in [(&one_first, "one"), (&two_first, "two")] {
            guest.send_udp(1000, (WORLD, 7), payload.as_bytes());
            let arrived = world.receive_udp();
            assert_eq!((arrived.from.0, &arrived.payload[..]), (HOST, payload.as_bytes()));
            seen.push(arrived.from);
        }
        assert_ne!(seen[0], seen[1]);
        world.send_udp_by(host_mac(), (WORLD, 7), seen[1], b"to two");
        world.send_udp_by(host_mac(), (WORLD, 7), seen[0], b"to one");
        assert_eq!((one_first.hears(), two_first.hears()), ("to one".to_owned(), "to two".to_owned()));

        // Not to the host, by none of its addresses, nor to the other VPC by its address on the link.
        let service = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)).unwrap();
        service.set_nonblocking(true).unwrap();
        for to in [HOST, [100, 126, 0, 1].into(), [100, 126, 0, 2].into(), [100, 126, 0, 3].into()] {
            one_first.send_udp(1000, (to, 53), b"who is there");
        }
        one_first.send_udp(1000, ([169, 254, 169, 254].into(), 80), b"credentials");
        one_first.send_udp(1001, (WORLD, 7), b"after that");
        assert_eq!(world.hears(), "after that", "the first to arrive");
        assert!(service.recv(&mut [0; 64]).is_err());

        // What listens in the VPC's namespace is served, on the ports that are configured.
        let path = one.namespace().unwrap().to_owned();
        let serve = move || {
            let file = std::fs::File::open(path).unwrap();
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            [53, 54].map(|port| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap())
        };
        let [served, closed] = std::thread::spawn(serve).join().unwrap();
        closed.set_nonblocking(true).unwrap();
        served.set_read_timeout(Some(namespace::DEADLINE)).unwrap();
        one_first.send_udp(1000, ([10, 0, 0, 1].into(), 54), b"refused");
        one_first.send_udp(1000, ([10, 0, 0, 1].into(), 53), b"served");
        let mut bytes = [0; 64];
        let (length, from) = served.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from.ip()), (&b"served"[..], one_first.address.into()));
        assert!(closed.recv(&mut bytes).is_err());
        vpcs.close().await.unwrap();
    });
}

#[test]
fn a_guest_of_a_vpc_is_who_it_is() {
    with_folder(async |config| {
        let world = uplink();
        let vpcs = Vpcs::open(config).await.unwrap();
        let network = vpcs.make(1, cidr()).await.unwrap();
        let first = Wire::attached(&network, &place(&network, 0, 5)).await;
        let second = Wire::attached(&network, &place(&network, 0, 6)).await;
        for from in [second.address, [10, 0, 0, 1].into(), [100, 126, 0, 2].into(), WORLD] {
            for to in [second.address, WORLD] {
                first.send(&namespace::udp(first.mac, (from, 1), (to, 2), b"a lie"));
            }
        }
        first.send_udp(1, (second.address, 2), b"honest");
        first.send_udp(1, (WORLD, 2), b"honest");
        assert_eq!((second.hears(), world.hears()), ("honest".to_owned(), "honest".to_owned()));

        // Even one that has the VPC's namespace for itself has no other addresses on the host.
        let path = network.namespace().unwrap().display().to_string();
        let inside = |command: &str| namespace::run("nsenter", &format!("--net={path} {command}"));
        inside("nft delete table inet bothy");
        first.send_udp(1, (WORLD, 2), b"not the VPC's");
        inside("ip address add 100.126.0.9/32 dev uplink");
        network.attach(&place(&network, 0, 5)).await.unwrap(); // and the rules are back
        first.send_udp(2, (WORLD, 2), b"honest");
        assert_eq!(world.hears(), "honest");
        vpcs.close().await.unwrap();
    });
}

#[test]
fn public_addresses_lead_to_vpcs_and_between_them() {
    with_folder(async |config| {
        let world = uplink();
        let classic = Network::open(Config { pool: pool(), ..Config::default() }).await.unwrap();
        let vpcs = Vpcs::open(config).await.unwrap();
        let (one, two) = (vpcs.make(1, cidr()).await.unwrap(), vpcs.make(2, cidr()).await.unwrap());
        let first = Wire::attached(&one, &place(&one, 0, 5)).await;
        let private = Wire::attached(&one, &place(&one, 0, 6)).await;
        let other = Wire::attached(&two, &place(&two, 0, 5)).await;
        let neighbour = Wire::guest(&classic, 9).await;
        let before = ip("-4 route") + &ip("neighbour show proxy");
        let members = |outside| vec![member(&one, 5, outside), member(&one, 6, Outside::Nothing)];
        one.apply(&open_to_all(members(Outside::Public(PUBLIC)))).await.unwrap();
        two.apply(&open_to_all(vec![member(&two, 5, Outside::Shared)])).await.unwrap();

        // In and out.
        world.send_udp_on_wire(1, (PUBLIC, 80), b"in");
        let arrived = first.receive_udp();
        assert_eq!((arrived.from, arrived.to), ((GATEWAY, 1), (first.address, 80)));
        first.send_udp(80, (GATEWAY, 1), b"answer");
        assert_eq!(world.receive_udp().from, (PUBLIC, 80));
        private.send_udp(3, (WORLD, 7), b"never");
        first.send_udp(3, (WORLD, 7), b"out");
        assert_eq!(world.receive_udp().from, (PUBLIC, 3));
        private.send_udp(3, (first.address, 7), b"within");
        assert_eq!(first.hears(), "within");

        // From elsewhere on this host, only by that address.
        for (guest, payload) in [(&other, "VPC"), (&neighbour, "classic")] {
            guest.send_udp(4, ([100, 126, 0, 2].into(), 80), b"by the link");
            guest.send_udp(4, (PUBLIC, 80), payload.as_bytes());
            let arrived = first.receive_udp();
            assert_eq!(arrived.payload, payload.as_bytes());
            first.send_udp(80, arrived.from, b"answer");
            assert_eq!(guest.receive_udp().from, (PUBLIC, 80));
        }
        let host = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        host.set_read_timeout(Some(namespace::DEADLINE)).unwrap();
        host.send_to(b"host", (PUBLIC, 80)).unwrap();
        let arrived = first.receive_udp();
        assert_eq!(arrived.payload, b"host");
        first.send_udp(80, arrived.from, b"answer");
        assert_eq!(host.recv_from(&mut [0; 64]).unwrap().1, (PUBLIC, 80).into());
        first.send_udp(5, (neighbour.address, 80), b"by its own address");
        let mut shown = hostnet::Policy::default();
        shown.members.push(Member {
            tap: classic.tap_name(9),
            address: neighbour.address,
            groups: vec!["all".to_owned()],
            outside: Outside::Public(OTHER_PUBLIC),
            bandwidth: Bandwidth::default(),
        });
        shown.groups = open_to_all(Vec::new()).groups;
        classic.apply(&shown).await.unwrap();
        first.send_udp(5, (OTHER_PUBLIC, 80), b"by the public address");
        let arrived = neighbour.receive_udp();
        assert_eq!((arrived.from.0, &arrived.payload[..]), (PUBLIC, &b"by the public address"[..]));

        // To the other VPC, in the order that is the harder one; nothing comes to the first any more.
        two.apply(&open_to_all(vec![member(&two, 5, Outside::Public(PUBLIC))])).await.unwrap();
        one.apply(&open_to_all(members(Outside::Shared))).await.unwrap();
        world.send_udp_on_wire(1, (PUBLIC, 80), b"moved");
        assert_eq!(other.hears(), "moved");
        first.send_udp(3, (WORLD, 7), b"as it was");
        first.send_udp(6, (WORLD, 7), b"shared now");
        let arrived = world.receive_udp();
        assert_eq!((arrived.from.0, &arrived.payload[..]), (HOST, &b"shared now"[..]));
        // Released; then removed with it.
        classic.apply(&Policy::default()).await.unwrap();
        two.apply(&Policy::default()).await.unwrap();
        assert_eq!(ip("-4 route") + &ip("neighbour show proxy"), before);
        two.apply(&open_to_all(vec![member(&two, 5, Outside::Public(PUBLIC))])).await.unwrap();
        assert!(ip("neighbour show proxy").contains("192.0.2.70"));
        vpcs.remove(2).await.unwrap();
        assert!(!everything().contains("192.0.2.70") && !ip("neighbour show proxy").contains("192.0.2.70"));
        vpcs.close().await.unwrap();
        classic.close().await.unwrap();
    });
}

#[test]
fn leftovers_are_found_used_and_removed() {
    with_folder(async |config| {
        let world = uplink();
        nft("add table inet other");
        ip("link add bothy_0000000g type veth peer name bothy_0000000h");
        ip("tuntap add bothy_0000000a mode tap"); // of a name that a link would have, but of another kind
        let before = everything();
        let vpcs = Vpcs::open(config.clone()).await.unwrap();
        let network = vpcs.make(0xdead_beef, cidr()).await.unwrap();
        let first = Wire::attached(&network, &place(&network, 0, 5)).await;
        let second = Wire::attached(&network, &place(&network, 0, 6)).await;
        let talk = |payload: &str| {
            first.send_udp(1, (second.address, 2), payload.as_bytes());
            assert_eq!(second.hears(), payload);
            first.send_udp(1, (WORLD, 7), payload.as_bytes());
            assert_eq!(world.hears(), payload);
        };
        talk("as made");
        let path = network.namespace().unwrap().display().to_string();
        let seen = || {
            let inside = format!("--net={path} ip -o address");
            everything() + &namespace::run("nsenter", &inside)
        };
        let whole = seen();

        // The same again, and by a successor of the daemon.
        drop(vpcs.make(0xdead_beef, cidr()).await.unwrap());
        assert_eq!(seen(), whole);
        drop((vpcs, network));
        let vpcs = Vpcs::open(config.clone()).await.unwrap();
        talk("in between");
        let network = vpcs.make(0xdead_beef, cidr()).await.unwrap();
        assert_eq!(seen(), whole);
        assert_eq!(network.present().await.unwrap(), ["bothy-00000005", "bothy-00000006"]);

        // Whatever was done to it.
        ip("link del bothy_deadbeef");
        nft("delete table inet bothy_vpcs");
        ip("route del unreachable 100.126.0.0/16");
        let inside = |command: &str| namespace::run("nsenter", &format!("--net={path} {command}"));
        inside("nft delete table inet bothy");
        inside("ip link set lo down");
        drop(vpcs);
        let vpcs = Vpcs::open(config.clone()).await.unwrap();
        let network = vpcs.make(0xdead_beef, cidr()).await.unwrap();
        for number in [5, 6] {
            network.attach(&place(&network, 0, number)).await.unwrap();
        }
        talk("after a repair");

        // Its file is lost: nobody finds the namespace again, but all is as if it had not been.
        nix::mount::umount2(Path::new(&path), nix::mount::MntFlags::MNT_DETACH).unwrap();
        drop(vpcs);
        let vpcs = Vpcs::open(config.clone()).await.unwrap();
        assert!(!everything().contains("deadbeef"), "a link of no VPC");
        let network = vpcs.make(0xdead_beef, cidr()).await.unwrap();
        assert_eq!(network.present().await.unwrap(), [""; 0]);
        let heir = Wire::attached(&network, &place(&network, 0, 5)).await;
        heir.send_udp(1, (WORLD, 7), b"heir");
        assert_eq!(world.hears(), "heir");

        // Removed with a guest on it, and again.
        for _ in 0..2 {
            vpcs.remove(0xdead_beef).await.unwrap();
            assert_eq!(vpcs.present().unwrap(), [0; 0]);
        }
        assert!(!Path::new(&path).exists());
        drop(vpcs.make(3, cidr()).await.unwrap());
        std::fs::write(config.folder.join("other"), "").unwrap();
        vpcs.close().await.unwrap();
        assert_eq!(everything(), before);
        assert!(config.folder.join("other").exists());
        std::fs::remove_file(config.folder.join("other")).unwrap();
        Vpcs::open(config.clone()).await.unwrap().close().await.unwrap();
        assert!(!config.folder.exists());
        assert_eq!(everything(), before);
    });
}

#[test]
fn what_cannot_be_is_refused() {
    with_folder(async |config| {
        let net = |text: &str| -> Ipv4Net { text.parse().unwrap() };
        ip("route add blackhole 100.64.0.0/10");
        let error = Vpcs::open(config.clone()).await.unwrap_err();
        assert!(matches!(error, OpenVpcsError::Config(OpenNetworkError::CidrInUse { .. })), "{error}");
        ip("route del blackhole 100.64.0.0/10");
        let vpcs =
            Vpcs::open(VpcsConfig { transfer: net("100.126.0.0/29"), ..config.clone() }).await.unwrap();
        for (cidr, meets) in [("100.126.0.0/24", true), ("100.0.0.0/8", true), ("10.0.0.0/30", false)] {
            let error = vpcs.make(1, net(cidr)).await.unwrap_err();
            let MakeVpcError::Network { number: 1, source } = error else { panic!("{error}") };
            assert_eq!(matches!(source, OpenNetworkError::CidrInUse { .. }), meets, "{cidr}: {source}");
        }
        assert_eq!(vpcs.present().unwrap(), [0; 0]);
        for number in 1..=5 {
            vpcs.make(number, cidr()).await.unwrap();
        }
        assert!(matches!(vpcs.make(6, cidr()).await, Err(MakeVpcError::NoLinkAddress(_))));
        vpcs.remove(3).await.unwrap();
        vpcs.make(6, cidr()).await.unwrap();
        vpcs.close().await.unwrap();
    });
}

/// What many VPCs cost. By hand: `cargo test -p hostnet --test vpc -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and asserts little"]
fn many_vpcs() {
    const COUNT: u32 = 600;
    with_folder(async |config| {
        let world = uplink();
        let vpcs = Vpcs::open(config.clone()).await.unwrap();
        let mut networks = Vec::new();
        let mut start = Instant::now();
        for number in 0..COUNT {
            networks.push(vpcs.make(number, cidr()).await.unwrap());
            if number % 200 == 199 {
                println!("{}: {:?} each", number + 1, start.elapsed() / 200);
                start = Instant::now();
            }
        }
        println!("open files: {}", std::fs::read_dir("/proc/self/fd").unwrap().count());
        let last = networks.last().unwrap();
        let guest = Wire::attached(last, &place(last, 0, 5)).await;
        guest.send_udp(1, (WORLD, 7), b"from the last");
        assert_eq!(world.hears(), "from the last");
        drop(networks);
        drop(vpcs);
        start = Instant::now();
        let vpcs = Vpcs::open(config).await.unwrap();
        for number in 0..COUNT {
            vpcs.make(number, cidr()).await.unwrap();
        }
        println!("found again: {:?} each", start.elapsed() / COUNT);
        start = Instant::now();
        vpcs.close().await.unwrap();
        println!("removed: {:?} each", start.elapsed() / COUNT);
    });
}
