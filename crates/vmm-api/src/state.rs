//! What a VM is and does: the answer of `GET /v1/vm` and of every action on it.

use serde::{Deserialize, Serialize};

use crate::VmConfig;

/// The state of the VM, owned by the VMM and by nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VmState {
    /// No configuration was given yet.
    Empty,
    /// Configured, not booted since.
    Configured,
    /// The machine is being built: boot files are read, guest memory and devices made.
    Booting,
    /// vCPUs run.
    Running,
    /// vCPUs and queues stand still; all state is kept.
    Paused,
    /// The machine ended; `VmInfo::exit` says why. A new `PUT /v1/vm` configures it again.
    Exited,
}

/// Why a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The guest powered off (ACPI S5).
    PowerOff,
    /// A vCPU met a fault while it handled a double fault.
    TripleFault,
    /// KVM could not go on: an instruction it cannot emulate, an invalid entry state.
    KvmInternalError,
    /// Ended by `POST /v1/vm/kill`.
    Killed,
    /// The guest rebooted and the machine could not be built again.
    RebootFailed,
    /// The VMM itself could not go on: a thread failed, the host refused a resource.
    VmmError,
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exit {
    /// The reason, for programs.
    pub reason: ExitReason,
    /// The reason in a line, for people: which vCPU, which instruction pointer, which error.
    pub message: String,
}

/// Processes and threads of the VMM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pids {
    /// The VMM's process id.
    pub vmm: u32,
    /// Thread ids of the vCPUs, by vCPU number; empty unless booted.
    pub vcpus: Vec<u32>,
}

/// The VM as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VmInfo {
    /// The id given on the command line.
    pub id: String,
    /// Version of the VMM.
    pub version: String,
    /// The state.
    pub state: VmState,
    /// Set in state `exited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Milliseconds since the machine was last built, by boot or reset; 0 unless it exists. Goes on while paused.
    pub uptime_ms: u64,
    /// How often the machine was built in this process: 1 after boot, one more for each reset.
    pub boots: u64,
    /// Sequence number of the newest event.
    pub last_event: u64,
    /// Processes and threads.
    pub pids: Pids,
    /// The configuration in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<VmConfig>,
}

/// A stretch of the console's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleHistory {
    /// Bytes of output before the first one here, since the process started. Later than asked for if the oldest bytes
    /// are gone.
    pub offset: u64,
    /// The output.
    pub bytes: Vec<u8>,
}
