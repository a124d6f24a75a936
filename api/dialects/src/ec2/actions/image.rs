//! An image: what is shown of it, and what it is filtered by.

use compute::id::ImageId;
use compute::resource::{Image, ImageDisk};

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, states, tags, time};
use super::devices::{ROOT, shown_type};

/// An image that the caller may launch.
pub async fn visible(call: &Call<'_>, id: &str) -> Result<Image, Refusal> {
    let image = call.compute().image(call.account(), ImageId::read(id)?).await?;
    match states::image(image.state) {
        Some(_) => Ok(image),
        None => Err(Refusal::new(
            400,
            "InvalidAMIID.Unavailable",
            format!("The image ID '{id}' is no longer available"),
        )),
    }
}

/// An image of the caller's own, which alone can be changed.
pub async fn own(call: &Call<'_>, id: &str) -> Result<Image, Refusal> {
    let image = visible(call, id).await?;
    if image.account == call.account() {
        return Ok(image);
    }
    Err(Refusal::new(400, "AuthFailure", format!("Not authorized for image:{}", image.id)))
}

/// Where an image came from.
fn location(image: &Image) -> String {
    if image.location.is_empty() {
        format!("{}/{}", image.account, image.name)
    } else {
        image.location.clone()
    }
}

/// The disks of its instances: first the one that they boot from.
fn disks(image: &Image) -> Vec<ImageDisk> {
    let root = ImageDisk {
        device: ROOT.to_owned(),
        snapshot: image.snapshot,
        size_mib: image.size_gib() << 10,
        delete_with_instance: true,
        category: String::new(),
    };
    [&[root], &image.data_disks[..]].concat()
}

/// The items of its mapping of devices.
pub fn devices(image: &Image) -> Vec<Tree> {
    let item = |disk: ImageDisk| {
        let ebs = Tree::new()
            .text_if("snapshotId", disk.snapshot.map(CloudId::written))
            .text("volumeSize", disk.size_mib.div_ceil(1024))
            .text("deleteOnTermination", disk.delete_with_instance)
            .text("volumeType", shown_type(&disk.category))
            .text("encrypted", false);
        Tree::new().text("deviceName", disk.device).tree("ebs", ebs)
    };
    disks(image).into_iter().map(item).collect()
}

/// What is shown of an image.
pub fn view(call: &Call<'_>, image: &Image) -> Tree {
    let code = |code: &String| Tree::new().text("productCode", code).text("type", "marketplace");
    let own_tags = (image.account == call.account()).then(|| tags::set(Tree::new(), &image.tags));
    Tree::new()
        .text("imageId", image.id.written())
        .text("imageLocation", location(image))
        .text_if("imageState", states::image(image.state))
        .text("imageOwnerId", &image.account)
        .text("creationDate", time::written(image.created))
        .text("isPublic", image.public)
        .list("productCodes", image.product_codes.iter().map(code))
        .text("architecture", states::architecture(image.architecture))
        .text("imageType", "machine")
        .text("name", &image.name)
        .text("description", &image.description)
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", ROOT)
        .list("blockDeviceMapping", devices(image))
        .text("virtualizationType", "hvm")
        .and(own_tags.unwrap_or_default())
        .text("hypervisor", "xen")
        .text("enaSupport", true)
        .text("platformDetails", "Linux/UNIX")
        .text("usageOperation", "RunInstances")
        .text_if("sourceInstanceId", image.dialect["SourceInstanceId"].as_str())
}

/// What images can be filtered by besides tags.
pub const FILTERS: &[&str] = &[
    "architecture",
    "block-device-mapping.delete-on-termination",
    "block-device-mapping.device-name",
    "block-device-mapping.encrypted",
    "block-device-mapping.snapshot-id",
    "block-device-mapping.volume-size",
    "block-device-mapping.volume-type",
    "creation-date",
    "description",
    "ena-support",
    "hypervisor",
    "image-allowed",
    "image-id",
    "image-type",
    "is-public",
    "kernel-id",
    "manifest-location",
    "name",
    "owner-alias",
    "owner-id",
    "platform",
    "product-code",
    "product-code.type",
    "ramdisk-id",
    "root-device-name",
    "root-device-type",
    "source-image-id",
    "source-instance-id",
    "state",
    "state-reason-code",
    "state-reason-message",
    "sriov-net-support",
    "virtualization-type",
];

/// What an image has by the name of a filter.
pub fn fields(image: &Image, name: &str) -> Vec<String> {
    if let Some(field) = name.strip_prefix("block-device-mapping.") {
        return disks(image).iter().filter_map(|disk| disk_field(disk, field)).collect();
    }
    let field = match name {
        "product-code" => return image.product_codes.clone(),
        "product-code.type" => image.product_codes.first().map(|_| "marketplace".to_owned()),
        "architecture" => Some(states::architecture(image.architecture).to_owned()),
        "ena-support" | "image-allowed" => Some("true".to_owned()),
        "root-device-name" => Some(ROOT.to_owned()),
        "creation-date" => Some(time::written(image.created)),
        "description" => Some(image.description.clone()),
        "hypervisor" => Some("xen".to_owned()),
        "image-id" => Some(image.id.written()),
        "image-type" => Some("machine".to_owned()),
        "is-public" => Some(image.public.to_string()),
        "manifest-location" => Some(location(image)),
        "name" => Some(image.name.clone()),
        "owner-id" => Some(image.account.clone()),
        "root-device-type" => Some("ebs".to_owned()),
        "source-instance-id" => image.dialect["SourceInstanceId"].as_str().map(str::to_owned),
        "state" => states::image(image.state).map(str::to_owned),
        "virtualization-type" => Some("hvm".to_owned()),
        _ => None,
    };
    field.into_iter().collect()
}

fn disk_field(disk: &ImageDisk, name: &str) -> Option<String> {
    match name {
        "delete-on-termination" => Some(disk.delete_with_instance.to_string()),
        "device-name" => Some(disk.device.clone()),
        "encrypted" => Some("false".to_owned()),
        "snapshot-id" => disk.snapshot.map(CloudId::written),
        "volume-size" => Some(disk.size_mib.div_ceil(1024).to_string()),
        "volume-type" => Some(shown_type(&disk.category).to_owned()),
        _ => None,
    }
}
