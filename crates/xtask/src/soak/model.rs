//! What a client was told that there is: all that its account has, by the answers it got. Only its owner changes it, so that
//! it is exact.

use std::collections::{BTreeMap, BTreeSet};

use native_api::{AccessKeyId, ImageId, InstanceId, InstanceState, KeyPairId, SnapshotId, Tags, VolumeId};

use super::images::Kind;

/// All that an account has.
#[derive(Debug, Default)]
pub struct Model {
    pub instances: BTreeMap<InstanceId, InstanceModel>,
    /// Volumes, the system disks of instances among them.
    pub volumes: BTreeMap<VolumeId, VolumeModel>,
    pub snapshots: BTreeMap<SnapshotId, SnapshotModel>,
    pub images: BTreeMap<ImageId, ImageModel>,
    pub keys: BTreeMap<KeyPairId, String>,
    pub access_keys: BTreeSet<AccessKeyId>,
}

#[derive(Debug)]
pub struct InstanceModel {
    pub kind: Kind,
    pub tags: Tags,
    /// Whether it was to be terminated.
    pub ended: bool,
    /// Whether it may end by itself.
    pub may_end: bool,
    /// Whether it may be booted again and again.
    pub is_restless: bool,
    /// Whether it is sure that it was started.
    pub started: bool,
    /// The state it is to settle in, running or stopped, if that can be said.
    pub wish: Option<InstanceState>,
    /// Whether it was counted as failed.
    pub counted: bool,
}

#[derive(Debug)]
pub struct VolumeModel {
    pub size_gib: u32,
    pub tags: Tags,
    /// The instance that has it, and whether it goes with that.
    pub attached: Option<(InstanceId, bool)>,
    /// Whether it is sure that its disk was made. One that came with an instance which ended before is not kept.
    pub whole: bool,
    /// Of a system disk: what boots from it.
    pub boots: Option<Kind>,
}

#[derive(Debug)]
pub struct SnapshotModel {
    pub size_gib: u32,
    pub tags: Tags,
    /// Of a system disk: what boots from it.
    pub boots: Option<Kind>,
    /// Whether it may fail: an instance that may have run had its volume.
    pub may_fail: bool,
    /// Whether it was counted as failed.
    pub counted: bool,
}

#[derive(Debug)]
pub struct ImageModel {
    pub name: String,
    pub kind: Kind,
}

impl Model {
    /// An instance is gone: its volumes went with it or are free.
    pub fn instance_is_gone(&mut self, id: &InstanceId) {
        self.instances.remove(id);
        self.volumes.retain(|_, volume| !matches!(&volume.attached, Some((of, true)) if of == id));
        for volume in self.volumes.values_mut() {
            if volume.attached.as_ref().is_some_and(|(of, _)| of == id) {
                volume.attached = None;
            }
        }
    }

    /// Instances that were not to be terminated.
    pub fn living(&self) -> impl Iterator<Item = &InstanceId> {
        self.instances.iter().filter(|(_, instance)| !instance.ended).map(|(id, _)| id)
    }
}
