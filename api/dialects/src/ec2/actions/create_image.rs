//! CreateImage: an image of the disk that an instance boots from, and the snapshot of it. The instance goes on meanwhile,
//! whatever `NoReboot` says: what its guest has not written yet is not in the image.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html>

use compute::compute::{ComputeError, NewImage, NewSnapshot};
use compute::resource::Architecture;
use serde_json::json;

use super::super::ids::CloudId;
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
    let mut min_disk_gib = 0;
    for device in devices::read(parameters)? {
        match device {
            Device::Root(disk) => min_disk_gib = disk.size_gib.unwrap_or(0),
            // An image has one disk here, so what is not to be in it never is.
            Device::Nothing(_) => {}
            Device::Data(_) | Device::Ephemeral(_) => return Err(Refusal::unsupported("BlockDeviceMapping")),
        }
    }
    let root = instance.disks.first().map(|disk| disk.volume);
    let volume = root.ok_or_else(|| Refusal::wrong_state("The instance has no disk any more."))?;
    let architecture = match call.compute().image(call.account(), instance.image).await {
        Ok(image) => image.architecture,
        // Removed since.
        Err(ComputeError::NotFound { .. }) => Architecture::X86_64,
        Err(error) => return Err(error.into()),
    };
    let types = &["image", "snapshot"];
    let id = instance.id.written();
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
    let snapshot = NewSnapshot {
        volume,
        name: String::new(),
        description: format!("Created by CreateImage({id})"),
        tags: tags::specified(parameters, "snapshot", types)?,
        token: None,
    };
    let (image, job) = call.compute().image_of_volume(call.account(), &new, &snapshot).await?;
    let image = image.map_or_else(|| job.kind.subject(), |image| image.id.written());
    Ok(Tree::new().text("imageId", image))
}
