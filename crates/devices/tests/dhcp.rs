//! DHCP as a guest sees it: its client's messages go into the transmit queue, and the answers come out of the receive
//! queue. Frames are made and read by crates that the server does not use. Each test has a network namespace and a tap of
//! its own, on which no DHCP may ever be seen; without the right to make them it says so and tests nothing.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod driver;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use devices::virtio::net::{DhcpConfig, DhcpCounts, Net, NetConfig, ServiceConfig, Tap};
use devices::virtio::{RingPosition, VirtioDevice};
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use driver::wire::{MAC, PROTOCOL, Wire, in_namespace};
use driver::{BUFFERS, DEADLINE, Driver, FEATURE_EVENT_IDX, count, guest_memory, into, out};
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use vm_memory::{Bytes, GuestAddress};

const RX: u16 = 0;
const TX: u16 = 1;
const HEADER: usize = 12;
const MRG_RXBUF: u64 = 1 << 15;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 5);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 1);
const FOREIGN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 77);
const NOWHERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;
const TO_ALL: [u8; 6] = [0xff; 6];
const ROUTER_MAC: [u8; 6] = [6, 7, 8, 9, 10, 11];

fn lease() -> DhcpConfig {
    DhcpConfig {
        address: ADDRESS,
        prefix_len: 20,
        router: ROUTER,
        dns: vec![Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(1, 1, 1, 1)],
        ntp: vec![Ipv4Addr::new(10, 0, 0, 1)],
        host_name: Some("web-1".to_owned()),
        domain: Some("compute.internal".to_owned()),
        mtu: Some(1450),
        lease_seconds: 3600,
        routes: vec![("169.254.169.254/32".parse().unwrap(), NOWHERE)],
    }
}

/// A guest's message.
fn message(kind: MessageType, ciaddr: Ipv4Addr, options: &[DhcpOption]) -> Message {
    let mut message = Message::new_with_id(0x1234_5678, ciaddr, NOWHERE, NOWHERE, NOWHERE, &MAC);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    for option in options {
        message.opts_mut().insert(option.clone());
    }
    message
}

fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut Encoder::new(&mut bytes)).unwrap();
    bytes
}

fn packet(mac: [u8; 6], from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MAC, mac).ipv4(from.octets(), to.octets(), 64).udp(68, 67);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// An answer, and how it was addressed.
struct Answer {
    to_mac: [u8; 6],
    from_mac: [u8; 6],
    to: Ipv4Addr,
    message: Message,
}

impl Answer {
    /// Reads a frame with its header, and checks all that has to be right about it.
    fn read(header: &[u8], frame: &[u8]) -> Self {
        assert_eq!(header[..10], [0; 10], "nothing is left to do");
        assert_eq!(header[10..], [1, 0], "one buffer");
        let sliced = SlicedPacket::from_ethernet(frame).unwrap();
        let Some(NetSlice::Ipv4(ip)) = &sliced.net else { panic!("{frame:?}") };
        let header = ip.header().to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert_eq!(header.source, ROUTER.octets());
        let Some(TransportSlice::Udp(udp)) = &sliced.transport else { panic!("{frame:?}") };
        let sent = udp.to_header();
        assert_eq!((sent.source_port, sent.destination_port), (67, 68));
        assert_ne!(sent.checksum, 0);
        assert_eq!(sent.checksum, sent.calc_checksum_ipv4(&header, udp.payload()).unwrap());
        let message = Message::decode(&mut Decoder::new(udp.payload())).unwrap();
        assert!(udp.payload().len() >= 300, "as long as a BOOTP message");
        assert_eq!(
            (message.opcode(), message.xid(), message.chaddr()),
            (Opcode::BootReply, 0x1234_5678, &MAC[..])
        );
        assert_eq!(
            message.opts().get(OptionCode::ServerIdentifier),
            Some(&DhcpOption::ServerIdentifier(ROUTER))
        );
        Self {
            to_mac: frame[..6].try_into().unwrap(),
            from_mac: frame[6..12].try_into().unwrap(),
            to: header.destination.into(),
            message,
        }
    }

    fn is(&self, kind: MessageType) {
        assert!(self.message.opts().has_msg_type(kind), "{:?}", self.message.opts().msg_type());
    }

