//! DetachVolume: takes a volume from an instance that is stopped.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html>

use compute::id::{InstanceId, VolumeId};
use compute::resource::VolumeKind;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::volume::attachment;
use super::words::{id, required_id};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let volume: VolumeId = required_id(parameters, "VolumeId")?;
    let instance: Option<InstanceId> = id(parameters, "InstanceId")?;
    let device = parameters.get("Device");
    parameters.flag("Force")?;
    let before = call.compute().volume(call.account(), volume).await?;
    let Some(at) = &before.attachment else {
        let why = format!("Volume '{volume}' is in the 'available' state.");
        return Err(Refusal::new(400, "IncorrectState", why));
    };
    if instance.is_some_and(|id| id != at.instance) || device.is_some_and(|device| device != at.device) {
        let why = format!("The volume '{volume}' is not attached so.");
        return Err(Refusal::new(400, "InvalidAttachment.NotFound", why));
    }
    if before.kind != VolumeKind::Data {
        let why = format!(
            "Unable to detach {}: it is one of those that the instance cannot be without.",
            at.device
        );
        return Err(Refusal::new(400, "OperationNotPermitted", why));
    }
    call.compute().detach_volume(call.account(), volume).await?;
    Ok(attachment(&before, at, "detaching"))
}
