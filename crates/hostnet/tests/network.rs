//! The guests' network on a real kernel, in a network namespace for each test: who reaches whom, who does not, and what is
//! there before, meanwhile and afterwards. Without the right to make one it says so and tests nothing.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod namespace;

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Instant;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use hostnet::{AttachTapError, Config, DetachTapError, Network, OpenNetworkError, ROUTER_MAC};
use namespace::{
    GATEWAY_MAC, HOST, WORLD, Wire, everything, host_mac, in_namespace, ip, nft, place, udp, uplink,
};

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
async fn open() -> Network {
    Network::open(Config::default()).await.unwrap()
}

#[test]
fn what_is_opened_twice_and_closed_leaves_nothing_and_others_alone() {
    in_namespace(async || {
        nft("add table inet other");
        nft("add chain inet other forward { type filter hook forward priority 0 ; policy accept ; }");
        nft("add rule inet other forward counter");
        nft("add table ip bothy"); // the same name in another family
        ip("tuntap add bothy-other mode tap");
        ip("tuntap add bothy-0000000g mode tap");
        // With a name that a tap of ours would have, but of another kind.
        ip("tuntap add bothy-0000dead mode tun");
        ip("route add blackhole 203.0.113.0/24");
        let before = everything();

        for _ in 0..2 {
            let network = open().await;
            assert_eq!((network.router(), network.present().await.unwrap()), (ROUTER, vec![]));
            let again = open().await;
            network.attach(&place(&network, 5)).await.unwrap();
            network.attach(&place(&network, 6)).await.unwrap();
            let once = everything();
            network.attach(&place(&network, 5)).await.unwrap();
            assert_eq!(everything(), once, "attached twice");
            drop(again);
            let network = {
                drop(network);
                open().await
            };
            assert_eq!(everything(), once, "opened again");
            assert_eq!(network.present().await.unwrap(), ["bothy-00000005", "bothy-00000006"]);

            network.detach("bothy-00000005").await.unwrap();
            network.detach("bothy-00000005").await.unwrap();
            network.detach("bothy-0000dead").await.unwrap();
            let now = everything();
            assert!(
                !now.contains("bothy-00000005")
                    && now.contains("bothy-00000006")
                    && now.contains("bothy-0000dead")
            );
            assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), "1\n");
            network.close().await.unwrap();
            assert_eq!(everything(), before);
        }
        // Nothing is there any more, and closing that works too.
        let network = open().await;
        nft("delete table inet bothy");
        ip("route del unreachable 10.98.0.0/16");
        network.close().await.unwrap();
        assert_eq!(everything(), before);
    });
}

#[test]
fn guests_reach_each_other_and_not_the_host() {
    in_namespace(async || {
        let network = open().await;
        let (first, second) = (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await);

        // ARP: the router has its own address and that of all other guests; nobody has the rest, nor the guest's own.
        first.ask(Ipv4Addr::new(10, 98, 0, 77));
        first.ask(first.address);
        first.ask(ROUTER);
        assert_eq!(first.answer(), (ROUTER, ROUTER_MAC));
        first.ask(second.address);
        assert_eq!(first.answer(), (second.address, ROUTER_MAC));

        first.send_udp(1000, (second.address, 2000), b"hello");
        let arrived = second.receive_udp();
        assert_eq!((arrived.from, arrived.to), ((first.address, 1000), (second.address, 2000)));
        assert_eq!((arrived.to_mac, &arrived.payload[..]), (second.mac, &b"hello"[..]));
        second.send_udp(2000, (first.address, 1000), b"hello to you");
        assert_eq!(first.receive_udp().payload, b"hello to you");

        // A service of the host hears nothing of guests, under none of its addresses.
        let service = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)).unwrap();
        service.set_nonblocking(true).unwrap();
        ip("address add 192.0.2.1/32 dev lo");
        for address in [ROUTER, HOST] {
            first.send_udp(1000, (address, 53), b"who is there");
        }
        // But the router can be pinged.
        let echo = PacketBuilder::ethernet2(first.mac, ROUTER_MAC)
            .ipv4(first.address.octets(), ROUTER.octets(), 64)
            .icmpv4_echo_request(1, 2);
        let mut frame = Vec::new();
        echo.write(&mut frame, b"ping").unwrap();
        first.send(&frame);
        let reply = |frame: &[u8]| {
            let sliced = SlicedPacket::from_ethernet(frame).ok()?;
            matches!((&sliced.net, &sliced.transport), (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp)))
                if ip.header().source_addr() == ROUTER && icmp.type_u8() == 0)
            .then_some(())
        };
        first.receive("reply to the ping", reply);
        assert!(service.recv(&mut [0; 10]).is_err(), "what came before the ping was dropped");

        // What the host asks a guest is answered.
        service.send_to(b"host asks", (first.address, 9)).unwrap();
        let asked = first.receive_udp();
        assert_eq!((asked.from, &asked.payload[..]), ((ROUTER, 53), &b"host asks"[..]));
        first.send_udp(9, (ROUTER, 53), b"guest answers");
        service.set_nonblocking(false).unwrap();
        service.set_read_timeout(Some(namespace::DEADLINE)).unwrap();
        let mut bytes = [0; 64];
        let length = service.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"guest answers");
        network.close().await.unwrap();
    });
}

