//! How a device reaches its driver: an eventfd per MSI-X vector, and which vector stands for which queue. Shared
//! between the transport, which the driver programs, and the queue workers, which signal.

use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use vmm_sys_util::eventfd::EventFd;

use crate::events::{DeviceEvent, EventSink};

/// "No vector" in the transport's vector registers (VIRTIO 1.2, 4.1.5.1.2).
pub const NO_VECTOR: u16 = 0xffff;

/// Device status bit: the device met an error it cannot recover from (VIRTIO 1.2, 2.1).
pub const STATUS_NEEDS_RESET: u8 = 64;

/// One device's interrupts.
pub struct Interrupts {
    device: String,
    vectors: Vec<EventFd>,
    config_vector: AtomicU16,
    queue_vectors: Vec<AtomicU16>,
    status: AtomicU8,
    sink: EventSink,
}

impl Interrupts {
    /// `device` is its name in events. Vectors are signalled by writing 1 to their eventfd.
    pub fn new(device: String, vectors: Vec<EventFd>, queues: usize, sink: EventSink) -> Self {
        let queue_vectors = (0..queues).map(|_| AtomicU16::new(NO_VECTOR)).collect();
        Self {
            device,
            vectors,
            config_vector: AtomicU16::new(NO_VECTOR),
            queue_vectors,
            status: AtomicU8::new(0),
            sink,
        }
    }

    /// Tells the driver that `queue` has used buffers. Costs one `write` on an eventfd.
    pub fn used(&self, queue: u16) {
        if let Some(vector) = self.queue_vectors.get(usize::from(queue)) {
            self.signal(vector.load(Ordering::Acquire));
        }
    }

    /// Tells the driver that the configuration or the device status changed.
    pub fn config_changed(&self) {
        self.signal(self.config_vector.load(Ordering::Acquire));
    }

    /// Gives up until the driver resets the device. Reported to the operator once per reset.
    pub fn needs_reset(&self, message: &str) {
        let before = self.status.fetch_or(STATUS_NEEDS_RESET, Ordering::AcqRel);
        if before & STATUS_NEEDS_RESET != 0 {
            return;
        }
        (self.sink)(DeviceEvent::NeedsReset { device: self.device.clone(), message: message.to_owned() });
        self.config_changed();
    }

    fn signal(&self, vector: u16) {
        if let Some(event) = self.vectors.get(usize::from(vector)) {
            // Fails only if the counter would overflow, and then the interrupt is pending anyway.
            let _ = event.write(1);
        }
    }

    /// The device status register: the driver's bits, and NEEDS_RESET.
    pub fn status(&self) -> u8 {
        self.status.load(Ordering::Acquire)
    }

    /// Sets the driver's status bits; a set NEEDS_RESET stays. Zero clears all: that is a reset.
    pub fn set_status(&self, status: u8) {
        let keep = if status == 0 { 0 } else { self.status() & STATUS_NEEDS_RESET };
        self.status.store(status | keep, Ordering::Release);
    }

    /// The vector of configuration changes.
    pub fn config_vector(&self) -> u16 {
        self.config_vector.load(Ordering::Acquire)
    }

    /// Sets the vector of configuration changes; one that does not exist reads back as `NO_VECTOR`.
    pub fn set_config_vector(&self, vector: u16) {
        self.config_vector.store(self.existing(vector), Ordering::Release);
    }

    /// The vector of a queue.
    pub fn queue_vector(&self, queue: u16) -> u16 {
        self.queue_vectors.get(usize::from(queue)).map_or(NO_VECTOR, |vector| vector.load(Ordering::Acquire))
    }

    /// Sets the vector of a queue; one that does not exist reads back as `NO_VECTOR`.
    pub fn set_queue_vector(&self, queue: u16, vector: u16) {
        if let Some(slot) = self.queue_vectors.get(usize::from(queue)) {
            slot.store(self.existing(vector), Ordering::Release);
        }
    }

    fn existing(&self, vector: u16) -> u16 {
        if usize::from(vector) < self.vectors.len() { vector } else { NO_VECTOR }
    }
}
