//! The core's states in the cloud's words: tables without a wildcard.
#![deny(clippy::wildcard_enum_match_arm)]

use compute::lifecycle::{OnPowerOff, State};
use compute::resource::{Architecture, ImageState, MetadataTokens, SnapshotState, VolumeState};

use super::xml::Tree;

/// The state of an instance: a number, of which only the low byte means anything, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceState {
    /// The number.
    pub code: u16,
    /// The name.
    pub name: &'static str,
}

impl InstanceState {
    /// As all answers have it.
    pub fn tree(self) -> Tree {
        Tree::new().text("code", self.code).text("name", self.name)
    }
}

/// Of instances. One that reboots is running all the while; what failed can be started, as what is stopped.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html>
pub fn instance(state: State) -> InstanceState {
    let (code, name) = match state {
        State::Creating | State::Starting => (0, "pending"),
        State::Running | State::Rebooting => (16, "running"),
        State::Terminating => (32, "shutting-down"),
        State::Terminated => (48, "terminated"),
        State::Stopping | State::Locking => (64, "stopping"),
        State::Created | State::Stopped | State::Locked | State::Failed => (80, "stopped"),
    };
    InstanceState { code, name }
}

/// Of volumes.
pub fn volume(state: VolumeState) -> &'static str {
    match state {
        VolumeState::Creating => "creating",
        VolumeState::Available => "available",
        VolumeState::InUse => "in-use",
        VolumeState::Deleting => "deleting",
        VolumeState::Failed => "error",
    }
}

/// Of snapshots; `None` of one that is gone.
pub fn snapshot(state: SnapshotState) -> Option<&'static str> {
    match state {
        SnapshotState::Pending => Some("pending"),
        SnapshotState::Completed => Some("completed"),
        SnapshotState::Failed => Some("error"),
        SnapshotState::Deleting => None,
    }
}

/// Of images; `None` of one that is gone.
pub fn image(state: ImageState) -> Option<&'static str> {
    match state {
        ImageState::Pending => Some("pending"),
        ImageState::Available => Some("available"),
        ImageState::Deregistered => None,
    }
}

/// What machines something is for.
pub fn architecture(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::I386 => "i386",
    }
}

/// The words for them.
pub const ARCHITECTURES: &[(&str, Architecture)] =
    &[("i386", Architecture::I386), ("x86_64", Architecture::X86_64)];

/// What becomes of an instance whose guest powers off.
pub fn shutdown_behavior(on_power_off: OnPowerOff) -> &'static str {
    match on_power_off {
        OnPowerOff::Stop => "stop",
        OnPowerOff::Terminate => "terminate",
    }
}

/// The words for that.
pub const SHUTDOWN_BEHAVIORS: &[(&str, OnPowerOff)] =
    &[("stop", OnPowerOff::Stop), ("terminate", OnPowerOff::Terminate)];

/// Whether a guest has to show a token.
pub fn tokens(tokens: MetadataTokens) -> &'static str {
    match tokens {
        MetadataTokens::Optional => "optional",
        MetadataTokens::Required => "required",
    }
}

/// The words for that.
pub const TOKENS: &[(&str, MetadataTokens)] =
    &[("optional", MetadataTokens::Optional), ("required", MetadataTokens::Required)];

/// Words for something that is there or is not.
pub const ENABLED: &[(&str, bool)] = &[("enabled", true), ("disabled", false)];

/// The word for it.
pub fn enabled(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}
