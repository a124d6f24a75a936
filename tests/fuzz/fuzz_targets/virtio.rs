//! Runs virtio devices against memory of the input's making, on the calling thread. Included by the targets `block`,
//! `net`, `dhcp` and `metadata`, and by `crates/devices/tests/corpus.rs`, which replays their corpora.
//!
//! The first byte chooses features and services (net), the second how many packets wait (net). The rest is guest memory from
//! address 0: a descriptor table of 16, the available ring at 0x100, the used ring at 0x180, and whatever they point to.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use devices::virtio::block::{Block, BlockConfig, Disk};
use devices::virtio::net::{
    DhcpConfig, GuardConfig, MetadataConfig, Net, NetConfig, RelayBench, ServiceConfig, Tap, dhcp_answer,
};
use devices::virtio::{Interrupts, ReadyQueue, RingPosition};
use ipnet::Ipv4Net;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::EventFd;

const MEMORY_BYTES: usize = 1 << 20;
const DISK_BYTES: u64 = 64 << 10;
const QUEUE_SIZE: u16 = 16;

/// Features by the bits of the first byte: FLUSH, MRG_RXBUF, INDIRECT_DESC, EVENT_IDX.
const FEATURES: [u32; 4] = [9, 15, 28, 29];

/// The bits of the first byte that make a network card serve DHCP, have a metadata service, and guard.
const DHCP: u8 = 1 << 4;
const METADATA: u8 = 1 << 5;
const GUARD: u8 = 1 << 6;

const MAC: [u8; 6] = [2; 6];

const START: RingPosition = RingPosition { next_avail: 0, next_used: 0 };

struct Input<'a> {
    features: u64,
    choice: u8,
    packets: u8,
    contents: &'a [u8],
}

fn parse(bytes: &[u8]) -> Option<Input<'_>> {
    let (&[choice, packets], contents) = bytes.split_first_chunk::<2>()?;
    let chosen = FEATURES.iter().enumerate().filter(|(at, _)| choice & 1 << at != 0);
    let features = chosen.fold(0, |features, (_, bit)| features | 1 << bit);
    Some(Input { features, choice, packets, contents: &contents[..contents.len().min(MEMORY_BYTES)] })
}

fn memory(input: &Input<'_>) -> GuestMemoryMmap {
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY_BYTES)]).expect("memory");
    memory.write_slice(input.contents, GuestAddress(0)).expect("no longer than the memory");
    memory
}

fn ready(memory: &GuestMemoryMmap, index: u16, features: u64, position: RingPosition) -> ReadyQueue {
    let mut queue = Queue::new(QUEUE_SIZE).expect("a power of two");
    queue.set_desc_table_address(Some(0), Some(0));
    queue.set_avail_ring_address(Some(0x100), Some(0));
    queue.set_used_ring_address(Some(0x180), Some(0));
    queue.set_event_idx(features & 1 << 29 != 0);
    queue.set_next_avail(position.next_avail);
    queue.set_next_used(position.next_used);
    queue.set_ready(true);
    ReadyQueue {
        index,
        name: "fuzz".to_owned(),
        queue,
        memory: memory.clone(),
        kick: EventFd::new(0).expect("an eventfd"),
        interrupts: Arc::new(Interrupts::new("fuzz".to_owned(), Vec::new(), 2, Arc::new(|_| ()))),
        features,
        metrics: Arc::default(),
    }
}

/// What was taken was answered, whatever the driver did.
fn check(position: RingPosition) -> RingPosition {
    assert_eq!(position.next_avail, position.next_used);
    position
}

/// A disk's queue.
pub fn block(bytes: &[u8]) {
    let Some(input) = parse(bytes) else { return };
    let memory = memory(&input);
    // SAFETY: the name is a constant; the descriptor is new and ours.
    let file = unsafe { File::from_raw_fd(libc::memfd_create(c"disk".as_ptr(), libc::MFD_CLOEXEC)) };
    file.set_len(DISK_BYTES).expect("a small file");
    let disk = Disk::from_file(file.try_clone().expect("a descriptor"), false, Some(false)).expect("a disk");
    let mut block = Block::new(BlockConfig { id: "fuzz".to_owned(), disk, events: Arc::new(|_| ()) });
    let position = check(block.serve_once(ready(&memory, 0, input.features, START)).expect("served"));
    check(block.serve_once(ready(&memory, 0, input.features, position)).expect("served"));
    assert_eq!(file.metadata().expect("its size").len(), DISK_BYTES);
}

