//! A volume: what is shown of it, and what it is filtered by.

use compute::outside::DiskContent;
use compute::resource::{Attachment, Volume};

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, states, tags, time};
use super::devices::shown_type;
use super::words::zone_id;

/// What is shown of a volume.
pub fn view(call: &Call<'_>, volume: &Volume) -> Tree {
    let attached = volume.attachment.iter().map(|at| attachment(volume, at, "attached"));
    Tree::new()
        .text("volumeId", volume.id.written())
        .text("size", volume.size_gib())
        .text("snapshotId", snapshot(volume).unwrap_or_default())
        .text("availabilityZone", &volume.zone)
        .text("availabilityZoneId", zone_id(call, &volume.zone))
        .text("status", states::volume(volume.state))
        .text("createTime", time::written(volume.created))
        .list("attachmentSet", attached)
        .and(tags::set(Tree::new(), &volume.tags))
        .text("volumeType", shown_type(&volume.category))
        .text("encrypted", false)
        .text("multiAttachEnabled", false)
}

/// That an instance has a volume.
pub fn attachment(volume: &Volume, at: &Attachment, status: &str) -> Tree {
    Tree::new()
        .text("volumeId", volume.id.written())
        .text("instanceId", at.instance.written())
        .text("device", &at.device)
        .text("status", status)
        .text("attachTime", time::written(at.since))
        .text("deleteOnTermination", at.delete_with_instance)
}

fn snapshot(volume: &Volume) -> Option<String> {
    match volume.content {
        DiskContent::Snapshot { snapshot } => Some(snapshot.written()),
        _ => None,
    }
}

/// What volumes can be filtered by besides tags.
pub const FILTERS: &[&str] = &[
    "attachment.attach-time",
    "attachment.delete-on-termination",
    "attachment.device",
    "attachment.instance-id",
    "attachment.status",
    "availability-zone",
    "availability-zone-id",
    "create-time",
    "encrypted",
    "fast-restored",
    "multi-attach-enabled",
    "size",
    "snapshot-id",
    "status",
    "volume-id",
    "volume-type",
];

/// What a volume has by the name of a filter.
pub fn fields(call: &Call<'_>, volume: &Volume, name: &str) -> Option<String> {
    let at = volume.attachment.as_ref();
    match name {
        "attachment.attach-time" => at.map(|at| time::written(at.since)),
        "attachment.delete-on-termination" => at.map(|at| at.delete_with_instance.to_string()),
        "attachment.device" => at.map(|at| at.device.clone()),
        "attachment.instance-id" => at.map(|at| at.instance.written()),
        "attachment.status" => at.map(|_| "attached".to_owned()),
        "availability-zone" => Some(volume.zone.clone()),
        "availability-zone-id" => Some(zone_id(call, &volume.zone)),
        "create-time" => Some(time::written(volume.created)),
        "encrypted" | "fast-restored" | "multi-attach-enabled" => Some("false".to_owned()),
        "size" => Some(volume.size_gib().to_string()),
        "snapshot-id" => snapshot(volume),
        "status" => Some(states::volume(volume.state).to_owned()),
        "volume-id" => Some(volume.id.written()),
        "volume-type" => Some(shown_type(&volume.category).to_owned()),
        _ => None,
    }
}
