//! virtio-net: a network card on a tap (VIRTIO 1.2, 5.1). Two queues, each served on its own thread: `receive` from the
//! tap to the guest, `transmit` back; `tap` is the host's side.
//!
//! Created by `vmm::vm`. Passes checksum and segmentation work through unfinished where both ends agree. Looks into
//! packets only where it is told to serve its guest itself, or to keep it in its place (`services`). No control queue, so
//! no filters and no second pair of queues; the link is always up.

mod answers;
mod dhcp;
mod frame;
mod guard;
mod receive;
mod relay;
mod services;
mod tap;
mod transmit;

use std::io;
use std::sync::Arc;

use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4,
    VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6,
    VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_UFO,
    VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_MAC, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_MTU, VIRTIO_NET_F_STATUS,
    VIRTIO_NET_S_LINK_UP,
};
use virtio_queue::QueueT;

use self::answers::Answers;
pub use self::dhcp::{DhcpConfig, DhcpCounts, dhcp_answer};
pub use self::guard::{GuardConfig, GuardCounts};
use self::receive::Receiver;
#[doc(hidden)]
pub use self::relay::RelayBench;
pub use self::relay::{MAX_METADATA_ADDRESSES, Metadata, MetadataConfig, MetadataCounts};
use self::services::{Gate, Services};
pub use self::services::{ServiceConfig, ServiceHandles};
pub use self::tap::{OpenTapError, Tap};
use self::transmit::Transmitter;
use super::device::{DeviceType, Identity, ReadyQueue, RingPosition, StartQueueError, VirtioDevice};
use super::queue::Ring;
use super::worker::{QueueWorker, Stop};

/// Bytes of the header before each packet, on the rings and on the tap (5.1.6).
const HEADER_BYTES: usize = 12;

/// The longest packet with its headers: 64 KiB of IP, an Ethernet header with a VLAN tag, and ours.
const MAX_FRAME_BYTES: usize = 65535 + 18 + HEADER_BYTES;

/// Descriptors of each queue.
const QUEUE_SIZE: u16 = 256;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// Bytes of the configuration space: up to and with the MTU (5.1.4).
const CONFIG_BYTES: usize = 12;

/// What a network card is made of.
pub struct NetConfig {
    /// The wire.
    pub tap: Tap,
    /// Its address.
    pub mac: [u8; 6],
    /// The MTU that the guest is told, if any.
    pub mtu: Option<u16>,
    /// What it does itself.
    pub services: ServiceConfig,
}

/// Work on packets that one end can leave to the other.
struct Offload {
    /// The kernel's names of it on a tap (TUN_F_*).
    tap: libc::c_uint,
    /// The driver takes such packets.
    guest: &'static [u32],
    /// The driver may send such packets.
    host: &'static [u32],
}

/// The first is the base of the others: a packet to be cut up has no checksum yet (5.1.3.1).
const OFFLOADS: [Offload; 6] = [
    Offload { tap: libc::TUN_F_CSUM, guest: &[VIRTIO_NET_F_GUEST_CSUM], host: &[VIRTIO_NET_F_CSUM] },
    Offload { tap: libc::TUN_F_TSO4, guest: &[VIRTIO_NET_F_GUEST_TSO4], host: &[VIRTIO_NET_F_HOST_TSO4] },
    Offload { tap: libc::TUN_F_TSO6, guest: &[VIRTIO_NET_F_GUEST_TSO6], host: &[VIRTIO_NET_F_HOST_TSO6] },
    Offload { tap: libc::TUN_F_TSO_ECN, guest: &[VIRTIO_NET_F_GUEST_ECN], host: &[VIRTIO_NET_F_HOST_ECN] },
    Offload { tap: libc::TUN_F_UFO, guest: &[VIRTIO_NET_F_GUEST_UFO], host: &[VIRTIO_NET_F_HOST_UFO] },
    Offload {
        tap: libc::TUN_F_USO4 | libc::TUN_F_USO6,
        guest: &[VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6],
        host: &[VIRTIO_NET_F_HOST_USO],
    },
];

/// The network card.
pub struct Net {
    tap: Tap,
    services: Option<Services>,
    config: [u8; CONFIG_BYTES],
    features: u64,
    receiver: Option<QueueWorker>,
    transmitter: Option<QueueWorker>,
}

impl Net {
    /// A card on a tap. Fails when the host has no descriptor left.
    pub fn new(config: NetConfig) -> io::Result<Self> {
        let mut features = bits(&[VIRTIO_NET_F_MAC, VIRTIO_NET_F_STATUS, VIRTIO_NET_F_MRG_RXBUF]);
        if config.mtu.is_some() {
            features |= bits(&[VIRTIO_NET_F_MTU]);
        }
        for offload in offered(&config.tap) {
            features |= bits(offload.guest) | bits(offload.host);
        }
        Ok(Self {
            config: config_space(config.mac, config.mtu),
            tap: config.tap,
            services: Services::new(config.services, config.mac, config.mtu)?,
            features,
            receiver: None,
            transmitter: None,
        })
    }

    /// What its services count.
    pub fn service_handles(&self) -> ServiceHandles {
        self.services.as_ref().map(|services| services.handles.clone()).unwrap_or_default()
    }