    /// Checks that it says all of `lease`.
    fn describes_the_interface(&self) {
        let options = self.message.opts();
        for option in [
            DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 240, 0)),
            DhcpOption::Router(vec![ROUTER]),
            DhcpOption::DomainNameServer(lease().dns),
            DhcpOption::NtpServers(lease().ntp),
            DhcpOption::Hostname("web-1".to_owned()),
            DhcpOption::DomainName("compute.internal".to_owned()),
            DhcpOption::InterfaceMtu(1450),
            DhcpOption::ClasslessStaticRoute(vec![
                ("169.254.169.254/32".parse().unwrap(), NOWHERE),
                ("0.0.0.0/0".parse().unwrap(), ROUTER),
            ]),
        ] {
            assert_eq!(options.get(OptionCode::from(&option)), Some(&option));
        }
    }

    /// Checks that it gives the address, for so long.
    fn leases(&self) {
        self.describes_the_interface();
        assert_eq!(self.message.yiaddr(), ADDRESS);
        for option in
            [DhcpOption::AddressLeaseTime(3600), DhcpOption::Renewal(1800), DhcpOption::Rebinding(3150)]
        {
            assert_eq!(self.message.opts().get(OptionCode::from(&option)), Some(&option));
        }
    }
}

struct Rig {
    net: Net,
    rx: Driver,
    tx: Driver,
    wire: Wire,
    counts: Arc<DhcpCounts>,
    /// Receive buffers given so far.
    given: u64,
}

impl Rig {
    fn start(features: u64) -> Self {
        let tap = Tap::open("tap0").unwrap();
        let services = ServiceConfig { dhcp: Some(lease()), ..ServiceConfig::default() };
        let mut net = Net::new(NetConfig { tap, mac: MAC, mtu: None, services }).unwrap();
        let memory = guest_memory();
        let (rx, tx) = (Driver::new(&memory, RX, 256, features), Driver::new(&memory, TX, 256, features));
        net.start_queue(rx.ready_at_start()).unwrap();
        net.start_queue(tx.ready_at_start()).unwrap();
        let counts = net.service_handles().dhcp.unwrap();
        Self { net, rx, tx, wire: Wire::new("tap0"), counts, given: 0 }
    }

    fn add_buffers(&mut self, count: u64) {
        for _ in 0..count {
            // Not more than 256 are there at a time, so that none is given twice.
            self.rx.add(&[into(BUFFERS + self.given % 256 * 0x1000, 2048)]);
            self.given += 1;
        }
        self.rx.notify();
    }

    /// Sends a frame from the guest in two pieces, cut at `cut`.
    fn send_cut(&mut self, header: [u8; HEADER], frame: &[u8], cut: usize) {
        let at = BUFFERS + (16 << 20);
        let packet = [&header[..], frame].concat();
        let (first, second) = packet.split_at(cut);
        self.tx.write(at, first);
        self.tx.write(at + 0x10000, second);
        let used = self.tx.run(&[out(at, first.len() as u32), out(at + 0x10000, second.len() as u32)]);
        assert_eq!(used, 0);
    }

    fn send(&mut self, frame: &[u8]) {
        self.send_cut([0; HEADER], frame, HEADER);
    }

    /// Sends a message as a client without an address does.
    fn ask(&mut self, message: &Message) {
        self.send(&packet(TO_ALL, NOWHERE, ALL, &bytes(message)));
    }

    /// The next DHCP answer in the receive queue.
    fn answer(&mut self) -> Answer {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            let (head, length) = self.rx.used();
            let at = self.rx.descriptors() + u64::from(head) * 16;
            let address = self.rx.memory.read_obj::<u64>(GuestAddress(at)).unwrap();
            let packet = self.rx.read(address, length as usize);
            let (header, frame) = packet.split_at(HEADER);
            // The host may have something to say too, such as IPv6 router solicitations.
            if frame[12..14] == [8, 0] {
                return Answer::read(header, frame);
            }
        }
        panic!("no answer");
    }

    /// Asserts that the wire has seen nothing from the guest, by a frame that goes there now.
    fn nothing_reached_the_wire(&mut self) {
        let mut frame = [&TO_ALL[..], &MAC, &PROTOCOL].concat();
        frame.resize(60, 7);
        self.send(&frame);
        assert_eq!(self.wire.receive_any(), frame, "the first frame that the wire sees");
    }

    fn counted(&self) -> [u64; 6] {
        let counts = &self.counts;
        [
            count(&counts.answered),
            count(&counts.refused),
            count(&counts.ignored),
            count(&counts.declined),
            count(&counts.malformed),
            count(&counts.dropped),
        ]
    }
}

