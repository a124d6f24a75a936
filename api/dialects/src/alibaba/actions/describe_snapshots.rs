//! DescribeSnapshots: snapshots by id, disk, state and tags, in pages.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describesnapshots>

use compute::resource::Snapshot;
use serde_json::{Value, json};

use super::super::ids::{CloudId, some};
use super::super::paging::Paging;
use super::super::{Call, Refusal, states, time};
use super::instance::is_like;
use super::tagged;

const STATUSES: &[(&str, ())] = &[("progressing", ()), ("accomplished", ()), ("failed", ()), ("all", ())];

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let ids = parameters.array("SnapshotIds")?.map(|ids| some::<compute::id::Snapshot>(&ids));
    parameters.choice("Status", STATUSES)?;
    let status = parameters.get("Status").filter(|status| *status != "all");
    let (disk, name) = (parameters.get("DiskId"), parameters.get("SnapshotName"));
    let kind = parameters.get("SourceDiskType").map(str::to_lowercase);
    let tags = parameters.tag_pairs()?;
    // Whatever an instance has now.
    let disks = match parameters.get("InstanceId") {
        None => None,
        Some(id) => Some(super::act::shown(call, id).await?.disks),
    };
    let mut paging = Paging::read(parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |snapshot: &Snapshot| {
        let Some(shown) = states::snapshot(snapshot.state) else { return false };
        paging.takes(
            ids.as_ref().is_none_or(|ids| ids.contains(&snapshot.id))
                && status.is_none_or(|status| status == shown)
                && disk.is_none_or(|disk| snapshot.volume.written() == disk)
                && disks.as_ref().is_none_or(|all| all.iter().any(|has| has.volume == snapshot.volume))
                && name.is_none_or(|name| is_like(&snapshot.name, name))
                && kind.as_ref().is_none_or(|kind| states::disk_type(snapshot.kind) == kind)
                && tagged::has(&snapshot.tags, &tags),
        )
    };
    let listed = call.compute().snapshots(call.account(), after.as_deref(), size, wanted).await?;
    let snapshots: Vec<Value> = listed.items.iter().filter_map(view).collect();
    Ok(paging.told(json!({ "Snapshots": { "Snapshot": snapshots } }), listed.next.as_deref()))
}

fn view(snapshot: &Snapshot) -> Option<Value> {
    let status = states::snapshot(snapshot.state)?;
    Some(json!({
        "SnapshotId": snapshot.id.written(),
        "SnapshotName": snapshot.name,
        "Description": snapshot.description,
        "SourceDiskId": snapshot.volume.written(),
        "SourceDiskType": states::disk_type(snapshot.kind),
        "SourceDiskSize": snapshot.size_mib.div_ceil(1024).to_string(),
        "Status": status,
        "Progress": if status == "accomplished" { "100%" } else { "0%" },
        "Usage": "none",
        "SnapshotType": "user",
        "Encrypted": false,
        "ProductCode": "",
        "CreationTime": time::seconds(snapshot.created),
        "Tags": { "Tag": tagged::view(&snapshot.tags) },
    }))
}
