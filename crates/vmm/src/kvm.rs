//! /dev/kvm: opening it, checking that it has what the machine is built from, and making a VM with its interrupt
//! controllers.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, KVM_PIT_SPEAKER_DUMMY, kvm_pit_config};
use kvm_ioctls::{Cap, Kvm, VmFd};

use crate::layout;

/// Most vCPUs of a machine: APIC ids above 254 need tables that no guest of ours was tested with.
pub const MAX_APIC_ID: u32 = 254;

/// Why KVM cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// The device cannot be opened.
    #[error("cannot open /dev/kvm")]
    Open(#[source] kvm_ioctls::Error),
    /// A capability is missing.
    #[error("this host's KVM lacks {0:?}")]
    Lacks(Cap),
    /// An operation failed.
    #[error("KVM cannot {what}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// What KVM says.
        source: kvm_ioctls::Error,
    },
}

/// What the machine is built from; the rest is used if it is there.
const NEEDED: [Cap; 8] = [
    Cap::Irqchip,
    Cap::Irqfd,
    Cap::Ioeventfd,
    Cap::IoeventfdNoLength,
    Cap::ImmediateExit,
    Cap::UserMemory,
    Cap::ExtCpuid,
    Cap::Pit2,
];

/// An open /dev/kvm.
pub struct Hypervisor {
    kvm: Kvm,
}

impl Hypervisor {
    /// Opens and checks it.
    pub fn open() -> Result<Self, KvmError> {
        let kvm = Kvm::new().map_err(KvmError::Open)?;
        match NEEDED.into_iter().find(|cap| !kvm.check_extension(*cap)) {
            Some(missing) => Err(KvmError::Lacks(missing)),
            None => Ok(Self { kvm }),
        }
    }

    /// Most vCPUs of a machine on this host.
    pub fn max_vcpus(&self) -> u32 {
        u32::try_from(self.kvm.get_max_vcpus()).unwrap_or(u32::MAX).min(MAX_APIC_ID + 1)
    }

    /// The CPUID leaves that KVM can give, and whether the TSC deadline timer works.
    pub fn cpuid(&self) -> Result<(CpuId, bool), KvmError> {
        let supported =
            self.kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(failed("tell its CPUID"))?;
        Ok((supported, self.kvm.check_extension(Cap::TscDeadlineTimer)))
    }

    /// A VM with interrupt controllers and timer, without memory and vCPUs.
    pub fn create_vm(&self) -> Result<VmFd, KvmError> {
        let vm = self.kvm.create_vm().map_err(failed("create a VM"))?;
        vm.set_identity_map_address(layout::KVM_IDENTITY_MAP).map_err(failed("place its identity map"))?;
        vm.set_tss_address(layout::KVM_TSS).map_err(failed("place its task state"))?;
        vm.create_irq_chip().map_err(failed("create the interrupt controllers"))?;
        let pit = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
        vm.create_pit2(pit).map_err(failed("create the timer"))?;
        Ok(vm)
    }
}

/// Makes a KVM error say what was tried.
pub fn failed(what: &'static str) -> impl Fn(kvm_ioctls::Error) -> KvmError {
    move |source| KvmError::Failed { what, source }
}
