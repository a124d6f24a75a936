//! virtio-blk: a disk for the guest (VIRTIO 1.2, 5.2). One queue, served on its own thread: `worker` is the loop, `request`
//! what the driver asks for, `engine` how the host does it, `disk` what it is done to.
//!
//! Created by `vmm::vm`. Knows raw contents only, keeps no cache and no copy of anything: what the host acknowledged is
//! what the guest is told. No secure erase, zones or several queues.

mod disk;
mod engine;
mod errors;
mod request;
mod worker;

use std::os::fd::AsRawFd;
use std::sync::Arc;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_RO, VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_ID_BYTES,
};

use self::disk::Geometry;
pub use self::disk::{Disk, OpenDiskError, SECTOR_BYTES};
use self::engine::Engine;
use self::errors::ErrorReport;
use self::request::{MAX_SEGMENT_SECTORS, MAX_SEGMENTS, Rules};
use self::worker::Worker;
use super::device::{DeviceType, Identity, ReadyQueue, RingPosition, StartQueueError, VirtioDevice};
use super::queue::Ring;
use super::worker::{QueueWorker, Stop};
use crate::events::EventSink;

/// Descriptors of the one queue.
const QUEUE_SIZE: u16 = 256;

/// Bytes of the configuration space: up to and with the write-zeroes fields (5.2.4).
const CONFIG_BYTES: usize = 60;

/// What a block device is made of.
pub struct BlockConfig {
    /// Its id: serial number to the guest (the first 20 bytes), and name in events.
    pub id: String,
    /// Its contents.
    pub disk: Disk,
    /// Where host errors are reported.
    pub events: EventSink,
}

/// How a disk's operations are done. A choice for tests; otherwise the first that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring where the host gives one, else plain system calls.
    Best,
    /// Plain system calls.
    Sync,
}

/// The block device.
pub struct Block {
    id: [u8; VIRTIO_BLK_ID_BYTES as usize],
    disk: Disk,
    errors: Arc<ErrorReport>,
    engine: EngineChoice,
    worker: Option<QueueWorker>,
}

impl Block {
    /// A device with the contents of a disk.
    pub fn new(config: BlockConfig) -> Self {
        Self::with_engine(config, EngineChoice::Best)
    }

    /// As `new`, with a given engine.
    pub fn with_engine(config: BlockConfig, engine: EngineChoice) -> Self {
        let mut id = [0; VIRTIO_BLK_ID_BYTES as usize];
        let length = config.id.len().min(id.len());
        id[..length].copy_from_slice(&config.id.as_bytes()[..length]);
        let errors = Arc::new(ErrorReport::new(config.id, config.events));
        Self { id, disk: config.disk, errors, engine, worker: None }
    }

    /// Serves what is on a queue now, on the calling thread, with plain system calls. For fuzzing.
    #[doc(hidden)]
    pub fn serve_once(&mut self, queue: ReadyQueue) -> Result<RingPosition, StartQueueError> {
        let stop = Stop::new()?;
        let kick = queue.kick.try_clone()?;
        let rules = self.rules(&queue);
        let engine = Engine::sync(self.disk.file().try_clone()?, kick, stop.as_raw_fd());
        Ok(Worker::new(Ring::new(queue), engine, rules, Arc::clone(&self.errors)).drain())
    }

    /// No queue runs any more.
    fn rest(&self) {
        if let Err(error) = self.disk.set_running(false) {
            log::warn!("cannot switch a disk back from direct I/O: {error}");
        }
    }

    fn rules(&self, queue: &ReadyQueue) -> Rules {
        Rules {
            geometry: self.disk.geometry(),
            id: self.id,
            write_through: !queue.has_feature(VIRTIO_BLK_F_FLUSH),
            punches_holes: true,
            zeroes_ranges: true,
        }
    }
}

impl VirtioDevice for Block {
    fn identity(&self) -> Identity {
        let always = [VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_TOPOLOGY];
        let more = match self.disk.geometry().read_only {
            true => &[VIRTIO_BLK_F_RO][..],
            false => &[VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES],
        };
        Identity {
            device_type: DeviceType::Block,
            features: always.iter().chain(more).fold(0, |bits, bit| bits | 1 << bit),
            queue_sizes: vec![QUEUE_SIZE],
            config_length: CONFIG_BYTES as u32,
        }
    }

    fn start_queue(&mut self, queue: ReadyQueue) -> Result<(), StartQueueError> {
        if queue.index != 0 {
            return Err(StartQueueError::NoSuchQueue(queue.index));
        }
        let rules = self.rules(&queue);
        let file = self.disk.file().try_clone()?;
        let kick = queue.kick.try_clone()?;
        let name = queue.name.clone();
        let errors = Arc::clone(&self.errors);
        let choice = self.engine;
        self.disk.set_running(true)?;
        let started = QueueWorker::start(&name, move |stop| {
            let ring = Ring::new(queue);
            let engine = match choice {
                // Made here, since a ring with a single issuer belongs to the thread that made it.
                EngineChoice::Best => Engine::new(file, ring.size(), kick, stop.as_raw_fd()),
                EngineChoice::Sync => Engine::sync(file, kick, stop.as_raw_fd()),
            };
            Worker::new(ring, engine, rules, errors).run(stop)
        });
        match started {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => {
                self.rest();
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn stop_queue(&mut self, index: u16) -> Option<RingPosition> {
        let worker = self.worker.take_if(|_| index == 0)?;
        let position = worker.stop();
        self.rest();
        Some(position)
    }

    fn read_config(&self, offset: u32, data: &mut [u8]) {
        let config = config_space(&self.disk.geometry());
        for (index, byte) in (offset as usize..).zip(data) {
            *byte = config.get(index).copied().unwrap_or(0);
        }
    }
}

/// The device's configuration space (5.2.4). Fields of features that are not offered stay zero.
fn config_space(geometry: &Geometry) -> [u8; CONFIG_BYTES] {
    let mut config = [0; CONFIG_BYTES];
    let mut put = |at: usize, bytes: &[u8]| config[at..at + bytes.len()].copy_from_slice(bytes);
    let blocks_per_physical = geometry.physical_bytes / geometry.block_bytes;
    put(0, &(geometry.bytes / SECTOR_BYTES).to_le_bytes());
    // Header and status take a descriptor each.
    put(12, &u32::from(QUEUE_SIZE - 2).to_le_bytes());
    put(20, &geometry.block_bytes.to_le_bytes());
    put(24, &[blocks_per_physical.ilog2() as u8, 0]);
    // At most 128 blocks: a physical block is 64 KiB or less.
    put(26, &(blocks_per_physical as u16).to_le_bytes());
    put(34, &1u16.to_le_bytes());
    if !geometry.read_only {
        let alignment = geometry.physical_bytes / SECTOR_BYTES as u32;
        for (at, value) in [(36, MAX_SEGMENT_SECTORS), (40, MAX_SEGMENTS), (44, alignment)] {
            put(at, &value.to_le_bytes());
        }
        for (at, value) in [(48, MAX_SEGMENT_SECTORS), (52, MAX_SEGMENTS), (56, 1)] {
            put(at, &value.to_le_bytes());
        }
    }
    config
}
