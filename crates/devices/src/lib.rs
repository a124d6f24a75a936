//! The devices of the machine, as models: registers in, effects out. Nothing here calls KVM; what a device needs of
//! the hypervisor (an interrupt, a doorbell) it is handed as an eventfd, or asks for through `pci::Hypervisor`.
//!
//! `vmm::vm` builds and wires them. The guest is hostile: whatever it writes, a device answers, counts and goes on.

pub mod bus;
pub mod events;
pub mod i8042;
pub mod pci;
pub mod power;
pub mod rtc;
pub mod serial;
pub mod virtio;
