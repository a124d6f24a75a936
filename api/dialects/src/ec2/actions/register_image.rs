//! RegisterImage: an image of a snapshot of the disk that instances are to boot from, with more disks for them if there are to be
//! some, or of what is at a location, as by the API of 2007; `location` says which locations there are. One at a location is pending until its content is imported.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>

use compute::compute::{DiskRequest, NewImage, NewImageDisk, SourceRequest};
use compute::resource::{Architecture, Image, Job};

use super::super::ids::CloudId;
use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal, location, states, tags};
use super::create_snapshot::MAX_DESCRIPTION;
use super::devices::{self, Device, is_root};
use super::words;

/// What an image cannot have here: other kernels than its own or the host's, firmware.
const UNSUPPORTED: &[&str] = &["BootMode", "KernelId", "RamdiskId", "TpmSupport", "UefiData"];

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
    let (root, data) = disks(parameters)?;
    let new = NewImage {
        name,
        description: description.to_owned(),
        tags: tags::specified(parameters, "image", &["image", "snapshot"])?,
        token: call.token("RegisterImage")?,
        ..NewImage::default()
    };
    let (image, job) = match (parameters.get("ImageLocation"), root) {
        (Some(location), None) if data.is_empty() => of_location(call, new, architecture, location).await?,
        (None, Some(root)) => of_snapshot(call, new, architecture, root, &data).await?,
        (Some(_), _) => {
            let why = "An image is of what is at its ImageLocation or of snapshots, not of both.";
            return Err(Refusal::new(400, "InvalidParameterCombination", why));
        }
        (None, None) => return Err(parameters.missing("BlockDeviceMapping.1.Ebs.SnapshotId")),
    };
    let image = image.map_or_else(|| job.kind.subject(), |image| image.id.written());
    Ok(Tree::new().text("imageId", image))
}

/// The disk to boot from, if one is mapped, and the others.
fn disks(parameters: &Parameters) -> Result<(Option<DiskRequest>, Vec<NewImageDisk>), Refusal> {
    let (mut root, mut data) = (None, Vec::new());
    for device in devices::read(parameters, &[])? {
        match device {
            Device::Root(disk) => root = Some(disk),
            Device::Data(name, disk) => data.push(devices::of_image(name, disk)),
            Device::Nothing(_) | Device::Ephemeral(_) => {}
        }
    }
    Ok((root, data))
}

async fn of_location(
    call: &Call<'_>,
    new: NewImage,
    architecture: Option<Architecture>,
    location: &str,
) -> Result<(Option<Image>, Job), Refusal> {
    let found = location::find(call, location).await?;
    let architecture = architecture.unwrap_or(found.architecture());
    let new = found.boots(call, NewImage { architecture, location: location.to_owned(), ..new })?;
    Ok(call.compute().import_image(call.account(), &new, found.source, found.sha256).await?)
}

async fn of_snapshot(
    call: &Call<'_>,
    new: NewImage,
    architecture: Option<Architecture>,
    root: DiskRequest,
    data: &[NewImageDisk],
) -> Result<(Option<Image>, Job), Refusal> {
    let SourceRequest::Snapshot(snapshot) = root.content else {
        let why = "The root device is not mapped to a snapshot.";
        return Err(Refusal::new(400, "InvalidBlockDeviceMapping", why));
    };
    let architecture = architecture.unwrap_or(Architecture::X86_64);
    let new = NewImage { architecture, min_disk_gib: root.size_gib.unwrap_or(0), ..new };
    Ok(call.compute().image_of_snapshot(call.account(), &new, snapshot, data).await?)
}
