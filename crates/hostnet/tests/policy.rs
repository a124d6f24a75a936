//! Security groups, public addresses and bandwidths of the host's own network on a real kernel, in a network namespace for
//! each test. Without the right to make one it says so and tests nothing.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod namespace;

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use hostnet::{
    ApplyPolicyError, Bandwidth, Config, Counts, Direction, Group, Member, Network, Outside, Peer, Policy,
    Protocol, ROUTER_MAC, Rule,
};
use namespace::{GATEWAY, HOST, WORLD, Wire, everything, host_mac, in_namespace, ip, nft, place, uplink};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

const PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 70);
const OTHER_PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 71);

async fn open() -> Network {
    let pool = vec!["192.0.2.64/26".parse().unwrap()];
    Network::open(Config { pool, ..Config::default() }).await.unwrap()
}

fn member(network: &Network, number: u8, groups: &[&str]) -> Member {
    let place = place(network, number);
    Member {
        tap: place.tap,
        address: place.address,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        outside: Outside::Shared,
        bandwidth: Bandwidth::default(),
    }
}

fn group(name: &str, rules: &[Rule]) -> Group {
    Group { name: name.to_owned(), rules: rules.to_vec() }
}

fn udp_in(port: u16, peer: Peer) -> Rule {
    Rule { direction: Direction::In, protocol: Protocol::Udp { from: port, to: port }, peer }
}

/// How many packets of those in these groups were dropped, to them and from them.
fn dropped(counts: &Counts, groups: &[&str]) -> [u64; 2] {
    [Direction::In, Direction::Out].map(|direction| {
        let is_it = |count: &&hostnet::DropCount| {
            count.direction == direction && count.groups.iter().map(String::as_str).eq(groups.iter().copied())
        };
        counts.dropped.iter().find(is_it).unwrap().packets
    })
}

fn cidr(text: &str) -> Peer {
    Peer::Cidr(text.parse().unwrap())
}

#[test]
fn groups_allow_by_address_and_by_membership() {
    in_namespace(async || {
        let network = open().await;
        let (web, app, other) =
            (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await, Wire::guest(&network, 7).await);
        let to_app = [
            udp_in(80, Peer::Group("web".to_owned())),
            udp_in(22, cidr("10.98.0.7/32")),
            Rule { protocol: Protocol::Udp { from: 5000, to: 5010 }, ..udp_in(0, cidr("10.98.0.4/31")) },
        ];
        let mut policy = Policy {
            members: vec![
                member(&network, 5, &["web"]),
                member(&network, 6, &["app"]),
                member(&network, 7, &["web-not", "out"]),
            ],
            groups: vec![
                group("web", &[Rule::ALL_OUT]),
                group("app", &to_app),
                group("web-not", &[]),
                group("out", &[Rule::ALL_OUT]),
            ],
        };
        network.apply(&policy).await.unwrap();
        web.sends_only(&app, 81, 80);
        web.sends_only(&app, 22, 5010);
        web.sends_only(&app, 5011, 5000);
        other.sends_only(&app, 80, 22);
        other.sends_only(&app, 5005, 22);
        // Outwards too: what no rule of the app's allows it does not begin, but it answers.
        app.send_udp(2000, (other.address, 2000), b"begun");
        app.send_udp(22, (other.address, 1000), b"answered");
        assert_eq!(other.hears(), "answered");

        let counts = network.counts().await.unwrap();
        let count = |group: &str| -> Vec<u64> {
            counts.rules.iter().filter(|rule| rule.group == group).map(|rule| rule.packets).collect()
        };
        assert_eq!(count("app"), [1, 2, 2], "each that nothing was answered to before");
        assert_eq!(dropped(&counts, &["app"]), [5, 1]);
        assert_eq!((dropped(&counts, &["web"]), dropped(&counts, &["out", "web-not"])), ([0, 0], [0, 0]));

        // A change on running guests, with the counters of what stays.
        policy.groups[1].rules.remove(1);
        policy.groups[1].rules.push(udp_in(23, cidr("10.98.0.0/16")));
        network.apply(&policy).await.unwrap();
        other.send_udp(1001, (app.address, 22), b"new");
        other.send_udp(1001, (app.address, 23), b"allowed now");
        assert_eq!(app.hears(), "allowed now");
        // One that began when it was allowed goes on, as EC2 has it.
        other.send_udp(1000, (app.address, 22), b"goes on");
        assert_eq!(app.hears(), "goes on");
        let counts = network.counts().await.unwrap();
        let packets: Vec<u64> =
            counts.rules.iter().filter(|rule| rule.group == "app").map(|rule| rule.packets).collect();
        assert_eq!(packets, [1, 2, 1]);

        // Another's membership changes what is allowed here.
        policy.members[0].groups = vec!["out".to_owned()];
        policy.members[2].groups = vec!["web".to_owned()];
        network.apply(&policy).await.unwrap();
        web.send_udp(1002, (app.address, 80), b"once");
        other.send_udp(1002, (app.address, 80), b"now");
        assert_eq!(app.hears(), "now");
        network.close().await.unwrap();
        assert!(!everything().contains("bothy"));
    });
}

