//! The records of volumes and snapshots, with their small lives.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Resource, Tags, owned_key};
use crate::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use crate::outside::DiskContent;
use crate::store::Key;

/// What a volume is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeKind {
    /// An instance boots from it.
    System,
    /// Whatever the user wants.
    Data,
    /// Comes and goes with its instance (EC2's instance store).
    Ephemeral,
    /// Swap space of its instance.
    Swap,
}

/// Where a volume is in its life: made, used and not used by turns, removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeState {
    /// Its disk is being made.
    Creating,
    /// It can be attached.
    Available,
    /// An instance has it.
    InUse,
    /// Its disk is being removed.
    Deleting,
    /// Its disk could not be made. It can be deleted.
    Failed,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// The account.
    pub account: String,
    /// The host that has it.
    pub node: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// What it is for.
    pub kind: VolumeKind,
    /// The clouds' type of disk, as `cloud_ssd` or `gp2`. All are the same here.
    #[serde(default)]
    pub category: String,
    /// Its size, in MiB. Users say GiB; swap of old instance types is smaller than one.
    pub size_mib: u64,
    /// The zone.
    pub zone: String,
    /// What it began with.
    pub content: DiskContent,
    /// The image it was made from.
    #[serde(default)]
    pub image: Option<ImageId>,
    /// Its state.
    pub state: VolumeState,
    /// The instance that has it.
    #[serde(default)]
    pub attachment: Option<Attachment>,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
    /// When it was asked for.
    pub created: Timestamp,
    /// What its dialect keeps for itself.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub dialect: serde_json::Value,
}

/// That an instance has a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The instance.
    pub instance: InstanceId,
    /// The name that users know it by.
    pub device: String,
    /// Whether it goes with the instance.
    pub delete_with_instance: bool,
    /// Since when.
    pub since: Timestamp,
}

impl Volume {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.size_mib << 20
    }

    /// Its size in whole GiB, rounded up.
    pub fn size_gib(&self) -> u64 {
        self.size_mib.div_ceil(1024)
    }
}

impl Resource for Volume {
    const NAME: &'static str = "volume";
    const WORD: &'static str = "volume";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}

/// Where a snapshot is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotState {
    /// It is being taken.
    Pending,
    /// It is whole.
    Completed,
    /// It could not be taken. It can be deleted.
    Failed,
    /// It is being removed.
    Deleting,
}

/// What was on a volume at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The account.
    pub account: String,
    /// The host that has it.
    pub node: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// The volume it was taken of, which may be gone.
    pub volume: VolumeId,
    /// What that volume was for.
    pub kind: VolumeKind,
    /// The image that the volume was made from.
    #[serde(default)]
    pub image: Option<ImageId>,
    /// The volume's size, in MiB.
    pub size_mib: u64,
    /// Its state.
    pub state: SnapshotState,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
    /// When it was asked for.
    pub created: Timestamp,
}

impl Resource for Snapshot {
    const NAME: &'static str = "snapshot";
    const WORD: &'static str = "snapshot";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}
