//! Devices in requests: `BlockDeviceMapping.n` of launches and images.

use compute::compute::{DiskRequest, ImageDiskContent, NewImageDisk, SourceRequest};
use compute::id::SnapshotId;
use compute::resource::{ImageDisk, InstanceType, bare_device, is_same_device};

use super::super::Refusal;
use super::super::ids::CloudId;
use super::super::parameters::Parameters;

/// The name of the disk that instances boot from.
pub const ROOT: &str = "/dev/sda1";

/// What clients call that disk too: the names of other clouds' images, and the one that the guest itself sees.
const ROOTS: &[&str] = &["sda", "sda1", "vda", "vda1", "xvda", "xvda1"];

/// The cloud's types of volume. All are the same here.
pub const VOLUME_TYPES: &[&str] = &["gp2", "gp3", "io1", "io2", "sc1", "st1", "standard"];

/// The type that is meant where none is named.
pub const USUAL_TYPE: &str = "gp2";

/// The type that is shown; one that another API made has a word of its own for it.
pub fn shown_type(category: &str) -> &str {
    if VOLUME_TYPES.contains(&category) { category } else { USUAL_TYPE }
}

/// Sizes of volumes, in GiB.
const SIZES: std::ops::RangeInclusive<u64> = 1..=16384;

/// A device of a mapping.
#[derive(Debug, PartialEq, Eq)]
pub enum Device {
    /// The disk to boot from.
    Root(DiskRequest),
    /// Another volume, which always has a name.
    Data(String, DiskRequest),
    /// A disk of the host's that the instance type has.
    Ephemeral(DiskRequest),
    /// One that the image has is not wanted.
    Nothing(String),
}

/// Reads all devices of a mapping. What is not said of one that is there already is as it is there.
pub fn read(parameters: &Parameters, there: &[ImageDisk]) -> Result<Vec<Device>, Refusal> {
    parameters.groups("BlockDeviceMapping")?.iter().map(|group| device(group, there)).collect()
}

fn wrong(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidBlockDeviceMapping", why)
}

/// Whether a name is one of the disk to boot from.
pub fn is_root(device: &str) -> bool {
    ROOTS.contains(&bare_device(device))
}

