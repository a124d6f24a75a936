//! CreateSnapshot: keeps what is on a disk at this moment.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createsnapshot>

use compute::compute::NewSnapshot;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::launch::{description, name};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let new = NewSnapshot {
        volume: CloudId::read(parameters.required("DiskId")?)?,
        name: name(parameters, "SnapshotName")?.unwrap_or_default(),
        description: description(parameters)?.unwrap_or_default(),
        tags: parameters.tags()?,
        token: call.token("alibaba/CreateSnapshot")?,
    };
    let made = call.compute().create_snapshot(call.account(), &new).await?;
    Ok(json!({ "SnapshotId": made.id.written() }))
}
