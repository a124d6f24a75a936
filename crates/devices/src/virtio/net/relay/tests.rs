//! The relay's stack with another one at the other end of the wire, in the place of a guest, and a service on a real unix
//! socket. Time is a number here: a test that is about a minute takes no minute.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use tempfile::TempDir;

use super::super::HEADER_BYTES;
use super::super::answers::Answers;
use super::super::frame::{Frame, Packet, arp_reply};
use super::stack::MAX_CONNECTIONS;
use super::{Link, Metadata, MetadataCounts, Stack, connect_without_waiting};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const THERE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const ALSO_THERE: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
const MINUTE: Duration = Duration::from_secs(60);

/// The guest's end of the wire: whole frames.
#[derive(Default)]
struct Wire {
    to_guest: VecDeque<Vec<u8>>,
    from_guest: VecDeque<Vec<u8>>,
}

struct Taken(Vec<u8>);

impl RxToken for Taken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Sent<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Taken;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Taken, Sent<'_>)> {
        Some((Taken(self.to_guest.pop_front()?), Sent(&mut self.from_guest)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.from_guest))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

struct Rig {
    stack: Stack,
    answers: Arc<Answers>,
    metadata: Arc<Metadata>,
    guest: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    listener: UnixListener,
    folder: TempDir,
    now: Instant,
    /// The guest takes its packets.
    listens: bool,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self::with(folder, listener, Box::new(move || connect_without_waiting(&path)))
    }

    fn with(folder: TempDir, listener: UnixListener, connect: super::stack::Connect) -> Self {
        let answers = Arc::new(Answers::new().unwrap());
        let metadata = Arc::new(Metadata { hop_limit: 64.into(), counts: MetadataCounts::default() });
        let link = Link::new(MAC, 1500, Arc::clone(&answers), Arc::clone(&metadata));
        let stack = Stack::new(link, &[THERE, ALSO_THERE], connect, 7, Arc::clone(&metadata));
        let mut wire = Wire::default();
        let mac = HardwareAddress::Ethernet(EthernetAddress(MAC));
        let mut guest = Interface::new(Config::new(mac), &mut wire, Instant::ZERO);
        guest.update_ip_addrs(|own| own.push(IpCidr::new(IpAddress::Ipv4(HERE), 24)).unwrap());
        guest.routes_mut().add_default_ipv4_route(Ipv4Addr::new(10, 0, 0, 1)).unwrap();
        let sockets = SocketSet::new(Vec::new());
        let now = Instant::from_millis(1);
        Self { stack, answers, metadata, guest, sockets, wire, listener, folder, now, listens: true }
    }

    /// A connection that the guest asks for.
    fn connect(&mut self, to: Ipv4Addr, from: u16) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; 8192]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.connect(self.guest.context(), (IpAddress::Ipv4(to), 80), from).unwrap();
        self.sockets.add(socket)
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Lets each side say what it has to say, and a millisecond pass.
    fn turn(&mut self) {
        self.guest.poll(self.now, &mut self.wire, &mut self.sockets);
        let frames: Vec<_> = self.wire.from_guest.drain(..).collect();
        for frame in frames {
            // ARP is answered by the transmitting worker; here for any address, the router's among them.
            match Frame::parse(&frame).unwrap().packet {
                Packet::Arp(request) => {
                    let reply = arp_reply(&request, MAC);
                    self.wire.to_guest.push_back(reply[HEADER_BYTES..].to_vec());
                }
                _ => self.give(&frame),
            }
        }
        self.stack.step(self.now);
        while self.listens
            && let Some(frame) = self.answers.pop()
        {
            self.wire.to_guest.push_back(frame[HEADER_BYTES..].to_vec());
        }
        self.now += Duration::from_millis(1);
    }

    fn give(&mut self, frame: &[u8]) {
        let mut packets = VecDeque::from([[&[0; HEADER_BYTES], frame].concat()]);
        self.stack.give(&mut packets);
    }

    /// Sends what is answered by resets, more than a guest that does not listen has room for.
    fn fill(&mut self) {
        for port in 1..200 {
            let builder = PacketBuilder::ethernet2(MAC, [9; 6]).ipv4(HERE.octets(), THERE.octets(), 64);
            let mut frame = Vec::new();
            builder.tcp(port, 80, 1000, 9000).ack(1).write(&mut frame, &[]).unwrap();
            self.give(&frame);
            self.turn();
        }
    }

    /// Turns until something is so.
    #[track_caller]
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..20_000 {
            if is_so(self) {
                return;
            }
            self.turn();
        }
        panic!("not after 20 s: {what}");
    }

    /// Turns until the service is asked.
    #[track_caller]
    fn accept(&mut self) -> UnixStream {
        let mut accepted = None;
        self.until("a connection to the service", |rig| {
            accepted = rig.listener.accept().ok();
            accepted.is_some()
        });
        let (stream, _) = accepted.unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    /// A whole connection, on which a word goes each way.
    #[track_caller]
    fn serve(&mut self, to: Ipv4Addr, from: u16) {
        let handle = self.connect(to, from);
        let mut service = self.accept();
        self.until("connected", |rig| rig.socket(handle).may_send());
        assert_eq!(self.socket(handle).send_slice(b"ping"), Ok(4));
        self.until("the question", |_| {
            let mut bytes = [0; 9];
            service.read(&mut bytes).is_ok_and(|count| bytes[..count] == *b"ping")
        });
        service.write_all(b"pong").unwrap();
        self.until("the answer", |rig| rig.socket(handle).recv_queue() == 4);
        // The guest has said all; the service then answers and closes.
        self.socket(handle).close();
        self.until("the guest's end", |_| matches!(service.read(&mut [0; 9]), Ok(0)));
        service.write_all(b" again").unwrap();
        drop(service);
        let mut received = Vec::new();
        self.until("the service's end", |rig| {
            let _ = rig.socket(handle).recv(|bytes| {
                received.extend_from_slice(bytes);
                (bytes.len(), ())
            });
            !rig.socket(handle).may_recv()
        });
        assert_eq!(received, b"pong again");
        self.until("nothing left", |rig| rig.open() == 0);
        self.sockets.remove(handle);
    }

    fn open(&self) -> u64 {
        count(&self.metadata.counts.open)
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

/// A frame of the guest that opens a connection.
fn syn(from: Ipv4Addr, port: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MAC, [9; 6])
        .ipv4(from.octets(), THERE.octets(), 64)
        .tcp(port, 80, 1000, 9000);
    let mut frame = Vec::new();
    builder.syn().write(&mut frame, &[]).unwrap();
    frame
}

#[test]
fn questions_are_asked_and_answered_at_each_address() {
    let mut rig = Rig::new();
    rig.serve(THERE, 50000);
    rig.serve(ALSO_THERE, 50001);
    rig.serve(THERE, 50000);
    let counts = &rig.metadata.counts;
    assert_eq!(count(&counts.opened), 3);
    assert_eq!([&counts.refused, &counts.too_many, &counts.timed_out].map(count), [0; 3]);
    assert!(rig.stack.patience(rig.now).is_none(), "there is nothing to be done");
}

#[test]
fn the_service_may_be_the_first_to_close() {
    let mut rig = Rig::new();
    let handle = rig.connect(THERE, 50000);
    let mut service = rig.accept();
    service.write_all(&[7; 5000]).unwrap();
    service.shutdown(std::net::Shutdown::Write).unwrap();
    rig.until("the service's end", |rig| rig.socket(handle).state() == State::CloseWait);
    assert_eq!(rig.socket(handle).recv_queue(), 5000);
    // Half closed: the other way still goes.
    rig.socket(handle).send_slice(b"late").unwrap();
    rig.until("what came late", |_| service.read(&mut [0; 9]).is_ok_and(|count| count == 4));
    rig.socket(handle).close();
    rig.until("nothing left", |rig| rig.open() == 0);
    rig.until("the guest's end", |rig| rig.socket(handle).state() == State::Closed);
    assert!(matches!(service.read(&mut [0; 9]), Ok(0)));
}

#[test]
fn where_nobody_listens_connections_are_reset() {
    let mut rig = Rig::new();
    std::fs::remove_file(rig.folder.path().join("socket")).unwrap();
    let handle = rig.connect(THERE, 50000);
    rig.until("a reset", |rig| rig.socket(handle).state() == State::Closed);
    rig.until("nothing left", |rig| rig.open() == 0);
    assert_eq!(count(&rig.metadata.counts.refused), 1);
    // To another port, and to none of a connection.
    let buffer = || SocketBuffer::new(vec![0; 64]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.connect(rig.guest.context(), (IpAddress::Ipv4(THERE), 443), 50001).unwrap();
    let other = rig.sockets.add(socket);
    rig.turn();
    rig.until("a reset", |rig| rig.socket(other).state() == State::Closed);
    assert_eq!(count(&rig.metadata.counts.opened), 1);
}

#[test]
fn a_service_that_breaks_off_unheard_resets_and_one_that_answered_does_not() {
    let mut rig = Rig::new();
    let handle = rig.connect(THERE, 50000);
    let service = rig.accept();
    rig.until("connected", |rig| rig.socket(handle).may_send());
    rig.socket(handle).send_slice(b"ping").unwrap();
    // Unread bytes make closing a reset.
    for _ in 0..10 {
        rig.turn();
    }
    drop(service);
    rig.until("a reset", |rig| rig.socket(handle).state() == State::Closed);

    let handle = rig.connect(THERE, 50001);
    let mut service = rig.accept();
    service.write_all(b"no").unwrap();
    rig.until("the answer", |rig| rig.socket(handle).recv_queue() == 2);
    rig.socket(handle).send_slice(b"ping").unwrap();
    for _ in 0..10 {
        rig.turn();
    }
    drop(service);
    rig.until("the service's end", |rig| rig.socket(handle).state() == State::CloseWait);
    // What the guest says now goes nowhere, and it may still close.
    rig.socket(handle).send_slice(b"ping").unwrap();
    rig.socket(handle).close();
    rig.until("nothing left", |rig| rig.open() == 0);
}

#[test]
fn megabytes_pass_both_ways_at_once_in_buffers_of_some_kilobytes() {
    const BYTES: usize = 1 << 20;
    let mut rig = Rig::new();
    let handle = rig.connect(THERE, 50000);
    let mut service = rig.accept();
    let byte = |at: usize| (at * 7 + at / 251) as u8;
    let (mut asked, mut answered) = (0, 0);
    let (mut at_service, mut at_guest) = (0, 0);
    let mut buffer = [0; 3000];
    for turn in 0.. {
        assert!(turn < 100_000, "{asked} {answered} {at_service} {at_guest}");
        let socket = rig.sockets.get_mut::<Socket<'_>>(handle);
        if asked < BYTES && socket.can_send() {
            let piece: Vec<u8> = (asked..BYTES.min(asked + 1000)).map(byte).collect();
            asked += socket.send_slice(&piece).unwrap();
        }
        while let Ok(count) = service.read(&mut buffer) {
            assert!(buffer[..count].iter().enumerate().all(|(at, got)| *got == byte(at_service + at)));
            at_service += count;
            // Not always as fast as it can.
            if turn % 3 > 0 {
                break;
            }
        }
        let piece: Vec<u8> = (answered..BYTES.min(answered + 2000)).map(|at| !byte(at)).collect();
        answered += service.write(&piece).unwrap_or(0);
        while let Ok(count) = rig.socket(handle).recv_slice(&mut buffer)
            && count > 0
        {
            assert!(buffer[..count].iter().enumerate().all(|(at, got)| *got == !byte(at_guest + at)));
            at_guest += count;
        }
        if (at_service, at_guest) == (BYTES, BYTES) {
            break;
        }
        rig.turn();
    }
}

#[test]
fn half_open_connections_are_few_and_go_and_the_service_never_hears_of_them() {
    let mut rig = Rig::new();
    for port in 1..1000 {
        rig.give(&syn(Ipv4Addr::new(10, 0, (port >> 8) as u8, port as u8), port));
        rig.turn();
        // The guest's own stack would reset what it did not ask for.
        rig.wire.to_guest.clear();
        assert!(rig.open() <= MAX_CONNECTIONS as u64);
    }
    assert_eq!(count(&rig.metadata.counts.too_many), 999 - MAX_CONNECTIONS as u64);
    assert!(rig.listener.accept().is_err());
    rig.now += Duration::from_secs(5);
    rig.until("nothing left", |rig| {
        rig.wire.to_guest.clear();
        rig.open() == 0
    });
    assert_eq!(count(&rig.metadata.counts.timed_out), MAX_CONNECTIONS as u64);
    rig.serve(THERE, 50000);
}

#[test]
fn a_burst_of_connections_is_served_in_the_end() {
    let mut rig = Rig::new();
    let handles: Vec<_> = (0..100).map(|at| rig.connect(THERE, 50000 + at)).collect();
    rig.until("all answers", |rig| {
        while let Ok((mut service, _)) = rig.listener.accept() {
            service.write_all(b"pong").unwrap();
        }
        handles.iter().all(|handle| {
            let socket = rig.sockets.get_mut::<Socket<'_>>(*handle);
            if socket.state() == State::CloseWait {
                socket.close();
            }
            socket.recv_queue() == 4
        })
    });
    rig.until("nothing left", |rig| rig.open() == 0);
    assert!(count(&rig.metadata.counts.too_many) > 0, "they came all at once");
}

#[test]
fn a_guest_that_never_reads_is_reset_after_a_minute() {
    let mut rig = Rig::new();
    let handle = rig.connect(THERE, 50000);
    let mut service = rig.accept();
    let mut written = 0;
    for _ in 0..1000 {
        written += service.write(&[1; 4096]).unwrap_or(0);
        rig.turn();
    }
    let written_before = written;
    for _ in 0..100 {
        written += service.write(&[1; 4096]).unwrap_or(0);
        rig.turn();
    }
    assert_eq!(written, written_before, "the service has to wait");
    // Others do not.
    rig.listener.accept().unwrap_err();
    let other = rig.connect(THERE, 50001);
    let mut second = rig.accept();
    second.write_all(b"pong").unwrap();
    rig.until("an answer", |rig| rig.socket(other).recv_queue() == 4);
    drop(second);
    rig.socket(other).close();
    rig.until("one left", |rig| rig.open() == 1);
    rig.now += MINUTE;
    rig.until("a reset", |rig| rig.socket(handle).state() == State::Closed);
    rig.until("nothing left", |rig| rig.open() == 0);
    assert_eq!(count(&rig.metadata.counts.timed_out), 1);
    assert!(service.write(&[1]).is_err());
}

#[test]
fn a_guest_that_takes_no_packets_costs_no_time_and_is_served_when_it_does() {
    let mut rig = Rig::new();
    let handle = rig.connect(THERE, 50000);
    let mut service = rig.accept();
    rig.until("connected", |rig| rig.socket(handle).may_send());
    rig.listens = false;
    rig.fill();
    service.write_all(b"pong").unwrap();
    rig.turn();
    assert!(rig.stack.patience(rig.now).unwrap() > Duration::from_secs(1), "nothing to do but to wait");
    assert!(!rig.stack.has_taken_all());
    rig.listens = true;
    rig.until("the answer", |rig| rig.socket(handle).recv_queue() == 4);
    rig.now += MINUTE;
    rig.until("nothing left", |rig| rig.open() == 0);

    // One that is reset, and takes not even that.
    rig.connect(THERE, 50002);
    let _service = rig.accept();
    rig.listens = false;
    rig.fill();
    rig.now += MINUTE;
    rig.turn();
    rig.now += MINUTE;
    rig.turn();
    assert_eq!(rig.open(), 0);
}

#[test]
fn the_hop_limit_changes_under_a_connection_and_packets_are_sound() {
    let mut rig = Rig::new();
    let handle = rig.connect(THERE, 50000);
    let mut service = rig.accept();
    rig.until("connected", |rig| rig.socket(handle).may_send());
    for hop_limit in [1, 64, 255] {
        rig.metadata.hop_limit.store(hop_limit, Relaxed);
        service.write_all(&[9; 2000]).unwrap();
        rig.stack.step(rig.now);
        let mut bytes = 0;
        while let Some(frame) = rig.answers.pop() {
            assert_eq!(frame[..HEADER_BYTES], [0; HEADER_BYTES], "nothing is left to do");
            let sliced = SlicedPacket::from_ethernet(&frame[HEADER_BYTES..]).unwrap();
            let Some(NetSlice::Ipv4(ip)) = &sliced.net else { panic!("{frame:?}") };
            let header = ip.header().to_header();
            assert_eq!(header.time_to_live, hop_limit);
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!((header.source, header.destination), (THERE.octets(), HERE.octets()));
            let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { panic!("{frame:?}") };
            assert_eq!(tcp.checksum(), tcp.calc_checksum_ipv4(header.source, header.destination).unwrap());
            assert!(frame.len() <= HEADER_BYTES + 1514);
            bytes += tcp.payload().len();
            rig.wire.to_guest.push_back(frame[HEADER_BYTES..].to_vec());
        }
        assert_eq!(bytes, 2000);
        rig.until("taken", |rig| {
            let taken = rig.socket(handle).recv(|bytes| (bytes.len(), bytes.len())).unwrap();
            bytes -= taken;
            bytes == 0
        });
        for _ in 0..20 {
            rig.turn();
        }
    }
}

#[test]
fn a_service_with_a_long_queue_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut asked = 0;
    let connect = Box::new(move || {
        asked += 1;
        if asked <= 20 { Err(std::io::ErrorKind::WouldBlock.into()) } else { connect_without_waiting(&path) }
    });
    let mut rig = Rig::with(folder, listener, connect);
    rig.serve(THERE, 50000);

    // But not for ever.
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let connect = Box::new(|| Err(std::io::ErrorKind::WouldBlock.into()));
    let mut rig = Rig::with(folder, listener, connect);
    let handle = rig.connect(THERE, 50000);
    rig.until("connected", |rig| rig.socket(handle).may_send());
    rig.until("a reset", |rig| rig.socket(handle).state() == State::Closed);
    assert!(rig.now > Instant::from_secs(4));
}

#[test]
fn another_driver_finds_nothing_of_the_one_before() {
    let mut rig = Rig::new();
    let handle = rig.connect(THERE, 50000);
    let mut service = rig.accept();
    rig.until("connected", |rig| rig.socket(handle).may_send());
    rig.stack.reset();
    assert_eq!(rig.open(), 0);
    assert!(matches!(service.read(&mut [0; 9]), Ok(0)));
    rig.socket(handle).send_slice(b"ping").unwrap();
    rig.until("a reset", |rig| rig.socket(handle).state() == State::Closed);
    rig.serve(THERE, 50001);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Packets with anything in them, between those of a connection that goes on as if there were none.
    #[test]
    fn garbage_hurts_nobody(
        packets in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..80), proptest::collection::vec((0usize..74, any::<u8>()), 0..6)),
            1..60,
        )
    ) {
        let mut rig = Rig::new();
        let handle = rig.connect(THERE, 50000);
        let mut service = rig.accept();
        rig.until("connected", |rig| rig.socket(handle).may_send());
        for (tail, changes) in packets {
            let mut frame = syn(HERE, 40000);
            frame.extend_from_slice(&tail);
            for (at, byte) in changes {
                let at = at % frame.len();
                // Not the ports of the connection that is to go on.
                if at != 34 && at != 35 {
                    frame[at] = byte;
                }
            }
            rig.give(&frame);
            rig.turn();
            prop_assert!(rig.open() <= MAX_CONNECTIONS as u64);
        }
        service.write_all(b"pong").unwrap();
        rig.until("the answer", |rig| rig.socket(handle).recv_queue() == 4);
    }
}
