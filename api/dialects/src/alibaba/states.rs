//! The core's states in the cloud's words: tables without a wildcard.
#![deny(clippy::wildcard_enum_match_arm)]

use compute::lifecycle::State;
use compute::resource::{ImageState, MetadataTokens, SnapshotState, VolumeKind, VolumeState};

/// Of instances; `None` of one that is released, which nobody is shown. What failed can be started, as what is stopped.
///
/// <https://www.alibabacloud.com/help/en/ecs/user-guide/instance-states>
pub fn instance(state: State) -> Option<&'static str> {
    match state {
        State::Creating => Some("Pending"),
        State::Created | State::Stopped | State::Locked | State::Failed => Some("Stopped"),
        State::Starting | State::Rebooting => Some("Starting"),
        State::Running => Some("Running"),
        State::Stopping | State::Locking => Some("Stopping"),
        State::Terminating | State::Terminated => None,
    }
}

/// Whether an instance is locked for want of payment.
pub fn is_locked(state: State) -> bool {
    match state {
        State::Locking | State::Locked => true,
        State::Creating | State::Created | State::Starting | State::Running | State::Rebooting => false,
        State::Stopping | State::Stopped | State::Terminating | State::Terminated | State::Failed => false,
    }
}

/// Of disks; `None` of one that is gone. The cloud has no word for one that could not be made.
pub fn disk(state: VolumeState) -> Option<&'static str> {
    match state {
        VolumeState::Creating => Some("Creating"),
        VolumeState::Available => Some("Available"),
        VolumeState::InUse => Some("In_use"),
        VolumeState::Failed => Some("Failed"),
        VolumeState::Deleting => None,
    }
}

/// What a disk is for.
pub fn disk_type(kind: VolumeKind) -> &'static str {
    match kind {
        VolumeKind::System => "system",
        VolumeKind::Data | VolumeKind::Ephemeral | VolumeKind::Swap => "data",
    }
}

/// Of snapshots; `None` of one that is gone.
pub fn snapshot(state: SnapshotState) -> Option<&'static str> {
    match state {
        SnapshotState::Pending => Some("progressing"),
        SnapshotState::Completed => Some("accomplished"),
        SnapshotState::Failed => Some("failed"),
        SnapshotState::Deleting => None,
    }
}

/// Of images; `None` of one that is gone.
pub fn image(state: ImageState) -> Option<&'static str> {
    match state {
        ImageState::Pending => Some("Creating"),
        ImageState::Available => Some("Available"),
        ImageState::Deregistered => None,
    }
}

/// Whether a guest has to show a token.
pub fn tokens(tokens: MetadataTokens) -> &'static str {
    match tokens {
        MetadataTokens::Optional => "optional",
        MetadataTokens::Required => "required",
    }
}

/// The words by which a guest is to have to show one.
pub const TOKENS: &[(&str, MetadataTokens)] =
    &[("optional", MetadataTokens::Optional), ("required", MetadataTokens::Required)];
