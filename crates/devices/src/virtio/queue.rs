//! Taking descriptor chains off a virtqueue and putting them back (VIRTIO 1.2, 2.7, split rings). Every queue worker
//! works through a `Ring` and `Chain`s; nothing else here reads descriptors.
//!
//! All a driver can get wrong is decided here, once. A bad chain is counted and put back with a used length of 0. A bad
//! ring (its counters make no sense) has no chain to answer with: the device asks for a reset and the ring is dead.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use virtio_bindings::virtio_ring::{
    VIRTIO_RING_F_INDIRECT_DESC, VRING_AVAIL_F_NO_INTERRUPT, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT,
    VRING_DESC_F_WRITE,
};
use virtio_queue::{Queue, QueueT};
use vm_memory::{
    ByteValued, Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion,
    MemoryRegionAddress, VolatileMemory, VolatileSlice,
};

use super::device::{ReadyQueue, RingPosition};
use super::interrupts::Interrupts;
use super::metrics::QueueMetrics;

/// A descriptor (2.7.5), as it lies in guest memory.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Descriptor {
    addr: u64,
    len: u32,
    flags: u16,
    next: u16,
}

// SAFETY: plain integers without padding: any bytes are a valid `Descriptor`.
unsafe impl ByteValued for Descriptor {}

const DESCRIPTOR_BYTES: usize = size_of::<Descriptor>();

/// Why a chain is not served. Numbers are the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// More descriptors than the queue has, which a loop is too (2.7.5.2).
    #[error("the chain loops or has more descriptors than the queue")]
    TooLong,
    /// A descriptor number beyond its table.
    #[error("descriptor {0} is not in its table")]
    NoSuchDescriptor(u16),
    /// A buffer or table that is not wholly in guest memory.
    #[error("{length:#x} bytes at {address:#x} are not in guest memory")]
    OutsideMemory {
        /// Where.
        address: u64,
        /// How long.
        length: u64,
    },
    /// A readable buffer after a writable one (2.7.4.2).
    #[error("a readable buffer follows a writable one")]
    ReadableAfterWritable,
    /// No byte to read or write.
    #[error("the chain has no bytes")]
    Empty,
    /// More than 2^32 - 1 bytes in all (2.7.5.2).
    #[error("the chain has 4 GiB or more")]
    TooManyBytes,
    /// An indirect table within one, without the feature, together with NEXT, or of an impossible length (2.7.5.3).
    #[error("the chain uses an indirect table against the rules")]
    BadIndirect,
}

/// One chain: first the buffers the device reads, then those it writes, as iovecs into guest memory. Reading and
/// writing consume it from the front. Made once and refilled by `Ring::take`, so that its buffers are reused.
pub struct Chain {
    // Keeps the memory mapped that `segments` point into.
    memory: Arc<GuestMemoryMmap>,
    head: u16,
    segments: Vec<libc::iovec>,
    // `segments[readable_at..writable_from]` is left to read, `segments[writable_at..]` to write.
    readable_at: usize,
    writable_from: usize,
    writable_at: usize,
    readable_len: u64,
    writable_len: u64,
    status: Option<*mut u8>,
}

// SAFETY: the pointers are into guest memory, which is mapped as long as `memory` lives, and is shared with the guest
// anyway: all accesses to it are volatile or made by the kernel.
unsafe impl Send for Chain {}

impl Chain {
    /// An empty chain to be filled from a ring over the same `memory`.
    pub fn new(memory: &Arc<GuestMemoryMmap>) -> Self {
        Self {
            memory: Arc::clone(memory),
            head: 0,
            segments: Vec::new(),
            readable_at: 0,
            writable_from: 0,
            writable_at: 0,
            readable_len: 0,
            writable_len: 0,
            status: None,
        }
    }

    /// The number under which the chain goes back to the driver.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// Bytes left for the device to read.
    pub fn readable_len(&self) -> u64 {
        self.readable_len
    }

    /// Bytes left for the device to write.
    pub fn writable_len(&self) -> u64 {
        self.writable_len
    }

    /// What is left to read. At most as many as the queue has descriptors, none empty.
    pub fn readable(&self) -> &[libc::iovec] {
        &self.segments[self.readable_at..self.writable_from]
    }

    /// What is left to write. At most as many as the queue has descriptors, none empty.
    pub fn writable(&self) -> &[libc::iovec] {
        &self.segments[self.writable_at..]
    }

