//! virtio devices (VIRTIO 1.2): what a device is (`device`), how it reaches its driver (`interrupts`), and the devices.
//! The transport is `pci`; a device does not know it.

pub mod block;
pub mod device;
pub mod interrupts;
pub mod metrics;
pub mod net;
pub mod pci;
pub mod queue;
pub mod rng;
pub mod worker;

pub use device::{DeviceType, Identity, ReadyQueue, RingPosition, StartQueueError, VirtioDevice};
pub use interrupts::Interrupts;
pub use metrics::QueueMetrics;
