//! virtio-net from both ends: the driver's rings here, a packet socket on a real tap there. Each test has a network
//! namespace of its own; without the right to make one (CAP_NET_ADMIN) it says so and tests nothing.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod driver;

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::time::Instant;

use devices::virtio::net::{Net, NetConfig, OpenTapError, ServiceConfig, Tap};
use devices::virtio::{RingPosition, VirtioDevice};
use driver::wire::{MAC, PROTOCOL, TUNSETIFF, Wire, check, in_namespace, make_tap, request, socket};
use driver::{
    BUFFERS, DEADLINE, Driver, FEATURE_EVENT_IDX, FEATURE_INDIRECT, count, guest_memory, into, out,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const RX: u16 = 0;
const TX: u16 = 1;
const HEADER: usize = 12;

const GUEST_CSUM: u64 = 1 << 1;
const GUEST_TSO4: u64 = 1 << 7;
const MRG_RXBUF: u64 = 1 << 15;

/// A frame from the wire to the guest.
fn frame(length: usize, seed: u8) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 9]);
    frame.extend_from_slice(&PROTOCOL);
    frame.extend((14..length).map(|at| (at as u8).wrapping_mul(7) ^ (at >> 8) as u8 ^ seed));
    frame
}

/// An IPv4 frame with a TCP packet; checksums are left to be done.
fn tcp_frame(length: usize) -> Vec<u8> {
    let mut frame = frame(length, 5);
    frame[12..14].copy_from_slice(&[8, 0]);
    let ip = [
        0x45,
        0,
        ((length - 14) >> 8) as u8,
        (length - 14) as u8,
        0,
        1,
        0x40,
        0,
        64,
        6,
        0,
        0,
        10,
        0,
        0,
        1,
        10,
        0,
        0,
        2,
    ];
    frame[14..34].copy_from_slice(&ip);
    let tcp = [0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0];
    frame[34..54].copy_from_slice(&tcp);
    frame
}

/// A TCP frame with a header that asks to cut it up.
fn to_be_segmented(frame: &[u8], segment: u16) -> Vec<u8> {
    // NEEDS_CSUM, GSO_TCPV4, header length, segment, checksum start and offset.
    let mut bytes = vec![1, 1];
    for number in [54, segment, 34, 16] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(frame);
    bytes
}

struct Rig {
    net: Net,
    rx: Driver,
    tx: Driver,
    wire: Wire,
}

impl Rig {
    fn new(features: u64) -> Self {
        let tap = Tap::open("tap0").unwrap();
        let net = Net::new(NetConfig { tap, mac: MAC, mtu: Some(9000), services: ServiceConfig::default() })
            .unwrap();
        assert_eq!(
            features & !net.identity().features & !(FEATURE_INDIRECT | FEATURE_EVENT_IDX),
            0,
            "offered"
        );
        let memory: GuestMemoryMmap = guest_memory();
        let rx = Driver::new(&memory, RX, 256, features);
        let tx = Driver::new(&memory, TX, 256, features);
        Self { net, rx, tx, wire: Wire::new("tap0") }
    }

    fn start(features: u64) -> Self {
        let mut rig = Self::new(features);
        rig.net.start_queue(rig.rx.ready_at_start()).unwrap();
        rig.net.start_queue(rig.tx.ready_at_start()).unwrap();
        rig
    }

    /// Gives the device `count` receive buffers, `distance` apart.
    fn add_buffers(&mut self, count: u64, length: u32) {
        for at in 0..count {
            self.rx.add(&[into(BUFFERS + at % 256 * 0x10000, length)]);
        }
        self.rx.notify();
    }

    /// The next frame that arrived for the guest which is one of ours, put together from its buffers, and the header.
    fn receive(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.receive_where(|frame| frame[12..14] == PROTOCOL)
    }

    fn receive_where(&mut self, wanted: impl Fn(&[u8]) -> bool) -> (Vec<u8>, Vec<u8>) {
        loop {
            let (head, length) = self.rx.used();
            let mut bytes = self.buffer(head, length);
            let buffers = u16::from_le_bytes([bytes[10], bytes[11]]);
            for _ in 1..buffers {
                let (head, length) = self.rx.used();
                bytes.extend(self.buffer(head, length));
            }
            let frame = bytes.split_off(HEADER);
            if wanted(&frame) {
                return (frame, bytes);
            }
        }
    }

    fn buffer(&self, head: u16, length: u32) -> Vec<u8> {
        let at = self.rx.descriptors() + u64::from(head) * 16;
        let address = self.rx.memory.read_obj::<u64>(GuestAddress(at)).unwrap();
        self.rx.read(address, length as usize)
    }

