//! The other end of a virtqueue: a small driver that lays out split rings in guest memory. Used by the tests of this
//! folder, in the place of a guest.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod wire;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use devices::events::{DeviceEvent, EventSink};
use devices::virtio::{Interrupts, QueueMetrics, ReadyQueue, RingPosition};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsRawFd, BorrowedFd};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Longer than anything takes on the slowest machine; only a failing test waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub const MEMORY_BYTES: usize = 32 << 20;
/// Where tests put their buffers.
pub const BUFFERS: u64 = 1 << 20;

pub const FEATURE_INDIRECT: u64 = 1 << 28;
pub const FEATURE_EVENT_IDX: u64 = 1 << 29;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// One buffer of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    pub address: u64,
    pub length: u32,
    pub writable: bool,
}

/// A buffer that the device reads.
pub fn out(address: u64, length: u32) -> Buffer {
    Buffer { address, length, writable: false }
}

/// A buffer that the device writes.
pub fn into(address: u64, length: u32) -> Buffer {
    Buffer { address, length, writable: true }
}

pub fn guest_memory() -> GuestMemoryMmap {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY_BYTES)]).unwrap()
}

/// What devices reported.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<DeviceEvent>>>);

impl Events {
    pub fn sink(&self) -> EventSink {
        let events = Arc::clone(&self.0);
        Arc::new(move |event| events.lock().unwrap().push(event))
    }

    pub fn all(&self) -> Vec<DeviceEvent> {
        self.0.lock().unwrap().clone()
    }
}

/// The driver of one queue.
pub struct Driver {
    pub memory: GuestMemoryMmap,
    pub metrics: Arc<QueueMetrics>,
    pub interrupts: Arc<Interrupts>,
    pub events: Events,
    pub kick: EventFd,
    pub features: u64,
    index: u16,
    size: u16,
    base: u64,
    call: EventFd,
    free: Vec<u16>,
    chains: HashMap<u16, Vec<u16>>,
    avail: u16,
    used: u16,
}

impl Driver {
    /// A driver of queue `index` with `size` descriptors. Queues of one memory do not overlap.
    pub fn new(memory: &GuestMemoryMmap, index: u16, size: u16, features: u64) -> Self {
        let events = Events::default();
        let call = EventFd::new(EFD_NONBLOCK).unwrap();
        let vectors = vec![call.try_clone().unwrap()];
        let interrupts =
            Arc::new(Interrupts::new("dev".into(), vectors, usize::from(index) + 1, events.sink()));
        interrupts.set_queue_vector(index, 0);
        Self {
            memory: memory.clone(),
            metrics: Arc::default(),
            interrupts,
            events,
            kick: EventFd::new(EFD_NONBLOCK).unwrap(),
            features,
            index,
            size,
            base: 0x10000 + u64::from(index) * 0x40000,
            call,
            free: (0..size).rev().collect(),
            chains: HashMap::new(),
            avail: 0,
            used: 0,
        }
    }

    pub fn descriptors(&self) -> u64 {
        self.base
    }

    pub fn avail_ring(&self) -> u64 {
        self.base + 0x10000
    }

    pub fn used_ring(&self) -> u64 {
        self.base + 0x20000
    }

    fn indirect_table(&self, head: u16) -> u64 {
        (MEMORY_BYTES - (2 << 20)) as u64 + u64::from(head) * 0x1000
    }

    /// The queue as the transport hands it to the device, standing at `position`.
    pub fn ready(&self, position: RingPosition) -> ReadyQueue {
        let mut queue = Queue::new(self.size).unwrap();
        queue.set_desc_table_address(Some(self.descriptors() as u32), Some(0));
        queue.set_avail_ring_address(Some(self.avail_ring() as u32), Some(0));
        queue.set_used_ring_address(Some(self.used_ring() as u32), Some(0));
        queue.set_event_idx(self.features & FEATURE_EVENT_IDX != 0);
        queue.set_next_avail(position.next_avail);
        queue.set_next_used(position.next_used);
        queue.set_ready(true);
        assert!(queue.is_valid(&self.memory));
        self.kick.write(1).unwrap();
        ReadyQueue {
            index: self.index,
            name: "dev".into(),
            queue,
            memory: self.memory.clone(),
            kick: self.kick.try_clone().unwrap(),
            interrupts: Arc::clone(&self.interrupts),
            features: self.features,
            metrics: Arc::clone(&self.metrics),
        }
    }

    pub fn ready_at_start(&self) -> ReadyQueue {
        self.ready(RingPosition { next_avail: 0, next_used: 0 })
    }

    pub fn write_descriptor(&self, table: u64, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let at = table + u64::from(index) * 16;
        self.memory.write_obj(address, GuestAddress(at)).unwrap();
        self.memory.write_obj(length, GuestAddress(at + 8)).unwrap();
        self.memory.write_obj(flags, GuestAddress(at + 12)).unwrap();
        self.memory.write_obj(next, GuestAddress(at + 14)).unwrap();
    }