    /// Reads and consumes `bytes.len()` bytes, or none at all if there are fewer; says which.
    pub fn read(&mut self, bytes: &mut [u8]) -> bool {
        if self.readable_len < bytes.len() as u64 {
            return false;
        }
        let mut done = 0;
        for segment in self.readable() {
            done += volatile(segment).copy_to(&mut bytes[done..]);
            if done == bytes.len() {
                break;
            }
        }
        self.consume_readable(bytes.len() as u64);
        true
    }

    /// Copies the first bytes of what is left to read, as many as there are and `bytes` has room for, and consumes nothing.
    /// Returns how many. What is read later may differ: the guest can change it at any time.
    pub fn peek(&self, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        for segment in self.readable() {
            if done == bytes.len() {
                break;
            }
            done += volatile(segment).copy_to(&mut bytes[done..]);
        }
        done
    }

    /// Writes and consumes `bytes.len()` bytes, or none at all if there is less room; says which.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        if !self.write_ahead(0, bytes) {
            return false;
        }
        self.consume_writable(bytes.len() as u64);
        true
    }

    /// Writes `bytes` at `offset` of what is left to write, and consumes nothing. False if they do not fit.
    pub fn write_ahead(&self, offset: u64, bytes: &[u8]) -> bool {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.writable_len) {
            return false;
        }
        let mut skip = offset;
        let mut done = 0;
        for segment in self.writable() {
            let length = segment.iov_len as u64;
            if skip >= length {
                skip -= length;
                continue;
            }
            let room =
                volatile(segment).offset(skip as usize).expect("skip is less than the segment's length");
            skip = 0;
            let count = room.len().min(bytes.len() - done);
            room.copy_from(&bytes[done..done + count]);
            done += count;
            if done == bytes.len() {
                break;
            }
        }
        true
    }

    /// Passes over `count` bytes to read; at most those that are left.
    pub fn consume_readable(&mut self, count: u64) {
        let count = count.min(self.readable_len);
        self.readable_len -= count;
        self.readable_at += advance(&mut self.segments[self.readable_at..self.writable_from], count);
    }

    /// Passes over `count` bytes to write; at most those that are left.
    pub fn consume_writable(&mut self, count: u64) {
        let count = count.min(self.writable_len);
        self.writable_len -= count;
        self.writable_at += advance(&mut self.segments[self.writable_at..], count);
    }

    /// Sets the last writable byte apart for `write_status`; it is no longer part of what is left to write. False if
    /// there is none.
    pub fn split_status(&mut self) -> bool {
        let Some(last) = self.segments[self.writable_at..].last_mut() else { return false };
        last.iov_len -= 1;
        // In bounds: the segment had at least this byte.
        self.status = Some(last.iov_base.cast::<u8>().wrapping_add(last.iov_len));
        if last.iov_len == 0 {
            self.segments.pop();
        }
        self.writable_len -= 1;
        true
    }

    /// Writes the byte that `split_status` set apart.
    pub fn write_status(&self, status: u8) {
        if let Some(byte) = self.status {
            // SAFETY: `split_status` took the address from within a segment of the chain, and `memory` keeps it mapped.
            unsafe { byte.write_volatile(status) }
        }
    }

    fn clear(&mut self, head: u16) {
        self.head = head;
        self.segments.clear();
        (self.readable_at, self.writable_from, self.writable_at) = (0, 0, 0);
        (self.readable_len, self.writable_len) = (0, 0);
        self.status = None;
    }

    /// Walks the descriptors from `head` and checks all of them. Each is read once: the guest may change it meanwhile.
    fn fill(&mut self, queue: &Queue, head: u16, indirect_allowed: bool) -> Result<(), ChainError> {
        self.clear(head);
        let memory = Arc::clone(&self.memory);
        let size = queue.size();
        let mut table = table(&memory, queue.desc_table(), usize::from(size) * DESCRIPTOR_BYTES)?;
        let mut in_indirect = false;
        let mut index = head;
        let mut writing = false;
        // The whole chain, indirect or not, has at most as many buffers as the queue has descriptors (2.7.5.3.1).
        for _ in 0..=size {
            if usize::from(index) >= table.len() / DESCRIPTOR_BYTES {
                return Err(ChainError::NoSuchDescriptor(index));
            }
            let descriptor = table
                .get_ref::<Descriptor>(usize::from(index) * DESCRIPTOR_BYTES)
                .expect("the table is in memory and the index in the table")
                .load();
            let has = |flag: u32| u32::from(descriptor.flags) & flag != 0;
            if has(VRING_DESC_F_INDIRECT) {
                let length = descriptor.len as usize;
                let possible = length > 0 && length.is_multiple_of(DESCRIPTOR_BYTES);
                if in_indirect || !indirect_allowed || !possible || has(VRING_DESC_F_NEXT) {
                    return Err(ChainError::BadIndirect);
                }
                table = self::table(&memory, descriptor.addr, length)?;
                in_indirect = true;
                index = 0;
                continue;
            }
            match (writing, has(VRING_DESC_F_WRITE)) {
                (true, false) => return Err(ChainError::ReadableAfterWritable),
                (false, true) => {
                    writing = true;
                    (self.writable_from, self.writable_at) = (self.segments.len(), self.segments.len());
                }
                (true, true) | (false, false) => {}
            }
            self.add(&memory, descriptor.addr, descriptor.len, writing)?;
            if self.segments.len() > usize::from(size) {
                return Err(ChainError::TooLong);
            }
            if !has(VRING_DESC_F_NEXT) {
                return self.finish(writing);
            }
            index = descriptor.next;
        }
        Err(ChainError::TooLong)
    }

    fn add(
        &mut self,
        memory: &GuestMemoryMmap,
        address: u64,
        length: u32,
        writing: bool,
    ) -> Result<(), ChainError> {
        let outside = ChainError::OutsideMemory { address, length: length.into() };
        address.checked_add(length.into()).ok_or(outside)?;
        let (mut at, mut left) = (address, u64::from(length));
        // More than one turn only for a buffer over the seam of two regions.
        while left > 0 {
            let region = memory.find_region(GuestAddress(at)).ok_or(outside)?;
            let offset = at - region.start_addr().0;
            let count = left.min(region.len() - offset);
            let host = region.get_host_address(MemoryRegionAddress(offset)).map_err(|_| outside)?;
            self.segments.push(libc::iovec { iov_base: host.cast(), iov_len: count as usize });
            left -= count;
            at += count;
        }
        let total = if writing { &mut self.writable_len } else { &mut self.readable_len };
        *total += u64::from(length);
        if self.readable_len + self.writable_len > u64::from(u32::MAX) {
            return Err(ChainError::TooManyBytes);
        }
        Ok(())
    }

    fn finish(&mut self, writing: bool) -> Result<(), ChainError> {
        if !writing {
            (self.writable_from, self.writable_at) = (self.segments.len(), self.segments.len());
        }
        if self.segments.is_empty() { Err(ChainError::Empty) } else { Ok(()) }
    }
}

