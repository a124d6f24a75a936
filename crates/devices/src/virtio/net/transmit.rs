//! From the guest to the tap: one `writev` a packet, straight from guest memory. A packet that the host does not take is
//! dropped and counted, as on any wire; nothing here waits for the host. With DHCP served here, packets to its port go to
//! `dhcp` instead.

use std::io;
use std::os::fd::AsRawFd;

use vmm_sys_util::eventfd::EventFd;

use super::dhcp::DhcpServer;
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
    dhcp: Option<DhcpServer>,
    chain: Chain,
}

impl Transmitter {
    pub(super) fn new(ring: Ring, tap: Tap, dhcp: Option<DhcpServer>) -> Self {
        let chain = Chain::new(ring.memory());
        Self { ring, tap, dhcp, chain }
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
        if let Some(dhcp) = &mut self.dhcp
            && dhcp.wants(&self.chain)
        {
            self.ring.metrics().request(length - HEADER_BYTES as u64);
            dhcp.serve(&mut self.chain);
            return;
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
        // SAFETY: the iovecs of a chain are of guest memory, which it keeps mapped.
        unsafe { self.tap.send(self.chain.readable()) }
    }
}
