//! Rings and chains against drivers of any kind: whatever lies in guest memory, each available chain is answered exactly
//! once or the ring is declared broken, and nothing outside guest memory is touched.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod driver;

use std::io;
use std::os::fd::AsRawFd;

use devices::virtio::queue::{Chain, Ring};
use devices::virtio::worker::{QueueWorker, Stop, serve_batch};
use devices::virtio::{RingPosition, VirtioDevice, rng::Rng};
use driver::{
    BUFFERS, Driver, FEATURE_EVENT_IDX, FEATURE_INDIRECT, MEMORY_BYTES, count, guest_memory, into, out,
};
use proptest::prelude::*;

/// A descriptor as a driver with some idea of the rules, or none, would write it.
#[derive(Clone, Debug)]
struct AnyDescriptor {
    address: u64,
    length: u32,
    flags: u16,
    next: u16,
}

const SIZE: u16 = 16;

fn address() -> impl Strategy<Value = u64> {
    let end = MEMORY_BYTES as u64;
    // Also into the rings and tables themselves: a chain may overwrite what it is made of.
    prop_oneof![6 => BUFFERS..end - 0x20000, 1 => end - 8..end + 8, 1 => 0x10000..0x40000u64, 1 => any::<u64>()]
}

fn length() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0..0x4000u32, 2 => (0..20u32).prop_map(|count| count * 16), 1 => any::<u32>()]
}

fn descriptor() -> impl Strategy<Value = AnyDescriptor> {
    (address(), length(), 0..9u16, prop_oneof![9 => 0..SIZE, 1 => any::<u16>()])
        .prop_map(|(address, length, flags, next)| AnyDescriptor { address, length, flags, next })
}

/// Descriptors at the place that those with INDIRECT often point to.
const TABLE: u64 = BUFFERS;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_chain_is_answered_once(
        descriptors in proptest::collection::vec(descriptor(), SIZE as usize),
        indirect in proptest::collection::vec(descriptor(), 20),
        points in proptest::collection::vec(any::<bool>(), SIZE as usize),
        heads in proptest::collection::vec(prop_oneof![30 => 0..SIZE, 1 => any::<u16>()], 0..=SIZE as usize),
        jump in prop_oneof![9 => Just(0u16), 1 => any::<u16>()],
        features in prop_oneof![Just(0), Just(FEATURE_INDIRECT), Just(FEATURE_INDIRECT | FEATURE_EVENT_IDX)],
    ) {
        let mut driver = Driver::new(&guest_memory(), 0, SIZE, features);
        for (at, one) in indirect.iter().enumerate() {
            driver.write_descriptor(TABLE, at as u16, one.address, one.length, one.flags, one.next);
        }
        for (at, one) in descriptors.iter().enumerate() {
            let points = points[at] && one.flags & 4 != 0;
            let (address, length) = if points { (TABLE, 16 * (1 + at as u32)) } else { (one.address, one.length) };
            driver.write_descriptor(driver.descriptors(), at as u16, address, length, one.flags, one.next);
        }
        for head in &heads {
            driver.publish(*head);
        }
        let index = (heads.len() as u16).wrapping_add(jump);
        driver.set_avail_index(index);

        let mut ring = Ring::new(driver.ready_at_start());
        let mut chain = Chain::new(ring.memory());
        let stop = Stop::new().unwrap();
        let mut served = 0;
        let mut bytes = [0; 7];
        for _ in 0..3 {
            serve_batch(&mut ring, &mut chain, &stop, &mut |chain: &mut Chain| {
                served += 1;
                assert!(chain.readable().len() + chain.writable().len() <= usize::from(SIZE));
                let total: u64 = chain.readable().iter().map(|segment| segment.iov_len as u64).sum();
                assert_eq!(total, chain.readable_len());
                while chain.read(&mut bytes) {}
                chain.consume_readable(u64::MAX);
                assert_eq!((chain.readable_len(), chain.readable().len()), (0, 0));
                let writable = chain.writable_len();
                let has_status = chain.split_status();
                assert_eq!(has_status, writable > 0);
                // Not all of it: that could be gigabytes.
                let written = u64::from(chain.write(&[1; 5])) * 5;
                assert_eq!(chain.writable_len() + u64::from(has_status) + written, writable);
                chain.consume_writable(u64::MAX);
                assert_eq!((chain.writable_len(), chain.writable().len()), (0, 0));
                chain.write_status(0);
                Ok(1)
            });
            ring.signal();
        }
        let RingPosition { next_avail, next_used } = ring.position();
        prop_assert_eq!(next_avail, next_used, "taken and answered");
        let refused = count(&driver.metrics.malformed);
        prop_assert_eq!(served + refused, u64::from(next_used));
        // All that was made available was looked at, unless the ring is broken: then only until that was seen. A chain may
        // have written over the ring itself, and so added to it, but never more than the queue holds.
        if !ring.is_broken() {
            prop_assert!(!ring.arm() || next_used >= SIZE);
        } else {
            prop_assert_eq!(driver.interrupts.status() & 64, 64);
        }
    }
}

