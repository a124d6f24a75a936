//! CreateImage: an image of the volumes that an instance has, and a snapshot of each. The instance goes on meanwhile, whatever
//! `NoReboot` says: what its guest has not written yet is not in the image.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html>

use compute::compute::{ComputeError, ImageDiskContent, NewImage, NewImageDisk, NewSnapshot};
use compute::id::VolumeId;
use compute::resource::{Architecture, ImageDisk, is_same_device};
use serde_json::json;

use super::super::ids::CloudId;
use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::act::known;
use super::create_snapshot::MAX_DESCRIPTION;
use super::devices::{self, Device};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let instance = known(call, parameters.required("InstanceId")?).await?;
    let description = parameters.get("Description").unwrap_or_default();
    if description.chars().count() > MAX_DESCRIPTION {
        return Err(parameters.invalid("Description"));
    }
    parameters.flag("NoReboot")?;
    let root = instance.disks.first().map(|disk| disk.volume);
    let root = root.ok_or_else(|| Refusal::wrong_state("The instance has no disk any more."))?;
    let types = &["image", "snapshot"];
    let snapshot_tags = tags::specified(parameters, "snapshot", types)?;
    let id = instance.id.written();
    let of_volume = |volume: VolumeId| NewSnapshot {
        description: format!("Created by CreateImage({id})"),
        tags: snapshot_tags.clone(),
        ..NewSnapshot::of(volume)
    };
    let data = call.compute().data_disks_of(call.account(), &instance, of_volume).await?;
    let (min_disk_gib, data) = mapped(parameters, data)?;
    let architecture = match call.compute().image(call.account(), instance.image).await {
        Ok(image) => image.architecture,
        // Removed since.
        Err(ComputeError::NotFound { .. }) => Architecture::X86_64,
        Err(error) => return Err(error.into()),
    };
    let new = NewImage {
        name: parameters.required("Name")?.to_owned(),
        description: description.to_owned(),
        architecture,
        kernel: None,
        min_disk_gib,
        public: false,
        location: String::new(),
        tags: tags::specified(parameters, "image", types)?,
        token: call.token("CreateImage")?,
        dialect: json!({ "SourceInstanceId": id }),
    };
    let (image, job) = call.compute().image_of_volume(call.account(), &new, &of_volume(root), &data).await?;
    let image = image.map_or_else(|| job.kind.subject(), |image| image.id.written());
    Ok(Tree::new().text("imageId", image))
}

/// The least size of the disk to boot from, in GiB, and the image's other disks, when the request's mapping has had its say
/// about those of the instance.
fn mapped(parameters: &Parameters, mut data: Vec<NewImageDisk>) -> Result<(u64, Vec<NewImageDisk>), Refusal> {
    let there = |disk: &NewImageDisk| ImageDisk {
        device: disk.device.clone(),
        snapshot: None,
        size_mib: disk.size_gib.unwrap_or_default() << 10,
        delete_with_instance: disk.delete_with_instance,
        category: disk.category.clone(),
    };
    let there: Vec<ImageDisk> = data.iter().map(there).collect();
    let mut min_disk_gib = 0;
    for device in devices::read(parameters, &there)? {
        match device {
            Device::Root(disk) => min_disk_gib = disk.size_gib.unwrap_or(0),
            Device::Nothing(name) => data.retain(|disk| !is_same_device(&disk.device, &name)),
            Device::Data(name, disk) => {
                let new = devices::of_image(name, disk);
                match data.iter_mut().find(|old| is_same_device(&old.device, &new.device)) {
                    // With what is on the volume, unless a snapshot is named.
                    Some(old) if matches!(new.content, ImageDiskContent::Blank) => {
                        *old = NewImageDisk { content: old.content.clone(), ..new };
                    }
                    Some(old) => *old = new,
                    None => data.push(new),
                }
            }
            Device::Ephemeral(_) => return Err(Refusal::unsupported("BlockDeviceMapping")),
        }
    }
    Ok((min_disk_gib, data))
}
