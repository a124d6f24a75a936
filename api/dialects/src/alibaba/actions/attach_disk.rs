//! AttachDisk: gives a disk to an instance that is stopped.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachdisk>

use compute::id::VolumeId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::act::named;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let instance = named(call).await?.id;
    let disk = VolumeId::read(parameters.required("DiskId")?)?;
    let goes = parameters.flag("DeleteWithInstance")?.unwrap_or(false);
    let device = parameters.get("Device");
    call.compute().attach_volume(call.account(), disk, instance, device, goes).await?;
    Ok(json!({}))
}
