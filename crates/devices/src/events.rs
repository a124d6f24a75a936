//! What a device tells the operator: things that go wrong on the host or in a driver. Rare by construction; never one
//! per request.

use std::sync::Arc;

/// Something the operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// The host could not do an I/O for a disk; the guest saw an I/O error. Sent once per error number until an
    /// operation of that disk succeeds again.
    DiskError {
        /// The disk's id.
        disk: String,
        /// The host's error number.
        errno: i32,
    },
    /// A driver broke its rings; the device waits for a reset.
    NeedsReset {
        /// The device's name, as in its thread and metrics.
        device: String,
        /// Why.
        message: String,
    },
}

/// Where device events go. Called from queue workers: must not block.
pub type EventSink = Arc<dyn Fn(DeviceEvent) + Send + Sync>;