fn one_chain(driver: &Driver) -> (Ring, Chain) {
    let ring = Ring::new(driver.ready_at_start());
    let chain = Chain::new(ring.memory());
    (ring, chain)
}

#[test]
fn a_loop_ends() {
    let mut driver = Driver::new(&guest_memory(), 0, SIZE, FEATURE_INDIRECT);
    driver.write_descriptor(driver.descriptors(), 0, BUFFERS, 16, 1, 1);
    driver.write_descriptor(driver.descriptors(), 1, BUFFERS, 16, 1, 0);
    // One of empty buffers too.
    driver.write_descriptor(driver.descriptors(), 2, BUFFERS, 0, 1, 2);
    driver.publish(0);
    driver.publish(2);
    let (mut ring, mut chain) = one_chain(&driver);
    assert!(!ring.take(&mut chain));
    assert_eq!(count(&driver.metrics.malformed), 2);
    assert_eq!((driver.try_used(), driver.try_used()), (Some((0, 0)), Some((2, 0))));
}

#[test]
fn the_longest_chain_fits_and_one_more_does_not() {
    for (length, fits) in [(SIZE, true), (SIZE + 1, false)] {
        let mut driver = Driver::new(&guest_memory(), 0, SIZE, FEATURE_INDIRECT);
        driver.add_indirect(&vec![out(BUFFERS, 1); length.into()]);
        let (mut ring, mut chain) = one_chain(&driver);
        assert_eq!(ring.take(&mut chain), fits);
        if fits {
            assert_eq!(chain.readable_len(), u64::from(length));
        }
    }
    let mut driver = Driver::new(&guest_memory(), 0, SIZE, 0);
    driver.add(&[out(BUFFERS, 1); SIZE as usize]);
    let (mut ring, mut chain) = one_chain(&driver);
    assert!(ring.take(&mut chain));
}

#[test]
fn an_indirect_table_needs_its_feature() {
    let mut driver = Driver::new(&guest_memory(), 0, SIZE, 0);
    driver.add_indirect(&[out(BUFFERS, 1)]);
    let (mut ring, mut chain) = one_chain(&driver);
    assert!(!ring.take(&mut chain));
    assert_eq!(count(&driver.metrics.malformed), 1);
}

