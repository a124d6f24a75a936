//! ImportImage: an image of a file that is on the host. A bucket is a folder below the one that the operator keeps for this, and
//! an object a file in it: here is no object store, and nothing has to be allowed to read it. Of several disks no image is made
//! here. It answers at once; the image can be launched when its content is imported, and is told to be in the making until then.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-importimage>

use std::path::{Path, PathBuf};

use compute::compute::{ComputeError, NewImage};
use compute::outside::ImageSource;
use compute::resource::Architecture;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::parameters::Parameters;
use super::super::{Call, Refusal};
use super::launch::{description, name};
use crate::server::{BelowError, below};

/// What an image's format can be said to be. What it is shows when it is read.
const FORMATS: &[&str] = &["RAW", "VHD", "QCOW2"];
/// Sizes of a system disk, in GiB.
const SIZES: std::ops::RangeInclusive<u64> = 5..=500;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let mut mapped = parameters.groups("DiskDeviceMapping")?.into_iter();
    let Some((_, disk)) = mapped.next() else {
        return Err(Refusal::missing("DiskDeviceMapping.1.OSSBucket"));
    };
    let (bucket, object) = (disk.required("OSSBucket")?.to_owned(), disk.required("OSSObject")?.to_owned());
    if let Some((number, _)) = mapped.next() {
        return Err(Refusal::unsupported(&format!("DiskDeviceMapping.{number}.OSSObject")));
    }
    let min_disk_gib = size(&disk)?;
    check_format(&disk)?;
    check_system(parameters)?;
    let new = NewImage {
        name: name(parameters, "ImageName")?.unwrap_or_else(|| name_of(&object)),
        description: description(parameters)?.unwrap_or_default(),
        architecture: architecture(parameters)?,
        min_disk_gib,
        location: format!("{bucket}/{object}"),
        tags: parameters.tags()?,
        token: call.token("alibaba/ImportImage")?,
        ..NewImage::default()
    };
    let Some(folder) = call.inner.images.clone() else {
        let why =
            "The specified region does not support image import: its operator has given no folder for it.";
        return Err(Refusal::new(400, "InvalidRegion.NotSupport", why));
    };
    let looked = tokio::task::spawn_blocking(move || find(&folder, &bucket, &object));
    let file = looked.await.map_err(|_| Refusal::from(ComputeError::Ending))??;
    let (image, job) =
        call.compute().import_image(call.account(), &new, ImageSource::File(file), None).await?;
    let Some(image) = image else {
        let why = format!("The image of {} is gone.", job.id);
        return Err(Refusal::new(404, "InvalidImageId.NotFound", why));
    };
    Ok(json!({ "ImageId": image.id.written(), "RegionId": call.region(), "TaskId": job.id.with_prefix("t") }))
}

/// The file that is the object.
fn find(folder: &Path, bucket: &str, object: &str) -> Result<PathBuf, Refusal> {
    let is_there = !bucket.contains('/') && below(folder, bucket).is_ok_and(|path| path.is_dir());
    if !is_there {
        let why = "The specified OSS bucket does not exist in this region.";
        return Err(Refusal::new(400, "InvalidOSSBucket.NotFound", why));
    }
    match below(folder, &format!("{bucket}/{object}")) {
        Ok(path) if path.is_file() => Ok(path),
        Ok(_) | Err(BelowError::Nowhere) => {
            let why = "The specified OSS object does not exist in this region.";
            Err(Refusal::new(400, "InvalidOSSObject.NotFound", why))
        }
        Err(BelowError::Malformed) => {
            let why = "The specified OSS object is wrongly formed.";
            Err(Refusal::new(400, "InvalidOSSObject.Malformed", why))
        }
    }
}

/// The smallest system disk, by its name of today or of before; what the content needs comes on top.
fn size(disk: &Parameters) -> Result<u64, Refusal> {
    let name = if disk.get("DiskImageSize").is_some() { "DiskImageSize" } else { "DiskImSize" };
    match disk.parsed(name)? {
        None => Ok(0),
        Some(size) if SIZES.contains(&size) => Ok(size),
        Some(_) => {
            let why = format!("A system disk has {} to {} GiB.", SIZES.start(), SIZES.end());
            Err(Refusal::new(400, "InvalidImageSize", why))
        }
    }
}

fn check_format(disk: &Parameters) -> Result<(), Refusal> {
    let is_known = |format: &str| FORMATS.iter().any(|known| known.eq_ignore_ascii_case(format));
    if disk.get("Format").is_none_or(is_known) {
        return Ok(());
    }
    let why = "The specified Image Format is wrongly formed.";
    Err(Refusal::new(400, "InvalidImageFormat.Malformed", why))
}

fn architecture(parameters: &Parameters) -> Result<Architecture, Refusal> {
    match parameters.get("Architecture") {
        None | Some("x86_64") => Ok(Architecture::X86_64),
        Some("i386") => Ok(Architecture::I386),
        Some(_) => {
            let why = "The specified Architecture is wrongly formed.";
            Err(Refusal::new(400, "InvalidArchitecture.Malformed", why))
        }
    }
}

/// What boots here is Linux, and without firmware. Which Linux makes no difference.
fn check_system(parameters: &Parameters) -> Result<(), Refusal> {
    match parameters.get("OSType") {
        None | Some("linux") => {}
        Some("windows") => return Err(Refusal::unsupported("OSType")),
        Some(_) => {
            let why = "The specified OSType is wrongly formed.";
            return Err(Refusal::new(400, "InvalidOSType.Malformed", why));
        }
    }
    if parameters.get("Platform").is_some_and(|platform| platform.starts_with("Windows")) {
        return Err(Refusal::unsupported("Platform"));
    }
    match parameters.get("BootMode") {
        None | Some("BIOS") => Ok(()),
        Some("UEFI") => Err(Refusal::unsupported("BootMode")),
        Some(_) => Err(Refusal::invalid("BootMode")),
    }
}

/// An image that was given no name is called as its file is, and a few digits, as the core wants a name that no other has.
fn name_of(object: &str) -> String {
    let file: String = object.rsplit('/').next().unwrap_or(object).chars().take(100).collect();
    let digits = uuid::Uuid::new_v4().simple().to_string();
    format!("{file} {}", &digits[..8])
}