/// Both queues of a network card, over the same rings.
pub fn net(bytes: &[u8]) {
    let Some(input) = parse(bytes) else { return };
    let memory = memory(&input);
    let (ours, theirs) = UnixDatagram::pair().expect("a socket pair");
    ours.set_nonblocking(true).expect("non-blocking");
    theirs.set_nonblocking(true).expect("non-blocking");
    for packet in 0..input.packets % 8 {
        let length = usize::from(packet) * usize::from(input.packets) * 40;
        // Fails when the socket is full, and then there are packets enough.
        let _ = theirs.send(&vec![packet; length]);
    }
    let tap = Tap::from_socket(File::from(OwnedFd::from(ours)));
    let has = |service: u8| input.choice & service != 0;
    let services = ServiceConfig {
        dhcp: has(DHCP).then(lease),
        metadata: has(METADATA).then(metadata),
        guard: has(GUARD).then(|| GuardConfig { addresses: vec![own()], ipv6: has(DHCP) }),
    };
    let mut net = Net::new(NetConfig { tap, mac: MAC, mtu: None, services }).expect("a card");
    check(net.serve_once(ready(&memory, 0, input.features, START)).expect("served"));
    // The device wrote to its memory; the transmit queue gets it as it was.
    memory.write_slice(input.contents, GuestAddress(0)).expect("no longer than the memory");
    check(net.serve_once(ready(&memory, 1, input.features, START)).expect("served"));
    // Now with answers, if there are any.
    memory.write_slice(input.contents, GuestAddress(0)).expect("no longer than the memory");
    check(net.serve_once(ready(&memory, 0, input.features, START)).expect("served"));
}

fn own() -> Ipv4Net {
    Ipv4Net::from(Ipv4Addr::new(10, 0, 0, 5))
}

fn metadata() -> MetadataConfig {
    MetadataConfig {
        socket: "/nobody/listens".into(),
        addresses: vec![Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(100, 100, 100, 200)],
        hop_limit: 1,
    }
}

fn lease() -> DhcpConfig {
    DhcpConfig {
        address: Ipv4Addr::new(10, 0, 0, 5),
        prefix_len: 24,
        router: Ipv4Addr::new(10, 0, 0, 1),
        dns: vec![Ipv4Addr::new(9, 9, 9, 9); 8],
        ntp: vec![Ipv4Addr::new(9, 9, 9, 9); 8],
        host_name: Some("h".repeat(63)),
        domain: Some("d".repeat(253)),
        mtu: Some(1400),
        lease_seconds: 3600,
        routes: vec![(own(), Ipv4Addr::new(10, 0, 0, 1)); 8],
    }
}

/// The DHCP server of a network card. The first byte says what the input is: 0 a packet as a guest sends it, all else a
/// DHCP message that arrives in a sound packet.
pub fn dhcp(bytes: &[u8]) {
    let Some((&kind, input)) = bytes.split_first() else { return };
    let packet = if kind == 0 { input.to_vec() } else { around(input) };
    let Some(answer) = dhcp_answer(&lease(), MAC, &packet) else { return };
    // To the card, from the router's port 67 to port 68; a reply to the client with its address, or with none.
    assert!(answer.len() <= 12 + 1514, "longer than a frame");
    assert_eq!(answer[..12], [0; 12]);
    let frame = &answer[12..];
    assert_eq!(frame[12..14], [8, 0]);
    assert_eq!(frame[26..30], [10, 0, 0, 1]);
    assert_eq!(frame[34..38], [0, 67, 0, 68]);
    let message = &frame[42..];
    assert_eq!(message[0], 2);
    assert!([[10, 0, 0, 5], [0; 4]].iter().any(|address| message[16..20] == *address));
    assert_eq!(message[28..34], MAC);
}

/// Most that happens in one input to a metadata service.
const MAX_STEPS: usize = 400;

