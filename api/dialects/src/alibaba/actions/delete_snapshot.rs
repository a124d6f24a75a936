//! DeleteSnapshot: deletes a snapshot. Disks and images that were made of it stay.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deletesnapshot>

use compute::id::SnapshotId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let snapshot = SnapshotId::read(call.parameters.required("SnapshotId")?)?;
    call.compute().delete_snapshot(call.account(), snapshot).await?;
    Ok(json!({}))
}
