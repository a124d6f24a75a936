//! The services of a network card as a guest finds them: its frames go into the transmit queue, and what it gets comes out
//! of the receive queue; another stack than ours is the guest's TCP. Each test has a network namespace and a tap of its
//! own, and looks at what reaches it; without the right to make them it says so and tests nothing.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod driver;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use devices::virtio::net::{
    GuardConfig, GuardCounts, Metadata, MetadataConfig, Net, NetConfig, ServiceConfig, Tap,
};
use devices::virtio::{RingPosition, VirtioDevice};
use driver::wire::{MAC, PROTOCOL, Wire, in_namespace};
use driver::{BUFFERS, DEADLINE, Driver, count, guest_memory, into, out};
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use tempfile::TempDir;
use vm_memory::{Bytes, GuestAddress};

const RX: u16 = 0;
const TX: u16 = 1;
const HEADER: usize = 12;
const MRG_RXBUF: u64 = 1 << 15;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 5);
const FOREIGN: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 6);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 1);
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const SERVICE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const OTHER_MAC: [u8; 6] = [2, 9, 9, 9, 9, 9];
const TO_ALL: [u8; 6] = [0xff; 6];

fn guard() -> GuardConfig {
    GuardConfig { addresses: vec![OWN.into()], ipv6: false }
}

fn udp(mac: [u8; 6], from: Ipv4Addr, to: Ipv4Addr, ports: (u16, u16)) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(mac, [6; 6]).ipv4(from.octets(), to.octets(), 64);
    let mut frame = Vec::new();
    builder.udp(ports.0, ports.1).write(&mut frame, &[7; 30]).unwrap();
    frame
}

fn arp(
    mac: [u8; 6],
    operation: ArpOperation,
    sender_mac: [u8; 6],
    sender: Ipv4Addr,
    target: Ipv4Addr,
) -> Vec<u8> {
    let (sender, target) = (sender.octets(), target.octets());
    let message = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        operation,
        &sender_mac,
        &sender,
        &[0; 6],
        &target,
    );
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(mac, TO_ALL).arp(message.unwrap()).write(&mut frame).unwrap();
    frame
}

/// A frame of a protocol that means nothing.
fn other(mac: [u8; 6], kind: [u8; 2]) -> Vec<u8> {
    let mut frame = [&TO_ALL[..], &mac, &kind].concat();
    frame.resize(60, 1);
    frame
}

struct Rig {
    net: Net,
    rx: Driver,
    tx: Driver,
    wire: Wire,
    /// Receive buffers given so far.
    given: u64,
    guard: Option<Arc<GuardCounts>>,
    metadata: Option<Arc<Metadata>>,
}

impl Rig {
    fn start(services: ServiceConfig) -> Self {
        let tap = Tap::open("tap0").unwrap();
        let mut net = Net::new(NetConfig { tap, mac: MAC, mtu: None, services }).unwrap();
        let memory = guest_memory();
        let (rx, tx) = (Driver::new(&memory, RX, 256, MRG_RXBUF), Driver::new(&memory, TX, 256, MRG_RXBUF));
        net.start_queue(rx.ready_at_start()).unwrap();
        net.start_queue(tx.ready_at_start()).unwrap();
        let handles = net.service_handles();
        let wire = Wire::new("tap0");
        let mut rig = Self { net, rx, tx, wire, given: 0, guard: handles.guard, metadata: handles.metadata };
        rig.add_buffers(64);
        rig
    }

    fn add_buffers(&mut self, count: u64) {
        for _ in 0..count {
            self.rx.add(&[into(BUFFERS + self.given % 256 * 0x1000, 2048)]);
            self.given += 1;
        }
        self.rx.notify();
    }

    /// Sends a frame from the guest in two pieces.
    fn send_cut(&mut self, frame: &[u8], cut: usize) {
        let at = BUFFERS + (16 << 20);
        let packet = [&[0; HEADER], frame].concat();
        let (first, second) = packet.split_at(cut);
        self.tx.write(at, first);
        self.tx.write(at + 0x10000, second);
        let used = self.tx.run(&[out(at, first.len() as u32), out(at + 0x10000, second.len() as u32)]);
        assert_eq!(used, 0);
    }

    fn send(&mut self, frame: &[u8]) {
        self.send_cut(frame, HEADER);
    }