#[test]
fn the_world_sees_the_host_and_only_answers() {
    in_namespace(async || {
        let world = uplink();
        let network = open().await;
        let guest = Wire::guest(&network, 5).await;

        // Never on the wire: the host's own metadata service, and what is no address of the network's.
        guest.send_udp(1000, (Ipv4Addr::new(169, 254, 169, 254), 80), b"credentials");
        guest.send_udp(1000, (Ipv4Addr::new(10, 98, 0, 77), 80), b"nobody");
        guest.send_udp(1000, (WORLD, 7), b"out");
        let seen = world.receive_udp();
        assert_eq!(
            (seen.from.0, seen.to),
            (HOST, (WORLD, 7)),
            "the first to arrive, with the host's address"
        );
        assert_eq!((seen.to_mac, &seen.payload[..]), (GATEWAY_MAC, &b"out"[..]));
        // Name servers may be link-local, as in some clouds.
        guest.send_udp(1000, (Ipv4Addr::new(169, 254, 169, 254), 53), b"name");
        assert_eq!(world.receive_udp().payload, b"name");

        let host_mac = host_mac();
        let from_world = |from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]| {
            let mut frame = udp(GATEWAY_MAC, from, to, payload);
            frame[..6].copy_from_slice(&host_mac);
            world.send(&frame);
        };
        // Unasked, to the guest's own address; and the answer to what it asked.
        from_world((WORLD, 7), (guest.address, 1000), b"unasked");
        from_world((WORLD, 7), seen.from, b"back");
        let back = guest.receive_udp();
        assert_eq!((back.from, back.to), ((WORLD, 7), (guest.address, 1000)));
        assert_eq!(back.payload, b"back");
        network.close().await.unwrap();
    });
}