#[test]
fn a_client_gets_renews_and_releases_its_lease() {
    for features in [MRG_RXBUF, 0, MRG_RXBUF | FEATURE_EVENT_IDX] {
        in_namespace(move || {
            let mut rig = Rig::start(features);
            rig.add_buffers(16);
            let id = DhcpOption::ClientIdentifier(vec![1, 2, 3, 4, 5, 6, 7]);
            let wish = DhcpOption::Hostname("i-want-this".to_owned());

            rig.ask(&message(MessageType::Discover, NOWHERE, &[wish.clone(), id.clone()]));
            let offer = rig.answer();
            offer.is(MessageType::Offer);
            offer.leases();
            assert_eq!(offer.message.opts().get(OptionCode::ClientIdentifier), Some(&id));
            assert_eq!((offer.to_mac, offer.to), (MAC, ADDRESS), "no broadcast was asked for");
            assert_eq!(offer.from_mac[0] & 3, 2, "a locally administered unicast address");

            let selected =
                [DhcpOption::RequestedIpAddress(ADDRESS), DhcpOption::ServerIdentifier(ROUTER), wish];
            rig.ask(
                message(MessageType::Request, NOWHERE, &selected).set_flags(Flags::default().set_broadcast()),
            );
            let ack = rig.answer();
            ack.is(MessageType::Ack);
            ack.leases();
            assert_eq!((ack.to_mac, ack.to), (TO_ALL, ALL), "broadcast was asked for");
            assert!(ack.message.flags().broadcast());
            assert_eq!(ack.message.opts().get(OptionCode::ClientIdentifier), None);

            // After a reboot, with what it remembers.
            rig.ask(&message(MessageType::Request, NOWHERE, &[DhcpOption::RequestedIpAddress(ADDRESS)]));
            rig.answer().is(MessageType::Ack);

            // Renewal, to the router's address on the wire.
            let renewal = bytes(&message(MessageType::Request, ADDRESS, &[]));
            rig.send(&packet(ROUTER_MAC, ADDRESS, ROUTER, &renewal));
            let ack = rig.answer();
            ack.is(MessageType::Ack);
            ack.leases();
            assert_eq!((ack.to_mac, ack.from_mac, ack.to), (MAC, ROUTER_MAC, ADDRESS));
            assert_eq!(ack.message.ciaddr(), ADDRESS);

            // Rebinding.
            rig.send(&packet(TO_ALL, ADDRESS, ALL, &renewal));
            rig.answer().leases();

            rig.send(&packet(
                ROUTER_MAC,
                ADDRESS,
                ROUTER,
                &bytes(&message(MessageType::Inform, ADDRESS, &[])),
            ));
            let inform = rig.answer();
            inform.is(MessageType::Ack);
            inform.describes_the_interface();
            assert_eq!(inform.message.yiaddr(), NOWHERE);
            assert!(!inform.message.opts().contains(OptionCode::AddressLeaseTime));

            let release =
                bytes(&message(MessageType::Release, ADDRESS, &[DhcpOption::ServerIdentifier(ROUTER)]));
            rig.send(&packet(ROUTER_MAC, ADDRESS, ROUTER, &release));
            rig.ask(&message(MessageType::Decline, NOWHERE, &[DhcpOption::RequestedIpAddress(ADDRESS)]));
            // Neither is answered, and neither takes the lease away.
            rig.ask(&message(MessageType::Discover, NOWHERE, &[]));
            rig.answer().is(MessageType::Offer);
            assert_eq!(rig.counted(), [7, 0, 1, 1, 0, 0]);
            rig.nothing_reached_the_wire();
        });
    }
}

