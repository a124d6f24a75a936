//! The VMM: one process around one virtual machine.
//!
//! The way of a boot: `control::serve` → `machine::Machine::handle` → `Machine::boot` → `vm::Vm::build` →
//! `vcpu::Vcpu::run` → `devices::bus::Bus::write`. The machine's thread owns the state; everybody else asks it through
//! `machine::Handle`. Public is what `main` and the fuzz targets need, not an interface for others.

pub mod boot;
pub mod cli;
pub mod control;
pub mod machine;
pub mod validate;

// As documentation of its own, so that a renamed function in it breaks `cargo doc`.
#[doc = include_str!("../LIFE_OF_A_PACKET.md")]
pub mod life_of_a_packet {}

mod acpi;
mod console;
mod cpuid;
mod events;
mod host;
mod identity;
mod irq;
mod kvm;
mod layout;
mod memory;
mod metrics;
mod nic;
mod smbios;
mod vcpu;
mod vm;

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
