//! Disks, snapshots and images.

use super::Stranger::{DoesIt, Refused as No, SeesNothing};
use super::{Entry, NO_INSTANCE, Refused, entry, invalid};
use crate::caller::Pairs;

const NO_PAGE: Pairs<'static> = &[("PageSize", "0")];
const NO_DISK: super::Stranger = No(404, "InvalidDiskId.NotFound");
const NO_SUCH_DISK: Refused = Refused(&[("DiskId", "d-1111")], 404, "InvalidDiskId.NotFound");
const NO_SUCH_SNAPSHOT: Refused = Refused(&[("SnapshotId", "s-1111")], 404, "InvalidSnapshotId.NotFound");

pub const ENTRIES: &[Entry] = &[
    entry(
        "AttachDisk",
        &[("DiskId", "{disk}"), ("InstanceId", "{stopped}")],
        &["DiskId", "InstanceId"],
        &[NO_SUCH_DISK, invalid(&[("DeleteWithInstance", "perhaps")])],
        &[
            Refused(&[("DiskId", "{used disk}")], 403, "IncorrectDiskStatus"),
            Refused(&[("InstanceId", "{running}")], 403, "IncorrectInstanceStatus"),
        ],
        NO_INSTANCE,
    ),
    entry(
        "CreateDisk",
        &[("Size", "20"), ("DiskCategory", "cloud_ssd")],
        &["Size"],
        &[
            invalid(&[("Size", "x")]),
            Refused(&[("Size", "0")], 400, "InvalidDiskSize.ValueNotSupported"),
            Refused(&[("DiskCategory", "tape")], 400, "InvalidDiskCategory.ValueNotSupported"),
            NO_SUCH_SNAPSHOT,
            Refused(&[("Encrypted", "true")], 400, "UnsupportedParameter"),
        ],
        &[],
        DoesIt,
    ),
    entry(
        "CreateImage",
        &[("SnapshotId", "{snapshot}"), ("ImageName", "new")],
        &["SnapshotId"],
        &[NO_SUCH_SNAPSHOT, Refused(&[("InstanceId", "i-1111")], 404, "InvalidInstanceId.NotFound")],
        &[Refused(&[("SnapshotId", "{data snapshot}")], 403, "InvalidSnapshotId.NotSystemDisk")],
        No(404, "InvalidSnapshotId.NotFound"),
    ),
    entry(
        "CreateSnapshot",
        &[("DiskId", "{disk}"), ("SnapshotName", "new")],
        &["DiskId"],
        &[NO_SUCH_DISK, Refused(&[("SnapshotName", "-")], 400, "InvalidSnapshotName.Malformed")],
        &[],
        NO_DISK,
    ),
    entry(
        "DeleteDisk",
        &[("DiskId", "{disk}")],
        &["DiskId"],
        &[NO_SUCH_DISK],
        &[Refused(&[("DiskId", "{used disk}")], 403, "IncorrectDiskStatus")],
        NO_DISK,
    ),
    entry(
        "DeleteImage",
        &[("ImageId", "{image}"), ("Force", "true")],
        &["ImageId"],
        &[
            Refused(&[("ImageId", "m-1111")], 404, "InvalidImageId.NotFound"),
            invalid(&[("Force", "perhaps")]),
        ],
        &[Refused(&[("Force", "false")], 403, "ImageUsingByInstance")],
        No(404, "InvalidImageId.NotFound"),
    ),
    entry(
        "DeleteSnapshot",
        &[("SnapshotId", "{spare snapshot}")],
        &["SnapshotId"],
        &[NO_SUCH_SNAPSHOT, invalid(&[("Force", "perhaps")])],
        &[
            Refused(&[("SnapshotId", "{snapshot}")], 403, "SnapshotCreatedImage"),
            Refused(&[("SnapshotId", "{data snapshot}")], 403, "SnapshotCreatedDisk"),
        ],
        No(404, "InvalidSnapshotId.NotFound"),
    ),
    entry(
        "DescribeDisks",
        &[("InstanceId", "{stopped}"), ("DiskType", "data")],
        &[],
        &[
            invalid(NO_PAGE),
            invalid(&[("Status", "Idle")]),
            invalid(&[("DiskType", "tape")]),
            invalid(&[("DiskIds", "d-1111")]),
        ],
        &[],
        SeesNothing("Disks.Disk"),
    ),
    entry(
        "DescribeImages",
        &[("ImageId", "{image}")],
        &[],
        &[invalid(NO_PAGE), invalid(&[("Status", "Idle")]), invalid(&[("ImageOwnerAlias", "nobody")])],
        &[],
        SeesNothing("Images.Image"),
    ),
    entry(
        "DescribeSnapshots",
        &[("SnapshotIds", r#"["{snapshot}"]"#)],
        &[],
        &[invalid(NO_PAGE), invalid(&[("Status", "Idle")]), invalid(&[("SnapshotIds", "s-1111")])],
        &[],
        SeesNothing("Snapshots.Snapshot"),
    ),
    entry(
        "DetachDisk",
        &[("DiskId", "{used disk}"), ("InstanceId", "{stopped}")],
        &["DiskId", "InstanceId"],
        &[NO_SUCH_DISK, Refused(&[("InstanceId", "i-1111")], 404, "InvalidInstanceId.NotFound")],
        &[
            Refused(&[("DiskId", "{disk}")], 403, "DependencyViolation.InstanceNotAttached"),
            Refused(&[("DiskId", "{system disk}")], 403, "DiskNotPortable"),
        ],
        NO_INSTANCE,
    ),
    entry(
        "ImportImage",
        &[
            ("DiskDeviceMapping.1.OSSBucket", "bucket"),
            ("DiskDeviceMapping.1.OSSObject", "disk.raw"),
            ("DiskDeviceMapping.1.Format", "RAW"),
            ("DiskDeviceMapping.1.DiskImageSize", "20"),
            ("ImageName", "new"),
            ("Platform", "Debian"),
        ],
        &["DiskDeviceMapping.1.OSSBucket", "DiskDeviceMapping.1.OSSObject"],
        &[
            Refused(&[("DiskDeviceMapping.1.OSSBucket", "none")], 400, "InvalidOSSBucket.NotFound"),
            Refused(&[("DiskDeviceMapping.1.OSSBucket", "..")], 400, "InvalidOSSBucket.NotFound"),
            Refused(&[("DiskDeviceMapping.1.OSSObject", "none.raw")], 400, "InvalidOSSObject.NotFound"),
            Refused(&[("DiskDeviceMapping.1.OSSObject", "../../secret")], 400, "InvalidOSSObject.Malformed"),
            Refused(&[("DiskDeviceMapping.1.Format", "VMDK")], 400, "InvalidImageFormat.Malformed"),
            Refused(&[("DiskDeviceMapping.1.DiskImageSize", "501")], 400, "InvalidImageSize"),
            Refused(&[("DiskDeviceMapping.2.OSSObject", "data.raw")], 400, "UnsupportedParameter"),
            Refused(&[("ImageName", "-")], 400, "InvalidImageName.Malformed"),
            Refused(&[("Architecture", "vax")], 400, "InvalidArchitecture.Malformed"),
            Refused(&[("OSType", "plan9")], 400, "InvalidOSType.Malformed"),
            Refused(&[("OSType", "windows")], 400, "UnsupportedParameter"),
            Refused(&[("BootMode", "UEFI")], 400, "UnsupportedParameter"),
        ],
        &[Refused(&[("ImageName", "copy")], 400, "InvalidImageName.Duplicated")],
        DoesIt,
    ),
    entry(
        "ResizeDisk",
        &[("DiskId", "{disk}"), ("NewSize", "30")],
        &["DiskId", "NewSize"],
        &[
            NO_SUCH_DISK,
            invalid(&[("NewSize", "x")]),
            Refused(&[("NewSize", "1")], 400, "InvalidDiskSize.TooSmall"),
        ],
        &[],
        NO_DISK,
    ),
];