#[test]
fn a_policy_outlives_the_daemon_and_a_flush() {
    in_namespace(async || {
        let network = open().await;
        let (first, second) = (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await);
        let policy = Policy {
            members: vec![member(&network, 6, &["sg"])],
            groups: vec![group("sg", &[udp_in(80, cidr("0.0.0.0/0"))])],
        };
        network.apply(&policy).await.unwrap();
        first.sends_only(&second, 81, 80);
        let whole = everything();

        // Nothing is asked of nft: what was taken away meanwhile stays away.
        nft("flush chain inet bothy in/sg");
        network.apply(&policy).await.unwrap();
        first.send_udp(1001, (second.address, 80), b"no rule");

        // A successor of the daemon finds the rules in force, and the first policy repairs them.
        drop(network);
        let network = open().await;
        first.send_udp(1002, (second.address, 80), b"no rule yet");
        network.apply(&policy).await.unwrap();
        first.send_udp(1003, (second.address, 80), b"a rule");
        assert_eq!(second.hears(), "a rule");
        let counts = network.counts().await.unwrap();
        assert_eq!(
            (counts.rules[0].packets, dropped(&counts, &["sg"])[0]),
            (2, 3),
            "since before the successor"
        );
        let shape = |text: &str| -> String {
            // What was made anew may be listed elsewhere.
            let mut lines: Vec<&str> = text.lines().filter(|line| !line.contains("packets")).collect();
            lines.sort_unstable();
            lines.join("\n")
        };
        assert_eq!(shape(&everything()), shape(&whole));

        // All is lost; whichever change comes first brings all of it back.
        for attaches in [true, false] {
            nft("flush ruleset");
            if attaches {
                network.attach(&place(&network, 5)).await.unwrap();
            } else {
                let mut more = policy.clone();
                more.groups.push(group("more", &[]));
                network.apply(&more).await.unwrap();
                network.apply(&policy).await.unwrap();
            }
            assert_eq!(shape(&everything()), shape(&whole));
            first.sends_only(&second, 81, 80);
        }
        network.apply(&Policy::default()).await.unwrap();
        first.send_udp(1004, (second.address, 81), b"no policy");
        assert_eq!(second.hears(), "no policy");
        network.close().await.unwrap();
    });
}

