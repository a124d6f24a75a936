//! The core's small enums in the API's words, and back: tables without a wildcard.
#![deny(clippy::wildcard_enum_match_arm)]

use compute::lifecycle::{self, State};
use compute::resource;

/// A table between two enums of the same meaning.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $from:ty => $to:ty { $($one:ident => $other:ident),* $(,)? }) => {
        $(#[$doc])*
        pub fn $name(one: $from) -> $to {
            match one { $(<$from>::$one => <$to>::$other),* }
        }
    };
}

table! {
    /// Of instances.
    instance, State => native_api::InstanceState {
        Creating => Creating, Created => Created, Starting => Starting, Running => Running, Rebooting => Rebooting,
        Stopping => Stopping, Stopped => Stopped, Locking => Locking, Locked => Locked, Terminating => Terminating,
        Terminated => Terminated, Failed => Failed,
    }
}
table! {
    /// Of volumes.
    volume, resource::VolumeState => native_api::VolumeState {
        Creating => Creating, Available => Available, InUse => InUse, Deleting => Deleting, Failed => Failed,
    }
}
table! {
    /// Of snapshots.
    snapshot, resource::SnapshotState => native_api::SnapshotState {
        Pending => Creating, Completed => Available, Deleting => Deleting, Failed => Failed,
    }
}
table! {
    /// What an image is for.
    architecture, resource::Architecture => native_api::Architecture { X86_64 => X86_64, I386 => I386 }
}
table! {
    /// What a new image is for.
    new_architecture, native_api::Architecture => resource::Architecture { X86_64 => X86_64, I386 => I386 }
}
table! {
    /// When the guest powers off.
    on_power_off, lifecycle::OnPowerOff => native_api::OnPowerOff { Stop => Stop, Terminate => Terminate }
}
table! {
    /// When the guest is to power off.
    new_on_power_off, native_api::OnPowerOff => lifecycle::OnPowerOff { Stop => Stop, Terminate => Terminate }
}
table! {
    /// When a VM fails.
    on_failure, lifecycle::OnFailure => native_api::OnFailure { Report => Report, Restart => Restart, Terminate => Terminate }
}
table! {
    /// When a VM is to fail.
    new_on_failure, native_api::OnFailure => lifecycle::OnFailure { Report => Report, Restart => Restart, Terminate => Terminate }
}
table! {
    /// When the host was rebooted.
    after_host_reboot, lifecycle::AfterHostReboot => native_api::AfterHostReboot { Start => Start, Stop => Stop, Terminate => Terminate }
}
table! {
    /// When the host is rebooted.
    new_after_host_reboot, native_api::AfterHostReboot => lifecycle::AfterHostReboot { Start => Start, Stop => Stop, Terminate => Terminate }
}
table! {
    /// Whether a guest has to show a token.
    metadata_tokens, resource::MetadataTokens => native_api::MetadataTokens { Optional => Optional, Required => Required }
}
table! {
    /// Whether a guest is to have to show a token.
    new_metadata_tokens, native_api::MetadataTokens => resource::MetadataTokens { Optional => Optional, Required => Required }
}
table! {
    /// Where a guest believes to be.
    cloud, resource::Cloud => native_api::Cloud { Native => Native, Ec2 => Ec2, Alibaba => Alibaba, Huawei => Huawei }
}
table! {
    /// Where a new guest is to believe to be.
    new_cloud, native_api::Cloud => resource::Cloud { Native => Native, Ec2 => Ec2, Alibaba => Alibaba, Huawei => Huawei }
}
table! {
    /// Which way.
    direction, resource::Direction => native_api::Direction { Ingress => Ingress, Egress => Egress }
}
table! {
    /// Which way a new rule is about.
    new_direction, native_api::Direction => resource::Direction { Ingress => Ingress, Egress => Egress }
}
table! {
    /// The kind of a key pair.
    algorithm, compute::key_pair::Algorithm => native_api::KeyAlgorithm { Rsa => Rsa, Ed25519 => Ed25519 }
}
table! {
    /// The kind of a new key pair.
    new_algorithm, native_api::KeyAlgorithm => compute::key_pair::Algorithm { Rsa => Rsa, Ed25519 => Ed25519 }
}

/// Of images. One that was deregistered is none any more.
pub fn image(state: resource::ImageState) -> Option<native_api::ImageState> {
    match state {
        resource::ImageState::Pending => Some(native_api::ImageState::Creating),
        resource::ImageState::Available => Some(native_api::ImageState::Available),
        resource::ImageState::Deregistered => None,
    }
}

/// A state as events say it: the word that the resource itself shows.
pub fn word(state: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(state).ok()?.as_str().map(str::to_owned)
}
