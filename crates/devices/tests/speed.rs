//! What the devices manage without a guest: numbers to compare before and after a change, on one machine. Run by hand:
//! `cargo test --release -p devices --test speed -- --ignored --nocapture --test-threads 1`.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod driver;

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use devices::virtio::block::{Block, BlockConfig, Disk, EngineChoice};
use devices::virtio::net::{DhcpConfig, GuardConfig, MetadataConfig, Net, NetConfig, ServiceConfig, Tap};
use devices::virtio::{RingPosition, VirtioDevice};
use driver::{BUFFERS, Driver, FEATURE_EVENT_IDX, FEATURE_INDIRECT, count, guest_memory, into, out};

const TIME: Duration = Duration::from_secs(2);
const DISK_BYTES: u64 = 256 << 20;

#[test]
#[ignore = "measures, and asserts nothing"]
fn block_reads_and_writes() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("disk");
    fs::write(&path, vec![1; DISK_BYTES as usize]).unwrap();
    println!(
        "{:>6} {:>6} {:>6} {:>6} {:>5} {:>10} {:>8} {:>8}",
        "engine", "direct", "what", "bytes", "depth", "per s", "MiB/s", "per int."
    );
    for direct in [false, true] {
        for engine in [EngineChoice::Best, EngineChoice::Sync] {
            for (kind, bytes, depth) in [(0, 4096, 1), (0, 4096, 32), (1, 4096, 32), (0, 128 << 10, 8)] {
                measure(&Disk::open(&path, false, Some(direct)).unwrap(), engine, direct, kind, bytes, depth);
            }
        }
    }
}

fn measure(disk: &Disk, engine: EngineChoice, direct: bool, kind: u8, bytes: u32, depth: u64) {
    let features = 1 << 9 | FEATURE_INDIRECT | FEATURE_EVENT_IDX;
    let mut driver = Driver::new(&guest_memory(), 0, 256, features);
    let disk = disk.try_clone().unwrap();
    let config = BlockConfig { id: "speed".into(), disk, events: driver.events.sink() };
    let mut block = Block::with_engine(config, engine);
    block.start_queue(driver.ready_at_start()).unwrap();
    let mut state = 1u64;
    let mut add = |driver: &mut Driver, slot: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let sector = (state >> 33) % (DISK_BYTES / u64::from(bytes)) * u64::from(bytes) / 512;
        let base = BUFFERS + slot * 0x40000;
        let mut header = [0; 16];
        header[0] = kind;
        header[8..].copy_from_slice(&sector.to_le_bytes());
        driver.write(base, &header);
        let data = if kind == 0 { into(base + 0x1000, bytes) } else { out(base + 0x1000, bytes) };
        driver.add_indirect(&[out(base, 16), data, into(base + 0x100, 1)])
    };
    let mut slots = vec![0; 256];
    for slot in 0..depth {
        slots[usize::from(add(&mut driver, slot))] = slot;
    }
    driver.notify();
    let start = Instant::now();
    let mut done = 0u64;
    while start.elapsed() < TIME {
        // All that is done at a time is replaced at a time, as a guest's block layer does.
        let mut next = Some(driver.used());
        while let Some((head, _)) = next {
            done += 1;
            let slot = slots[usize::from(head)];
            slots[usize::from(add(&mut driver, slot))] = slot;
            next = driver.try_used();
        }
        driver.notify();
    }
    let seconds = start.elapsed().as_secs_f64();
    block.stop_queue(0);
    println!(
        "{:>6} {direct:>6} {:>6} {bytes:>6} {depth:>5} {:>10.0} {:>8.0} {:>8.1}",
        format!("{engine:?}"),
        if kind == 0 { "read" } else { "write" },
        done as f64 / seconds,
        done as f64 * f64::from(bytes) / seconds / f64::from(1 << 20),
        done as f64 / count(&driver.metrics.interrupts) as f64,
    );
}

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// What looking at each packet costs: packets that are no service's business, to a wire that takes all at once.
#[test]
#[ignore = "measures, and asserts nothing"]
fn packets_past_the_services() {
    let none = ServiceConfig::default;
    let dhcp = DhcpConfig {
        address: OWN,
        prefix_len: 24,
        router: ROUTER,
        dns: Vec::new(),
        ntp: Vec::new(),
        host_name: None,
        domain: None,
        mtu: None,
        lease_seconds: 3600,
        routes: Vec::new(),
    };
    let addresses = vec![Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(100, 100, 100, 200)];
    let metadata = MetadataConfig { socket: "/nobody".into(), addresses, hop_limit: 64 };
    let guard = GuardConfig { addresses: vec![OWN.into()], ipv6: false };
    let (dhcp, metadata, guard) = (Some(dhcp), Some(metadata), Some(guard));
    let choices = [
        ("none", none()),
        ("guard", ServiceConfig { guard: guard.clone(), ..none() }),
        ("dhcp, metadata", ServiceConfig { dhcp: dhcp.clone(), metadata: metadata.clone(), ..none() }),
        ("all", ServiceConfig { dhcp, metadata, guard }),
    ];
    println!("{:>8} {:>15} {:>10}", "buffers", "services", "ns/packet");
    for buffers in [1, 3] {
        for (name, services) in &choices {
            let best = pass_packets(services.clone(), buffers);
            println!("{buffers:>8} {name:>15} {best:>10.1}");
        }
    }
}

/// Nanoseconds for a packet of `buffers` buffers, in the best of many rounds.
fn pass_packets(services: ServiceConfig, buffers: u32) -> f64 {
    const MAC: [u8; 6] = [2; 6];
    const BYTES: u32 = 12 + 14 + 1200;
    /// As many as the device sends between two looks at other things.
    const PACKETS: usize = 64;
    let tap = Tap::from_socket(fs::OpenOptions::new().write(true).open("/dev/null").unwrap());
    let mut net = Net::new(NetConfig { tap, mac: MAC, mtu: None, services }).unwrap();
    let mut driver = Driver::new(&guest_memory(), 1, 256, FEATURE_EVENT_IDX);
    let builder = etherparse::PacketBuilder::ethernet2(MAC, [6; 6]).ipv4(OWN.octets(), ROUTER.octets(), 64);
    let mut packet = vec![0; 12];
    builder.udp(1000, 2000).write(&mut packet, &[7; 1172]).unwrap();
    driver.write(BUFFERS, &packet);
    // As Linux does: the headers first, then pages.
    let first = if buffers > 1 { 12 + 14 + 20 + 8 } else { BYTES };
    let rest = (BYTES - first) / (buffers - 1).max(1);
    let mut chain = vec![out(BUFFERS, first)];
    chain.extend((1..buffers).map(|at| out(BUFFERS + u64::from(first + (at - 1) * rest), rest)));
    // On this thread, so that nothing is measured but the work; without what it takes to begin, which an empty ring tells.
    let mut position = RingPosition { next_avail: 0, next_used: 0 };
    let mut best = [Duration::MAX; 2];
    let start = Instant::now();
    while start.elapsed() < TIME {
        for (best, packets) in best.iter_mut().zip([0, PACKETS]) {
            for _ in 0..packets {
                driver.add(&chain);
            }
            let queue = driver.ready(position);
            let begin = Instant::now();
            position = net.serve_once(queue).unwrap();
            *best = begin.elapsed().min(*best);
            for _ in 0..packets {
                driver.try_used().unwrap();
            }
        }
    }
    best[1].saturating_sub(best[0]).as_nanos() as f64 / PACKETS as f64
}