#[test]
fn the_next_guest_with_an_address_has_no_connections() {
    in_namespace(async || {
        let world = uplink();
        let network = open().await;
        let (first, second) = (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await);
        let mut policy = Policy {
            members: vec![member(&network, 5, &["sg"])],
            groups: vec![group("sg", &[udp_in(80, cidr("0.0.0.0/0")), Rule::ALL_OUT])],
        };
        policy.members[0].outside = Outside::Public(PUBLIC);
        network.apply(&policy).await.unwrap();
        // Begun by others, from inside and outside, and by itself.
        second.send_udp(1, (first.address, 80), b"begun");
        assert_eq!(first.hears(), "begun");
        first.send_udp(80, (second.address, 1), b"answered");
        assert_eq!(second.hears(), "answered");
        world.send_udp_on_wire(1, (PUBLIC, 80), b"begun");
        assert_eq!(first.hears(), "begun");
        first.send_udp(80, (GATEWAY, 1), b"answered");
        assert_eq!(world.hears(), "answered");
        first.send_udp(2, (WORLD, 7), b"out");
        assert_eq!(world.hears(), "out");

        // The daemon dies when half of it is done; its successor finds the rest.
        drop((first, network));
        ip("link del bothy-00000005");
        let network = open().await;
        network.detach(&place(&network, 5).tap).await.unwrap();
        policy.groups[0].rules[0] = udp_in(81, cidr("0.0.0.0/0"));
        network.apply(&policy).await.unwrap();
        let heir = Wire::guest(&network, 5).await;
        second.send_udp(1, (heir.address, 80), b"goes on");
        world.send_udp_on_wire(1, (PUBLIC, 80), b"goes on");
        world.send_udp_on_wire(7, (PUBLIC, 2), b"answer");
        second.send_udp(1, (heir.address, 81), b"new");
        assert_eq!(heir.hears(), "new", "the first to arrive");
        heir.send_udp(81, (second.address, 1), b"answered");
        assert_eq!(second.hears(), "answered");

        // In one piece.
        network.detach(&place(&network, 5).tap).await.unwrap();
        policy.groups[0].rules[0] = udp_in(82, cidr("0.0.0.0/0"));
        network.apply(&policy).await.unwrap();
        let heir = Wire::guest(&network, 5).await;
        second.send_udp(1, (heir.address, 81), b"goes on");
        second.send_udp(1, (heir.address, 82), b"new");
        assert_eq!(heir.hears(), "new", "the first to arrive");
        network.close().await.unwrap();
    });
}

#[test]
fn nobody_outside_is_a_member() {
    in_namespace(async || {
        let world = uplink();
        let network = open().await;
        let guest = Wire::guest(&network, 5).await;
        let mut members = vec![member(&network, 5, &["sg"]), member(&network, 6, &["sg"])];
        members[0].outside = Outside::Public(PUBLIC);
        let rules = [udp_in(80, Peer::Group("sg".to_owned())), udp_in(81, cidr("198.51.100.0/24"))];
        network.apply(&Policy { members, groups: vec![group("sg", &rules)] }).await.unwrap();
        let sixth = place(&network, 6).address;
        world.send_udp_by(host_mac(), (sixth, 1000), (PUBLIC, 80), b"a lie");
        world.send_udp_by(host_mac(), (sixth, 1000), (guest.address, 80), b"another");
        world.send_udp_by(host_mac(), (WORLD, 1000), (PUBLIC, 80), b"no member");
        world.send_udp_by(host_mac(), (WORLD, 1000), (PUBLIC, 81), b"by address");
        assert_eq!(guest.hears(), "by address");
        network.close().await.unwrap();
    });
}

/// Routes, and for whom ARP is answered.
fn what_is_announced() -> String {
    ip("-4 route") + &ip("neighbour show proxy")
}