    fn send(&mut self, header: [u8; HEADER], payload: &[u8]) -> u32 {
        let at = BUFFERS + (16 << 20);
        self.tx.write(at, &header);
        self.tx.write(at + 0x100, payload);
        self.tx.run(&[out(at, HEADER as u32), out(at + 0x100, payload.len() as u32)])
    }
}

fn outgoing(length: usize) -> Vec<u8> {
    let mut outgoing = frame(length, 3);
    outgoing[6..12].copy_from_slice(&MAC);
    outgoing
}

#[test]
fn frames_pass_both_ways() {
    for features in [MRG_RXBUF, 0, MRG_RXBUF | FEATURE_EVENT_IDX] {
        in_namespace(move || {
            let mut rig = Rig::start(features);
            rig.add_buffers(16, 2048);
            for length in [60, 1514, 64] {
                let sent = frame(length, length as u8);
                rig.wire.send(&sent);
                let (received, header) = rig.receive();
                assert_eq!(received, sent);
                assert_eq!(header[..10], [0; 10], "nothing left to do");
                assert_eq!(header[10..], [1, 0], "num_buffers, also without MRG_RXBUF (5.1.6.4.1)");
            }
            for length in [60, 1514, 9014] {
                assert_eq!(rig.send([0; HEADER], &outgoing(length)), 0);
                assert_eq!(rig.wire.receive(), outgoing(length));
            }
            assert!(count(&rig.rx.metrics.requests) >= 3);
            assert_eq!(count(&rig.tx.metrics.requests), 3);
            assert_eq!(count(&rig.tx.metrics.bytes), 60 + 1514 + 9014);
            let position = rig.net.stop_queue(RX).unwrap();
            assert_eq!(position.next_avail, position.next_used, "held buffers are given back");
            assert_eq!(position.next_used, rig.rx.used_index());
            assert_eq!(rig.net.stop_queue(TX), Some(RingPosition { next_avail: 3, next_used: 3 }));
        });
    }
}

#[test]
fn long_packets_take_several_buffers() {
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF | GUEST_CSUM | GUEST_TSO4);
        rig.add_buffers(100, 1526);
        for round in 0..3 {
            let sent = frame(9014, round);
            rig.wire.send(&sent);
            let (received, header) = rig.receive();
            assert!(received == sent);
            assert_eq!(header[10..], [6, 0]);
        }
    });
}

#[test]
fn a_packet_waits_for_buffers() {
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF);
        rig.add_buffers(2, 1526);
        let sent = frame(9014, 1);
        rig.wire.send(&sent);
        // Five more, one at a time: the last one completes it.
        for at in 2..6 {
            rig.rx.add(&[into(BUFFERS + at * 0x10000, 1526)]);
            rig.rx.notify();
        }
        let (received, header) = rig.receive();
        assert!(received == sent);
        assert_eq!(header[10..], [6, 0]);
        let small = frame(60, 2);
        rig.wire.send(&small);
        rig.add_buffers(1, 1526);
        assert_eq!(rig.receive().0, small);
    });
}

#[test]
fn what_no_buffer_can_hold_is_dropped() {
    in_namespace(|| {
        let mut rig = Rig::start(0);
        rig.add_buffers(4, 1000);
        rig.wire.send(&frame(1514, 1));
        let small = frame(60, 2);
        rig.wire.send(&small);
        assert_eq!(rig.receive().0, small);
        assert!(count(&rig.rx.metrics.errors) >= 1);
    });
}

#[test]
fn receive_buffers_against_the_rules() {
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF);
        rig.rx.add(&[into(BUFFERS, 2048)]);
        rig.rx.add(&[into(BUFFERS + 0x10000, 11)]);
        rig.rx.add(&[out(BUFFERS + 0x20000, 2048)]);
        rig.rx.add(&[into(u64::MAX - 5, 2048)]);
        rig.rx.notify();
        for _ in 0..3 {
            assert_eq!(rig.rx.used().1, 0);
        }
        assert_eq!(count(&rig.rx.metrics.malformed), 3);
        // The first is still held, behind it are gaps: it comes back empty, and every chain was answered once.
        let position = rig.net.stop_queue(RX).unwrap();
        assert_eq!(position, RingPosition { next_avail: 4, next_used: 4 });
    });
}

#[test]
fn bad_packets_of_the_guest_are_dropped_and_counted() {
    in_namespace(|| {
        let mut rig = Rig::start(0);
        let at = BUFFERS;
        for (chain, what) in [
            (vec![out(at, 11)], "no whole header"),
            (vec![out(at, 12)], "no packet"),
            (vec![into(at, 100)], "nothing to read"),
            (vec![out(at, 12), out(at, 70000)], "too long"),
        ] {
            let before = count(&rig.tx.metrics.malformed);
            assert_eq!(rig.tx.run(&chain), 0);
            assert_eq!(count(&rig.tx.metrics.malformed), before + 1, "{what}");
        }
        // A segmentation type that does not exist, and a checksum beyond the packet.
        let mut gso = [0; HEADER];
        gso[1] = 0x3f;
        let mut checksum = [0; HEADER];
        checksum[0] = 1;
        checksum[6..8].copy_from_slice(&60000u16.to_le_bytes());
        for header in [gso, checksum] {
            let before = count(&rig.tx.metrics.errors);
            rig.send(header, &outgoing(100));
            assert_eq!(count(&rig.tx.metrics.errors), before + 1);
        }
        rig.send([0; HEADER], &outgoing(77));
        assert_eq!(rig.wire.receive(), outgoing(77), "and the queue goes on");
    });
}

