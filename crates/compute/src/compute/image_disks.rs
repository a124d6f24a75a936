//! The data disks of images: what an instance gets besides the disk that it boots from.

use super::launch::{MAX_DISKS, SMALLEST_MIB, disk_size};
use super::{Compute, ComputeError, NewSnapshot};
use crate::id::{SnapshotId, VolumeId};
use crate::resource::{Image, ImageDisk, Instance, VolumeKind};
use crate::store::Transaction;

/// A data disk of an image that is asked for.
#[derive(Clone, Debug)]
pub struct NewImageDisk {
    /// The name that users know it by.
    pub device: String,
    /// What is on it.
    pub content: ImageDiskContent,
    /// Its size, in GiB; `None` for what its content takes.
    pub size_gib: Option<u64>,
    /// Whether it goes with its instance.
    pub delete_with_instance: bool,
    /// The clouds' type of disk.
    pub category: String,
}

/// What is on a data disk of an image.
#[derive(Clone, Debug)]
pub enum ImageDiskContent {
    /// Nothing.
    Blank,
    /// What a snapshot has.
    Snapshot(SnapshotId),
    /// What a volume has: a snapshot is taken of it with the image, and stays.
    Volume(NewSnapshot),
}

impl Compute {
    /// The data disks that an image of an instance has, with a snapshot for each: not what comes and goes with the instance.
    ///
    /// # Errors
    ///
    /// A volume has gone meanwhile.
    pub async fn data_disks_of(
        &self,
        account: &str,
        instance: &Instance,
        snapshot_of: impl Fn(VolumeId) -> NewSnapshot,
    ) -> Result<Vec<NewImageDisk>, ComputeError> {
        let mut data = Vec::new();
        for disk in instance.disks.iter().skip(1) {
            let volume = self.volume(account, disk.volume).await?;
            if volume.kind == VolumeKind::Data {
                data.push(NewImageDisk {
                    device: disk.device.clone(),
                    content: ImageDiskContent::Volume(snapshot_of(volume.id)),
                    size_gib: Some(volume.size_gib()),
                    delete_with_instance: disk.delete_with_instance,
                    category: volume.category,
                });
            }
        }
        Ok(data)
    }

    /// Gives an image its data disks. Returns the snapshots that are to be taken for them, whose records are written `with` it.
    pub(super) async fn data_disks(
        &self,
        account: &str,
        image: &mut Image,
        data: &[NewImageDisk],
        with: &mut Transaction,
    ) -> Result<Vec<SnapshotId>, ComputeError> {
        if data.len() + 1 > MAX_DISKS {
            return Err(ComputeError::Limit { what: "disks of an image", most: MAX_DISKS as u64 });
        }
        let mut taken = Vec::new();
        for new in data {
            if image.data_disk(&new.device).is_some() {
                return Err(ComputeError::invalid("data_disks", format!("{} is there twice", new.device)));
            }
            let (snapshot, usual_mib) = match &new.content {
                ImageDiskContent::Blank => (None, SMALLEST_MIB),
                ImageDiskContent::Snapshot(snapshot) => {
                    let snapshot = self.completed_snapshot(account, *snapshot).await?;
                    (Some(snapshot.id), snapshot.size_mib)
                }
                ImageDiskContent::Volume(new) => {
                    let (snapshot, written) = self.new_snapshot(account, new).await?;
                    with.conditions.extend(written.conditions);
                    with.writes.extend(written.writes);
                    taken.push(snapshot.id);
                    (Some(snapshot.id), snapshot.size_mib)
                }
            };
            image.data_disks.push(ImageDisk {
                device: new.device.clone(),
                snapshot,
                size_mib: disk_size(new.size_gib, usual_mib, "data_disks")?,
                delete_with_instance: new.delete_with_instance,
                category: new.category.clone(),
            });
        }
        Ok(taken)
    }
}