#[test]
fn foreign_addresses_are_refused_and_foreign_business_is_left_alone() {
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF);
        rig.add_buffers(16);
        let refused = |answer: Answer| {
            answer.is(MessageType::Nak);
            assert_eq!((answer.to_mac, answer.to), (TO_ALL, ALL));
            assert_eq!(answer.message.yiaddr(), NOWHERE);
            assert!(!answer.message.opts().contains(OptionCode::AddressLeaseTime));
        };
        // From another network, by a client that rebooted there, selects there, or renews there.
        rig.ask(&message(MessageType::Request, NOWHERE, &[DhcpOption::RequestedIpAddress(FOREIGN)]));
        refused(rig.answer());
        let selected = [DhcpOption::RequestedIpAddress(FOREIGN), DhcpOption::ServerIdentifier(ROUTER)];
        rig.ask(&message(MessageType::Request, NOWHERE, &selected));
        refused(rig.answer());
        let renewal = bytes(&message(MessageType::Request, FOREIGN, &[]));
        rig.send(&packet(TO_ALL, FOREIGN, ALL, &renewal));
        refused(rig.answer());
        rig.send(&packet(ROUTER_MAC, FOREIGN, ROUTER, &renewal));
        refused(rig.answer());

        // To another server, of another one's choice, for another card, over a relay, from a foreign address.
        let discover = message(MessageType::Discover, NOWHERE, &[]);
        rig.send(&packet(ROUTER_MAC, ADDRESS, FOREIGN, &bytes(&discover)));
        let other = [DhcpOption::RequestedIpAddress(ADDRESS), DhcpOption::ServerIdentifier(FOREIGN)];
        rig.ask(&message(MessageType::Request, NOWHERE, &other));
        rig.ask(discover.clone().set_chaddr(&[2, 2, 2, 2, 2, 2]));
        rig.ask(discover.clone().set_giaddr(FOREIGN));
        rig.ask(&message(MessageType::Inform, FOREIGN, &[]));
        // What servers send.
        for kind in [MessageType::Offer, MessageType::Ack, MessageType::Nak, MessageType::Unknown(200)] {
            rig.ask(&message(kind, NOWHERE, &[]));
        }
        rig.ask(&discover);
        rig.answer().is(MessageType::Offer);
        assert_eq!(rig.counted(), [1, 4, 9, 0, 0, 0]);
        rig.nothing_reached_the_wire();
    });
}

#[test]
fn garbage_is_counted_and_goes_nowhere() {
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF);
        rig.add_buffers(16);
        let good = packet(TO_ALL, NOWHERE, ALL, &bytes(&message(MessageType::Discover, NOWHERE, &[])));
        let mut bad = Vec::new();
        for payload in [vec![], vec![1; 10], vec![1; 239], vec![0xff; 300], vec![0; 1472]] {
            bad.push(packet(TO_ALL, NOWHERE, ALL, &payload));
        }
        bad.push(packet(TO_ALL, NOWHERE, ALL, &[0; 8000]));
        bad.push(packet(TO_ALL, NOWHERE, ALL, &bytes(&message(MessageType::Request, NOWHERE, &[]))));
        let mut changed = |at: usize, byte: u8| {
            let mut frame = good.clone();
            frame[at] = byte;
            bad.push(frame);
        };
        changed(16, 0xff); // longer than it is
        changed(17, 20); // shorter than UDP
        changed(22, 9); // against the checksum
        changed(20, 0x20); // more fragments follow
        changed(38, 0xff); // UDP longer than IP
        changed(60, 0xff); // against UDP's checksum
        bad.push(good[..40].to_vec());
        for frame in &bad {
            rig.send(frame);
        }
        // To be cut up by the card.
        let mut gso = [0; HEADER];
        gso[1] = 3;
        rig.send_cut(gso, &good, HEADER);
        assert_eq!(rig.counted(), [0, 0, 0, 0, bad.len() as u64 + 1, 0]);
        rig.nothing_reached_the_wire();

        // However a driver cuts it into pieces, and with the checksum left to the card.
        let mut unfinished = [0; HEADER];
        unfinished[0] = 1;
        let mut partial = good.clone();
        partial[40] ^= 0xff;
        let cuts: Vec<usize> = (1..HEADER + 60).collect();
        for cut in cuts {
            rig.send_cut(unfinished, &partial, cut);
            rig.answer().is(MessageType::Offer);
            rig.add_buffers(1);
        }
    });
}