#[test]
fn stopping_and_starting_loses_no_buffer() {
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF);
        rig.add_buffers(60, 1526);
        for round in 0..20 {
            let position = rig.net.stop_queue(RX).unwrap();
            assert_eq!(position.next_used, rig.rx.used_index());
            // Arrives while nobody looks: the tap keeps it.
            let sent = frame(1514, round);
            if round > 0 {
                rig.wire.send(&sent);
            }
            rig.net.start_queue(rig.rx.ready(position)).unwrap();
            if round > 0 {
                while rig.receive().0 != sent {}
            } else {
                rig.wire.send(&sent);
                while rig.receive().0 != sent {}
            }
        }
        let free = rig.rx.free_descriptors();
        assert_eq!(256 - free as u16, 60 - rig.rx.used_index(), "all others are still the device's");
    });
}

#[test]
fn a_new_driver_gets_no_packets_of_before() {
    in_namespace(|| {
        let mut rig = Rig::new(MRG_RXBUF);
        for seed in 0..20 {
            rig.wire.send(&frame(60, seed));
        }
        rig.net.start_queue(rig.rx.ready_at_start()).unwrap();
        rig.add_buffers(60, 1526);
        let new = frame(60, 100);
        rig.wire.send(&new);
        assert_eq!(rig.receive().0, new);
    });
}

/// A TCP packet of 40000 bytes that the sender left to be cut into segments: whole to a driver that takes such packets,
/// in segments to one that does not.
#[test]
fn packets_to_be_segmented() {
    for features in [MRG_RXBUF | GUEST_CSUM | GUEST_TSO4, GUEST_CSUM | GUEST_TSO4, MRG_RXBUF] {
        in_namespace(move || {
            let mut rig = Rig::start(features);
            if features & MRG_RXBUF != 0 {
                rig.add_buffers(100, 1526)
            } else {
                rig.add_buffers(100, 0xfff0)
            }
            let sent = tcp_frame(40000);
            rig.wire.send_with_headers();
            rig.wire.send(&to_be_segmented(&sent, 1460));
            let (bytes, header) = rig.receive_where(|frame| frame[12..14] == [8, 0] && frame[23] == 6);
            if features & GUEST_TSO4 == 0 {
                assert_eq!(bytes.len(), 54 + 1460);
                return;
            }
            assert!(bytes[54..] == sent[54..], "{} bytes", bytes.len());
            assert_eq!(header[1], 1, "GSO_TCPV4");
            assert_eq!(u16::from_le_bytes([header[4], header[5]]), 1460);
            let buffers = u16::from_le_bytes([header[10], header[11]]);
            assert_eq!(buffers, if features & MRG_RXBUF != 0 { 27 } else { 1 });
        });
    }
}

#[test]
fn taps_are_checked() {
    in_namespace(|| {
        for name in ["", "a/b", "tap%d", "a b", "sixteencharslong"] {
            assert!(matches!(Tap::open(name), Err(OpenTapError::BadName)), "{name}");
        }
        assert!(matches!(Tap::open("tap9"), Err(OpenTapError::NoSuchTap)));
        assert!(nix::net::if_::if_nametoindex("tap9").is_err(), "not created either");
        assert!(matches!(Tap::open("lo"), Err(OpenTapError::NotATap)));
        make_tap("tun1", libc::IFF_TUN).unwrap();
        assert!(matches!(Tap::open("tun1"), Err(OpenTapError::NotATap)));

        let tap = Tap::open("tap0").unwrap();
        assert!(matches!(Tap::open("tap0"), Err(OpenTapError::InUse)));
        let clone = tap.try_clone().unwrap();
        drop(tap);
        assert!(matches!(Tap::open("tap0"), Err(OpenTapError::InUse)));
        drop(clone);
        drop(Tap::open("tap0").unwrap());

        assert!(matches!(Tap::from_file(File::open("/dev/null").unwrap()), Err(OpenTapError::NotATap)));
        let attach = |flags: libc::c_int| {
            let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun").unwrap();
            let mut ask = request("tap0");
            ask.ifr_ifru.ifru_flags = flags as libc::c_short;
            check(&file, TUNSETIFF, &raw mut ask).unwrap();
            Tap::from_file(file)
        };
        let error = attach(libc::IFF_TAP | libc::IFF_NO_PI).unwrap_err();
        assert!(matches!(error, OpenTapError::MissingFlag("IFF_VNET_HDR")), "{error}");
        attach(libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR).unwrap();
    });
}

