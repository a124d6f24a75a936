//! Images as requests name them, and as they are shown. The cloud's public ones have names for ids, so an image can be named
//! by its own name as well, where that tells one image.

use compute::compute::Compute;
use compute::id::{ImageId, SnapshotId};
use compute::resource::{Architecture, Image, ImageState};
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal, states, time};

/// The image that a text names.
pub async fn find(call: &Call<'_>, text: &str) -> Result<Image, Refusal> {
    if let Ok(id) = ImageId::read(text) {
        let found = call.compute().image(call.account(), id).await?;
        // One that was deleted is kept for its instances, and is there for nobody.
        return if states::image(found.state).is_some() {
            Ok(found)
        } else {
            Err(Refusal::not_found("image"))
        };
    }
    let is_it = |image: &Image| image.name == text && image.state == ImageState::Available;
    let mut found = call.compute().images(call.account(), None, 2, is_it).await?.items;
    // The caller's own comes before what others let everybody use; of two alike none is meant.
    if found.len() > 1 {
        found = call
            .compute()
            .images(call.account(), None, 2, |image| is_it(image) && image.account == call.account())
            .await?
            .items;
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Refusal::not_found("image")),
        _ => Err(Refusal::new(400, "InvalidImageId.Duplicate", "Several images are called so: use an id.")),
    }
}

/// The image as it is shown; `None` if nobody is shown it any more.
pub async fn view(compute: &Compute, account: &str, image: &Image) -> Result<Option<Value>, Refusal> {
    let Some(mut status) = states::image(image.state) else { return Ok(None) };
    if image.state == ImageState::Pending
        && compute.failure_of(&image.account, &image.id.to_string()).await?.is_some()
    {
        status = "CreateFailed";
    }
    let alias = match () {
        () if image.account == account => "self",
        () if image.public => "system",
        () => "others",
    };
    let tags = super::tagged::view(&image.tags);
    Ok(Some(json!({
        "ImageId": image.id.written(),
        "ImageName": image.name,
        "ImageVersion": "",
        "Description": image.description,
        "ImageOwnerAlias": alias,
        "ImageOwnerId": image.account,
        "Size": image.size_gib(),
        "Status": status,
        "Progress": if status == "Available" { "100%" } else { "0%" },
        "Architecture": match image.architecture { Architecture::X86_64 => "x86_64", Architecture::I386 => "i386" },
        "OSName": image.name,
        "OSType": "linux",
        "Platform": "Others Linux",
        "Usage": "instance",
        "IsSupportCloudinit": true,
        "IsSupportIoOptimized": true,
        "IsSubscribed": false,
        "IsCopied": false,
        "IsSelfShared": "",
        "ProductCode": image.product_codes.first().map(String::as_str).unwrap_or_default(),
        "CreationTime": time::seconds(image.created),
        "DiskDeviceMappings": { "DiskDeviceMapping": disks(image) },
        "Tags": { "Tag": tags },
    })))
}

/// The disks of its instances. The first is not shown where it is of no snapshot, as the cloud has it.
fn disks(image: &Image) -> Vec<Value> {
    let shown = |snapshot: Option<SnapshotId>, size_gib: u64, device: &str, kind: &str| {
        json!({
            "SnapshotId": snapshot.map(CloudId::written).unwrap_or_default(), "Size": size_gib.to_string(),
            "Device": device, "Type": kind,
        })
    };
    let system =
        image.snapshot.map(|snapshot| shown(Some(snapshot), image.size_gib(), "/dev/xvda", "system"));
    let data = image.data_disks.iter();
    let data = data.map(|disk| shown(disk.snapshot, disk.size_mib.div_ceil(1024), &disk.device, "data"));
    system.into_iter().chain(data).collect()
}
