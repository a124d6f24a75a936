//! From the tap to the guest: one `readv` a packet, straight into guest memory.
//!
//! With mergeable buffers (VIRTIO 1.2, 5.1.6.3.2) a packet takes as many chains as it needs, which is known only once it
//! has been read. So enough chains for the largest packet are held ready, and those that it did not fill serve the next
//! one. Only while the driver is short of chains is a packet read into a buffer of ours, and copied when it has more. Through
//! that buffer come also the packets that are not the tap's but made here (`answers`).

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use vmm_sys_util::eventfd::EventFd;

use super::answers::Answers;
use super::tap::Tap;
use super::{HEADER_BYTES, MAX_FRAME_BYTES};
use crate::virtio::device::RingPosition;
use crate::virtio::metrics::QueueMetrics;
use crate::virtio::queue::{Chain, Ring};
use crate::virtio::worker::{Stop, wait};

/// Packets between two interrupts, when packets come without pause.
const BATCH: usize = 64;

/// Where a driver finds the number of chains of a packet, in the header of its first.
const NUM_BUFFERS_OFFSET: u64 = 10;

/// The kernel's limit on iovecs (UIO_MAXIOV), without the one for `spare`.
const MAX_IOVECS: usize = 1023;

pub(super) struct Receiver {
    ring: Ring,
    tap: Tap,
    /// What is said here, and not by the tap.
    answers: Option<Arc<Answers>>,
    mergeable: bool,
    /// Chains taken but not filled, `held[first..first + count]` around the end. As many as the ring has descriptors.
    held: Vec<Chain>,
    first: usize,
    count: usize,
    /// Room in the held chains.
    room: u64,
    /// Segments of the held chains.
    segments: usize,
    /// Chains between the held ones were refused, so that the held ones are not the last ones taken.
    gaps: bool,
    iovecs: Vec<libc::iovec>,
    /// A packet that waits for chains: `waiting` bytes of `packet`. The last byte takes what is one too many.
    packet: Vec<u8>,
    waiting: usize,
    /// Takes the first byte of a packet too long for the chains, so that it is noticed.
    spare: Box<u8>,
}

// SAFETY: `iovecs` holds pointers, but is filled and used within one call only.
unsafe impl Send for Receiver {}

/// Why a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There may be more packets and chains.
    Batch,
    /// The tap has no packet.
    NoPacket,
    /// The driver has no chain for the next packet.
    NoChain,
    /// The tap was deleted.
    Gone,
}

impl Receiver {
    pub(super) fn new(ring: Ring, tap: Tap, answers: Option<Arc<Answers>>, mergeable: bool) -> Self {
        let held = (0..ring.size()).map(|_| Chain::new(ring.memory())).collect();
        Self {
            ring,
            tap,
            answers,
            mergeable,
            held,
            first: 0,
            count: 0,
            room: 0,
            segments: 0,
            gaps: false,
            iovecs: Vec::with_capacity(MAX_IOVECS + 1),
            packet: vec![0; MAX_FRAME_BYTES + 1],
            waiting: 0,
            spare: Box::new(0),
        }
    }

    /// Receives until asked to stop.
    pub(super) fn run(mut self, kick: &EventFd, stop: &Stop) -> RingPosition {
        self.ring.disarm();
        loop {
            let end = self.receive_batch(stop);
            self.ring.signal();
            if stop.asked() {
                return self.position();
            }
            match end {
                End::Batch => {}
                // Chains that come meanwhile do not matter, so the driver need not notify.
                End::NoPacket => {
                    let answers = self.answers.as_ref().map_or(-1, |answers| answers.as_raw_fd());
                    let [_, _, answered] = wait(&[self.tap.as_raw_fd(), stop.as_raw_fd(), answers]);
                    if answered && let Some(answers) = &self.answers {
                        answers.acknowledge();
                    }
                }
                End::NoChain => {
                    if !self.ring.arm() {
                        wait(&[kick.as_raw_fd(), stop.as_raw_fd()]);
                        if kick.read().is_ok() {
                            QueueMetrics::count(&self.ring.metrics().kicks);
                        }
                    }
                    self.ring.disarm();
                }
                End::Gone => {
                    wait(&[stop.as_raw_fd()]);
                }
            }
        }
    }

    /// Receives what is there now.
    pub(super) fn drain(mut self, stop: &Stop) -> RingPosition {
        self.receive_batch(stop);
        self.ring.signal();
        self.position()
    }

    /// Gives the held chains back, and says where the ring stands then.
    fn position(mut self) -> RingPosition {
        if self.waiting > 0 {
            QueueMetrics::count(&self.ring.metrics().errors);
        }
        if self.gaps {
            // Taking these again would take the refused ones again too. An empty packet is an error that drivers know.
            for index in 0..self.count {
                let head = self.held[(self.first + index) % self.held.len()].head();
                self.ring.put(head, 0);
            }
            self.ring.signal();
        } else {
            self.ring.untake(self.count as u16);
        }
        self.ring.position()
    }

    fn receive_batch(&mut self, stop: &Stop) -> End {
        for _ in 0..BATCH {
            if stop.asked() {
                break;
            }
            self.hold();
            self.take_answer();
            let received = if self.waiting > 0 {
                self.deliver_waiting()
            } else if self.count == 0 {
                return End::NoChain;
            } else if self.room >= MAX_FRAME_BYTES as u64 && self.segments <= MAX_IOVECS || !self.mergeable {
                self.receive_into_chains()
            } else {
                self.receive_into_packet()
            };
            match received {
                Ok(true) => {}
                Ok(false) => return End::NoChain,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return End::NoPacket,
                Err(error) => {
                    // A tap that is only down has no packets. This one does not come back, but would poll as readable.
                    QueueMetrics::count(&self.ring.metrics().errors);
                    log::warn!("a network interface receives nothing any more, its tap is gone: {error}");
                    return End::Gone;
                }
            }
        }
        End::Batch
    }

