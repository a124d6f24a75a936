//! What a virtio device is to its transport. Reset, pause and snapshot are the transport stopping queues and starting
//! them again; transport, interrupt kind and thread are invisible to a device.

use std::io;
use std::sync::Arc;

use virtio_queue::Queue;
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::eventfd::EventFd;

use super::interrupts::Interrupts;
use super::metrics::QueueMetrics;

/// Device types (VIRTIO 1.2, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceType {
    /// Network card.
    Net = 1,
    /// Block device.
    Block = 2,
    /// Entropy source.
    Rng = 4,
}

/// What a device offers; fixed for its life.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its type.
    pub device_type: DeviceType,
    /// Offered feature bits of the device; the transport adds its own (VERSION_1 and the ring features).
    pub features: u64,
    /// Largest size of each queue, in descriptors; a power of two.
    pub queue_sizes: Vec<u16>,
    /// Bytes of the device's configuration space; reads beyond are zero.
    pub config_length: u32,
}

/// A queue that the driver made ready, and all that serving it needs.
pub struct ReadyQueue {
    /// Its number.
    pub index: u16,
    /// Its name for threads and metrics, at most 15 bytes, such as `blk3` or `net0-rx`.
    pub name: String,
    /// The rings; checked to lie in guest memory.
    pub queue: Queue,
    /// Guest memory.
    pub memory: GuestMemoryMmap,
    /// Rings when the driver notifies the device. Level of the counter carries no meaning.
    pub kick: EventFd,
    /// The way back to the driver.
    pub interrupts: Arc<Interrupts>,
    /// Negotiated features, of device and transport.
    pub features: u64,
    /// Counters of this queue, kept over resets of the device.
    pub metrics: Arc<QueueMetrics>,
}

impl ReadyQueue {
    /// Whether the feature with this bit number was negotiated.
    pub fn has_feature(&self, bit: u32) -> bool {
        self.features & (1 << bit) != 0
    }
}

/// Where the rings stood when a queue was stopped; starting again from here loses and repeats nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingPosition {
    /// The next available entry to be looked at.
    pub next_avail: u16,
    /// The next used entry to be written.
    pub next_used: u16,
}

/// Why a queue could not be started. The driver sees a device that needs reset.
#[derive(Debug, thiserror::Error)]
pub enum StartQueueError {
    /// The host has no thread, descriptor or ring for it.
    #[error("no host resources for the queue")]
    Host(#[from] io::Error),
    /// The device has no such queue.
    #[error("the device has no queue {0}")]
    NoSuchQueue(u16),
}

/// A virtio device.
pub trait VirtioDevice: Send {
    /// Type, offered features, queue sizes; fixed for the life of the device.
    fn identity(&self) -> Identity;
    /// The driver made this queue ready. From here until `stop_queue` the device owns it.
    fn start_queue(&mut self, queue: ReadyQueue) -> Result<(), StartQueueError>;
    /// Finishes what is in flight, stops serving and says where the rings stood. `None` if the queue was not running.
    fn stop_queue(&mut self, index: u16) -> Option<RingPosition>;
    /// The driver reads the device's configuration space; `offset + data.len()` is within `config_length`.
    fn read_config(&self, _offset: u32, data: &mut [u8]) {
        data.fill(0);
    }
    /// The driver writes the device's configuration space.
    fn write_config(&mut self, _offset: u32, _data: &[u8]) {}
}
