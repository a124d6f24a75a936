//! DeleteSnapshot: deletes a snapshot, unless an image was made of it, or a disk and `Force` does not say that this is no
//! matter. The disk stays.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deletesnapshot>

use compute::id::SnapshotId;
use compute::outside::DiskContent;
use compute::resource::Volume;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal, states};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let snapshot = SnapshotId::read(call.parameters.required("SnapshotId")?)?;
    let is_forced = call.parameters.flag("Force")?.unwrap_or(false);
    let (compute, account) = (call.compute(), call.account());
    if compute.image_made_of(account, snapshot).await?.is_some() {
        let why = "The snapshot has been used to create user defined image(s).";
        return Err(Refusal::new(403, "SnapshotCreatedImage", why));
    }
    let is_disk = |volume: &Volume| {
        volume.content == DiskContent::Snapshot { snapshot } && states::disk(volume.state).is_some()
    };
    if !is_forced && !compute.volumes(account, None, 1, is_disk).await?.items.is_empty() {
        let why = "The snapshot has been used to create disk(s).";
        return Err(Refusal::new(403, "SnapshotCreatedDisk", why));
    }
    compute.delete_snapshot(account, snapshot).await?;
    Ok(json!({}))
}
