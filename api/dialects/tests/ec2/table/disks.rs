//! Volumes, snapshots and images.

use super::Stranger::{DoesIt, No};
use super::{Entry, Refused, ec2};

const NO_VOLUME: Refused = Refused(&[("VolumeId", "vol-0000000a")], "InvalidVolume.NotFound");
const NO_SNAPSHOT: Refused = Refused(&[("SnapshotId", "snap-0000000a")], "InvalidSnapshot.NotFound");
const NO_IMAGE: Refused = Refused(&[("ImageId", "ami-0000000a")], "InvalidAMIID.NotFound");
const WITHOUT_VOLUME: Refused = Refused(&[("VolumeId", "")], "MissingParameter");
const WITHOUT_IMAGE: Refused = Refused(&[("ImageId", "")], "MissingParameter");

pub const ENTRIES: &[Entry] = &[
    ec2(
        "AttachVolume",
        &[("VolumeId", "{volume}"), ("InstanceId", "{stopped}"), ("Device", "/dev/sdg")],
        &[
            WITHOUT_VOLUME,
            NO_VOLUME,
            Refused(&[("InstanceId", "{running}")], "IncorrectInstanceState"),
            Refused(&[("VolumeId", "{used volume}")], "VolumeInUse"),
            Refused(&[("Device", "/dev/sdf")], "InvalidParameterValue"),
        ],
        No("InvalidVolume.NotFound"),
    ),
    ec2(
        "CreateImage",
        &[("InstanceId", "{stopped}"), ("Name", "golden")],
        &[
            Refused(&[("InstanceId", "")], "MissingParameter"),
            Refused(&[("InstanceId", "i-0000000a")], "InvalidInstanceID.NotFound"),
            Refused(&[("Name", "debian")], "InvalidAMIName.Duplicate"),
        ],
        No("InvalidInstanceID.NotFound"),
    ),
    ec2(
        "CreateSnapshot",
        &[("VolumeId", "{volume}"), ("Description", "before")],
        &[WITHOUT_VOLUME, NO_VOLUME, Refused(&[("VolumeId", "x")], "InvalidVolumeID.Malformed")],
        No("InvalidVolume.NotFound"),
    ),
    ec2(
        "CreateVolume",
        &[("AvailabilityZone", "local-a"), ("Size", "5")],
        &[
            Refused(&[("AvailabilityZone", "")], "MissingParameter"),
            Refused(&[("AvailabilityZone", "moon")], "InvalidZone.NotFound"),
            Refused(&[("Size", "0")], "InvalidParameterValue"),
            NO_SNAPSHOT,
            Refused(&[("Encrypted", "true")], "UnsupportedOperation"),
        ],
        DoesIt,
    ),
    ec2(
        "DeleteSnapshot",
        &[("SnapshotId", "{snapshot}")],
        &[Refused(&[("SnapshotId", "")], "MissingParameter"), NO_SNAPSHOT],
        No("InvalidSnapshot.NotFound"),
    ),
    ec2(
        "DeleteVolume",
        &[("VolumeId", "{volume}")],
        &[WITHOUT_VOLUME, NO_VOLUME, Refused(&[("VolumeId", "{used volume}")], "VolumeInUse")],
        No("InvalidVolume.NotFound"),
    ),
    ec2(
        "DeregisterImage",
        &[("ImageId", "{image}")],
        &[WITHOUT_IMAGE, NO_IMAGE, Refused(&[("ImageId", "debian")], "InvalidAMIID.Malformed")],
        No("InvalidAMIID.NotFound"),
    ),
    ec2(
        "DescribeImageAttribute",
        &[("ImageId", "{image}"), ("Attribute", "launchPermission")],
        &[NO_IMAGE, Refused(&[("Attribute", "colour")], "InvalidParameterValue")],
        No("InvalidAMIID.NotFound"),
    ),
    ec2(
        "DescribeImages",
        &[("ImageId.1", "{image}")],
        &[
            Refused(&[("ImageId.1", "ami-0000000a")], "InvalidAMIID.NotFound"),
            Refused(&[("Owner.1", "me")], "InvalidUserID.Malformed"),
        ],
        No("InvalidAMIID.NotFound"),
    ),
    ec2(
        "DescribeSnapshots",
        &[("SnapshotId.1", "{snapshot}")],
        &[Refused(&[("SnapshotId.1", "x")], "InvalidSnapshotID.Malformed")],
        No("InvalidSnapshot.NotFound"),
    ),
    ec2(
        "DescribeVolumes",
        &[("VolumeId.1", "{used volume}")],
        &[Refused(&[("VolumeId.1", "x")], "InvalidVolumeID.Malformed")],
        No("InvalidVolume.NotFound"),
    ),
    ec2(
        "DetachVolume",
        &[("VolumeId", "{used volume}"), ("InstanceId", "{stopped}")],
        &[
            WITHOUT_VOLUME,
            NO_VOLUME,
            Refused(&[("VolumeId", "{volume}")], "IncorrectState"),
            Refused(&[("Device", "/dev/sdz")], "InvalidAttachment.NotFound"),
        ],
        No("InvalidVolume.NotFound"),
    ),
    ec2(
        "ModifyImageAttribute",
        &[("ImageId", "{image}"), ("LaunchPermission.Add.1.Group", "all")],
        &[
            WITHOUT_IMAGE,
            NO_IMAGE,
            Refused(&[("LaunchPermission.Add.1.Group", "some")], "InvalidAMIAttributeItemValue"),
        ],
        No("InvalidAMIID.NotFound"),
    ),
    ec2(
        "ModifyVolume",
        &[("VolumeId", "{used volume}"), ("Size", "3")],
        &[
            WITHOUT_VOLUME,
            NO_VOLUME,
            Refused(&[("Size", "1")], "InvalidParameterValue"),
            Refused(&[("VolumeType", "io2")], "UnsupportedOperation"),
        ],
        No("InvalidVolume.NotFound"),
    ),
    ec2(
        "RegisterImage",
        &[
            ("Name", "copy"),
            ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
            ("BlockDeviceMapping.1.Ebs.SnapshotId", "{system snapshot}"),
        ],
        &[
            Refused(&[("Name", "")], "MissingParameter"),
            Refused(&[("Architecture", "vax")], "InvalidParameterValue"),
            Refused(&[("ImageLocation", "bucket/good.raw")], "InvalidParameterCombination"),
            Refused(&[("BlockDeviceMapping.1.Ebs.SnapshotId", "snap-0000000a")], "InvalidSnapshot.NotFound"),
        ],
        No("InvalidSnapshot.NotFound"),
    ),
    ec2(
        "ResetImageAttribute",
        &[("ImageId", "{image}"), ("Attribute", "launchPermission")],
        &[NO_IMAGE, Refused(&[("Attribute", "colour")], "InvalidParameterValue")],
        No("InvalidAMIID.NotFound"),
    ),
];