#[test]
fn interrupts_only_where_wanted() {
    // By flag.
    let mut driver = Driver::new(&guest_memory(), 0, SIZE, 0);
    let (mut ring, mut chain) = one_chain(&driver);
    let mut serve = |ring: &mut Ring| {
        assert!(ring.take(&mut chain));
        ring.put(chain.head(), 0);
        ring.signal();
    };
    driver.add(&[out(BUFFERS, 1)]);
    serve(&mut ring);
    ring.signal();
    assert_eq!(count(&driver.metrics.interrupts), 1, "once per batch");
    vm_memory::Bytes::write_obj(&driver.memory, 1u16, vm_memory::GuestAddress(driver.avail_ring())).unwrap();
    driver.add(&[out(BUFFERS, 1)]);
    serve(&mut ring);
    assert_eq!(count(&driver.metrics.interrupts), 1);

    // By index: `used_event` says after which one.
    let mut driver = Driver::new(&guest_memory(), 0, SIZE, FEATURE_EVENT_IDX);
    let (mut ring, mut chain) = one_chain(&driver);
    let used_event = driver.avail_ring() + 4 + 2 * u64::from(SIZE);
    vm_memory::Bytes::write_obj(&driver.memory, 2u16, vm_memory::GuestAddress(used_event)).unwrap();
    for wanted in [0, 0, 1, 1] {
        driver.add(&[out(BUFFERS, 1)]);
        assert!(ring.take(&mut chain));
        ring.put(chain.head(), 0);
        ring.signal();
        assert_eq!(count(&driver.metrics.interrupts), wanted);
    }
}

#[test]
fn what_is_untaken_comes_again() {
    let mut driver = Driver::new(&guest_memory(), 0, SIZE, 0);
    let heads: Vec<u16> = (0..5).map(|_| driver.add(&[into(BUFFERS, 8)])).collect();
    let (mut ring, mut chain) = one_chain(&driver);
    for _ in 0..4 {
        assert!(ring.take(&mut chain));
    }
    ring.untake(3);
    assert!(ring.arm(), "they count as available");
    for head in &heads[1..] {
        assert!(ring.take(&mut chain));
        assert_eq!(chain.head(), *head);
    }
    assert!(!ring.take(&mut chain));
}

#[test]
fn indices_wrap() {
    let start = RingPosition { next_avail: u16::MAX - 3, next_used: u16::MAX - 3 };
    let mut driver = Driver::new(&guest_memory(), 0, SIZE, FEATURE_EVENT_IDX);
    driver.set_indices(start.next_avail);
    let worker = QueueWorker::spawn(driver.ready(start), |chain| {
        chain.write(&[9; 8]);
        Ok(8)
    })
    .unwrap();
    for _ in 0..40 {
        assert_eq!(driver.run(&[into(BUFFERS, 8)]), 8);
    }
    assert_eq!(driver.read(BUFFERS, 8), [9; 8]);
    let end = start.next_avail.wrapping_add(40);
    assert_eq!(worker.stop(), RingPosition { next_avail: end, next_used: end });
}

#[test]
fn a_failing_handler_is_counted_and_answered() {
    let mut driver = Driver::new(&guest_memory(), 0, SIZE, 0);
    let worker = QueueWorker::spawn(driver.ready_at_start(), |_| Err(io::Error::other("no"))).unwrap();
    assert_eq!(driver.run(&[into(BUFFERS, 8)]), 0);
    drop(worker);
    assert_eq!(count(&driver.metrics.errors), 1);
    assert!(driver.kick.as_raw_fd() >= 0);
}

#[test]
fn random_bytes_for_the_guest() {
    let mut driver = Driver::new(&guest_memory(), 0, 256, 0);
    let mut rng = Rng::new(std::fs::File::open("/dev/urandom").unwrap());
    rng.start_queue(driver.ready_at_start()).unwrap();
    assert_eq!(driver.run(&[into(BUFFERS, 64)]), 64);
    assert_ne!(driver.read(BUFFERS, 64), [0; 64]);
    assert_eq!(driver.run(&[into(BUFFERS, 1 << 20)]), 4096, "no more than a page at a time");
    assert_eq!(driver.run(&[out(BUFFERS, 64)]), 0);
    assert_eq!(rng.stop_queue(0), Some(RingPosition { next_avail: 3, next_used: 3 }));
    assert!(rng.start_queue(Driver::new(&guest_memory(), 1, 16, 0).ready_at_start()).is_err());
}