#[test]
fn a_guest_is_who_it_is() {
    in_namespace(async || {
        let world = uplink();
        let network = open().await;
        let (first, second) = (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await);
        let to = (second.address, 2000);
        for (mac, address, payload) in [
            (first.mac, second.address, "another guest's address"),
            (first.mac, Ipv4Addr::new(10, 98, 0, 77), "nobody's address"),
            (first.mac, ROUTER, "the router's address"),
            (first.mac, WORLD, "an address of the world"),
            (second.mac, first.address, "another guest's MAC"),
            (second.mac, second.address, "another guest's MAC and address"),
        ] {
            first.send(&udp(mac, (address, 1000), to, payload.as_bytes()));
            first.send(&udp(mac, (address, 1000), (WORLD, 7), payload.as_bytes()));
        }
        // IPv6, to all and to the router.
        for to_mac in [[0x33, 0x33, 0, 0, 0, 1], ROUTER_MAC] {
            let packet =
                PacketBuilder::ethernet2(first.mac, to_mac).ipv6([0xfe; 16], [0xff; 16], 64).udp(1, 2);
            let mut frame = Vec::new();
            packet.write(&mut frame, b"six").unwrap();
            first.send(&frame);
        }
        // ARP in another's name changes nothing.
        let liar = Wire::open_again(&first, second.address);
        liar.ask(ROUTER);
        first.send_udp(1000, to, b"honest");
        assert_eq!(second.receive_udp().payload, b"honest", "the first to arrive");
        first.send_udp(1000, (WORLD, 7), b"honest");
        assert_eq!(world.receive_udp().payload, b"honest", "the first to arrive");

        // With another address it is another.
        let mut moved = place(&network, 5);
        moved.address = Ipv4Addr::new(10, 98, 3, 9);
        network.attach(&moved).await.unwrap();
        first.send_udp(1000, to, b"from before");
        first.send(&udp(moved.mac, (moved.address, 1000), to, b"from now"));
        let arrived = second.receive_udp();
        assert_eq!((arrived.from.0, &arrived.payload[..]), (moved.address, &b"from now"[..]));
        let now = everything();
        assert!(!now.contains("10.98.0.5") && now.contains("10.98.3.9"), "{now}");
        network.close().await.unwrap();
    });
}

#[test]
fn a_network_that_was_damaged_is_repaired() {
    in_namespace(async || {
        let network = open().await;
        let (first, second) = (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await);
        let talk = |payload: &str| {
            first.send(&udp(first.mac, (second.address, 1), (second.address, 2000), b"a lie"));
            first.send_udp(1000, (second.address, 2000), payload.as_bytes());
            assert_eq!(second.receive_udp().payload, payload.as_bytes());
        };
        talk("as made");
        let whole = everything();

        // A firewall that starts anew empties the ruleset; the next change brings ours back, with all guests.
        nft("flush ruleset");
        network.attach(&place(&network, 6)).await.unwrap();
        assert_eq!(everything(), whole);
        nft("flush ruleset");
        network.attach(&place(&network, 7)).await.unwrap();
        network.detach("bothy-00000007").await.unwrap();
        assert_eq!(everything(), whole);
        talk("after a flush");

        // The daemon dies; guests go on meanwhile. Its successor finds them, with a rule more than it would have.
        drop(network);
        nft("insert rule inet bothy guests_to_all drop");
        let network = open().await;
        assert_eq!(everything(), whole);
        talk("after a restart");

        // Whatever was done to a tap.
        ip("address flush dev bothy-00000005");
        ip("link set bothy-00000005 down address 02:00:00:00:00:99");
        network.attach(&place(&network, 5)).await.unwrap();
        first.ask(second.address);
        assert_eq!(first.answer(), (second.address, ROUTER_MAC));
        talk("after a repair");

        // A leftover whose guest is gone: it does not keep the address.
        drop(network);
        ip("link del bothy-00000006");
        let network = open().await;
        assert_eq!(network.present().await.unwrap(), ["bothy-00000005"]);
        let mut heir = place(&network, 6);
        heir.tap = network.tap_name(0xffff_ffff);
        network.attach(&heir).await.unwrap();
        network.close().await.unwrap();
    });
}