fn table(memory: &GuestMemoryMmap, address: u64, length: usize) -> Result<VolatileSlice<'_>, ChainError> {
    memory
        .get_slice(GuestAddress(address), length)
        .map_err(|_| ChainError::OutsideMemory { address, length: length as u64 })
}

fn volatile(segment: &libc::iovec) -> VolatileSlice<'_> {
    // SAFETY: segments of a chain are checked to lie in guest memory, which the chain keeps mapped.
    unsafe { VolatileSlice::new(segment.iov_base.cast(), segment.iov_len) }
}

/// Cuts `count` bytes off the front of `segments`; returns how many segments are used up whole.
pub(crate) fn advance(segments: &mut [libc::iovec], count: u64) -> usize {
    let mut left = usize::try_from(count).expect("a chain has fewer than 4 GiB");
    for (index, segment) in segments.iter_mut().enumerate() {
        if left < segment.iov_len {
            segment.iov_base = segment.iov_base.wrapping_byte_add(left);
            segment.iov_len -= left;
            return index;
        }
        left -= segment.iov_len;
    }
    segments.len()
}

/// The device's end of one virtqueue. Only its worker touches it.
pub struct Ring {
    queue: Queue,
    memory: Arc<GuestMemoryMmap>,
    index: u16,
    indirect_allowed: bool,
    interrupts: Arc<Interrupts>,
    metrics: Arc<QueueMetrics>,
    // The driver's available index when last looked at.
    avail_seen: u16,
    // Chains put back since the driver was last told.
    unsignalled: bool,
    broken: bool,
}

impl Ring {
    /// The ring of a queue that was made ready.
    pub fn new(ready: ReadyQueue) -> Self {
        let indirect_allowed = ready.has_feature(VIRTIO_RING_F_INDIRECT_DESC);
        let avail_seen = ready.queue.next_avail();
        Self {
            queue: ready.queue,
            memory: Arc::new(ready.memory),
            index: ready.index,
            indirect_allowed,
            interrupts: ready.interrupts,
            metrics: ready.metrics,
            avail_seen,
            unsignalled: false,
            broken: false,
        }
    }

    /// The memory the ring is in.
    pub fn memory(&self) -> &Arc<GuestMemoryMmap> {
        &self.memory
    }

