//! Disks as they are shown, and sizes that they can have.

use compute::resource::{Volume, VolumeKind};
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, states, time};
use super::tagged;

/// When a disk expires, in the cloud's words: never.
const NEVER: &str = "2999-09-08T16:00Z";

/// A disk as lists show it; `None` if nobody is shown it any more.
pub fn view(call: &Call<'_>, volume: &Volume) -> Option<Value> {
    let status = states::disk(volume.state)?;
    let attachment = volume.attachment.as_ref();
    let snapshot = match volume.content {
        compute::outside::DiskContent::Snapshot { snapshot } => snapshot.written(),
        _ => String::new(),
    };
    Some(json!({
        "DiskId": volume.id.written(),
        "DiskName": volume.name,
        "Description": volume.description,
        "RegionId": call.region(),
        "ZoneId": volume.zone,
        "Type": states::disk_type(volume.kind),
        "Category": volume.category,
        "PerformanceLevel": "",
        "Size": volume.size_gib(),
        "ImageId": volume.image.map(CloudId::written).unwrap_or_default(),
        "SourceSnapshotId": snapshot,
        "ProductCode": "",
        "Portable": volume.kind == VolumeKind::Data,
        "Status": status,
        "InstanceId": attachment.map(|at| at.instance.written()).unwrap_or_default(),
        "Device": attachment.map_or("", |at| &at.device),
        "DeleteWithInstance": attachment.is_some_and(|at| at.delete_with_instance),
        "DeleteAutoSnapshot": true,
        "EnableAutoSnapshot": false,
        "EnableAutomatedSnapshotPolicy": false,
        "CreationTime": time::seconds(volume.created),
        "AttachedTime": attachment.map(|at| time::seconds(at.since)).unwrap_or_default(),
        "DetachedTime": "",
        "DiskChargeType": "PostPaid",
        "ExpiredTime": NEVER,
        "Encrypted": false,
        "KMSKeyId": "",
        "OperationLocks": { "OperationLock": [] },
        "MountInstances": { "MountInstance": [] },
        "ResourceGroupId": "",
        "Tags": { "Tag": tagged::view(&volume.tags) },
    }))
}
