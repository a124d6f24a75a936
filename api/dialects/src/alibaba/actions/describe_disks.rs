//! DescribeDisks: disks by id, instance, kind, state and tags, in pages.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describedisks>

use compute::outside::DiskContent;
use compute::resource::{Volume, VolumeKind};
use serde_json::{Value, json};

use super::super::ids::{CloudId, some};
use super::super::paging::Paging;
use super::super::{Call, Refusal, states};
use super::instance::is_like;
use super::{disk, tagged};

const STATUSES: &[(&str, ())] = &[
    ("All", ()),
    ("Attaching", ()),
    ("Available", ()),
    ("Creating", ()),
    ("Detaching", ()),
    ("In_use", ()),
    ("ReIniting", ()),
];

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let ids = parameters.array("DiskIds")?.map(|ids| some::<compute::id::Volume>(&ids));
    parameters.choice("Status", STATUSES)?;
    let status = parameters.get("Status").filter(|status| *status != "All");
    let types = [("all", None), ("system", Some("system")), ("data", Some("data"))];
    let disk_type = parameters.choice("DiskType", &types)?.flatten();
    let (instance, snapshot) = (parameters.get("InstanceId"), parameters.get("SnapshotId"));
    let (zone, category) = (parameters.get("ZoneId"), parameters.get("Category"));
    let (name, tags) = (parameters.get("DiskName"), parameters.tag_pairs()?);
    let goes = parameters.flag("DeleteWithInstance")?;
    let is_portable = parameters.flag("Portable")?;
    let is_prepaid = parameters.get("DiskChargeType") == Some("PrePaid");
    let mut paging = Paging::read(parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |volume: &Volume| {
        let Some(shown) = states::disk(volume.state) else { return false };
        let attachment = volume.attachment.as_ref();
        let is_of = |id: &str| match volume.content {
            DiskContent::Snapshot { snapshot } => snapshot.written() == id,
            _ => false,
        };
        paging.takes(
            !is_prepaid
                && ids.as_ref().is_none_or(|ids| ids.contains(&volume.id))
                && status.is_none_or(|status| status == shown)
                && disk_type.is_none_or(|wanted| wanted == states::disk_type(volume.kind))
                && instance.is_none_or(|id| attachment.is_some_and(|at| at.instance.written() == id))
                && snapshot.is_none_or(is_of)
                && zone.is_none_or(|zone| volume.zone == zone)
                && category.is_none_or(|category| volume.category == category)
                && name.is_none_or(|name| is_like(&volume.name, name))
                && goes.is_none_or(|goes| attachment.is_some_and(|at| at.delete_with_instance) == goes)
                && is_portable.is_none_or(|portable| (volume.kind == VolumeKind::Data) == portable)
                && tagged::has(&volume.tags, &tags),
        )
    };
    let listed = call.compute().volumes(call.account(), after.as_deref(), size, wanted).await?;
    let disks: Vec<Value> = listed.items.iter().filter_map(|volume| disk::view(call, volume)).collect();
    Ok(paging.told(json!({ "Disks": { "Disk": disks } }), listed.next.as_deref()))
}
