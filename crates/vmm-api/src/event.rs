//! What happened to a VM: the answer of `GET /v1/vm/events`.

use serde::{Deserialize, Serialize};

use crate::Exit;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Position in the sequence of this process, from 1, without gaps.
    pub seq: u64,
    /// Milliseconds since the Unix epoch by the host's clock.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// A configuration was accepted.
    Configured,
    /// The machine is being built.
    Booting,
    /// Building it failed; the VM is configured as before.
    BootFailed {
        /// Why.
        message: String,
    },
    /// vCPUs started to run.
    Booted,
    /// vCPUs and queues stand still.
    Paused,
    /// vCPUs and queues go on.
    Resumed,
    /// The power button was pressed.
    PowerButton,
    /// The guest asked for a reset; the machine is built anew.
    GuestReset,
    /// The API asked for a reset; the machine is built anew.
    Reset,
    /// The machine ended.
    Exited {
        /// How.
        #[serde(flatten)]
        exit: Exit,
    },
    /// The host could not do an I/O for a disk; the guest saw an I/O error. Reported once per disk and error until
    /// an operation of that disk succeeds again.
    DiskError {
        /// The disk's id.
        disk: String,
        /// The host's error number, 28 (ENOSPC) for a full file system.
        errno: i32,
        /// The same for people.
        message: String,
    },
    /// A device gave up on a broken driver and waits for its reset.
    DeviceNeedsReset {
        /// Which device.
        device: String,
        /// Why.
        message: String,
    },
    /// The console's log file cannot be written; output goes on in memory.
    ConsoleLogError {
        /// Why.
        message: String,
    },
}

/// Some events in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventPage {
    /// Events after `since`, oldest first. Empty when the wait ended without one.
    pub events: Vec<Event>,
    /// Give this as `since` next time.
    pub next: u64,
    /// Events after `since` that are gone because too many came after them.
    pub missed: u64,
}