#[test]
fn a_deleted_tap_does_not_hang_or_spin() {
    in_namespace(|| {
        let mut rig = Rig::start(MRG_RXBUF);
        rig.add_buffers(60, 2048);
        let sent = frame(60, 1);
        rig.wire.send(&sent);
        assert_eq!(rig.receive().0, sent);
        // As `ip link del`, by netlink: the kernel has no older way.
        let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE).unwrap();
        let mut message = [0u8; 32];
        message[0] = 32;
        message[4] = libc::RTM_DELLINK as u8;
        message[6] = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u8;
        message[20..24].copy_from_slice(&(rig.wire.address.sll_ifindex as u32).to_le_bytes());
        // SAFETY: the buffer is given with its length.
        let sent = unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
        assert_eq!(sent, 32);
        let start = Instant::now();
        while count(&rig.rx.metrics.errors) == 0 {
            assert!(start.elapsed() < DEADLINE);
            std::thread::yield_now();
        }
        rig.send([0; HEADER], &outgoing(60));
        assert_eq!(count(&rig.tx.metrics.errors), 1);
        assert!(rig.net.stop_queue(RX).is_some());
        assert_eq!(count(&rig.rx.metrics.errors), 1, "one try, not one per turn");
    });
}

#[test]
fn the_configuration_space_tells_the_truth() {
    in_namespace(|| {
        let rig = Rig::new(0);
        let mut config = [0; 12];
        rig.net.read_config(0, &mut config);
        assert_eq!(config[..6], MAC);
        assert_eq!(config[6..], [1, 0, 1, 0, 0x28, 0x23], "link up, one pair, MTU 9000");
        let features = rig.net.identity().features;
        for bit in [0, 1, 3, 5, 7, 8, 11, 12, 15, 16] {
            assert_ne!(features & 1 << bit, 0, "feature {bit}");
        }
    });
}

/// What one queue manages without a guest. By hand: `cargo test --release -p devices --test net -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and asserts nothing"]
fn speed() {
    const TIME: std::time::Duration = std::time::Duration::from_secs(2);
    in_namespace(|| {
        for (length, segment) in [(60, 0), (1514, 0), (40000, 1460)] {
            let mut rig =
                Rig::start(MRG_RXBUF | GUEST_CSUM | GUEST_TSO4 | FEATURE_EVENT_IDX | FEATURE_INDIRECT);
            // Sent by the guest to nobody: the host's stack drops it at once.
            let at = BUFFERS + (16 << 20);
            rig.tx.write(at, &[0; HEADER]);
            rig.tx.write(at + 0x100, &outgoing(length.min(9000)));
            let sent_length = length.min(9000);
            let chain = [out(at, HEADER as u32), out(at + 0x100, sent_length as u32)];
            (0..128).for_each(|_| _ = rig.tx.add_indirect(&chain));
            rig.tx.notify();
            let (start, mut done) = (Instant::now(), 0u64);
            while start.elapsed() < TIME {
                let mut next = Some(rig.tx.used());
                while next.is_some() {
                    done += 1;
                    rig.tx.add_indirect(&chain);
                    next = rig.tx.try_used();
                }
                rig.tx.notify();
            }
            report("transmit", sent_length, done, start);

            let wire = Wire::new("tap0");
            let mut bytes = frame(length, 1);
            if segment > 0 {
                wire.send_with_headers();
                bytes = to_be_segmented(&tcp_frame(length), segment);
            }
            let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let theirs = std::sync::Arc::clone(&stop);
            let sender = std::thread::spawn(move || {
                while !theirs.load(std::sync::atomic::Ordering::Relaxed) {
                    wire.send(&bytes);
                }
            });
            rig.add_buffers(250, 2048);
            let start = Instant::now();
            let before = count(&rig.rx.metrics.requests);
            while start.elapsed() < TIME {
                let mut next = Some(rig.rx.used());
                while next.is_some() {
                    rig.rx.add(&[into(BUFFERS, 2048)]);
                    next = rig.rx.try_used();
                }
                rig.rx.notify();
            }
            report("receive", length, count(&rig.rx.metrics.requests) - before, start);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            sender.join().unwrap();
        }
    });
}

fn report(what: &str, length: usize, done: u64, start: Instant) {
    let rate = done as f64 / start.elapsed().as_secs_f64();
    println!(
        "{what:>8} {length:>6} bytes: {rate:>8.0} packets/s, {:>6.2} Gbit/s",
        rate * length as f64 * 8e-9
    );
}
