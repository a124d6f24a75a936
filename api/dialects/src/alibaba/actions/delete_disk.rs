//! DeleteDisk: deletes a disk that no instance has.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deletedisk>

use compute::id::VolumeId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let disk = VolumeId::read(call.parameters.required("DiskId")?)?;
    call.compute().delete_volume(call.account(), disk).await?;
    Ok(json!({}))
}
