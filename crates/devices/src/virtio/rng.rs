//! virtio-rng: random bytes for the guest (VIRTIO 1.2, 5.4). One queue, no features, no configuration space.
//! Created by `vmm::machine`; served on its own worker thread. Does not limit rates: the kernel's generator is fast, and
//! a guest that asks for ever uses only its own share of a processor.

use std::fs::File;
use std::io::{self, Read};

use super::device::{DeviceType, Identity, ReadyQueue, RingPosition, StartQueueError, VirtioDevice};
use super::queue::Chain;
use super::worker::QueueWorker;

/// Most bytes given for one chain, so that a guest asking for gigabytes cannot hold the worker.
const MAX_CHAIN_BYTES: usize = 4096;

/// Descriptors of the one queue.
const QUEUE_SIZE: u16 = 256;

/// The entropy device.
pub struct Rng {
    source: File,
    worker: Option<QueueWorker>,
}

impl Rng {
    /// Gives bytes from `source`, which is `/dev/urandom` but in tests.
    pub fn new(source: File) -> Self {
        Self { source, worker: None }
    }
}

impl VirtioDevice for Rng {
    fn identity(&self) -> Identity {
        Identity {
            device_type: DeviceType::Rng,
            features: 0,
            queue_sizes: vec![QUEUE_SIZE],
            config_length: 0,
        }
    }

    fn start_queue(&mut self, queue: ReadyQueue) -> Result<(), StartQueueError> {
        if queue.index != 0 {
            return Err(StartQueueError::NoSuchQueue(queue.index));
        }
        let source = self.source.try_clone()?;
        self.worker = Some(QueueWorker::spawn(queue, move |chain| fill(chain, &source))?);
        Ok(())
    }

    fn stop_queue(&mut self, index: u16) -> Option<RingPosition> {
        if index == 0 { self.worker.take().map(QueueWorker::stop) } else { None }
    }
}

/// Fills one chain; the count returned becomes its used length. Fewer bytes than asked for are allowed (5.4.6.2).
fn fill(chain: &mut Chain, mut source: impl Read) -> io::Result<u32> {
    let mut bytes = [0; MAX_CHAIN_BYTES];
    let wanted = chain.writable_len().min(MAX_CHAIN_BYTES as u64) as usize;
    source.read_exact(&mut bytes[..wanted])?;
    chain.write(&bytes[..wanted]);
    Ok(wanted as u32)
}
