//! From the guest to the tap: one `writev` a packet, straight from guest memory. A packet that the host does not take is
//! dropped and counted, as on any wire; nothing here waits for the host. Where the card has services, each packet is shown to
//! `services` first.

use std::io;
use std::os::fd::AsRawFd;

use vmm_sys_util::eventfd::EventFd;

use super::services::{Gate, Way};
use super::tap::Tap;
use super::{HEADER_BYTES, MAX_FRAME_BYTES};
use crate::virtio::device::RingPosition;
use crate::virtio::metrics::QueueMetrics;
use crate::virtio::queue::{Chain, Ring};
use crate::virtio::worker::{Stop, wait};

/// Packets between two looks at whether the driver wants an interrupt.
const BATCH: usize = 64;

pub(super) struct Transmitter {
    ring: Ring,
    tap: Tap,
    gate: Option<Gate>,
    chain: Chain,
}

impl Transmitter {
    pub(super) fn new(ring: Ring, tap: Tap, gate: Option<Gate>) -> Self {
        let chain = Chain::new(ring.memory());
        Self { ring, tap, gate, chain }
    }

    /// Sends until asked to stop.
    pub(super) fn run(mut self, kick: &EventFd, stop: &Stop) -> RingPosition {
        loop {
            self.ring.disarm();
            let more = self.send_batch();
            self.ring.signal();
            if stop.asked() {
                return self.ring.position();
            }
            if !more && !self.ring.arm() {
                wait(&[kick.as_raw_fd(), stop.as_raw_fd()]);
                if kick.read().is_ok() {
                    QueueMetrics::count(&self.ring.metrics().kicks);
                }
            }
        }
    }

    /// Sends what is on the ring now.
    pub(super) fn drain(mut self) -> RingPosition {
        self.send_batch();
        self.ring.signal();
        self.ring.position()
    }

    /// Sends at most a batch. True if there may be more.
    fn send_batch(&mut self) -> bool {
        for _ in 0..BATCH {
            if !self.ring.take(&mut self.chain) {
                return false;
            }
            self.send();
            // The driver reads nothing of what it gave: the used length is 0.
            self.ring.put(self.chain.head(), 0);
        }
        true
    }

    fn send(&mut self) {
        let length = self.chain.readable_len();
        // The kernel checks what the header says; here only that there is one, and a packet after it.
        if length <= HEADER_BYTES as u64 || length > MAX_FRAME_BYTES as u64 {
            QueueMetrics::count(&self.ring.metrics().malformed);
            return;
        }
        match self.gate.as_mut().map(|gate| gate.look(&mut self.chain)) {
            Some(Way::Out) | None => {}
            Some(Way::In) => return self.ring.metrics().request(length - HEADER_BYTES as u64),
            Some(Way::Nowhere) => return,
        }
        match self.write() {
            Ok(_) => self.ring.metrics().request(length - HEADER_BYTES as u64),
            Err(error) => {
                // No room (EAGAIN, ENOBUFS), link down (EIO), a header that makes no sense (EINVAL): dropped all the same.
                QueueMetrics::count(&self.ring.metrics().errors);
                log::trace!("dropped a packet of {length} bytes: {error}");
            }
        }
    }

    fn write(&self) -> io::Result<usize> {
        let packet = self.gate.as_ref().map_or(self.chain.readable(), Gate::packet);
        // SAFETY: the iovecs of a chain are of guest memory, which it keeps mapped; the gate's begin with bytes of its own.
        unsafe { self.tap.send(packet) }
    }
}
