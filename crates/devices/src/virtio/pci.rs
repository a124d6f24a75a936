//! The PCI transport of virtio (VIRTIO 1.2, 4.1), modern only: configuration space with the virtio capabilities, the
//! common configuration registers in BAR 0, MSI-X, and the queues handed to the device when the driver is ready.
//!
//! Owns negotiation, reset, pause and resume; a device only starts and stops queues.

use std::io;
use std::sync::Arc;

use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use virtio_queue::{Queue, QueueT};
use vm_memory::{GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::device::{DeviceType, Identity, ReadyQueue, RingPosition, VirtioDevice};
use super::interrupts::Interrupts;
use super::metrics::QueueMetrics;
use crate::bus::BusDevice;
use crate::events::EventSink;
use crate::pci::config::{ConfigSpace, Ids};
use crate::pci::msix::{self, Msix};
use crate::pci::{Hypervisor, PciDevice};

/// Bytes of BAR 0.
pub const BAR_BYTES: u32 = 0x4000;

// Regions of BAR 0. The guest learns them from the capabilities.
const COMMON: u64 = 0x0000;
const COMMON_BYTES: u64 = 0x40;
const ISR: u64 = 0x0800;
const ISR_BYTES: u64 = 4;
const DEVICE: u64 = 0x1000;
const DEVICE_BYTES: u64 = 0x1000;
const NOTIFY: u64 = 0x2000;
const NOTIFY_BYTES: u64 = 0x1000;
const MSIX_TABLE: u64 = 0x3000;
const MSIX_TABLE_BYTES: u64 = 0x800;
const MSIX_PENDING: u64 = 0x3800;
const MSIX_PENDING_BYTES: u64 = 0x80;

/// Distance of two queues' notification registers: a dword each.
const NOTIFY_MULTIPLIER: u32 = 4;

// Capability types (4.1.4).
const CAPABILITY_VENDOR: u8 = 0x09;
const CFG_COMMON: u8 = 1;
const CFG_NOTIFY: u8 = 2;
const CFG_ISR: u8 = 3;
const CFG_DEVICE: u8 = 4;
const CFG_PCI: u8 = 5;

// Device status bits (2.1).
const STATUS_FEATURES_OK: u8 = 8;
const STATUS_DRIVER_OK: u8 = 4;

/// One queue's registers and, once the driver is ready, its doorbell and counters.
struct QueueRegisters {
    max_size: u16,
    size: u16,
    enabled: bool,
    desc: u64,
    avail: u64,
    used: u64,
    kick: EventFd,
    metrics: Arc<QueueMetrics>,
    running: bool,
    /// Where the rings stood when the queue was paused.
    paused_at: Option<RingPosition>,
}

/// A virtio device as a PCI function.
pub struct VirtioPci {
    name: String,
    config: ConfigSpace,
    msix: Msix,
    msix_capability: usize,
    pci_cfg_capability: usize,
    interrupts: Arc<Interrupts>,
    hypervisor: Arc<dyn Hypervisor>,
    memory: GuestMemoryMmap,
    device: Box<dyn VirtioDevice>,
    identity: Identity,
    offered: u64,
    driver_features: u64,
    device_feature_select: u32,
    driver_feature_select: u32,
    queue_select: u16,
    queues: Vec<QueueRegisters>,
    bar_base: Option<u64>,
    paused: bool,
}

impl VirtioPci {
    /// Makes a function of `device`, with its BAR at `bar`. `name` is at most 12 bytes; threads, metrics and events
    /// are named by it.
    pub fn new(
        name: &str,
        device: Box<dyn VirtioDevice>,
        memory: GuestMemoryMmap,
        hypervisor: Arc<dyn Hypervisor>,
        bar: u32,
        sink: EventSink,
    ) -> io::Result<Self> {
        let identity = device.identity();
        let vectors = (0..=identity.queue_sizes.len())
            .map(|_| hypervisor.msi_vector())
            .collect::<Result<Vec<_>, _>>()?;
        let events =
            vectors.iter().map(|vector| vector.event().try_clone()).collect::<Result<Vec<_>, _>>()?;
        let interrupts = Interrupts::new(name.to_owned(), events, identity.queue_sizes.len(), sink);
        let msix = Msix::new(vectors);

        let mut config = ConfigSpace::new(ids(identity.device_type));
        config.set_bar(bar, BAR_BYTES);
        let common = [
            (CFG_COMMON, COMMON, COMMON_BYTES),
            (CFG_ISR, ISR, ISR_BYTES),
            (CFG_DEVICE, DEVICE, DEVICE_BYTES),
        ];
        for (kind, offset, length) in common {
            config.add_capability(CAPABILITY_VENDOR, &virtio_capability(kind, offset, length, &[]));
        }
        let notify = virtio_capability(CFG_NOTIFY, NOTIFY, NOTIFY_BYTES, &NOTIFY_MULTIPLIER.to_le_bytes());
        config.add_capability(CAPABILITY_VENDOR, &notify);
        // The window through which firmware without MMIO reaches the BAR (4.1.4.9).
        let window = config.add_capability(CAPABILITY_VENDOR, &virtio_capability(CFG_PCI, 0, 0, &[0; 4]));
        config.allow(window + 4, &[0xff]);
        config.allow(window + 8, &[0xff; 8]);
        let table = u32::try_from(MSIX_TABLE).expect("within the BAR");
        let pending = u32::try_from(MSIX_PENDING).expect("within the BAR");
        let msix_capability = config.add_capability(msix::CAPABILITY, &msix.capability(table, pending));
        config.allow(msix_capability + 2, &Msix::CONTROL_WRITABLE);

        let queues =
            identity.queue_sizes.iter().map(|size| queue_registers(*size)).collect::<Result<_, _>>()?;
        let ring_features =
            1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_INDIRECT_DESC | 1 << VIRTIO_RING_F_EVENT_IDX;
        Ok(Self {
            name: name.to_owned(),
            config,
            msix,
            msix_capability,
            pci_cfg_capability: window,
            interrupts: Arc::new(interrupts),
            hypervisor,
            memory,
            offered: identity.features | ring_features,
            identity,
            device,
            driver_features: 0,
            device_feature_select: 0,
            driver_feature_select: 0,
            queue_select: 0,
            queues,
            bar_base: None,
            paused: false,
        })
    }

    /// The device's name and the counters of its queues, in order.
    pub fn metrics(&self) -> (String, Vec<Arc<QueueMetrics>>) {
        (self.name.clone(), self.queues.iter().map(|queue| Arc::clone(&queue.metrics)).collect())
    }

    /// Stops all queues and remembers where they stood. Nothing is in flight when this returns.
    pub fn pause(&mut self) {
        self.paused = true;
        for index in 0..self.queues.len() {
            if self.queues[index].running {
                self.queues[index].running = false;
                self.queues[index].paused_at = self.device.stop_queue(queue_number(index));
            }
        }
    }

    /// Starts the queues that `pause` stopped, from where they stood.
    pub fn resume(&mut self) {
        self.paused = false;
        for index in 0..self.queues.len() {
            if let Some(position) = self.queues[index].paused_at.take() {
                self.start(index, position);
            }
        }
    }

    fn start(&mut self, index: usize, position: RingPosition) {
        if self.paused {
            self.queues[index].paused_at = Some(position);
            return;
        }
        let started = self.ready_queue(index, position).and_then(|ready| {
            self.device.start_queue(ready).map_err(|error| format!("cannot start queue {index}: {error}"))
        });
        match started {
            Ok(()) => {
                self.queues[index].running = true;
                // Whatever was made available before, or while the queue stood still, is looked at now.
                let _ = self.queues[index].kick.write(1);
            }
            Err(message) => self.interrupts.needs_reset(&message),
        }
    }

    fn ready_queue(&self, index: usize, position: RingPosition) -> Result<ReadyQueue, String> {
        let registers = &self.queues[index];
        let broken = |what: &str| format!("queue {index} of {} is broken: {what}", self.name);
        let mut queue = Queue::new(registers.max_size).map_err(|error| broken(&error.to_string()))?;
        queue
            .try_set_size(registers.size)
            .and_then(|()| queue.try_set_desc_table_address(GuestAddress(registers.desc)))
            .and_then(|()| queue.try_set_avail_ring_address(GuestAddress(registers.avail)))
            .and_then(|()| queue.try_set_used_ring_address(GuestAddress(registers.used)))
            .map_err(|error| broken(&error.to_string()))?;
        queue.set_event_idx(self.driver_features & 1 << VIRTIO_RING_F_EVENT_IDX != 0);
        queue.set_next_avail(position.next_avail);
        queue.set_next_used(position.next_used);
        queue.set_ready(true);
        if !queue.is_valid(&self.memory) {
            return Err(broken("its rings are not in guest memory"));
        }
        let name = match (self.identity.device_type, index) {
            (DeviceType::Net, 0) => format!("{}-rx", self.name),
            (DeviceType::Net, 1) => format!("{}-tx", self.name),
            _ => self.name.clone(),
        };
        let clone = |event: &EventFd| event.try_clone().map_err(|error| broken(&error.to_string()));
        Ok(ReadyQueue {
            index: queue_number(index),
            name,
            queue,
            memory: self.memory.clone(),
            kick: clone(&registers.kick)?,
            interrupts: Arc::clone(&self.interrupts),
            features: self.driver_features,
            metrics: Arc::clone(&registers.metrics),
        })
    }

    /// Device reset (2.4): everything as at the start, but for configuration space.
    fn reset(&mut self) {
        for index in 0..self.queues.len() {
            if self.queues[index].running {
                self.device.stop_queue(queue_number(index));
            }
            let registers = &mut self.queues[index];
            registers.running = false;
            registers.paused_at = None;
            registers.enabled = false;
            registers.size = registers.max_size;
            (registers.desc, registers.avail, registers.used) = (0, 0, 0);
            let _ = registers.kick.read();
            self.interrupts.set_queue_vector(queue_number(index), super::interrupts::NO_VECTOR);
        }
        self.interrupts.set_config_vector(super::interrupts::NO_VECTOR);
        self.interrupts.set_status(0);
        self.driver_features = 0;
        (self.device_feature_select, self.driver_feature_select, self.queue_select) = (0, 0, 0);
    }

    fn set_status(&mut self, status: u8) {
        let before = self.interrupts.status();
        if status == 0 {
            return self.reset();
        }
        let acceptable =
            self.driver_features & !self.offered == 0 && self.driver_features & 1 << VIRTIO_F_VERSION_1 != 0;
        let refused = status & STATUS_FEATURES_OK != 0 && !acceptable;
        // A driver sees FEATURES_OK gone and gives up (3.1.1, step 6).
        let status = if refused { status & !STATUS_FEATURES_OK } else { status };
        self.interrupts.set_status(status);
        let ready = STATUS_DRIVER_OK | STATUS_FEATURES_OK;
        if status & ready == ready && before & STATUS_DRIVER_OK == 0 {
            for index in 0..self.queues.len() {
                if self.queues[index].enabled {
                    self.start(index, RingPosition { next_avail: 0, next_used: 0 });
                }
            }
        }
    }

    fn selected(&self) -> Option<&QueueRegisters> {
        self.queues.get(usize::from(self.queue_select))
    }

    // Common configuration (4.1.4.3). A field is read and written whole, 64-bit ones also by halves; anything else
    // reads as zero.
    fn read_common(&self, offset: u64, length: usize) -> u64 {
        let queue = self.selected();
        let half = |value: u64| if length == 8 { value } else { value & 0xffff_ffff };
        match (offset, length) {
            (0x00, 4) => self.device_feature_select.into(),
            (0x04, 4) => feature_word(self.offered, self.device_feature_select).into(),
            (0x08, 4) => self.driver_feature_select.into(),
            (0x0c, 4) => feature_word(self.driver_features, self.driver_feature_select).into(),
            (0x10, 2) => self.interrupts.config_vector().into(),
            (0x12, 2) => self.queues.len() as u64,
            (0x14, 1) => self.interrupts.status().into(),
            // No device of ours changes its configuration while the driver reads it.
            (0x15, 1) => 0,
            (0x16, 2) => self.queue_select.into(),
            (0x18, 2) => queue.map_or(0, |queue| queue.size.into()),
            (0x1a, 2) => self.interrupts.queue_vector(self.queue_select).into(),
            (0x1c, 2) => queue.map_or(0, |queue| queue.enabled.into()),
            (0x1e, 2) => queue.map_or(0, |_| self.queue_select.into()),
            (0x20, 4 | 8) => queue.map_or(0, |queue| half(queue.desc)),
            (0x24, 4) => queue.map_or(0, |queue| queue.desc >> 32),
            (0x28, 4 | 8) => queue.map_or(0, |queue| half(queue.avail)),
            (0x2c, 4) => queue.map_or(0, |queue| queue.avail >> 32),
            (0x30, 4 | 8) => queue.map_or(0, |queue| half(queue.used)),
            (0x34, 4) => queue.map_or(0, |queue| queue.used >> 32),
            _ => 0,
        }
    }

    fn write_common(&mut self, offset: u64, length: usize, value: u64) {
        match (offset, length) {
            (0x00, 4) => self.device_feature_select = value as u32,
            (0x08, 4) => self.driver_feature_select = value as u32,
            (0x0c, 4) => self.set_driver_features(value as u32),
            (0x10, 2) => self.interrupts.set_config_vector(value as u16),
            (0x14, 1) => self.set_status(value as u8),
            (0x16, 2) => self.queue_select = value as u16,
            (0x1a, 2) => self.interrupts.set_queue_vector(self.queue_select, value as u16),
            _ => self.write_queue(offset, length, value),
        }
    }

    // Once enabled a queue does not change any more (4.1.4.3.2), so a driver cannot move rings under a worker.
    fn write_queue(&mut self, offset: u64, length: usize, value: u64) {
        let select = usize::from(self.queue_select);
        let Some(queue) = self.queues.get_mut(select).filter(|queue| !queue.enabled) else { return };
        let low = |old: u64| if length == 8 { value } else { old & !0xffff_ffff | value };
        let high = |old: u64| old & 0xffff_ffff | value << 32;
        match (offset, length) {
            (0x18, 2) => queue.size = value as u16,
            (0x1c, 2) => queue.enabled = value == 1,
            (0x20, 4 | 8) => queue.desc = low(queue.desc),
            (0x24, 4) => queue.desc = high(queue.desc),
            (0x28, 4 | 8) => queue.avail = low(queue.avail),
            (0x2c, 4) => queue.avail = high(queue.avail),
            (0x30, 4 | 8) => queue.used = low(queue.used),
            (0x34, 4) => queue.used = high(queue.used),
            _ => {}
        }
    }

    // Fixed once negotiated (3.1.1): a later change would leave running queues with features of another time.
    fn set_driver_features(&mut self, word: u32) {
        if self.interrupts.status() & STATUS_FEATURES_OK != 0 {
            return;
        }
        match self.driver_feature_select {
            0 => self.driver_features = self.driver_features & !0xffff_ffff | u64::from(word),
            1 => self.driver_features = self.driver_features & 0xffff_ffff | u64::from(word) << 32,
            _ => {}
        }
    }

    fn read_device(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        let length = u64::from(self.identity.config_length);
        let available = usize::try_from(length.saturating_sub(offset)).unwrap_or(0).min(data.len());
        self.device.read_config(offset as u32, &mut data[..available]);
    }

    fn write_device(&mut self, offset: u64, data: &[u8]) {
        if offset + data.len() as u64 <= u64::from(self.identity.config_length) {
            self.device.write_config(offset as u32, data);
        }
    }

    fn notify(&self, offset: u64) {
        // Reached only where the hypervisor could not take the doorbell itself.
        let index = usize::try_from(offset / u64::from(NOTIFY_MULTIPLIER)).unwrap_or(usize::MAX);
        if let Some(queue) = self.queues.get(index) {
            let _ = queue.kick.write(1);
        }
    }

    fn doorbell(base: u64, index: usize) -> u64 {
        base + NOTIFY + index as u64 * u64::from(NOTIFY_MULTIPLIER)
    }

    /// Where the PCI configuration window points, if it points at 1, 2 or 4 bytes of BAR 0.
    fn window(&self) -> Option<(u64, usize)> {
        let bar = self.config.u16(self.pci_cfg_capability + 4) & 0xff;
        let offset = self.config.u32(self.pci_cfg_capability + 8);
        let length = self.config.u32(self.pci_cfg_capability + 12);
        let valid =
            bar == 0 && matches!(length, 1 | 2 | 4) && offset.is_multiple_of(length) && offset < BAR_BYTES;
        valid.then_some((offset.into(), length as usize))
    }

    fn is_window_data(&self, offset: usize) -> bool {
        offset == self.pci_cfg_capability + 16
    }
}

fn queue_registers(max_size: u16) -> io::Result<QueueRegisters> {
    Ok(QueueRegisters {
        max_size,
        size: max_size,
        enabled: false,
        desc: 0,
        avail: 0,
        used: 0,
        kick: EventFd::new(EFD_NONBLOCK)?,
        metrics: Arc::default(),
        running: false,
        paused_at: None,
    })
}

fn queue_number(index: usize) -> u16 {
    u16::try_from(index).expect("devices have a handful of queues")
}

fn feature_word(features: u64, select: u32) -> u32 {
    match select {
        0 => features as u32,
        1 => (features >> 32) as u32,
        _ => 0,
    }
}

/// A virtio capability after its id and next pointer (4.1.4): length, type, BAR, padding, offset, length, and `more`.
fn virtio_capability(kind: u8, offset: u64, length: u64, more: &[u8]) -> Vec<u8> {
    let size = u8::try_from(16 + more.len()).expect("capabilities are 16 or 20 bytes");
    let mut body = vec![size, kind, 0, 0, 0, 0];
    body.extend_from_slice(&(offset as u32).to_le_bytes());
    body.extend_from_slice(&(length as u32).to_le_bytes());
    body.extend_from_slice(more);
    body
}

fn ids(device_type: DeviceType) -> Ids {
    let class = match device_type {
        DeviceType::Net => 0x02_00_00,
        DeviceType::Block => 0x01_80_00,
        DeviceType::Rng => 0xff_00_00,
    };
    let number = device_type as u16;
    Ids {
        vendor: 0x1af4,
        device: 0x1040 + number,
        class,
        revision: 1,
        subsystem_vendor: 0x1af4,
        subsystem: 0x1100,
    }
}

fn value_of(data: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..data.len()].copy_from_slice(data);
    u64::from_le_bytes(bytes)
}

