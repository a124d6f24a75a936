//! How a failed boot is told: the one place where the machine's errors become stable codes with hints.

use std::io;
use std::path::PathBuf;

use devices::virtio::block::OpenDiskError;
use vmm_api::{ErrorBody, ErrorCode, VmState};

use super::Action;
use crate::boot::LoadError;
use crate::chain;
use crate::host::OpenResourcesError;
use crate::kvm::KvmError;
use crate::memory::MemoryError;
use crate::vm::BuildError;

/// Why a machine did not boot.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Disks and taps.
    #[error(transparent)]
    Host(#[from] OpenResourcesError),
    /// Kernel or initrd.
    #[error("cannot open {}", path.display())]
    OpenFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The boot files on the disk.
    #[error("cannot boot from the first disk")]
    ReadDisk(#[source] storage::ReadBootDiskError),
    /// The machine.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// The answer for it.
pub fn body(error: &BootError) -> ErrorBody {
    let (code, hint) = code_and_hint(error);
    code.body(chain(error), hint)
}

fn code_and_hint(error: &BootError) -> (ErrorCode, &'static str) {
    match error {
        BootError::Host(OpenResourcesError::Disk { source, .. }) => disk(source),
        BootError::Host(OpenResourcesError::Tap { .. }) => (
            ErrorCode::TapUnavailable,
            "create the tap first (ip tuntap add NAME mode tap), give this user access, and use it for one VM only",
        ),
        BootError::Host(OpenResourcesError::Descriptor { .. }) => {
            (ErrorCode::FileUnavailable, "start bothy-vmm with that descriptor open")
        }
        BootError::OpenFile { .. } => (ErrorCode::FileUnavailable, "check the path and its permissions"),
        BootError::ReadDisk(_) => (
            ErrorCode::DiskNotBootable,
            "use a raw image with an installed Linux, or boot a kernel file instead",
        ),
        BootError::Build(build_error) => build(build_error),
    }
}

fn disk(error: &OpenDiskError) -> (ErrorCode, &'static str) {
    match error {
        OpenDiskError::InUse => {
            (ErrorCode::DiskInUse, "stop the other VM, or attach the disk read-only to both")
        }
        OpenDiskError::Open(_) => (ErrorCode::FileUnavailable, "check the path and its permissions"),
        _ => (ErrorCode::InvalidDisk, "give a raw image file or a block device"),
    }
}

fn build(error: &BuildError) -> (ErrorCode, &'static str) {
    match error {
        BuildError::Kvm(KvmError::Open(_)) => (
            ErrorCode::KvmUnavailable,
            "load kvm-intel or kvm-amd, enable virtualization in the firmware, and give this user access to /dev/kvm",
        ),
        BuildError::Kvm(KvmError::Lacks(_)) => (ErrorCode::KvmUnavailable, "use a newer kernel on the host"),
        BuildError::TooManyVcpus { .. } => (ErrorCode::InvalidConfig, "give fewer vCPUs"),
        BuildError::Memory(MemoryError::Allocate { .. }) => {
            (ErrorCode::OutOfMemory, "give the machine less memory, or reserve huge pages if it uses them")
        }
        BuildError::Load(LoadError::CommandLine { .. }) => {
            (ErrorCode::InvalidConfig, "shorten the command line")
        }
        BuildError::Load(_) => {
            (ErrorCode::InvalidKernel, "give a bzImage or ELF kernel for x86-64, and its initrd")
        }
        BuildError::Kvm(KvmError::Failed { .. })
        | BuildError::Memory(_)
        | BuildError::Tables(_)
        | BuildError::Registers(_)
        | BuildError::Device { .. }
        | BuildError::Overlap(_)
        | BuildError::Threads(_) => (ErrorCode::HostFailure, "look at the host's kernel log and limits"),
    }
}

/// The answer for an action that this state does not take.
pub fn wrong_state(action: &Action, state: VmState) -> ErrorBody {
    let verb = match action {
        Action::Configure(_) => "be configured anew",
        Action::UpdateNic(..) => "have a network interface changed",
        Action::Boot => "boot",
        Action::Pause => "be paused",
        Action::Resume => "be resumed",
        Action::PowerButton => "have its power button pressed",
        Action::Reset => "be reset",
        Action::Kill => "be killed",
    };
    let (name, hint) = match state {
        VmState::Empty => ("has no configuration", "send one with PUT /v1/vm"),
        VmState::Configured => ("is not booted", "boot it with POST /v1/vm/boot"),
        VmState::Booting => ("is being built", "wait for its next event"),
        VmState::Running => ("is running", "wait until it ends, or end it with POST /v1/vm/kill"),
        VmState::Paused => {
            ("is paused", "resume it with POST /v1/vm/resume, or end it with POST /v1/vm/kill")
        }
        VmState::Exited => ("has ended", "configure it again with PUT /v1/vm"),
    };
    ErrorCode::WrongState.body(format!("the VM cannot {verb}: it {name}"), hint)
}
