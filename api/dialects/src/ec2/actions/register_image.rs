//! RegisterImage: an image of a snapshot of the disk that instances are to boot from.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>

use compute::compute::{NewImage, SourceRequest};
use compute::resource::Architecture;
use serde_json::Value;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, states, tags};
use super::create_snapshot::MAX_DESCRIPTION;
use super::devices::{self, Device, is_root};
use super::words;

/// What an image cannot have here: its parts in a bucket, other kernels than its own, firmware.
const UNSUPPORTED: &[&str] =
    &["BootMode", "ImageLocation", "KernelId", "RamdiskId", "TpmSupport", "UefiData"];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    if parameters.get("BootMode") != Some("legacy-bios") {
        words::refuse(parameters, UNSUPPORTED)?;
    }
    words::refuse(parameters, &UNSUPPORTED[1..])?;
    let name = parameters.required("Name")?.to_owned();
    let description = parameters.get("Description").unwrap_or_default();
    if description.chars().count() > MAX_DESCRIPTION {
        return Err(parameters.invalid("Description"));
    }
    if parameters.get("VirtualizationType").is_some_and(|kind| kind != "hvm") {
        return Err(parameters.invalid("VirtualizationType"));
    }
    if parameters.get("RootDeviceName").is_some_and(|device| !is_root(device)) {
        return Err(parameters.invalid("RootDeviceName"));
    }
    let architecture = parameters.choice("Architecture", states::ARCHITECTURES)?;
    let mut root = None;
    for device in devices::read(parameters)? {
        match device {
            Device::Root(disk) => root = Some(disk),
            Device::Nothing(_) | Device::Ephemeral(_) => {}
            Device::Data(_) => return Err(Refusal::unsupported("BlockDeviceMapping")),
        }
    }
    let root = root.ok_or_else(|| parameters.missing("BlockDeviceMapping.1.Ebs.SnapshotId"))?;
    let SourceRequest::Snapshot(snapshot) = root.content else {
        let why = "The root device is not mapped to a snapshot.";
        return Err(Refusal::new(400, "InvalidBlockDeviceMapping", why));
    };
    let new = NewImage {
        name,
        description: description.to_owned(),
        architecture: architecture.unwrap_or(Architecture::X86_64),
        kernel: None,
        min_disk_gib: root.size_gib.unwrap_or(0),
        public: false,
        location: String::new(),
        tags: tags::specified(parameters, "image", &["image", "snapshot"])?,
        token: call.token("RegisterImage")?,
        dialect: Value::Null,
    };
    let (image, job) = call.compute().image_of_snapshot(call.account(), &new, snapshot).await?;
    let image = image.map_or_else(|| job.kind.subject(), |image| image.id.written());
    Ok(Tree::new().text("imageId", image))
}