    /// The counters of the queue.
    pub fn metrics(&self) -> &QueueMetrics {
        &self.metrics
    }

    /// Number of descriptors.
    pub fn size(&self) -> u16 {
        self.queue.size()
    }

    /// Whether the driver broke the ring. Such a ring yields nothing any more; its worker waits to be stopped.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes the next chain into `chain`. False if there is none, or too many bad ones in a row: ask `arm`, which knows.
    pub fn take(&mut self, chain: &mut Chain) -> bool {
        // Bounded, so that a driver that only ever adds bad chains cannot keep its worker in here.
        for _ in 0..self.queue.size() {
            let Some(head) = self.next_head() else { return false };
            match chain.fill(&self.queue, head, self.indirect_allowed) {
                Ok(()) => return true,
                Err(error) => self.refuse(head, error),
            }
        }
        false
    }

    /// Gives back the last `count` chains taken, as if they had never been looked at. The driver never learns.
    pub fn untake(&mut self, count: u16) {
        self.queue.set_next_avail(self.queue.next_avail().wrapping_sub(count));
    }

    fn next_head(&mut self) -> Option<u16> {
        if self.broken {
            return None;
        }
        let next = self.queue.next_avail();
        if next == self.avail_seen {
            let Ok(index) = self.queue.avail_idx(&*self.memory, Ordering::Acquire) else {
                return self.give_up("its available ring is not in guest memory");
            };
            if index.0.wrapping_sub(next) > self.queue.size() {
                return self.give_up("its available index jumped by more than the queue holds");
            }
            self.avail_seen = index.0;
            if next == self.avail_seen {
                return None;
            }
        }
        let entry = self.queue.avail_ring() + 4 + 2 * u64::from(next % self.queue.size());
        match self.memory.load::<u16>(GuestAddress(entry), Ordering::Relaxed) {
            Ok(head) if u16::from_le(head) < self.queue.size() => {
                self.queue.set_next_avail(next.wrapping_add(1));
                Some(u16::from_le(head))
            }
            Ok(_) => self.give_up("an available entry names a descriptor that does not exist"),
            Err(_) => self.give_up("its available ring is not in guest memory"),
        }
    }

    fn refuse(&mut self, head: u16, error: ChainError) {
        QueueMetrics::count(&self.metrics.malformed);
        log::debug!("queue {}: chain {head} refused: {error}", self.index);
        self.put(head, 0);
    }

    /// Puts a chain back; `length` bytes were written to the front of its writable part.
    pub fn put(&mut self, head: u16, length: u32) {
        match self.queue.add_used(&*self.memory, head, length) {
            Ok(()) => self.unsignalled = true,
            Err(_) => self.give_up("its used ring is not in guest memory").unwrap_or_default(),
        }
    }

    /// Tells the driver of the chains put back since the last call, if it wants to know. Once per batch.
    pub fn signal(&mut self) {
        if !std::mem::take(&mut self.unsignalled) || !self.wants_signal() {
            return;
        }
        QueueMetrics::count(&self.metrics.interrupts);
        self.interrupts.used(self.index);
    }

    fn wants_signal(&mut self) -> bool {
        // Also fences the used index against what is read now.
        let wanted = self.queue.needs_notification(&*self.memory).unwrap_or(true);
        if self.queue.event_idx_enabled() {
            return wanted;
        }
        let flags =
            self.memory.load::<u16>(GuestAddress(self.queue.avail_ring()), Ordering::Relaxed).unwrap_or(0);
        u32::from(u16::from_le(flags)) & VRING_AVAIL_F_NO_INTERRUPT == 0
    }

    /// Asks the driver to kick for what it adds from now on; call before sleeping. True if chains are there already,
    /// for which no kick will come: do not sleep.
    pub fn arm(&mut self) -> bool {
        if self.broken {
            return false;
        }
        match self.queue.enable_notification(&*self.memory) {
            Ok(more) => more,
            Err(_) => self.give_up("its used ring is not in guest memory").unwrap_or(false),
        }
    }

    /// Tells the driver not to kick for the time being: the worker is awake.
    pub fn disarm(&mut self) {
        let _ = self.queue.disable_notification(&*self.memory);
    }

    /// Where the ring stands.
    pub fn position(&self) -> RingPosition {
        RingPosition { next_avail: self.queue.next_avail(), next_used: self.queue.next_used() }
    }

    fn give_up<T>(&mut self, why: &str) -> Option<T> {
        self.broken = true;
        self.interrupts.needs_reset(&format!("queue {} is broken: {why}", self.index));
        None
    }
}
