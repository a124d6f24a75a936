//! ModifyVolume: makes a volume larger. A guest that runs sees it after its next start.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html>

use compute::id::VolumeId;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, time};
use super::devices;
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let id: VolumeId = required_id(parameters, "VolumeId")?;
    let before = call.compute().volume(call.account(), id).await?;
    let kind = devices::shown_type(&before.category);
    if parameters.get("VolumeType").is_some() && devices::volume_type(parameters)? != kind {
        return Err(Refusal::unsupported("VolumeType"));
    }
    if parameters.flag("MultiAttachEnabled")? == Some(true) {
        return Err(Refusal::unsupported("MultiAttachEnabled"));
    }
    let size = devices::size(parameters, "Size")?.ok_or_else(|| Refusal::missing("Size"))?;
    let allowance = call.allowance().await?;
    let job = call.compute().grow_volume(call.account(), id, size, allowance).await?;
    let modification = Tree::new()
        .text("volumeId", id.written())
        .text("modificationState", "modifying")
        .text("targetSize", size)
        .text("targetVolumeType", kind)
        .text("targetMultiAttachEnabled", false)
        .text("originalSize", before.size_gib())
        .text("originalVolumeType", kind)
        .text("originalMultiAttachEnabled", false)
        .text("progress", 0)
        .text("startTime", time::written(job.created));
    Ok(Tree::new().tree("volumeModification", modification))
}