    /// What the guest received, if anything.
    fn received(&mut self) -> Option<Vec<u8>> {
        let (head, length) = self.rx.try_used()?;
        let at = self.rx.descriptors() + u64::from(head) * 16;
        let address = self.rx.memory.read_obj::<u64>(GuestAddress(at)).unwrap();
        let packet = self.rx.read(address, length as usize);
        self.add_buffers(1);
        Some(packet[HEADER..].to_vec())
    }

    /// Asserts that a frame is the next one that the wire sees.
    #[track_caller]
    fn passes(&mut self, frame: &[u8]) {
        self.send(frame);
        assert_eq!(self.wire.receive_any(), frame);
    }

    fn refused(&self) -> [u64; 6] {
        let counts = self.guard.as_ref().unwrap();
        [&counts.mac, &counts.ipv4, &counts.arp, &counts.ipv6, &counts.other, &counts.malformed].map(count)
    }
}

#[test]
fn a_guarded_guest_speaks_for_itself_only() {
    in_namespace(|| {
        let mut rig = Rig::start(ServiceConfig { guard: Some(guard()), ..ServiceConfig::default() });
        let own = [
            udp(MAC, OWN, ROUTER, (1000, 53)),
            udp(MAC, NOBODY, Ipv4Addr::BROADCAST, (68, 67)),
            arp(MAC, ArpOperation::REQUEST, MAC, OWN, ROUTER),
            arp(MAC, ArpOperation::REPLY, MAC, OWN, ROUTER),
            arp(MAC, ArpOperation::REQUEST, MAC, NOBODY, OWN),
        ];
        for frame in &own {
            rig.passes(frame);
        }
        assert_eq!(rig.refused(), [0; 6]);
        // However it is cut into buffers, what was looked at is what is sent.
        let frame = udp(MAC, OWN, ROUTER, (1000, 53));
        for cut in 1..HEADER + frame.len() {
            rig.send_cut(&frame, cut);
            assert_eq!(rig.wire.receive_any(), frame, "cut at {cut}");
        }
        let spoofed = [
            vec![udp(OTHER_MAC, OWN, ROUTER, (1, 2)), other(OTHER_MAC, PROTOCOL)],
            vec![
                udp(MAC, FOREIGN, ROUTER, (1, 2)),
                udp(MAC, NOBODY, ROUTER, (68, 67)),
                udp(MAC, SERVICE, ROUTER, (80, 1)),
            ],
            vec![
                arp(MAC, ArpOperation::REQUEST, MAC, FOREIGN, ROUTER),
                arp(MAC, ArpOperation::REPLY, MAC, FOREIGN, ROUTER),
                arp(MAC, ArpOperation::REPLY, OTHER_MAC, OWN, ROUTER),
                arp(MAC, ArpOperation::REPLY, MAC, NOBODY, ROUTER),
            ],
            vec![other(MAC, [0x86, 0xdd])],
            // With a VLAN tag, of another protocol, and a length in the place of one.
            vec![other(MAC, [0x81, 0]), other(MAC, [0x88, 0xa8]), other(MAC, PROTOCOL), other(MAC, [0, 46])],
            vec![udp(MAC, OWN, ROUTER, (1, 2))[..30].to_vec(), vec![1; 13]],
        ];
        for frame in spoofed.iter().flatten() {
            rig.send(frame);
        }
        let expected: Vec<u64> = spoofed.iter().map(|frames| frames.len() as u64).collect();
        assert_eq!(rig.refused()[..], expected);
        // The next thing that the wire sees is good again.
        rig.passes(&own[0]);
    });
}

#[test]
fn ipv6_passes_where_it_is_allowed_from_the_right_card() {
    in_namespace(|| {
        let guard = GuardConfig { ipv6: true, ..guard() };
        let mut rig = Rig::start(ServiceConfig { guard: Some(guard), ..ServiceConfig::default() });
        rig.send(&other(OTHER_MAC, [0x86, 0xdd]));
        rig.passes(&other(MAC, [0x86, 0xdd]));
        assert_eq!(rig.refused(), [1, 0, 0, 0, 0, 0]);
    });
}

/// The guest's stack.
struct Guest {
    interface: Interface,
    sockets: SocketSet<'static>,
    wire: Frames,
    start: Instant,
}