#[test]
fn a_tap_in_use_stays_so_until_it_is_detached() {
    in_namespace(async || {
        let network = open().await;
        let mut place = place(&network, 5);
        place.owner = Some(12345);
        network.attach(&place).await.unwrap();
        assert!(ip("-d link show bothy-00000005").contains("user 12345"));
        let vmm = Wire::open(&place.tap, place.mac, place.address);
        network.attach(&place).await.unwrap();
        assert_eq!(hostnet::open_tap(&place.tap).unwrap_err().raw_os_error(), Some(libc::EBUSY));
        place.owner = None;
        assert!(matches!(network.attach(&place).await, Err(AttachTapError::InUse(_))));
        drop(vmm);
        // A program that another thread is about to start has the descriptor too, until it starts.
        let start = Instant::now();
        while let Err(error) = network.attach(&place).await {
            assert!(matches!(error, AttachTapError::InUse(_)) && start.elapsed() < namespace::DEADLINE);
        }
        assert!(!ip("-d link show bothy-00000005").contains("user"));
        let vmm = Wire::open(&place.tap, place.mac, place.address);
        network.detach(&place.tap).await.unwrap();
        assert_eq!(network.present().await.unwrap(), [""; 0]);
        drop(vmm);
        assert_eq!(hostnet::open_tap(&place.tap).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        network.close().await.unwrap();
    });
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    in_namespace(async || {
        ip("tuntap add uplink mode tap");
        ip("link set uplink up");
        for (address, meets) in [("10.98.7.1/24", "10.98.7.0/24"), ("10.1.1.1/8", "10.0.0.0/8")] {
            ip(&format!("address add {address} dev uplink"));
            let error = Network::open(Config::default()).await.unwrap_err();
            assert!(matches!(error, OpenNetworkError::CidrInUse { route, .. } if route.to_string() == meets));
            ip(&format!("address del {address} dev uplink"));
        }
        assert_eq!(nft("list ruleset"), "");

        let network = open().await;
        network.attach(&place(&network, 5)).await.unwrap();
        ip("tuntap add bothy-0000dead mode tun");
        let before = everything();
        let attach = async |change: &dyn Fn(&mut hostnet::Attachment)| {
            let mut place = place(&network, 6);
            change(&mut place);
            network.attach(&place).await.unwrap_err()
        };
        for name in ["eth0", "bothy-", "bothy-1", "bothy-0000000G", "bothy-000000006", "../bothy-00000006"] {
            assert!(matches!(attach(&|at| at.tap = name.into()).await, AttachTapError::NotOurs(_)), "{name}");
            assert!(matches!(network.detach(name).await, Err(DetachTapError::NotOurs(_))), "{name}");
        }
        for address in ["10.98.0.0", "10.98.0.1", "10.98.255.255", "10.99.0.5", "0.0.0.0"] {
            let error = attach(&|at| at.address = address.parse().unwrap()).await;
            assert!(matches!(error, AttachTapError::BadAddress { .. }), "{address}");
        }
        for mac in [[0; 6], [0xff; 6], [1, 0, 0, 0, 0, 1]] {
            assert!(matches!(attach(&|at| at.mac = mac).await, AttachTapError::BadMac));
        }
        let error = attach(&|at| at.address = Ipv4Addr::new(10, 98, 0, 5)).await;
        assert!(matches!(error, AttachTapError::AddressInUse { tap, .. } if tap == "bothy-00000005"));
        let error = attach(&|at| at.tap = "bothy-0000dead".into()).await;
        assert!(matches!(error, AttachTapError::NameTaken(_)), "{error}");
        assert_eq!(everything(), before);
        network.close().await.unwrap();
    });
}

/// What one guest costs when there are a thousand. By hand: `cargo test -p hostnet --test network -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and asserts little"]
fn a_thousand_guests() {
    in_namespace(async || {
        let network = open().await;
        let mut start = Instant::now();
        for number in 0..1000u32 {
            if number % 250 == 0 && number > 0 {
                println!("{number}: {:?} each", start.elapsed() / 250);
                start = Instant::now();
            }
            let mut place = place(&network, 0);
            place.tap = network.tap_name(number);
            place.address = Ipv4Addr::from(u32::from(ROUTER) + 1 + number);
            network.attach(&place).await.unwrap();
        }
        println!("1000: {:?} each", start.elapsed() / 250);
        let start = Instant::now();
        drop(network);
        let network = open().await;
        println!("open with 1000: {:?}", start.elapsed());
        let start = Instant::now();
        assert_eq!(network.present().await.unwrap().len(), 1000);
        println!("list 1000: {:?}", start.elapsed());
        let start = Instant::now();
        network.detach(&network.tap_name(7)).await.unwrap();
        println!("detach one of 1000: {:?}", start.elapsed());
        let start = Instant::now();
        network.close().await.unwrap();
        println!("close with 999: {:?}", start.elapsed());
    });
}
