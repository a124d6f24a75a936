//! DeleteVolume: deletes a volume that no instance has.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVolume.html>

use compute::id::VolumeId;
use compute::resource::VolumeState;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id: VolumeId = required_id(call.parameters, "VolumeId")?;
    let volume = call.compute().volume(call.account(), id).await?;
    if volume.state == VolumeState::InUse {
        return Err(in_use(&volume));
    }
    call.compute().delete_volume(call.account(), id).await?;
    Ok(Tree::done())
}

/// An instance has a volume, and that is in the way.
pub fn in_use(volume: &compute::resource::Volume) -> Refusal {
    let by = volume.attachment.as_ref().map(|at| at.instance.to_string()).unwrap_or_default();
    Refusal::new(400, "VolumeInUse", format!("Volume {} is currently attached to {by}", volume.id))
}