#[derive(Default)]
struct Frames {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Taken(Vec<u8>);

impl RxToken for Taken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Sent<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for Frames {
    type RxToken<'a> = Taken;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Taken, Sent<'_>)> {
        Some((Taken(self.received.pop_front()?), Sent(&mut self.sent)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl Guest {
    /// A guest with these addresses and, if it has one, this router.
    fn new(addresses: &[IpCidr], router: Option<Ipv4Addr>) -> Self {
        let mut wire = Frames::default();
        let mac = HardwareAddress::Ethernet(EthernetAddress(MAC));
        let mut interface = Interface::new(Config::new(mac), &mut wire, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|own| own.extend_from_slice(addresses).unwrap());
        if let Some(router) = router {
            interface.routes_mut().add_default_ipv4_route(router).unwrap();
        }
        Self { interface, sockets: SocketSet::new(Vec::new()), wire, start: Instant::now() }
    }

    fn connect(&mut self, port: u16) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; 8192]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.connect(self.interface.context(), (IpAddress::Ipv4(SERVICE), 80), port).unwrap();
        self.sockets.add(socket)
    }

    fn turn(&mut self, rig: &mut Rig) {
        while let Some(frame) = rig.received() {
            self.wire.received.push_back(frame);
        }
        let now = smoltcp::time::Instant::from_micros(self.start.elapsed().as_micros() as i64);
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
        for frame in std::mem::take(&mut self.wire.sent) {
            rig.send(&frame);
        }
    }

    /// Asks and waits for the whole answer.
    fn ask(&mut self, rig: &mut Rig, port: u16) -> Vec<u8> {
        let handle = self.connect(port);
        let mut answer = Vec::new();
        let mut has_asked = false;
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < DEADLINE, "no answer of the metadata service");
            self.turn(rig);
            let socket = self.sockets.get_mut::<Socket<'_>>(handle);
            if socket.may_send() && !has_asked {
                socket.send_slice(b"GET / HTTP/1.0\r\n\r\n").unwrap();
                has_asked = true;
            }
            let _ = socket.recv(|bytes| {
                answer.extend_from_slice(bytes);
                (bytes.len(), ())
            });
            if socket.state() == State::CloseWait && !socket.can_recv() {
                socket.close();
            }
            if socket.state() == State::Closed {
                self.sockets.remove(handle);
                return answer;
            }
        }
    }
}

/// A service that answers each question with it.
fn serve(folder: &TempDir) -> MetadataConfig {
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    // Ends with the test.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut question = [0; 100];
            let length = stream.read(&mut question).unwrap();
            stream.write_all(b"you said: ").unwrap();
            stream.write_all(&question[..length]).unwrap();
        }
    });
    MetadataConfig { socket, addresses: vec![SERVICE, Ipv4Addr::new(100, 100, 100, 200)], hop_limit: 1 }
}

#[test]
fn a_guest_reaches_its_metadata_service_on_the_link_and_by_its_router() {
    in_namespace(|| {
        let folder = tempfile::tempdir().unwrap();
        let metadata = serve(&folder);
        let services =
            ServiceConfig { metadata: Some(metadata), guard: Some(guard()), ..ServiceConfig::default() };
        let mut rig = Rig::start(services);
        let answer = b"you said: GET / HTTP/1.0\r\n\r\n";

        // With an address of the link only, which is not even its own: it asks for the service by ARP.
        let link = IpCidr::new(IpAddress::v4(169, 254, 7, 7), 16);
        let mut guest = Guest::new(&[link], None);
        for port in 50000..50005 {
            assert_eq!(guest.ask(&mut rig, port), answer);
        }
        let counts = Arc::clone(rig.metadata.as_ref().unwrap());
        assert!(count(&counts.counts.arp) >= 1);

        // With its own, over a router, which the test is: it answers the guest's ARP.
        let mut guest = Guest::new(&[IpCidr::new(IpAddress::Ipv4(OWN), 24)], Some(ROUTER));
        let question = arp(MAC, ArpOperation::REQUEST, MAC, OWN, ROUTER);
        guest.connect(40000);
        guest.turn(&mut rig);
        assert_eq!(rig.wire.receive_any()[..32], question[..32], "it asks for its router");
        let mut reply = arp([6; 6], ArpOperation::REPLY, [6; 6], ROUTER, OWN);
        reply[..6].copy_from_slice(&MAC);
        reply[32..38].copy_from_slice(&MAC);
        rig.wire.send(&reply);
        for port in 50000..50005 {
            assert_eq!(guest.ask(&mut rig, port), answer);
        }
        assert!(count(&counts.counts.opened) >= 10);

        // Nothing of it, and nothing else for these addresses, reaches the wire.
        rig.send(&udp(MAC, OWN, SERVICE, (1000, 53)));
        rig.send(&udp(MAC, OWN, Ipv4Addr::new(100, 100, 100, 200), (1000, 123)));
        rig.send(&arp(MAC, ArpOperation::REQUEST, MAC, SERVICE, SERVICE));
        rig.send(&arp(MAC, ArpOperation::REPLY, MAC, SERVICE, ROUTER));
        let mut fragment = udp(MAC, OWN, SERVICE, (1, 2));
        (fragment[20], fragment[23]) = (0x20, 6);
        rig.send(&fragment);
        rig.send(&[&fragment[..20], &[0], &fragment[21..], &[0; 40000]].concat());
        rig.passes(&udp(MAC, OWN, ROUTER, (1000, 53)));
        assert_eq!(count(&counts.counts.not_tcp), 2);
        assert_eq!(count(&counts.counts.malformed), 2);
        assert_eq!(rig.refused(), [0; 6]);
    });
}

