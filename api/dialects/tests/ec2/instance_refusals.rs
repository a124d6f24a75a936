//! What is refused of instances and what belongs to them, action by action, in the cloud's words; and that nothing has changed
//! then.

use super::caller::Pairs;
use super::instances::{host, running, until, wait};

/// A request that is refused with status 400 and this code.
type Case<'a> = (&'a str, Pairs<'a>, &'a str);

#[tokio::test]
async fn what_is_missing_or_malformed_is_refused_by_its_name() {
    let (_host, root, _) = host().await;
    let cases: &[Case<'_>] = &[
        ("AttachVolume", &[("InstanceId", "i-0000000a"), ("Device", "/dev/sdf")], "MissingParameter"),
        ("AttachVolume", &[("VolumeId", "vol-0000000a"), ("Device", "/dev/sdf")], "MissingParameter"),
        ("AttachVolume", &[("VolumeId", "vol-0000000a"), ("InstanceId", "i-0000000a")], "MissingParameter"),
        ("AttachVolume", &[("VolumeId", "vol-1")], "InvalidVolumeID.Malformed"),
        ("CreateImage", &[("Name", "x")], "MissingParameter"),
        ("CreateImage", &[("InstanceId", "instance")], "InvalidInstanceID.Malformed"),
        ("CreateKeyPair", &[], "MissingParameter"),
        ("CreateKeyPair", &[("KeyName", "k"), ("KeyType", "dsa")], "InvalidParameterValue"),
        ("CreateKeyPair", &[("KeyName", "k"), ("KeyFormat", "ppk")], "UnsupportedOperation"),
        ("CreateSnapshot", &[], "MissingParameter"),
        ("CreateSnapshot", &[("VolumeId", "snap-0000000a")], "InvalidVolumeID.Malformed"),
        ("CreateTags", &[("Tag.1.Key", "a")], "MissingParameter"),
        ("CreateTags", &[("ResourceId.1", "i-0000000a")], "MissingParameter"),
        ("CreateTags", &[("ResourceId.1", "x-1"), ("Tag.1.Key", "a")], "InvalidID"),
        ("CreateTags", &[("ResourceId.1", "i-1"), ("Tag.1.Key", "a")], "InvalidInstanceID.Malformed"),
        ("CreateTags", &[("ResourceId.1", "i-1"), ("Tag.1.Key", "aws:a")], "InvalidParameterValue"),
        ("CreateVolume", &[("Size", "1")], "MissingParameter"),
        ("CreateVolume", &[("AvailabilityZone", "local-a")], "MissingParameter"),
        ("CreateVolume", &[("AvailabilityZone", "local-a"), ("Size", "x")], "InvalidParameterValue"),
        ("CreateVolume", &[("AvailabilityZone", "local-a"), ("Size", "0")], "InvalidParameterValue"),
        ("CreateVolume", &[("AvailabilityZone", "moon"), ("Size", "1")], "InvalidZone.NotFound"),
        ("CreateVolume", &[("Encrypted", "true")], "UnsupportedOperation"),
        ("CreateVolume", &[("SnapshotId", "snap-1")], "InvalidSnapshotID.Malformed"),
        ("DeleteKeyPair", &[], "MissingParameter"),
        ("DeleteKeyPair", &[("KeyName", "k"), ("KeyPairId", "key-0000000a")], "InvalidParameterCombination"),
        ("DeleteSnapshot", &[], "MissingParameter"),
        ("DeleteTags", &[], "MissingParameter"),
        ("DeleteVolume", &[], "MissingParameter"),
        ("DeregisterImage", &[], "MissingParameter"),
        ("DeregisterImage", &[("ImageId", "debian")], "InvalidAMIID.Malformed"),
        ("DescribeImageAttribute", &[("ImageId", "ami-0000000a")], "MissingParameter"),
        ("DescribeImages", &[("ImageId.1", "debian")], "InvalidAMIID.Malformed"),
        ("DescribeImages", &[("Owner.1", "me")], "InvalidUserID.Malformed"),
        ("DescribeImages", &[("ExecutableBy.1", "me")], "InvalidUserID.Malformed"),
        ("DescribeInstanceAttribute", &[("Attribute", "userData")], "MissingParameter"),
        ("DescribeInstanceStatus", &[("IncludeAllInstances", "1")], "InvalidParameterValue"),
        ("DescribeInstanceTypes", &[("InstanceType.1", "t9.vast")], "InvalidInstanceType"),
        ("DescribeInstances", &[("InstanceId.1", "i-1")], "InvalidInstanceID.Malformed"),
        ("DescribeInstances", &[("Filter.1.Name", "x"), ("Filter.1.Value.1", "y")], "InvalidParameterValue"),
        ("DescribeInstances", &[("Filter.1.Name", "tag:x")], "MissingParameter"),
        ("DescribeInstances", &[("MaxResults", "0")], "InvalidParameterValue"),
        (
            "DescribeInstances",
            &[("MaxResults", "5"), ("InstanceId.1", "i-0000000a")],
            "InvalidParameterCombination",
        ),
        ("DescribeInstances", &[("NextToken", "%")], "InvalidNextToken"),
        ("DescribeKeyPairs", &[("KeyPairId.1", "key-1")], "InvalidKeyPair.Format"),
        ("DescribeSnapshots", &[("SnapshotId.1", "x")], "InvalidSnapshotID.Malformed"),
        ("DescribeTags", &[("Filter.1.Name", "colour"), ("Filter.1.Value.1", "y")], "InvalidParameterValue"),
        ("DescribeVolumes", &[("VolumeId.1", "x")], "InvalidVolumeID.Malformed"),
        ("DetachVolume", &[], "MissingParameter"),
        ("GetConsoleOutput", &[], "MissingParameter"),
        ("ImportKeyPair", &[("KeyName", "k")], "MissingParameter"),
        ("ImportKeyPair", &[("KeyName", "k"), ("PublicKeyMaterial", "?")], "InvalidKey.Format"),
        ("ModifyImageAttribute", &[("Description.Value", "x")], "MissingParameter"),
        (
            "ModifyImageAttribute",
            &[("ImageId", "ami-0000000a"), ("LaunchPermission.Add.1.UserId", "me")],
            "InvalidAMIAttributeItemValue",
        ),
        (
            "ModifyImageAttribute",
            &[("ImageId", "ami-0000000a"), ("LaunchPermission.Add.1.Group", "some")],
            "InvalidAMIAttributeItemValue",
        ),
        ("ModifyInstanceAttribute", &[("InstanceType.Value", "m1.small")], "MissingParameter"),
        ("ModifyInstanceMetadataOptions", &[("HttpTokens", "required")], "MissingParameter"),
        ("ModifyVolume", &[("Size", "2")], "MissingParameter"),
        ("RebootInstances", &[], "MissingParameter"),
        ("RegisterImage", &[], "MissingParameter"),
        ("RegisterImage", &[("Name", "x"), ("ImageLocation", "b/m.xml")], "InvalidManifest"),
        ("RegisterImage", &[("Name", "x"), ("ImageLocation", "http://10.0.0.1/")], "InvalidParameterValue"),
        ("RegisterImage", &[("Name", "x")], "MissingParameter"),
        ("RegisterImage", &[("Name", "x"), ("Architecture", "vax")], "InvalidParameterValue"),
        (
            "RegisterImage",
            &[
                ("Name", "x"),
                ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
                ("BlockDeviceMapping.1.Ebs.VolumeSize", "5"),
            ],
            "InvalidBlockDeviceMapping",
        ),
        ("ResetImageAttribute", &[("ImageId", "ami-0000000a")], "MissingParameter"),
        ("StartInstances", &[], "MissingParameter"),
        ("StartInstances", &[("InstanceId.1", "web")], "InvalidInstanceID.Malformed"),
        ("StartInstances", &[("InstanceId.x", "i-0000000a")], "UnknownParameter"),
        ("StopInstances", &[("Hibernate", "true")], "UnsupportedHibernationConfiguration"),
        ("StopInstances", &[("InstanceId.1", "i-0000000a"), ("Force", "2")], "InvalidParameterValue"),
        ("TerminateInstances", &[], "MissingParameter"),
        ("TerminateInstances", &[("DryRun", "maybe")], "InvalidParameterValue"),
    ];
    for (action, more, code) in cases {
        let answer = root.ec2(action, more).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (400, Some(*code)),
            "{action} {more:?}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_host, root, _) = host().await;
    let (instance, volume, snapshot) = ("i-0123456789abcdef0", "vol-0000000a", "snap-0000000a");
    let image = "ami-0000000a";
    let cases: &[Case<'_>] = &[
        ("CreateImage", &[("InstanceId", instance), ("Name", "x")], "InvalidInstanceID.NotFound"),
        ("CreateSnapshot", &[("VolumeId", volume)], "InvalidVolume.NotFound"),
        ("CreateTags", &[("ResourceId.1", "key-0000000a"), ("Tag.1.Key", "a")], "InvalidKeyPair.NotFound"),
        (
            "CreateVolume",
            &[("SnapshotId", snapshot), ("AvailabilityZone", "local-a")],
            "InvalidSnapshot.NotFound",
        ),
        ("DeleteSnapshot", &[("SnapshotId", snapshot)], "InvalidSnapshot.NotFound"),
        ("DeleteVolume", &[("VolumeId", volume)], "InvalidVolume.NotFound"),
        ("DeregisterImage", &[("ImageId", image)], "InvalidAMIID.NotFound"),
        ("DescribeImageAttribute", &[("ImageId", image), ("Attribute", "kernel")], "InvalidAMIID.NotFound"),
        ("DescribeImages", &[("ImageId.1", image)], "InvalidAMIID.NotFound"),
        (
            "DescribeInstanceAttribute",
            &[("InstanceId", instance), ("Attribute", "kernel")],
            "InvalidInstanceID.NotFound",
        ),
        ("DescribeInstanceStatus", &[("InstanceId.1", instance)], "InvalidInstanceID.NotFound"),
        ("DescribeInstances", &[("InstanceId.1", instance)], "InvalidInstanceID.NotFound"),
        ("DescribeKeyPairs", &[("KeyName.1", "nosuch")], "InvalidKeyPair.NotFound"),
        ("DescribeSnapshots", &[("SnapshotId.1", snapshot)], "InvalidSnapshot.NotFound"),
        ("DescribeVolumes", &[("VolumeId.1", volume)], "InvalidVolume.NotFound"),
        ("DetachVolume", &[("VolumeId", volume)], "InvalidVolume.NotFound"),
        ("GetConsoleOutput", &[("InstanceId", instance)], "InvalidInstanceID.NotFound"),
        ("ModifyImageAttribute", &[("ImageId", image), ("Description.Value", "x")], "InvalidAMIID.NotFound"),
        (
            "ModifyInstanceAttribute",
            &[("InstanceId", instance), ("EbsOptimized.Value", "true")],
            "InvalidInstanceID.NotFound",
        ),
        ("ModifyInstanceMetadataOptions", &[("InstanceId", instance)], "InvalidInstanceID.NotFound"),
        ("ModifyVolume", &[("VolumeId", volume), ("Size", "9")], "InvalidVolume.NotFound"),
        ("RebootInstances", &[("InstanceId.1", instance)], "InvalidInstanceID.NotFound"),
        (
            "RegisterImage",
            &[
                ("Name", "x"),
                ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
                ("BlockDeviceMapping.1.Ebs.SnapshotId", snapshot),
            ],
            "InvalidSnapshot.NotFound",
        ),
        (
            "ResetImageAttribute",
            &[("ImageId", image), ("Attribute", "launchPermission")],
            "InvalidAMIID.NotFound",
        ),
        ("StartInstances", &[("InstanceId.1", instance)], "InvalidInstanceID.NotFound"),
        ("StopInstances", &[("InstanceId.1", instance)], "InvalidInstanceID.NotFound"),
        ("TerminateInstances", &[("InstanceId.1", instance)], "InvalidInstanceID.NotFound"),
    ];
    for (action, more, code) in cases {
        let answer = root.ec2(action, more).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (400, Some(*code)),
            "{action} {more:?}: {}",
            answer.text
        );
    }
    // What is to be gone, and is.
    root.ec2("DeleteKeyPair", &[("KeyName", "nosuch")]).await.ok();
}