    /// Lets an answer of ours be the next packet, if there is one and no other is under way.
    fn take_answer(&mut self) {
        if self.waiting > 0 {
            return;
        }
        if let Some(frame) = self.answers.as_ref().and_then(|answers| answers.pop())
            && let Some(packet) = self.packet.get_mut(..frame.len())
        {
            packet.copy_from_slice(&frame);
            self.waiting = frame.len();
        }
    }

    /// Takes chains until the largest packet has room.
    fn hold(&mut self) {
        let wanted = if self.mergeable { self.held.len() } else { 1 };
        // Bounded, so that a driver that only ever adds bad chains cannot keep its worker in here.
        for _ in 0..self.held.len() {
            if self.count >= wanted || self.room >= MAX_FRAME_BYTES as u64 || self.segments >= MAX_IOVECS {
                return;
            }
            let at = (self.first + self.count) % self.held.len();
            let before = self.ring.position().next_avail;
            let chain = &mut self.held[at];
            if !self.ring.take(chain) {
                self.gaps |= self.ring.position().next_avail != before;
                return;
            }
            self.gaps |= self.ring.position().next_avail != before.wrapping_add(1);
            // Each buffer has room for a header (5.1.6.3.1); without, a packet's chains could not be counted.
            if chain.writable_len() < HEADER_BYTES as u64 {
                QueueMetrics::count(&self.ring.metrics().malformed);
                let head = chain.head();
                self.ring.put(head, 0);
                self.gaps = true;
                continue;
            }
            self.room += chain.writable_len();
            self.segments += chain.writable().len();
            self.count += 1;
        }
    }

    /// Reads a packet into the held chains. False if it has to wait for more of them.
    fn receive_into_chains(&mut self) -> io::Result<bool> {
        self.iovecs.clear();
        for index in 0..self.count {
            self.iovecs.extend_from_slice(self.held[(self.first + index) % self.held.len()].writable());
        }
        self.iovecs.push(libc::iovec { iov_base: (&raw mut *self.spare).cast(), iov_len: 1 });
        // SAFETY: the iovecs are of guest memory, which the chains keep mapped, and of `spare`.
        let length = unsafe { self.tap.receive(&self.iovecs) }?;
        if length as u64 > self.room {
            // Longer than the driver's buffers, whose size it chose itself: dropped. They serve the next packet.
            QueueMetrics::count(&self.ring.metrics().errors);
            return Ok(true);
        }
        self.put(length);
        Ok(true)
    }

    /// Reads a packet into `packet`, and goes on as far as there are chains.
    fn receive_into_packet(&mut self) -> io::Result<bool> {
        let iovec = libc::iovec { iov_base: self.packet.as_mut_ptr().cast(), iov_len: self.packet.len() };
        // SAFETY: the iovec is the whole of `packet`.
        self.waiting = unsafe { self.tap.receive(&[iovec]) }?;
        if self.waiting > MAX_FRAME_BYTES {
            self.waiting = 0;
            QueueMetrics::count(&self.ring.metrics().errors);
            return Ok(true);
        }
        self.deliver_waiting()
    }

    fn deliver_waiting(&mut self) -> io::Result<bool> {
        if self.room < self.waiting as u64 {
            let most = if self.mergeable { self.held.len() } else { 1 };
            if self.count < most && self.segments < MAX_IOVECS {
                return Ok(false);
            }
            // The driver cannot give more than this.
            QueueMetrics::count(&self.ring.metrics().errors);
            self.waiting = 0;
            return Ok(true);
        }
        let length = std::mem::take(&mut self.waiting);
        let mut done = 0;
        for index in 0..self.count {
            let at = (self.first + index) % self.held.len();
            let chain = &self.held[at];
            let count = chain.writable_len().min((length - done) as u64) as usize;
            chain.write_ahead(0, &self.packet[done..done + count]);
            done += count;
            if done == length {
                break;
            }
        }
        self.put(length);
        Ok(true)
    }

    /// Puts back the chains that a packet of `length` bytes filled, header included.
    fn put(&mut self, length: usize) {
        if length <= HEADER_BYTES {
            QueueMetrics::count(&self.ring.metrics().errors);
            return;
        }
        let mut left = length as u64;
        let mut used: u16 = 0;
        while left > 0 {
            left -= left.min(self.held[(self.first + usize::from(used)) % self.held.len()].writable_len());
            used += 1;
        }
        // The tap leaves the field alone.
        self.held[self.first].write_ahead(NUM_BUFFERS_OFFSET, &used.to_le_bytes());
        left = length as u64;
        for _ in 0..used {
            let chain = &self.held[self.first];
            let count = left.min(chain.writable_len());
            left -= count;
            self.room -= chain.writable_len();
            self.segments -= chain.writable().len();
            self.count -= 1;
            let head = chain.head();
            self.first = (self.first + 1) % self.held.len();
            self.ring.put(head, count as u32);
        }
        self.gaps &= self.count > 0;
        self.ring.metrics().request((length - HEADER_BYTES) as u64);
    }
}