#[test]
fn public_addresses_lead_in_and_out() {
    in_namespace(async || {
        let world = uplink();
        let network = open().await;
        let (first, second, hidden) =
            (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await, Wire::guest(&network, 7).await);
        let before = what_is_announced();
        let open_to_all = [udp_in(80, cidr("0.0.0.0/0")), Rule::ALL_OUT];
        let mut policy = Policy {
            members: vec![
                member(&network, 5, &["sg"]),
                member(&network, 6, &["sg"]),
                member(&network, 7, &["sg"]),
            ],
            groups: vec![group("sg", &open_to_all)],
        };
        policy.members[0].outside = Outside::Public(PUBLIC);
        policy.members[2].outside = Outside::Nothing;
        network.apply(&policy).await.unwrap();

        // In: asked for by ARP, and only what the group allows.
        world.send_udp_on_wire(1, (PUBLIC, 81), b"refused");
        world.send_udp_on_wire(1, (PUBLIC, 80), b"in");
        let arrived = first.receive_udp();
        assert_eq!((arrived.from, arrived.to), ((GATEWAY, 1), (first.address, 80)));
        assert_eq!(arrived.payload, b"in");
        first.send_udp(80, (GATEWAY, 1), b"answer");
        let answer = world.receive_udp();
        assert_eq!((answer.from, answer.to), ((PUBLIC, 80), (GATEWAY, 1)));
        // The host answers for no other address.
        world.ask(OTHER_PUBLIC);
        world.ask(HOST);
        assert_eq!(world.answer().0, HOST);

        // Out: with the own address, the host's, and not at all.
        hidden.send_udp(2, (WORLD, 7), b"never");
        first.send_udp(2, (WORLD, 7), b"own");
        assert_eq!(world.receive_udp().from, (PUBLIC, 2));
        second.send_udp(2, (WORLD, 7), b"shared");
        assert_eq!(world.receive_udp().from.0, HOST);
        hidden.send_udp(2, (first.address, 80), b"within");
        assert_eq!(first.hears(), "within");
        // From within, the public address is its guest's too.
        second.send_udp(3, (PUBLIC, 80), b"by the public address");
        assert_eq!(first.receive_udp().from, (second.address, 3));
        first.send_udp(80, (second.address, 3), b"answer");
        assert_eq!(second.receive_udp().from, (PUBLIC, 80));

        // So it is on the host itself.
        let host = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        host.set_read_timeout(Some(namespace::DEADLINE)).unwrap();
        host.send_to(b"host", (PUBLIC, 80)).unwrap();
        let arrived = first.receive_udp();
        assert_eq!(arrived.payload, b"host");
        first.send_udp(80, arrived.from, b"answer to the host");
        let mut bytes = [0; 64];
        let (length, from) = host.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from), (&b"answer to the host"[..], (PUBLIC, 80).into()));

        // Moved: both begun and new connections are the other's, or nobody's.
        policy.members[0].outside = Outside::Shared;
        policy.members[1].outside = Outside::Public(PUBLIC);
        network.apply(&policy).await.unwrap();
        world.send_udp_on_wire(1, (PUBLIC, 80), b"to whom it was");
        world.send_udp_on_wire(9, (PUBLIC, 80), b"to whom it is");
        assert_eq!(second.hears(), "to whom it is");
        first.send_udp(2, (WORLD, 7), b"as before");
        first.send_udp(4, (WORLD, 7), b"shared now");
        assert_eq!(world.receive_udp().payload, b"shared now");

        // Released, live: nothing of it is left.
        policy.members[1].outside = Outside::Shared;
        network.apply(&policy).await.unwrap();
        assert!(!everything().contains("192.0.2.70"), "{}", everything());
        world.ask(PUBLIC);
        world.ask(HOST);
        assert_eq!(world.answer().0, HOST);
        // What a daemon before had announced goes with the first policy of its successor.
        policy.members[1].outside = Outside::Public(OTHER_PUBLIC);
        network.apply(&policy).await.unwrap();
        drop(network);
        let network = open().await;
        network.apply(&Policy::default()).await.unwrap();
        assert_eq!(what_is_announced(), before);
        network.close().await.unwrap();
    });
}

#[test]
fn a_way_that_is_closed_is_closed_to_what_began_before() {
    in_namespace(async || {
        let world = uplink();
        let network = open().await;
        let guest = Wire::guest(&network, 5).await;
        guest.send_udp(1, (WORLD, 7), b"open");
        let seen = world.receive_udp();
        let mut policy = Policy { members: vec![member(&network, 5, &[])], groups: vec![] };
        policy.members[0].outside = Outside::Nothing;
        network.apply(&policy).await.unwrap();
        guest.send_udp(1, (WORLD, 7), b"closed");
        policy.members[0].outside = Outside::Shared;
        network.apply(&policy).await.unwrap();
        guest.send_udp(1, (WORLD, 7), b"open again");
        let again = world.receive_udp();
        assert_eq!((again.from, &again.payload[..]), (seen.from, &b"open again"[..]));
        network.close().await.unwrap();
    });
}

