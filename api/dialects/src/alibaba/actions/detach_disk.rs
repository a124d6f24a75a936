//! DetachDisk: takes a data disk away from an instance that is stopped.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-detachdisk>

use compute::id::VolumeId;
use compute::resource::VolumeKind;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::act::named;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let instance = named(call).await?.id;
    let disk = VolumeId::read(call.parameters.required("DiskId")?)?;
    let volume = call.compute().volume(call.account(), disk).await?;
    if volume.attachment.is_none_or(|at| at.instance != instance) {
        let why = "The specified disk is not attached to the instance.";
        return Err(Refusal::new(403, "DependencyViolation.InstanceNotAttached", why));
    }
    // Lists show it as one that is not portable.
    if volume.kind == VolumeKind::System {
        return Err(Refusal::new(403, "DiskNotPortable", "The specified disk is not a portable disk."));
    }
    call.compute().detach_volume(call.account(), disk).await?;
    Ok(json!({}))
}
