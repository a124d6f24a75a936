//! PCI: the configuration space of a function (`config`), its MSI-X vectors (`msix`), and the buses they sit on,
//! reached by ECAM (`root`) or by I/O ports (`ports`). Interrupt pins and bridges are left out: every device is an
//! endpoint on a root bus and uses MSI-X.

pub mod config;
pub mod msix;
pub mod ports;
pub mod root;

use std::io;
use std::sync::Arc;

use vmm_sys_util::eventfd::EventFd;

use crate::bus::BusDevice;

/// An MSI message: what a vector writes to interrupt a vCPU (PCI 3.0, 6.8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MsiMessage {
    /// Address written to: selects the local APIC.
    pub address: u64,
    /// Value written: vector and delivery mode.
    pub data: u32,
}

/// One message-signalled interrupt of the hypervisor. Its event may be signalled at any time; while it is not
/// connected the signal stays pending in the event's counter.
pub trait MsiVector: Send + Sync {
    /// Writing 1 raises the interrupt. Non-blocking.
    fn event(&self) -> &EventFd;
    /// Delivers signals, also a pending one, as `message`.
    fn connect(&self, message: MsiMessage) -> io::Result<()>;
    /// Holds signals back.
    fn disconnect(&self);
}

/// What PCI devices need of the hypervisor.
pub trait Hypervisor: Send + Sync {
    /// A new interrupt.
    fn msi_vector(&self) -> io::Result<Arc<dyn MsiVector>>;
    /// From now on a guest write to `address` signals `kick` without an exit to user space.
    fn attach_doorbell(&self, address: u64, kick: &EventFd) -> io::Result<()>;
    /// Takes that back.
    fn detach_doorbell(&self, address: u64, kick: &EventFd);
}

/// A PCI function with one memory BAR. As a `BusDevice` it answers accesses to that BAR.
pub trait PciDevice: BusDevice {
    /// Reads configuration space; `offset + data.len()` is within 256 and naturally aligned.
    fn read_config(&mut self, offset: usize, data: &mut [u8]);
    /// Writes configuration space, likewise.
    fn write_config(&mut self, offset: usize, data: &[u8]);
    /// Where the BAR is decoded now, if it is, and its length.
    fn bar(&self) -> Option<(u64, u64)>;
    /// The BAR answers at this address from now on, or nowhere.
    fn bar_moved(&mut self, base: Option<u64>);
}
