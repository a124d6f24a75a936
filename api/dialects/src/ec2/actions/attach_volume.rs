//! AttachVolume: gives a volume to an instance that is stopped.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html>

use compute::compute::ComputeError;
use compute::id::{InstanceId, VolumeId};
use compute::resource::VolumeState;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::delete_volume::in_use;
use super::devices::is_device;
use super::volume::attachment;
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let id: VolumeId = required_id(parameters, "VolumeId")?;
    let instance: InstanceId = required_id(parameters, "InstanceId")?;
    let device = parameters.required("Device")?;
    if !is_device(device) {
        return Err(parameters.invalid("Device"));
    }
    let volume = call.compute().volume(call.account(), id).await?;
    if volume.state == VolumeState::InUse {
        return Err(in_use(&volume));
    }
    // Whoever attaches one to an instance that is there already keeps it when that ends.
    let attached = call.compute().attach_volume(call.account(), id, instance, Some(device), false).await?;
    let gone = || ComputeError::NotFound { what: "volume", id: id.to_string() };
    let at = attached.attachment.as_ref().ok_or_else(gone)?;
    Ok(attachment(&attached, at, "attached"))
}