#[test]
fn bandwidth_is_of_the_outside_only() {
    const MBIT: u32 = 1;
    const BYTES_PER_SECOND: usize = 125_000; // which is also what may come at once
    const SIZE: usize = 1000;
    const COUNT: usize = 400;
    in_namespace(async || {
        let world = uplink();
        let network = open().await;
        let (first, second) = (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await);
        let mut policy = Policy { members: vec![member(&network, 5, &[])], groups: vec![] };
        policy.members[0].outside = Outside::Public(PUBLIC);
        policy.members[0].bandwidth = Bandwidth { in_mbit: Some(MBIT), out_mbit: Some(MBIT) };
        network.apply(&policy).await.unwrap();
        // Once, so that a later packet is one of a known connection.
        first.send_udp(1, (WORLD, 7), b"first");
        assert_eq!(world.hears(), "first");
        let count = |send: &dyn Fn(&[u8]), receiver: &Wire| {
            let start = Instant::now();
            let mut received = 0;
            for _ in 0..COUNT {
                send(&[b'x'; SIZE]);
                received += receiver.count_udp();
            }
            (received, start.elapsed().as_micros() as usize)
        };
        for (send, receiver) in [
            (&(|data: &[u8]| first.send_udp(1, (WORLD, 7), data)) as &dyn Fn(&[u8]), &world),
            (&|data: &[u8]| world.send_udp_by(host_mac_of(), (WORLD, 7), (PUBLIC, 1), data), &first),
        ] {
            let (received, micros) = count(send, receiver);
            let most = (BYTES_PER_SECOND + micros / 8) / SIZE + 1;
            assert!(received <= most.min(COUNT), "{received} packets in {micros} us");
            assert!(received >= BYTES_PER_SECOND / SIZE / 2, "{received} packets in {micros} us");
            if most < COUNT {
                assert!(received < COUNT, "{received} packets in {micros} us");
            }
        }
        let (received, _) = count(&|data| first.send_udp(1, (second.address, 7), data), &second);
        assert_eq!(received, COUNT, "within the network");

        // Another rate on a running guest.
        policy.members[0].bandwidth = Bandwidth { in_mbit: None, out_mbit: Some(1000) };
        network.apply(&policy).await.unwrap();
        let (received, _) = count(&|data| first.send_udp(1, (WORLD, 7), data), &world);
        assert_eq!(received, COUNT);
        let rules = everything();
        assert!(rules.contains("out/bothy-00000005/1000") && !rules.contains("/1\""), "{rules}");
        network.close().await.unwrap();
    });
}

/// The host's MAC address, asked for once for each thread.
fn host_mac_of() -> [u8; 6] {
    thread_local!(static MAC: [u8; 6] = host_mac());
    MAC.with(|mac| *mac)
}

/// A frame to the router with a TCP segment in it.
fn tcp(wire: &Wire, by: [u8; 6], ends: [(Ipv4Addr, u16); 2], numbers: (u32, Option<u32>), payload: &[u8]) {
    let [from, to] = ends;
    let packet = PacketBuilder::ethernet2(wire.mac, by).ipv4(from.0.octets(), to.0.octets(), 64);
    let mut packet = packet.tcp(from.1, to.1, numbers.0, 65000);
    packet = match numbers.1 {
        Some(acknowledged) => packet.ack(acknowledged),
        None => packet.syn(),
    };
    if numbers.1 == Some(101) && payload.is_empty() {
        packet = packet.syn(); // the answer to the first of all, whose number is 100
    }
    let mut frame = Vec::new();
    packet.write(&mut frame, payload).unwrap();
    wire.send(&frame);
}

/// The next TCP segment: from whom, to whom, what.
fn segment(wire: &Wire) -> ((Ipv4Addr, u16), (Ipv4Addr, u16), Vec<u8>) {
    wire.receive("segment", |frame| {
        let sliced = SlicedPacket::from_ethernet(frame).ok()?;
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (&sliced.net, &sliced.transport)
        else {
            return None;
        };
        let header = ip.header();
        Some((
            (header.source_addr(), tcp.source_port()),
            (header.destination_addr(), tcp.destination_port()),
            tcp.payload().to_vec(),
        ))
    })
}

