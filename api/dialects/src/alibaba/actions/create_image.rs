//! CreateImage: an image of an instance's disks, or of what a snapshot of a system disk has. Of an instance's disks snapshots are
//! taken, which stay when the image goes.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createimage>

use compute::compute::{NewImage, NewSnapshot};
use compute::id::SnapshotId;
use compute::resource::VolumeKind;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::act;
use super::launch::{description, name};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let (compute, account) = (call.compute(), call.account());
    // Where several say what it is to be made of, the first of these is meant.
    let mut mapped = parameters.groups("DiskDeviceMapping")?.into_values();
    let (one, others) = (mapped.next(), mapped.next());
    let new = NewImage {
        name: name(parameters, "ImageName")?.unwrap_or_default(),
        description: description(parameters)?.unwrap_or_default(),
        tags: parameters.tags()?,
        token: call.token("alibaba/CreateImage")?,
        ..NewImage::default()
    };
    let (image, job) = match (parameters.get("InstanceId"), one) {
        (Some(_), _) => {
            let instance = act::named(call).await?;
            act::check(&instance, &["Running", "Stopped"])?;
            let Some(disk) = instance.disks.first() else { return Err(Refusal::not_found("volume")) };
            let snapshot_of = |volume| NewSnapshot {
                name: format!("Created_from_{}", instance.id.written()),
                ..NewSnapshot::of(volume)
            };
            let data = compute.data_disks_of(account, &instance, snapshot_of).await?;
            compute.image_of_volume(account, &new, &snapshot_of(disk.volume), &data).await?
        }
        (None, one) => {
            let snapshot = match one {
                None => parameters.required("SnapshotId")?.to_owned(),
                Some(one) if others.is_none() => one.required("SnapshotId")?.to_owned(),
                Some(_) => return Err(Refusal::unsupported("DiskDeviceMapping.2.SnapshotId")),
            };
            let snapshot = SnapshotId::read(&snapshot)?;
            if compute.snapshot(account, snapshot).await?.kind != VolumeKind::System {
                let why = "The specified snapshot is not of a system disk.";
                return Err(Refusal::new(403, "InvalidSnapshotId.NotSystemDisk", why));
            }
            compute.image_of_snapshot(account, &new, snapshot, &[]).await?
        }
    };
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