#[tokio::test]
async fn a_launch_is_refused_whole() {
    let (host, root, image) = host().await;
    let cases: &[(Pairs<'_>, &str)] = &[
        (&[("ImageId", "")], "MissingParameter"),
        (&[("ImageId", "debian")], "InvalidAMIID.Malformed"),
        (&[("ImageId", "ami-0000000a")], "InvalidAMIID.NotFound"),
        (&[("MinCount", "")], "MissingParameter"),
        (&[("MaxCount", "")], "MissingParameter"),
        (&[("MinCount", "0")], "InvalidParameterValue"),
        (&[("MinCount", "x")], "InvalidParameterValue"),
        (&[("MinCount", "2")], "InvalidParameterCombination"),
        (&[("MinCount", "101"), ("MaxCount", "101")], "InstanceLimitExceeded"),
        (&[("InstanceType", "t9.vast")], "InvalidParameterValue"),
        (&[("KeyName", "nosuch")], "InvalidKeyPair.NotFound"),
        (&[("SecurityGroupId.1", "sg-0000000a")], "InvalidGroup.NotFound"),
        (&[("SecurityGroupId.1", "web")], "InvalidGroupId.Malformed"),
        (&[("SecurityGroup.1", "nosuch")], "InvalidGroup.NotFound"),
        (&[("SubnetId", "subnet-0000000a")], "InvalidSubnetID.NotFound"),
        (&[("PrivateIpAddress", "there")], "InvalidParameterValue"),
        (&[("PrivateIpAddress", "192.0.2.1")], "InvalidParameterValue"),
        (&[("Placement.AvailabilityZone", "moon")], "InvalidZone.NotFound"),
        (&[("Placement.Tenancy", "dedicated")], "UnsupportedOperation"),
        (&[("UserData", "?")], "InvalidParameterValue"),
        (&[("MetadataOptions.HttpTokens", "maybe")], "InvalidParameterValue"),
        (&[("MetadataOptions.HttpPutResponseHopLimit", "65")], "InvalidParameterValue"),
        (&[("InstanceInitiatedShutdownBehavior", "sleep")], "InvalidParameterValue"),
        (&[("TagSpecification.1.ResourceType", "cloud")], "InvalidParameterValue"),
        (&[("BlockDeviceMapping.1.Ebs.VolumeSize", "5")], "MissingParameter"),
        (&[("LaunchTemplate.LaunchTemplateName", "x")], "UnsupportedOperation"),
        (&[("InstanceMarketOptions.MarketType", "spot")], "UnsupportedOperation"),
        (&[("HibernationOptions.Configured", "true")], "UnsupportedOperation"),
        (&[("NetworkInterface.1.DeviceIndex", "1")], "InvalidParameterValue"),
        (
            &[("NetworkInterface.1.DeviceIndex", "0"), ("SubnetId", "subnet-0000000a")],
            "InvalidParameterCombination",
        ),
        (
            &[("NetworkInterface.1.DeviceIndex", "0"), ("SecurityGroup.1", "default")],
            "InvalidParameterCombination",
        ),
        (
            &[
                ("BlockDeviceMapping.1.DeviceName", "/dev/sdf"),
                ("BlockDeviceMapping.1.Ebs.SnapshotId", "snap-0000000a"),
            ],
            "InvalidSnapshot.NotFound",
        ),
    ];
    for (more, code) in cases {
        let mut pairs = vec![("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
        pairs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        pairs.extend_from_slice(more);
        let answer = root.ec2("RunInstances", &pairs).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (400, Some(*code)),
            "{more:?}: {}",
            answer.text
        );
    }
    let user_data = "A".repeat(22000);
    let large = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1"), ("UserData", &user_data)];
    root.ec2("RunInstances", &large).await.refused(400, "InvalidParameterValue");
    assert!(root.ec2("DescribeInstances", &[]).await.ok().all("instanceId").is_empty());
    assert!(host.node.world.real().volumes.is_empty());
}

#[tokio::test]
async fn what_the_state_does_not_allow_is_refused() {
    let (_host, root, image) = host().await;
    let data = [
        ("BlockDeviceMapping.1.DeviceName", "/dev/sdf"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "2"),
        ("InstanceType", "m1.small"),
    ];
    let id = running(&root, &image, &data).await;
    let one = ("InstanceId", id.as_str());
    let volume_at = async |device: &str| {
        let filters = [
            ("Filter.1.Name", "attachment.instance-id"),
            ("Filter.1.Value.1", id.as_str()),
            ("Filter.2.Name", "attachment.device"),
            ("Filter.2.Value.1", device),
        ];
        root.ec2("DescribeVolumes", &filters).await.ok().all("volumeId").remove(0)
    };
    let (system, other) = (volume_at("/dev/sda1").await, volume_at("/dev/sdf").await);
    let zone = ("AvailabilityZone", "local-a");
    let free = root.ec2("CreateVolume", &[zone, ("Size", "1")]).await.ok().all("volumeId").remove(0);
    wait(&root, "DescribeVolumes", &[("VolumeId.1", &free)], "available").await;
    let attach = [("VolumeId", free.as_str()), one, ("Device", "/dev/sdg")];
    let instance_type = [one, ("InstanceType.Value", "m1.large")];
    let running: &[Case<'_>] = &[
        ("AttachVolume", &attach, "IncorrectInstanceState"),
        ("DetachVolume", &[("VolumeId", &other)], "IncorrectInstanceState"),
        ("DetachVolume", &[("VolumeId", &other), ("Device", "/dev/sdz")], "InvalidAttachment.NotFound"),
        ("DetachVolume", &[("VolumeId", &system)], "OperationNotPermitted"),
        ("DetachVolume", &[("VolumeId", &free)], "IncorrectState"),
        ("DeleteVolume", &[("VolumeId", &other)], "VolumeInUse"),
        ("ModifyVolume", &[("VolumeId", &other), ("Size", "1")], "InvalidParameterValue"),
        ("ModifyVolume", &[("VolumeId", &other), ("VolumeType", "io2")], "UnsupportedOperation"),
        ("ModifyInstanceAttribute", &instance_type, "IncorrectInstanceState"),
        ("ModifyInstanceAttribute", &[one, ("UserData.Value", "YQ==")], "IncorrectInstanceState"),
        ("ModifyInstanceAttribute", &[one], "InvalidParameterCombination"),
        ("ModifyInstanceAttribute", &[one, ("SourceDestCheck.Value", "false")], "UnsupportedOperation"),
        ("ModifyInstanceAttribute", &[one, ("Attribute", "colour"), ("Value", "x")], "InvalidParameterValue"),
        (
            "ModifyInstanceAttribute",
            &[one, ("DisableApiTermination.Value", "true"), ("EbsOptimized.Value", "true")],
            "InvalidParameterCombination",
        ),
        (
            "ModifyInstanceAttribute",
            &[
                one,
                ("BlockDeviceMapping.1.DeviceName", "/dev/sdz"),
                ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
            ],
            "InvalidInstanceAttributeValue",
        ),
        ("ModifyInstanceAttribute", &[one, ("GroupId.1", "sg-0000000a")], "InvalidGroup.NotFound"),
        ("DescribeInstanceAttribute", &[one, ("Attribute", "colour")], "InvalidParameterValue"),
        ("DescribeImageAttribute", &[("ImageId", &image), ("Attribute", "colour")], "InvalidParameterValue"),
        ("ResetImageAttribute", &[("ImageId", &image), ("Attribute", "colour")], "InvalidParameterValue"),
        ("ModifyImageAttribute", &[("ImageId", &image)], "InvalidParameterCombination"),
    ];
    for (action, more, code) in running {
        let answer = root.ec2(action, more).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (400, Some(*code)),
            "{action} {more:?}: {}",
            answer.text
        );
    }
    root.ec2("StopInstances", &[("InstanceId.1", &id), ("Force", "true")]).await.ok();
    until(&root, &id, "stopped").await;
    // The older way, with the attribute's name as a value.
    root.ec2("ModifyInstanceAttribute", &[one, ("Attribute", "instanceType"), ("Value", "m1.large")])
        .await
        .ok();
    let shown = root.ec2("DescribeInstanceAttribute", &[one, ("Attribute", "instanceType")]).await.ok();
    assert_eq!(shown.all("value"), ["m1.large"]);
    root.ec2("AttachVolume", &[attach[0], one, ("Device", "/dev/sdf")])
        .await
        .refused(400, "InvalidParameterValue");
    root.ec2("AttachVolume", &attach).await.ok();
    root.ec2("AttachVolume", &attach).await.refused(400, "VolumeInUse");
}