/// Whether a device can be called that.
pub fn is_device(device: &str) -> bool {
    let name = bare_device(device);
    (1..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn device(group: &Parameters, there: &[ImageDisk]) -> Result<Device, Refusal> {
    let name = group.required("DeviceName")?.to_owned();
    if !is_device(&name) {
        return Err(wrong(format!("Invalid device name {}", name.chars().take(64).collect::<String>())));
    }
    let ebs = group.group("Ebs");
    // Clients send it without a value.
    if group.iter().any(|(name, _)| name == "NoDevice") {
        return if is_root(&name) {
            Err(wrong("The root device cannot be left out."))
        } else {
            Ok(Device::Nothing(name))
        };
    }
    if let Some(virtual_name) = group.get("VirtualName") {
        let number = virtual_name.strip_prefix("ephemeral").and_then(|number| number.parse::<u8>().ok());
        if number.is_none_or(|number| number > 23) || is_root(&name) {
            return Err(group.invalid("VirtualName"));
        }
        let content = SourceRequest::Ephemeral;
        let disk =
            DiskRequest { content, device: Some(name), delete_with_instance: true, ..DiskRequest::default() };
        return Ok(Device::Ephemeral(disk));
    }
    let there = there.iter().find(|disk| is_same_device(&disk.device, &name));
    let (snapshot, usual_gib) = match (ebs.get("SnapshotId"), there) {
        (Some(snapshot), _) => (Some(SnapshotId::read(snapshot)?), None),
        (None, Some(there)) => (there.snapshot, Some(there.size_mib.div_ceil(1024))),
        (None, None) => (None, None),
    };
    let size_gib = size(&ebs, "VolumeSize")?.or(usual_gib);
    check_encryption(&ebs)?;
    let usually_deleted = there.is_none_or(|there| there.delete_with_instance);
    let delete_with_instance = ebs.flag("DeleteOnTermination")?.unwrap_or(usually_deleted);
    let category = match (volume_type(&ebs)?, there) {
        (_, Some(there)) if ebs.get("VolumeType").is_none() => there.category.clone(),
        (category, _) => category.to_owned(),
    };
    let content = snapshot.map_or(SourceRequest::Blank, SourceRequest::Snapshot);
    let mut disk =
        DiskRequest { size_gib, content, delete_with_instance, category, ..DiskRequest::default() };
    if is_root(&name) {
        disk.device = Some(ROOT.to_owned());
        return Ok(Device::Root(disk));
    }
    if size_gib.is_none() && snapshot.is_none() {
        return Err(Refusal::missing("size/snapshot"));
    }
    disk.device = Some(name.clone());
    Ok(Device::Data(name, disk))
}

/// The size of a volume, in GiB.
pub fn size(parameters: &Parameters, name: &str) -> Result<Option<u64>, Refusal> {
    let size: Option<u64> = parameters.parsed(name)?;
    match size {
        Some(size) if !SIZES.contains(&size) => Err(parameters.invalid(name)),
        size => Ok(size),
    }
}

/// The type of a volume.
pub fn volume_type(parameters: &Parameters) -> Result<&str, Refusal> {
    match parameters.get("VolumeType") {
        None => Ok(USUAL_TYPE),
        Some(kind) if VOLUME_TYPES.contains(&kind) => Ok(kind),
        Some(_) => Err(parameters.invalid("VolumeType")),
    }
}

/// Refuses what would have to be encrypted by a key of the account's.
pub fn check_encryption(parameters: &Parameters) -> Result<(), Refusal> {
    if parameters.flag("Encrypted")? == Some(true) {
        return Err(Refusal::unsupported(&parameters.full("Encrypted")));
    }
    match parameters.get("KmsKeyId") {
        Some(_) => Err(Refusal::unsupported(&parameters.full("KmsKeyId"))),
        None => Ok(()),
    }
}

/// The disks of a launch.
pub struct LaunchDisks {
    /// The one to boot from.
    pub system: DiskRequest,
    /// Others.
    pub others: Vec<DiskRequest>,
    /// Which of the image's are not wanted.
    pub without: Vec<String>,
}

/// Reads the disks of a launch of an image that has these data disks. A disk of the host's is left out where the instance type
/// has none.
pub fn of_launch(
    parameters: &Parameters,
    instance_type: &InstanceType,
    there: &[ImageDisk],
) -> Result<LaunchDisks, Refusal> {
    let usual = DiskRequest {
        device: Some(ROOT.to_owned()),
        delete_with_instance: true,
        category: USUAL_TYPE.to_owned(),
        ..DiskRequest::default()
    };
    let (mut root, mut others, mut without) = (None, Vec::new(), Vec::new());
    for device in read(parameters, there)? {
        match device {
            Device::Root(_) if root.is_some() => return Err(wrong("The root device is there twice.")),
            // The image says what is on it.
            Device::Root(disk) => root = Some(DiskRequest { content: SourceRequest::Blank, ..disk }),
            Device::Data(_, disk) => others.push(disk),
            Device::Ephemeral(disk) if instance_type.ephemeral_gib > 0 => others.push(disk),
            Device::Ephemeral(_) => {}
            Device::Nothing(name) => without.push(name),
        }
    }
    Ok(LaunchDisks { system: root.unwrap_or(usual), others, without })
}

/// A data disk of an image, as a mapping says.
pub fn of_image(device: String, disk: DiskRequest) -> NewImageDisk {
    NewImageDisk {
        device,
        content: match disk.content {
            SourceRequest::Snapshot(snapshot) => ImageDiskContent::Snapshot(snapshot),
            SourceRequest::Blank | SourceRequest::Ephemeral | SourceRequest::Swap => ImageDiskContent::Blank,
        },
        size_gib: disk.size_gib,
        delete_with_instance: disk.delete_with_instance,
        category: disk.category,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::parameters::of;
    use super::*;

    #[test]
    fn devices_are_read_by_their_names() {
        let parameters = of(&[
            ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
            ("BlockDeviceMapping.1.Ebs.VolumeSize", "20"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "false"),
            ("BlockDeviceMapping.2.DeviceName", "/dev/sdf"),
            ("BlockDeviceMapping.2.Ebs.SnapshotId", "snap-0000000a"),
            ("BlockDeviceMapping.3.DeviceName", "/dev/sdg"),
            ("BlockDeviceMapping.3.NoDevice", ""),
            ("BlockDeviceMapping.4.DeviceName", "sdb"),
            ("BlockDeviceMapping.4.VirtualName", "ephemeral0"),
        ]);
        let devices = read(&parameters, &[]).unwrap();
        assert!(
            matches!(&devices[0], Device::Root(disk) if disk.size_gib == Some(20) && !disk.delete_with_instance)
        );
        let snapshot = SourceRequest::Snapshot(SnapshotId::new(10));
        assert!(
            matches!(&devices[1], Device::Data(_, disk) if disk.content == snapshot && disk.delete_with_instance)
        );
        assert_eq!(devices[2], Device::Nothing("/dev/sdg".to_owned()));
        assert!(matches!(&devices[3], Device::Ephemeral(disk) if disk.device.as_deref() == Some("sdb")));
    }

    #[test]
    fn what_is_not_said_of_a_disk_of_the_image_is_as_it_is_there() {
        let there = ImageDisk {
            device: "/dev/sdf".to_owned(),
            snapshot: Some(SnapshotId::new(10)),
            size_mib: 8 << 10,
            delete_with_instance: false,
            category: "gp3".to_owned(),
        };
        let read_one = |more: &[(&str, &str)]| {
            let pairs = [&[("BlockDeviceMapping.1.DeviceName", "sdf")], more].concat();
            match read(&of(&pairs), std::slice::from_ref(&there)).unwrap().remove(0) {
                Device::Data(_, disk) => disk,
                other => panic!("{other:?}"),
            }
        };
        let same = read_one(&[("BlockDeviceMapping.1.Ebs.VolumeSize", "9")]);
        assert_eq!(same.content, SourceRequest::Snapshot(SnapshotId::new(10)));
        assert_eq!(
            (same.size_gib, same.delete_with_instance, same.category.as_str()),
            (Some(9), false, "gp3")
        );
        let other = read_one(&[("BlockDeviceMapping.1.Ebs.SnapshotId", "snap-0000000b")]);
        assert_eq!(other.content, SourceRequest::Snapshot(SnapshotId::new(11)));
        assert_eq!(other.size_gib, None, "as large as the other snapshot");
    }

    #[test]
    fn a_type_of_another_cloud_is_shown_as_the_usual_one() {
        assert_eq!(["gp3", "cloud_ssd", ""].map(shown_type), ["gp3", "gp2", "gp2"]);
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for (pair, code) in [
            (("Ebs.VolumeSize", "0"), "InvalidParameterValue"),
            (("Ebs.VolumeSize", "20000"), "InvalidParameterValue"),
            (("Ebs.VolumeType", "floppy"), "InvalidParameterValue"),
            (("Ebs.Encrypted", "true"), "UnsupportedOperation"),
            (("Ebs.SnapshotId", "vol-1"), "InvalidSnapshotID.Malformed"),
            (("Ebs.DeleteOnTermination", "true"), "MissingParameter"),
            (("VirtualName", "permanent0"), "InvalidParameterValue"),
        ] {
            let name = format!("BlockDeviceMapping.1.{}", pair.0);
            let parameters = of(&[("BlockDeviceMapping.1.DeviceName", "/dev/sdf"), (&name, pair.1)]);
            assert_eq!(read(&parameters, &[]).unwrap_err().code, code, "{pair:?}");
        }
        for (name, value, code) in [
            ("BlockDeviceMapping.1.Ebs.VolumeSize", "1", "MissingParameter"),
            ("BlockDeviceMapping.1.DeviceName", "/dev/../x", "InvalidBlockDeviceMapping"),
        ] {
            assert_eq!(read(&of(&[(name, value)]), &[]).unwrap_err().code, code, "{value}");
        }
    }
}