    /// Serves what is on a queue and the tap now, on the calling thread. For fuzzing.
    #[doc(hidden)]
    pub fn serve_once(&mut self, queue: ReadyQueue) -> Result<RingPosition, StartQueueError> {
        let tap = self.tap.try_clone()?;
        match queue.index {
            RECEIVE => {
                let mergeable = queue.has_feature(VIRTIO_NET_F_MRG_RXBUF);
                Ok(Receiver::new(Ring::new(queue), tap, self.answers(), mergeable).drain(&Stop::new()?))
            }
            TRANSMIT => {
                let gate = self.gate(&queue)?;
                Ok(Transmitter::new(Ring::new(queue), tap, gate).drain())
            }
            other => Err(StartQueueError::NoSuchQueue(other)),
        }
    }

    fn start_receiver(&mut self, queue: ReadyQueue) -> Result<(), StartQueueError> {
        self.tap.set_offloads(tap_offloads(queue.features))?;
        if queue.queue.next_avail() == 0 && queue.queue.next_used() == 0 {
            self.tap.discard_stale();
            if let Some(services) = &self.services {
                services.reset();
            }
        }
        let tap = self.tap.try_clone()?;
        let kick = queue.kick.try_clone()?;
        let name = queue.name.clone();
        let mergeable = queue.has_feature(VIRTIO_NET_F_MRG_RXBUF);
        let answers = self.answers();
        self.receiver = Some(QueueWorker::start(&name, move |stop| {
            Receiver::new(Ring::new(queue), tap, answers, mergeable).run(&kick, stop)
        })?);
        Ok(())
    }

    fn start_transmitter(&mut self, queue: ReadyQueue) -> Result<(), StartQueueError> {
        let tap = self.tap.try_clone()?;
        let kick = queue.kick.try_clone()?;
        let name = queue.name.clone();
        let gate = self.gate(&queue)?;
        self.transmitter = Some(QueueWorker::start(&name, move |stop| {
            Transmitter::new(Ring::new(queue), tap, gate).run(&kick, stop)
        })?);
        Ok(())
    }

    fn answers(&self) -> Option<Arc<Answers>> {
        self.services.as_ref().map(|services| Arc::clone(&services.answers))
    }

    fn gate(&mut self, queue: &ReadyQueue) -> io::Result<Option<Gate>> {
        self.services.as_mut().map(|services| services.gate(&queue.name)).transpose()
    }
}

impl VirtioDevice for Net {
    fn identity(&self) -> Identity {
        Identity {
            device_type: DeviceType::Net,
            features: self.features,
            queue_sizes: vec![QUEUE_SIZE; 2],
            config_length: CONFIG_BYTES as u32,
        }
    }

    fn start_queue(&mut self, queue: ReadyQueue) -> Result<(), StartQueueError> {
        match queue.index {
            RECEIVE => self.start_receiver(queue),
            TRANSMIT => self.start_transmitter(queue),
            other => Err(StartQueueError::NoSuchQueue(other)),
        }
    }

    fn stop_queue(&mut self, index: u16) -> Option<RingPosition> {
        match index {
            RECEIVE => {
                let position = self.receiver.take().map(QueueWorker::stop)?;
                // What comes now is for nobody, or for another driver: nothing unfinished.
                let _ = self.tap.set_offloads(0);
                Some(position)
            }
            TRANSMIT => self.transmitter.take().map(QueueWorker::stop),
            _ => None,
        }
    }

    fn read_config(&self, offset: u32, data: &mut [u8]) {
        for (index, byte) in (offset as usize..).zip(data) {
            *byte = self.config.get(index).copied().unwrap_or(0);
        }
    }
}

/// The offloads that the tap knows.
fn offered(tap: &Tap) -> impl Iterator<Item = &'static Offload> {
    let base = OFFLOADS[0].tap | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    OFFLOADS.iter().filter(move |offload| tap.has_offloads(base | offload.tap))
}

/// What the tap may leave to a driver with these features.
fn tap_offloads(features: u64) -> libc::c_uint {
    let takes = |offload: &&Offload| features & bits(offload.guest) == bits(offload.guest);
    if !takes(&&OFFLOADS[0]) {
        return 0;
    }
    let taken = OFFLOADS.iter().filter(takes).fold(0, |flags, offload| flags | offload.tap);
    // The kernel refuses ECN without TSO.
    if taken & (libc::TUN_F_TSO4 | libc::TUN_F_TSO6) == 0 { taken & !libc::TUN_F_TSO_ECN } else { taken }
}

fn bits(features: &[u32]) -> u64 {
    features.iter().fold(0, |bits, feature| bits | 1 << feature)
}

/// The card's configuration space (5.1.4): address, status, one pair of queues, MTU.
fn config_space(mac: [u8; 6], mtu: Option<u16>) -> [u8; CONFIG_BYTES] {
    let mut config = [0; CONFIG_BYTES];
    config[..6].copy_from_slice(&mac);
    config[6..8].copy_from_slice(&(VIRTIO_NET_S_LINK_UP as u16).to_le_bytes());
    config[8..10].copy_from_slice(&1u16.to_le_bytes());
    config[10..12].copy_from_slice(&mtu.unwrap_or(0).to_le_bytes());
    config
}