    /// Adds a chain without telling the device. Returns its head.
    pub fn add(&mut self, buffers: &[Buffer]) -> u16 {
        let numbers: Vec<u16> = buffers.iter().map(|_| self.free.pop().expect("a free descriptor")).collect();
        let last = buffers.len() - 1;
        for (at, buffer) in buffers.iter().enumerate() {
            let next = if at < last { NEXT } else { 0 };
            let flags = next | if buffer.writable { WRITE } else { 0 };
            let follower = numbers.get(at + 1).copied().unwrap_or(0);
            self.write_descriptor(
                self.descriptors(),
                numbers[at],
                buffer.address,
                buffer.length,
                flags,
                follower,
            );
        }
        let head = numbers[0];
        self.chains.insert(head, numbers);
        self.publish(head);
        head
    }

    /// As `add`, through an indirect table.
    pub fn add_indirect(&mut self, buffers: &[Buffer]) -> u16 {
        let head = self.free.pop().expect("a free descriptor");
        let table = self.indirect_table(head);
        for (at, buffer) in buffers.iter().enumerate() {
            let next = if at + 1 < buffers.len() { NEXT } else { 0 };
            let flags = next | if buffer.writable { WRITE } else { 0 };
            self.write_descriptor(table, at as u16, buffer.address, buffer.length, flags, at as u16 + 1);
        }
        self.write_descriptor(self.descriptors(), head, table, buffers.len() as u32 * 16, INDIRECT, 0);
        self.chains.insert(head, vec![head]);
        self.publish(head);
        head
    }

    /// Makes a descriptor available, whatever it is.
    pub fn publish(&mut self, head: u16) {
        let entry = self.avail_ring() + 4 + 2 * u64::from(self.avail % self.size);
        self.memory.write_obj(head, GuestAddress(entry)).unwrap();
        self.avail = self.avail.wrapping_add(1);
        self.memory.store(self.avail, GuestAddress(self.avail_ring() + 2), Ordering::SeqCst).unwrap();
    }

    pub fn set_avail_index(&mut self, index: u16) {
        self.avail = index;
        self.memory.store(index, GuestAddress(self.avail_ring() + 2), Ordering::SeqCst).unwrap();
    }

    /// Makes both rings stand at `index`, as after a long time.
    pub fn set_indices(&mut self, index: u16) {
        self.set_avail_index(index);
        self.used = index;
        self.memory.store(index, GuestAddress(self.used_ring() + 2), Ordering::SeqCst).unwrap();
    }

    /// Tells the device, if it wants to know.
    pub fn notify(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        let wanted = if self.features & FEATURE_EVENT_IDX != 0 {
            // The simple form: a kick too many does no harm.
            true
        } else {
            self.memory.load::<u16>(GuestAddress(self.used_ring()), Ordering::SeqCst).unwrap() & 1 == 0
        };
        if wanted {
            self.kick.write(1).unwrap();
        }
    }

    pub fn used_index(&self) -> u16 {
        self.memory.load(GuestAddress(self.used_ring() + 2), Ordering::SeqCst).unwrap()
    }

    /// The next used chain, if there is one.
    pub fn try_used(&mut self) -> Option<(u16, u32)> {
        if self.used_index() == self.used {
            return None;
        }
        let entry = self.used_ring() + 4 + 8 * u64::from(self.used % self.size);
        let head = self.memory.read_obj::<u32>(GuestAddress(entry)).unwrap() as u16;
        let length = self.memory.read_obj::<u32>(GuestAddress(entry + 4)).unwrap();
        self.used = self.used.wrapping_add(1);
        self.free.extend(self.chains.remove(&head).unwrap_or_default());
        Some((head, length))
    }

    /// Waits for the next used chain, by interrupt.
    pub fn used(&mut self) -> (u16, u32) {
        let start = Instant::now();
        loop {
            if self.features & FEATURE_EVENT_IDX != 0 {
                let used_event = self.avail_ring() + 4 + 2 * u64::from(self.size);
                self.memory.store(self.used, GuestAddress(used_event), Ordering::SeqCst).unwrap();
                std::sync::atomic::fence(Ordering::SeqCst);
            }
            if let Some(used) = self.try_used() {
                return used;
            }
            assert!(start.elapsed() < DEADLINE, "the device answers no more");
            self.wait_for_interrupt(DEADLINE);
        }
    }

    /// Waits for an interrupt. False if none came in time.
    pub fn wait_for_interrupt(&self, time: Duration) -> bool {
        // SAFETY: the eventfd lives over the call.
        let fd = unsafe { BorrowedFd::borrow_raw(self.call.as_raw_fd()) };
        let timeout = PollTimeout::try_from(time).unwrap();
        poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout).unwrap();
        self.call.read().is_ok()
    }

    /// Adds a chain, tells the device and waits for this chain to be used; returns the used length.
    pub fn run(&mut self, buffers: &[Buffer]) -> u32 {
        let head = self.add(buffers);
        self.notify();
        let (used, length) = self.used();
        assert_eq!(used, head);
        length
    }

    pub fn free_descriptors(&self) -> usize {
        self.free.len()
    }

    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.memory.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }
}

/// Says that a test tested nothing, and why; also where the output of tests that pass is not shown.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

pub fn count(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}