#[test]
fn active_ftp_passes_nat() {
    in_namespace(async || {
        let world = uplink();
        let network = open().await;
        let guest = Wire::guest(&network, 5).await;
        if !nft("list ruleset").contains("ct helper set \"ftp\"") {
            eprintln!("SKIPPED: this kernel has no nf_conntrack_ftp");
            return;
        }
        let mut policy = Policy {
            members: vec![member(&network, 5, &["sg"])],
            groups: vec![group("sg", &[Rule::ALL_OUT])],
        };
        policy.members[0].outside = Outside::Public(PUBLIC);
        network.apply(&policy).await.unwrap();
        let (client, server) = ((guest.address, 4000), (WORLD, 21));
        tcp(&guest, ROUTER_MAC, [client, server], (100, None), b"");
        let (seen, ..) = segment(&world);
        assert_eq!(seen, (PUBLIC, 4000));
        tcp(&world, host_mac(), [server, seen], (500, Some(101)), b"");
        segment(&guest);
        tcp(&guest, ROUTER_MAC, [client, server], (101, Some(501)), b"USER a\r\n");
        assert_eq!(segment(&world).2, b"USER a\r\n");
        tcp(&guest, ROUTER_MAC, [client, server], (109, Some(501)), b"PORT 10,98,0,5,39,16\r\n");
        let (_, _, command) = segment(&world);
        let command = String::from_utf8(command).unwrap();
        assert_eq!(command, "PORT 192,0,2,70,39,16\r\n");
        // The server's connection for the data: of no rule, and another is refused.
        tcp(&world, host_mac(), [(WORLD, 20), (PUBLIC, 10001)], (1, None), b"");
        tcp(&world, host_mac(), [(WORLD, 20), (PUBLIC, 10000)], (1, None), b"");
        assert_eq!(segment(&guest).1, (guest.address, 10000));
        network.close().await.unwrap();
    });
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    in_namespace(async || {
        let _world = uplink();
        let network = open().await;
        let before = everything();
        let mut policy = Policy { members: vec![member(&network, 5, &[])], groups: vec![] };
        policy.members[0].tap = "eth0".to_owned();
        assert!(matches!(network.apply(&policy).await, Err(ApplyPolicyError::NotOurs(_))));
        policy.members[0] = member(&network, 5, &["none"]);
        assert!(matches!(network.apply(&policy).await, Err(ApplyPolicyError::NoSuchGroup { .. })));
        policy.members[0] = member(&network, 5, &[]);
        policy.members[0].outside = Outside::Public(GATEWAY);
        assert!(matches!(network.apply(&policy).await, Err(ApplyPolicyError::NotInPool { .. })));
        assert_eq!(everything(), before);
        assert_eq!(network.counts().await.unwrap(), hostnet::Counts::default());
        network.close().await.unwrap();
    });
}

/// Hears a group of nflog, as a program for flow logs would (linux/netfilter/nfnetlink_log.h).
struct FlowLog(OwnedFd);

impl FlowLog {
    fn open(group: u16) -> Self {
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), SockProtocol::NetlinkNetFilter);
        let log = Self(socket.unwrap());
        // To be told of the group (NFULA_CFG_CMD, bind), and the packets too (NFULA_CFG_MODE, copy).
        log.configure(group, &[5, 0, 1, 0, 1, 0, 0, 0]);
        log.configure(group, &[10, 0, 2, 0, 0, 0, 0xff, 0xff, 2, 0, 0, 0]);
        log
    }

    fn configure(&self, group: u16, attribute: &[u8]) {
        let length = 20 + attribute.len() as u32;
        let message = [
            &length.to_ne_bytes()[..],
            &0x0401u16.to_ne_bytes(), // NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG
            &5u16.to_ne_bytes(),      // a request, to be acknowledged
            &[0; 8],
            &[0, 0],
            &group.to_be_bytes(),
            attribute,
        ];
        nix::unistd::write(&self.0, &message.concat()).unwrap();
        let answer = self.read();
        assert_eq!(answer[16..20], [0; 4], "refused");
    }

    fn read(&self) -> Vec<u8> {
        let mut waited = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut waited, PollTimeout::try_from(namespace::DEADLINE).unwrap()).unwrap(), 1);
        let mut bytes = vec![0; 65536];
        let length = nix::unistd::read(&self.0, &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    /// The first of these that is told next.
    fn hears<'a>(&self, prefixes: &[&'a str]) -> &'a str {
        loop {
            let bytes = self.read();
            let is_in = |prefix: &&&str| bytes.windows(prefix.len()).any(|part| part == prefix.as_bytes());
            if let Some(prefix) = prefixes.iter().find(is_in) {
                return prefix;
            }
        }
    }
}