/// A guest and its metadata service. The input is what the guest does, four bytes each time: what it is, and how. It can
/// send a segment of a connection that it keeps count of, or not quite; any IP packet, whose bytes follow; let time pass;
/// and take what came for it, or not.
pub fn metadata_relay(bytes: &[u8]) {
    let mut bench = RelayBench::new(&metadata(), MAC).expect("a bench");
    let mut rest = bytes;
    // The next byte of the guest's, and of the service's.
    let (mut sequence, mut expected) = (1000u32, 0u32);
    for _ in 0..MAX_STEPS {
        let Some((&[what, a, b, c], more)) = rest.split_first_chunk::<4>() else { break };
        rest = more;
        match what % 4 {
            0 => {
                let payload = vec![what; usize::from(b) * 16];
                let shifted = sequence.wrapping_add_signed(i32::from(c as i8));
                bench.give(segment(a, u16::from(what / 4), shifted, expected, &payload));
                // A SYN and a FIN count as a byte.
                let flags = u32::from(a & 1) + u32::from(a >> 1 & 1);
                sequence = sequence.wrapping_add(payload.len() as u32 + flags);
            }
            1 => {
                let (packet, more) = rest.split_at(rest.len().min(usize::from(a)));
                rest = more;
                bench.give([&[0; 26], packet].concat());
            }
            2 => bench.pass(u32::from(a) * u32::from(b)),
            _ => {
                for _ in 0..a {
                    let Some(frame) = bench.take() else { break };
                    expected = check_relayed(&frame);
                }
                bench.pass(u32::from(b));
            }
        }
        assert!(bench.open() <= 32);
    }
    while let Some(frame) = bench.take() {
        check_relayed(&frame);
        bench.pass(1);
    }
}

/// Checks a frame of the service, and returns the number of the byte that comes after it.
fn check_relayed(frame: &[u8]) -> u32 {
    assert!(frame.len() <= 12 + 1514, "longer than a frame");
    assert_eq!(frame[..12], [0; 12]);
    assert_eq!(frame[12..18], MAC);
    assert_eq!(frame[24..26], [8, 0]);
    let ip = &frame[26..46];
    assert_eq!((ip[0], ip[8], ip[9]), (0x45, 1, 6), "no options, the hop limit, TCP");
    assert_eq!(ip_checksum(ip), 0);
    assert!(metadata().addresses.iter().any(|address| address.octets() == ip[12..16]));
    let tcp = &frame[46..];
    let number = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
    let payload = tcp.len() - usize::from(tcp[12] >> 4) * 4;
    number.wrapping_add(payload as u32 + u32::from(tcp[13] & 1) + u32::from(tcp[13] >> 1 & 1))
}

/// A TCP segment to the service, its checksum left to the card.
fn segment(flags: u8, port: u16, number: u32, expected: u32, payload: &[u8]) -> Vec<u8> {
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 5, 169, 254, 169, 254];
    ip[2..4].copy_from_slice(&((40 + payload.len()) as u16).to_be_bytes());
    let sum = ip_checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0; 24];
    packet[0] = 1;
    packet.extend_from_slice(&[8, 0]);
    packet.extend_from_slice(&ip);
    packet.extend_from_slice(&(40000 + port).to_be_bytes());
    packet.extend_from_slice(&[0, 80]);
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&expected.to_be_bytes());
    packet.extend_from_slice(&[0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    packet.extend_from_slice(payload);
    packet
}

/// The checksum of an IPv4 header; 0 if it has its right one.
fn ip_checksum(ip: &[u8]) -> u16 {
    let sum = ip.chunks(2).fold(0, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

/// A packet to the server with `message` in it, its UDP checksum left to the card.
fn around(message: &[u8]) -> Vec<u8> {
    let message = &message[..message.len().min(1472)];
    let length = |headers: usize| ((message.len() + headers) as u16).to_be_bytes();
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    ip[2..4].copy_from_slice(&length(28));
    let sum = ip_checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0; 12];
    packet[0] = 1;
    packet.extend_from_slice(&[0xff; 6]);
    packet.extend_from_slice(&MAC);
    packet.extend_from_slice(&[8, 0]);
    packet.extend_from_slice(&ip);
    packet.extend_from_slice(&[0, 68, 0, 67]);
    packet.extend_from_slice(&length(8));
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(message);
    packet
}