impl BusDevice for VirtioPci {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let length = data.len();
        match offset {
            COMMON..0x40 => data.copy_from_slice(&self.read_common(offset, length).to_le_bytes()[..length]),
            DEVICE..0x2000 => self.read_device(offset - DEVICE, data),
            MSIX_TABLE..0x3800 => self.msix.read_table(offset - MSIX_TABLE, data),
            MSIX_PENDING..0x3880 => self.msix.read_pending(offset - MSIX_PENDING, data),
            // The ISR is for interrupt pins, which there are none of; notification registers read as zero.
            _ => data.fill(0),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        match offset {
            COMMON..0x40 => self.write_common(offset, data.len(), value_of(data)),
            DEVICE..0x2000 => self.write_device(offset - DEVICE, data),
            NOTIFY..0x3000 => self.notify(offset - NOTIFY),
            MSIX_TABLE..0x3800 => self.msix.write_table(offset - MSIX_TABLE, data),
            _ => {}
        }
    }
}

impl PciDevice for VirtioPci {
    fn read_config(&mut self, offset: usize, data: &mut [u8]) {
        match self.window() {
            Some((at, length)) if self.is_window_data(offset) && length == data.len() => self.read(at, data),
            _ => self.config.read(offset, data),
        }
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        if let Some((at, length)) = self.window().filter(|_| self.is_window_data(offset))
            && length == data.len()
        {
            return self.write(at, data);
        }
        self.config.write(offset, data);
        let control = self.msix_capability + 2;
        if (offset..offset + data.len()).contains(&(control + 1)) {
            self.msix.set_control(self.config.u16(control));
        }
    }

    fn bar(&self) -> Option<(u64, u64)> {
        self.config.bar()
    }

    fn bar_moved(&mut self, base: Option<u64>) {
        if let Some(old) = self.bar_base.take() {
            for (index, queue) in self.queues.iter().enumerate() {
                self.hypervisor.detach_doorbell(Self::doorbell(old, index), &queue.kick);
            }
        }
        let Some(base) = base else { return };
        for (index, queue) in self.queues.iter().enumerate() {
            if let Err(error) = self.hypervisor.attach_doorbell(Self::doorbell(base, index), &queue.kick) {
                log::warn!("{}: notifications of queue {index} take the slow way: {error}", self.name);
            }
        }
        self.bar_base = Some(base);
    }
}

impl Drop for VirtioPci {
    fn drop(&mut self) {
        self.reset();
        self.bar_moved(None);
    }
}

const _: () = assert!(COMMON_BYTES == 0x40 && DEVICE_BYTES == 0x1000 && NOTIFY_BYTES == 0x1000);
const _: () = assert!(MSIX_TABLE_BYTES == 0x800 && MSIX_PENDING_BYTES == 0x80 && ISR_BYTES == 4);
