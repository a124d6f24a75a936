//! CreateImage: an image of what a snapshot of a system disk has.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createimage>

use compute::compute::NewImage;
use compute::id::SnapshotId;
use compute::resource::VolumeKind;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::launch::{description, name};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    for name in ["InstanceId", "DiskDeviceMapping.1.SnapshotId"] {
        if parameters.get(name).is_some() {
            return Err(Refusal::unsupported(name));
        }
    }
    let snapshot = SnapshotId::read(parameters.required("SnapshotId")?)?;
    if call.compute().snapshot(call.account(), snapshot).await?.kind != VolumeKind::System {
        let why = "The specified snapshot is not of a system disk.";
        return Err(Refusal::new(403, "InvalidSnapshotId.NotSystemDisk", why));
    }
    let new = NewImage {
        name: name(parameters, "ImageName")?.unwrap_or_default(),
        description: description(parameters)?.unwrap_or_default(),
        tags: parameters.tags()?,
        token: call.token("alibaba/CreateImage")?,
        ..NewImage::default()
    };
    let (image, job) = call.compute().image_of_snapshot(call.account(), &new, snapshot).await?;
    // Asked once more with the same token, the job tells which it was, even of an image that is gone.
    let id = match image {
        Some(image) => image.id.written(),
        None => {
            return Err(Refusal::new(
                404,
                "InvalidImageId.NotFound",
                format!("The image of {} is gone.", job.id),
            ));
        }
    };
    Ok(json!({ "ImageId": id }))
}
