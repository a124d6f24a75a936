//! Whether KVM is there, may be used, has what bothy-vmm needs, and runs what a kernel cannot do without: some only emulate
//! guest code, and not every instruction of it.

use std::io;

use kvm_ioctls::{Cap, Kvm};

use super::Finding;

const CHECK: &str = "/dev/kvm";

/// The only version of KVM's interface that there ever was.
const API_VERSION: i32 = 12;

/// What bothy-vmm asks of KVM before it makes a machine.
const NEEDED: &[(Cap, &str)] = &[
    (Cap::Irqchip, "irqchip"),
    (Cap::Irqfd, "irqfd"),
    (Cap::Ioeventfd, "ioeventfd"),
    (Cap::IoeventfdNoLength, "ioeventfd without length"),
    (Cap::ImmediateExit, "immediate exit"),
    (Cap::UserMemory, "user memory"),
    (Cap::ExtCpuid, "extended CPUID"),
    (Cap::Pit2, "timer"),
];

/// Looks.
pub(super) fn look() -> Finding {
    let kvm = match Kvm::new() {
        Ok(kvm) => kvm,
        Err(error) => return cannot_open(io::Error::from_raw_os_error(error.errno())),
    };
    let version = kvm.get_api_version();
    if version != API_VERSION {
        return Finding::missing(
            CHECK,
            format!("has interface version {version}"),
            "use a kernel of 2.6.22 or later",
        );
    }
    let lacking: Vec<_> =
        NEEDED.iter().filter(|(cap, _)| !kvm.check_extension(*cap)).map(|(_, name)| *name).collect();
    if !lacking.is_empty() {
        return Finding::missing(CHECK, format!("lacks {}", lacking.join(", ")), "use a newer kernel");
    }
    match kvm.create_vm() {
        Ok(_) => match kvm_probe::probe(&["doctor", "--probe-kvm"]) {
            Ok(()) => Finding::ok(CHECK, format!("runs VMs of up to {} vCPUs", kvm.get_max_vcpus())),
            Err(error) => Finding::missing(
                CHECK,
                format!("makes VMs, and cannot run Linux in them: {error:#}"),
                "it may be an emulation, as inside some VMs: use a host with VT-x or AMD-V",
            ),
        },
        Err(error) => Finding::missing(
            CHECK,
            format!("makes no VM: {}", io::Error::from_raw_os_error(error.errno())),
            "see dmesg; another hypervisor may hold the processor's extensions",
        ),
    }
}

fn cannot_open(error: io::Error) -> Finding {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => {
            "load its module, modprobe kvm_intel or modprobe kvm_amd; if that fails, turn on VT-x or AMD-V in the firmware"
        }
        io::ErrorKind::PermissionDenied => {
            "run as root, or join its group: usermod -aG kvm USER, and log in again"
        }
        _ => "see dmesg",
    };
    Finding::missing(CHECK, format!("cannot be opened: {error}"), advice)
}