#[test]
fn what_only_looks_a_little_like_dhcp_goes_to_the_wire() {
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF);
        let good = packet(TO_ALL, NOWHERE, ALL, &bytes(&message(MessageType::Discover, NOWHERE, &[])));
        let changed = |at: usize, byte: u8| {
            let mut frame = good.clone();
            frame[at] = byte;
            frame
        };
        for frame in [
            changed(12, 0x86),   // another protocol than IP
            changed(23, 6),      // TCP
            changed(37, 68),     // to the client's port
            changed(36, 1),      // to port 323
            changed(21, 1),      // a later fragment
            good[..36].to_vec(), // no port
            good[..20].to_vec(), // no protocol
        ] {
            rig.send(&frame);
            assert_eq!(rig.wire.receive_any(), frame);
        }
        assert_eq!(rig.counted(), [0; 6]);
    });
}

#[test]
fn a_guest_that_does_not_listen_loses_answers() {
    const ASKED: u64 = 1000;
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF);
        let discover = message(MessageType::Discover, NOWHERE, &[]);
        for _ in 0..ASKED {
            rig.ask(&discover);
        }
        let [answered, .., dropped] = rig.counted();
        assert_eq!(answered, ASKED);
        // Some wait, and one more is in the hands of the receiving worker.
        assert!((ASKED - 9..ASKED).contains(&dropped), "{dropped} dropped");
        rig.add_buffers(32);
        for _ in 0..ASKED - dropped {
            rig.answer().is(MessageType::Offer);
        }
        // All is well again, also between the packets of the wire.
        for round in 0..100u8 {
            let mut frame = [&MAC[..], &ROUTER_MAC, &PROTOCOL].concat();
            frame.resize(60, round);
            rig.wire.send(&frame);
            rig.ask(&discover);
            rig.answer().is(MessageType::Offer);
            rig.add_buffers(2);
        }
        let [answered, .., after] = rig.counted();
        assert_eq!((answered, after), (ASKED + 100, dropped));

        // Answers that wait while the machine is paused are there when it goes on.
        let position = rig.net.stop_queue(RX).unwrap();
        rig.ask(&discover);
        rig.net.start_queue(rig.rx.ready(position)).unwrap();
        rig.answer().is(MessageType::Offer);
        // But not for the next driver.
        rig.net.stop_queue(RX).unwrap();
        rig.ask(&message(MessageType::Request, NOWHERE, &[DhcpOption::RequestedIpAddress(FOREIGN)]));
        rig.rx = Driver::new(&rig.rx.memory, RX, 256, MRG_RXBUF);
        rig.rx.set_indices(0);
        rig.net.start_queue(rig.rx.ready(RingPosition { next_avail: 0, next_used: 0 })).unwrap();
        rig.add_buffers(4);
        rig.ask(&discover);
        rig.answer().is(MessageType::Offer);
        rig.nothing_reached_the_wire();
    });
}

#[test]
fn an_answer_longer_than_the_only_buffer_is_dropped() {
    in_namespace(|| {
        let mut rig = Rig::start(0);
        rig.rx.add(&[into(BUFFERS, 200)]);
        rig.rx.notify();
        let discover = message(MessageType::Discover, NOWHERE, &[]);
        rig.ask(&discover);
        rig.rx.add(&[into(BUFFERS + 0x10000, 2048)]);
        rig.rx.notify();
        // Without mergeable buffers the short one is the next in turn until something fits it.
        let mut frame = [&MAC[..], &ROUTER_MAC, &PROTOCOL].concat();
        frame.resize(60, 1);
        rig.wire.send(&frame);
        while rig.rx.used().1 as usize != HEADER + frame.len() {}
        rig.add_buffers(4);
        rig.ask(&discover);
        rig.answer().is(MessageType::Offer);
        assert!(count(&rig.rx.metrics.errors) >= 1);
    });
}