#[test]
fn connections_are_told_to_the_flow_log() {
    in_namespace(async || {
        let network = Network::open(Config { flow_log: Some(9), ..Config::default() }).await.unwrap();
        let (first, second) = (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await);
        let policy = Policy {
            members: vec![member(&network, 6, &["sg"])],
            groups: vec![group("sg", &[udp_in(80, cidr("0.0.0.0/0"))])],
        };
        network.apply(&policy).await.unwrap();
        let log = FlowLog::open(9);
        let told = ["accept in/sg\0", "drop in\0", "drop out\0"];
        first.send_udp(1, (second.address, 81), b"refused");
        assert_eq!(log.hears(&told), told[1]);
        first.send_udp(1, (second.address, 80), b"allowed");
        assert_eq!(log.hears(&told), told[0]);
        second.send_udp(9, (first.address, 9), b"refused");
        assert_eq!(log.hears(&told), told[2]);
        network.close().await.unwrap();
    });
}

/// A hundred groups with `rules` rules each, and as many guests as there are numbers, in two groups each.
fn large(network: &Network, guests: u32, rules: u16) -> Policy {
    let groups: Vec<Group> = (0..100u8)
        .map(|number| {
            let to_ports = (0..rules - 1).map(|port| match port % 4 {
                0 => udp_in(port, Peer::Group(format!("sg-{}", (number + 1) % 100))),
                _ => udp_in(port, cidr(&format!("10.{}.0.0/16", port % 250))),
            });
            group(&format!("sg-{number}"), &to_ports.chain([Rule::ALL_OUT]).collect::<Vec<_>>())
        })
        .collect();
    let members = (0..guests).map(|number| Member {
        tap: network.tap_name(number),
        address: Ipv4Addr::from(u32::from(network.router()) + 1 + number),
        groups: vec![format!("sg-{}", number % 100), format!("sg-{}", (number / 100 + number + 1) % 100)],
        outside: if number % 4 == 0 {
            Outside::Public(Ipv4Addr::from(u32::from(Ipv4Addr::new(203, 0, 113, 0)) + number))
        } else {
            Outside::Shared
        },
        bandwidth: Bandwidth { in_mbit: Some(100), out_mbit: Some(100) },
    });
    Policy { members: members.collect(), groups }
}

/// What a change costs when there are a thousand guests. By hand:
/// `cargo test -p hostnet --test policy -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and asserts little"]
fn a_thousand_members() {
    in_namespace(async || {
        let _world = uplink();
        let pool = vec!["203.0.112.0/20".parse().unwrap()];
        for (guests, rules) in [(10, 10), (100, 10), (1000, 10), (1000, 100)] {
            let network = Network::open(Config { pool: pool.clone(), ..Config::default() }).await.unwrap();
            println!("{guests} guests in 100 groups with {rules} rules each:");
            let mut policy = large(&network, guests, rules);
            let measured = async |what: &str, network: &Network, policy: &Policy| {
                let start = Instant::now();
                network.apply(policy).await.unwrap();
                println!("  {what}: {:?}", start.elapsed());
            };
            measured("all", &network, &policy).await;
            measured("the same again", &network, &policy).await;
            policy.groups[7].rules.remove(3);
            measured("a rule less", &network, &policy).await;
            policy.members[3].groups = vec!["sg-50".to_owned()];
            measured("a member in other groups", &network, &policy).await;
            policy.members[4].outside = Outside::Shared;
            measured("a public address less", &network, &policy).await;
            policy.members.truncate(guests as usize - 1);
            measured("a guest less", &network, &policy).await;
            let start = Instant::now();
            network.attach(&place(&network, 200)).await.unwrap();
            println!("  attached: {:?}", start.elapsed());
            let start = Instant::now();
            let counts = network.counts().await.unwrap();
            println!("  {} counters: {:?}", counts.rules.len(), start.elapsed());
            drop(network);
            let start = Instant::now();
            let network = Network::open(Config { pool: pool.clone(), ..Config::default() }).await.unwrap();
            println!("  opened: {:?}", start.elapsed());
            measured("all, after that", &network, &policy).await;
            network.close().await.unwrap();
        }
    });
}