#[test]
fn connections_go_on_over_a_pause_and_end_with_the_driver() {
    in_namespace(|| {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let metadata = MetadataConfig { socket, addresses: vec![SERVICE], hop_limit: 64 };
        let mut rig = Rig::start(ServiceConfig { metadata: Some(metadata), ..ServiceConfig::default() });
        let mut guest = Guest::new(&[IpCidr::new(IpAddress::v4(169, 254, 7, 7), 16)], None);
        let handle = guest.connect(50000);
        let until = |guest: &mut Guest, rig: &mut Rig, what: &str, is_so: &dyn Fn(&Socket<'_>) -> bool| {
            let start = Instant::now();
            while !is_so(guest.sockets.get(handle)) {
                assert!(start.elapsed() < DEADLINE, "{what}");
                guest.turn(rig);
            }
        };
        until(&mut guest, &mut rig, "connected", &|socket| socket.may_send());
        let (mut service, _) = listener.accept().unwrap();

        let (rx, tx) = (rig.net.stop_queue(RX).unwrap(), rig.net.stop_queue(TX).unwrap());
        service.write_all(b"while it slept").unwrap();
        rig.net.start_queue(rig.rx.ready(rx)).unwrap();
        rig.net.start_queue(rig.tx.ready(tx)).unwrap();
        until(&mut guest, &mut rig, "what came while it slept", &|socket| socket.recv_queue() == 14);

        // Another driver: the old connection is gone at the service's end, and reset at the guest's.
        rig.net.stop_queue(RX).unwrap();
        rig.net.stop_queue(TX).unwrap();
        let memory = rig.rx.memory.clone();
        rig.rx = Driver::new(&memory, RX, 256, MRG_RXBUF);
        rig.tx = Driver::new(&memory, TX, 256, MRG_RXBUF);
        rig.rx.set_indices(0);
        rig.tx.set_indices(0);
        let start = RingPosition { next_avail: 0, next_used: 0 };
        rig.net.start_queue(rig.rx.ready(start)).unwrap();
        rig.net.start_queue(rig.tx.ready(start)).unwrap();
        rig.given = 0;
        rig.add_buffers(64);
        assert_eq!(service.read(&mut [0; 9]).unwrap(), 0);
        guest.sockets.get_mut::<Socket<'_>>(handle).send_slice(b"still there?").unwrap();
        until(&mut guest, &mut rig, "a reset", &|socket| socket.state() == State::Closed);

        // The card's end is the end of its connections too.
        let again = guest.connect(50001);
        let start = Instant::now();
        while !guest.sockets.get::<Socket<'_>>(again).may_send() {
            assert!(start.elapsed() < DEADLINE, "connected again");
            guest.turn(&mut rig);
        }
        let (mut service, _) = listener.accept().unwrap();
        drop(rig);
        assert_eq!(service.read(&mut [0; 9]).unwrap(), 0);
    });
}
