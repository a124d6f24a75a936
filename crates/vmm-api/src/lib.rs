//! The contract of bothy-vmm's control socket: what a VM may be asked, what it answers, and a client for it.
//!
//! Everything the VMM and its callers (daemon, command line, tests) share is here and nothing else: no KVM, no
//! device, no cloud. The VMM's side is `vmm::control`; callers enable the feature `client`.

mod config;
mod error;
mod event;
mod nic;
mod state;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "openapi")]
mod openapi;

pub use config::{
    Boot, ConsoleConfig, Dhcp, Disk, DiskBoot, DiskSource, KernelBoot, MacAddress, MacAddressError, Memory,
    Nic, Smbios, TapSource, VmConfig,
};
pub use error::{ErrorBody, ErrorCode};
pub use event::{Event, EventKind, EventPage};
pub use nic::{DhcpRoute, Guard, MetadataRelay, NicUpdate};
pub use state::{ConsoleHistory, Exit, ExitReason, Pids, VmInfo, VmState};

#[cfg(feature = "client")]
pub use client::{Client, ClientError, ConsoleStream};
#[cfg(feature = "openapi")]
pub use openapi::openapi;

/// Largest request body the control socket reads, in bytes. A configuration of 60 disks and 16 network interfaces
/// with every string at its limit stays well below.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Most bytes of console output in one answer. One that has as many may have more behind it: ask again from its end.
pub const MAX_CONSOLE_BYTES: usize = 1 << 20;

/// Name of the protocol asked for in `Upgrade:` to attach to the console in both directions.
pub const CONSOLE_PROTOCOL: &str = "bothy-console";

/// Response header that carries the console offset of the first byte of the body.
pub const CONSOLE_OFFSET_HEADER: &str = "bothy-console-offset";
