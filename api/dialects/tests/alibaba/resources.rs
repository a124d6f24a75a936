//! Disks, snapshots, images, security groups, networks and public addresses.

use std::time::Duration;

use serde_json::Value;

use super::caller::{Caller, ECS, Host, Pairs};

const VPC: &str = "2016-04-28";

/// Waits until a list has one item, of this status.
async fn until(root: &Caller, action: &str, filter: (&str, &str), place: &str, status: &str) -> Value {
    let seen = async {
        loop {
            let answer = root
                .ecs(
                    action,
                    &[filter, ("Status", if action == "DescribeImages" { "Creating,Available" } else { "" })],
                )
                .await;
            let found = answer.pointer(place).cloned().unwrap_or_default();
            if found["Status"] == status {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(20), seen).await;
    seen.unwrap_or_else(|_| panic!("{action} {filter:?} shows nothing that is {status}"))
}

async fn instance(host: &Host, root: &Caller, more: &[(&str, &str)]) -> String {
    let image = host.image();
    let all = [&[("ImageId", image.as_str()), ("InstanceType", "ecs.n1.small")], more].concat();
    let id = root.ecs("CreateInstance", &all).await["InstanceId"].as_str().unwrap().to_owned();
    root.until(&id, "Stopped").await;
    id
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}")).to_owned()
}

#[tokio::test]
async fn disks_come_and_go() {
    let host = Host::start().await;
    let root = host.root().await;
    let id = instance(&host, &root, &[]).await;
    let system = root.ecs("DescribeDisks", &[("InstanceId", &id)]).await["Disks"]["Disk"][0].clone();
    assert_eq!((&system["Type"], &system["Status"]), (&"system".into(), &"In_use".into()));
    let create =
        [("Size", "20"), ("DiskCategory", "cloud_ssd"), ("DiskName", "data"), ("ClientToken", "one")];
    let disk = text(&root.ecs("CreateDisk", &create).await, "DiskId");
    assert_eq!(text(&root.ecs("CreateDisk", &create).await, "DiskId"), disk, "the same disk");
    let ids = format!("[\"{disk}\"]");
    let shown =
        async |status| until(&root, "DescribeDisks", ("DiskIds", &ids), "/Disks/Disk/0", status).await;
    assert_eq!(shown("Available").await["Category"], "cloud_ssd");
    let on = [("DiskId", disk.as_str()), ("InstanceId", id.as_str())];
    root.ecs("AttachDisk", &[on[0], on[1], ("Device", "/dev/xvdb")]).await;
    assert_eq!(shown("In_use").await["Device"], "/dev/xvdb");
    root.call(ECS, "DeleteDisk", &on[..1]).await.refused(403, "IncorrectDiskStatus");
    root.ecs("StartInstance", &on[1..]).await;
    root.until(&id, "Running").await;
    root.call(ECS, "DetachDisk", &on).await.refused(403, "IncorrectInstanceStatus");
    root.ecs("StopInstance", &on[1..]).await;
    root.until(&id, "Stopped").await;
    root.call(ECS, "DetachDisk", &[on[0], ("InstanceId", "i-1111")])
        .await
        .refused(404, "InvalidInstanceId.NotFound");
    root.ecs("DetachDisk", &on).await;
    root.call(ECS, "DetachDisk", &on).await.refused(403, "DependencyViolation.InstanceNotAttached");
    root.call(ECS, "ResizeDisk", &[on[0], ("NewSize", "10")]).await.refused(400, "InvalidDiskSize.TooSmall");
    root.ecs("ResizeDisk", &[on[0], ("NewSize", "30")]).await;
    assert_eq!(shown("Available").await["Size"], 30);
    root.ecs("DeleteDisk", &on[..1]).await;
    assert_eq!(root.ecs("DescribeDisks", &[("DiskIds", &ids)]).await["TotalCount"], 0);
    for (more, code) in
        [(("Size", "0"), "InvalidDiskSize.ValueNotSupported"), (("Size", ""), "MissingParameter")]
    {
        root.call(ECS, "CreateDisk", &[more]).await.refused(400, code);
    }
}

#[tokio::test]
async fn a_snapshot_becomes_a_disk_and_an_image_and_an_instance() {
    let host = Host::start().await;
    let root = host.root().await;
    let id = instance(&host, &root, &[]).await;
    let disks = root.ecs("DescribeDisks", &[("InstanceId", &id), ("DiskType", "system")]).await;
    let disk = text(&disks["Disks"]["Disk"][0], "DiskId");
    let snapshot = text(
        &root.ecs("CreateSnapshot", &[("DiskId", &disk), ("SnapshotName", "before")]).await,
        "SnapshotId",
    );
    let ids = format!("[\"{snapshot}\"]");
    let filter = ("SnapshotIds", ids.as_str());
    let shown = until(&root, "DescribeSnapshots", filter, "/Snapshots/Snapshot/0", "accomplished").await;
    assert_eq!((text(&shown, "SourceDiskId"), text(&shown, "SnapshotName")), (disk, "before".to_owned()));
    let copy = text(&root.ecs("CreateDisk", &[("SnapshotId", &snapshot)]).await, "DiskId");
    let copies = format!("[\"{copy}\"]");
    let shown = until(&root, "DescribeDisks", ("DiskIds", &copies), "/Disks/Disk/0", "Available").await;
    assert_eq!(text(&shown, "SourceSnapshotId"), snapshot);
    let image =
        text(&root.ecs("CreateImage", &[("SnapshotId", &snapshot), ("ImageName", "mine")]).await, "ImageId");
    until(&root, "DescribeImages", ("ImageId", &image), "/Images/Image/0", "Available").await;
    let from = [("ImageId", image.as_str()), ("InstanceType", "ecs.n1.small")];
    let made = text(&root.ecs("CreateInstance", &from).await, "InstanceId");
    root.until(&made, "Stopped").await;
    let named = ("SnapshotId", snapshot.as_str());
    let force = ("Force", "true");
    root.call(ECS, "DeleteSnapshot", &[named, force]).await.refused(403, "SnapshotCreatedImage");
    root.call(ECS, "DeleteImage", &from[..1]).await.refused(403, "ImageUsingByInstance");
    root.ecs("DeleteImage", &[from[0], force]).await;
    root.call(ECS, "DeleteImage", &from[..1]).await.refused(404, "InvalidImageId.NotFound");
    root.call(ECS, "DeleteSnapshot", &[named]).await.refused(403, "SnapshotCreatedDisk");
    root.ecs("DeleteSnapshot", &[named, force]).await;
    assert_eq!(root.ecs("DescribeSnapshots", &[filter]).await["TotalCount"], 0);
}

#[tokio::test]
async fn an_image_has_all_disks_of_its_instance() {
    let host = Host::start().await;
    let root = host.root().await;
    let data = [
        ("DataDisk.1.Size", "20"),
        ("DataDisk.1.Device", "/dev/xvdb"),
        ("DataDisk.1.DeleteWithInstance", "false"),
    ];
    let id = instance(&host, &root, &data).await;
    let of_it = [("InstanceId", id.as_str()), ("ImageName", "golden")];
    let image = text(&root.ecs("CreateImage", &of_it).await, "ImageId");
    let shown = until(&root, "DescribeImages", ("ImageId", &image), "/Images/Image/0", "Available").await;
    let disks = shown["DiskDeviceMappings"]["DiskDeviceMapping"].as_array().unwrap();
    let seen: Vec<_> = disks.iter().map(|disk| (text(disk, "Type"), text(disk, "Device"))).collect();
    assert_eq!(
        seen,
        [("system", "/dev/xvda"), ("data", "/dev/xvdb")].map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    let from = [("ImageId", image.as_str()), ("InstanceType", "ecs.n1.small")];
    let made = text(&root.ecs("CreateInstance", &from).await, "InstanceId");
    root.until(&made, "Stopped").await;
    let disks = root.ecs("DescribeDisks", &[("InstanceId", &made), ("DiskType", "data")]).await;
    let disk = &disks["Disks"]["Disk"][0];
    assert_eq!((disk["Size"].as_u64(), disk["DeleteWithInstance"].as_bool()), (Some(20), Some(false)));
    assert_eq!(
        text(disk, "SourceSnapshotId"),
        text(&shown["DiskDeviceMappings"]["DiskDeviceMapping"][1], "SnapshotId")
    );
}

#[tokio::test]
async fn security_groups_have_rules_and_members() {
    let host = Host::start().await;
    let root = host.root().await;
    let group =
        text(&root.ecs("CreateSecurityGroup", &[("SecurityGroupName", "web")]).await, "SecurityGroupId");
    let on = ("SecurityGroupId", group.as_str());
    let ssh = [
        on,
        ("IpProtocol", "tcp"),
        ("PortRange", "22/22"),
        ("SourceCidrIp", "10.0.0.0/8"),
        ("Policy", "accept"),
    ];
    root.ecs("AuthorizeSecurityGroup", &ssh).await;
    root.ecs("AuthorizeSecurityGroup", &ssh).await;
    root.ecs(
        "AuthorizeSecurityGroup",
        &[
            on,
            ("Permissions.1.IpProtocol", "ICMP"),
            ("Permissions.1.PortRange", "-1/-1"),
            ("Permissions.1.SourceGroupId", &group),
        ],
    )
    .await;
    let shown = root.ecs("DescribeSecurityGroupAttribute", &[on, ("Direction", "ingress")]).await;
    let rules = shown["Permissions"]["Permission"].as_array().unwrap();
    assert_eq!(rules.len(), 2, "{rules:?}");
    assert_eq!(
        (&rules[0]["IpProtocol"], &rules[0]["PortRange"], &rules[0]["SourceCidrIp"]),
        (&"TCP".into(), &"22/22".into(), &"10.0.0.0/8".into())
    );
    assert_eq!(text(&rules[1], "SourceGroupId"), group);
    let cases: [(Pairs<'_>, u16, &str); 6] = [
        (&[("PortRange", "80/20")], 400, "InvalidParameter"),
        (&[("IpProtocol", "gre")], 400, "InvalidParameter"),
        (&[("SourceCidrIp", "10.0.0.0/33")], 400, "InvalidParameter"),
        (&[("SourceCidrIp", "")], 400, "MissingParameter"),
        (&[("Policy", "drop")], 400, "UnsupportedParameter"),
        (&[("SecurityGroupId", "sg-1")], 404, "InvalidSecurityGroupId.NotFound"),
    ];
    for (more, status, code) in cases {
        let mut all = ssh.to_vec();
        all.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        root.call(ECS, "AuthorizeSecurityGroup", &[&all[..], more].concat()).await.refused(status, code);
    }
    root.ecs("RevokeSecurityGroup", &ssh).await;
    root.ecs(
        "AuthorizeSecurityGroupEgress",
        &[on, ("IpProtocol", "udp"), ("PortRange", "53/53"), ("DestCidrIp", "8.8.8.8")],
    )
    .await;
    let id = instance(&host, &root, &[]).await;
    let member = [on, ("InstanceId", id.as_str())];
    root.call(ECS, "LeaveSecurityGroup", &member).await.refused(403, "InstanceNotInSecurityGroup");
    root.ecs("JoinSecurityGroup", &member).await;
    root.call(ECS, "JoinSecurityGroup", &member).await.refused(403, "InvalidInstanceId.AlreadyExists");
    assert_eq!(root.ecs("DescribeInstances", &[on]).await["TotalCount"], 1);
    root.call(ECS, "DeleteSecurityGroup", &[on]).await.refused(403, "DependencyViolation");
    root.ecs("LeaveSecurityGroup", &member).await;
    let last = root.until(&id, "Stopped").await["SecurityGroupIds"]["SecurityGroupId"][0].clone();
    let last = [("SecurityGroupId", last.as_str().unwrap()), member[1]];
    root.call(ECS, "LeaveSecurityGroup", &last).await.refused(403, "InstanceLastSecurityGroup");
    root.ecs("DeleteSecurityGroup", &[on]).await;
    assert_eq!(root.ecs("DescribeSecurityGroups", &[on]).await["TotalCount"], 0);
}

#[tokio::test]
async fn an_instance_lives_in_a_vpc_of_its_own() {
    let host = Host::start().await;
    let root = host.root().await;
    let vpc = async |action: &str, more: &[(&str, &str)]| root.call(VPC, action, more).await;
    let id =
        text(&vpc("CreateVpc", &[("CidrBlock", "192.168.0.0/16"), ("VpcName", "mine")]).await.ok(), "VpcId");
    let part = [("VpcId", id.as_str()), ("CidrBlock", "192.168.7.0/24"), ("ZoneId", "local-a")];
    let switch = text(&vpc("CreateVSwitch", &part).await.ok(), "VSwitchId");
    vpc("CreateVSwitch", &part).await.refused(400, "InvalidCidrBlock.Overlapped");
    vpc("CreateVpc", &[("CidrBlock", "300.0.0.0/8")]).await.refused(400, "InvalidParameter");
    let made = instance(&host, &root, &[("VSwitchId", &switch), ("PrivateIpAddress", "192.168.7.9")]).await;
    let seen = root.until(&made, "Stopped").await;
    assert_eq!(seen["VpcAttributes"]["PrivateIpAddress"]["IpAddress"][0], "192.168.7.9");
    assert_eq!(text(&seen["VpcAttributes"], "VpcId"), id);
    assert_eq!(root.ecs("DescribeInstances", &[("VSwitchId", &switch)]).await["TotalCount"], 1);
    let shown = vpc("DescribeVpcs", &[part[0]]).await.ok();
    assert_eq!(shown["Vpcs"]["Vpc"][0]["VSwitchIds"]["VSwitchId"][0], switch);
    // Old clients ask ECS.
    assert_eq!(
        root.ecs("DescribeVSwitches", &[part[0]]).await["VSwitches"]["VSwitch"][0]["CidrBlock"],
        "192.168.7.0/24"
    );
    vpc("DeleteVSwitch", &[("VSwitchId", &switch)]).await.refused(400, "DependencyViolation");
    root.ecs("DeleteInstance", &[("InstanceId", &made)]).await;
    let gone = async {
        while vpc("DeleteVSwitch", &[("VSwitchId", &switch)]).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("nothing is in it any more");
    vpc("DeleteVpc", &[part[0]]).await.ok();
    vpc("DeleteVpc", &[part[0]]).await.refused(404, "InvalidVpcId.NotFound");
}

#[tokio::test]
async fn public_addresses_lead_to_instances() {
    let host = Host::start().await;
    let root = host.root().await;
    let (one, other) = (instance(&host, &root, &[]).await, instance(&host, &root, &[]).await);
    let given = root.ecs("AllocatePublicIpAddress", &[("InstanceId", &one)]).await;
    assert_eq!(root.until(&one, "Stopped").await["PublicIpAddress"]["IpAddress"][0], given["IpAddress"]);
    root.call(ECS, "AllocatePublicIpAddress", &[("InstanceId", &one)]).await.refused(403, "AllocatedAlready");
    let eip = root.call(VPC, "AllocateEipAddress", &[("Bandwidth", "10")]).await.ok();
    let id = text(&eip, "AllocationId");
    let lead =
        [("AllocationId", id.as_str()), ("InstanceId", other.as_str()), ("InstanceType", "EcsInstance")];
    let call = async |action: &str, more: &[(&str, &str)]| root.call(VPC, action, more).await;
    call("UnassociateEipAddress", &lead[..1]).await.refused(400, "IncorrectEipStatus");
    call("AssociateEipAddress", &lead).await.ok();
    assert_eq!(root.until(&other, "Stopped").await["EipAddress"]["IpAddress"], eip["EipAddress"]);
    let addresses = format!("[\"{}\"]", text(&eip, "EipAddress"));
    assert_eq!(root.ecs("DescribeInstances", &[("EipAddresses", &addresses)]).await["TotalCount"], 1);
    assert_eq!(root.ecs("DescribeInstances", &[("PublicIpAddresses", &addresses)]).await["TotalCount"], 0);
    let shown = call("DescribeEipAddresses", &lead[..1]).await.ok();
    assert_eq!(shown["EipAddresses"]["EipAddress"][0]["InstanceId"], other);
    assert_eq!(
        call("DescribeEipAddresses", &[]).await.ok()["TotalCount"],
        1,
        "not the one that came with an instance"
    );
    call("ReleaseEipAddress", &lead[..1]).await.refused(400, "IncorrectEipStatus");
    call("UnassociateEipAddress", &lead).await.ok();
    call("ReleaseEipAddress", &lead[..1]).await.ok();
    call("ReleaseEipAddress", &lead[..1]).await.refused(404, "InvalidAllocationId.NotFound");
}

#[tokio::test]
async fn an_image_of_a_bucket_is_imported_and_launched() {
    let host = Host::start().await;
    let root = host.root().await;
    let bucket = host.images.path().join("bucket");
    std::fs::create_dir(bucket.join("deep")).unwrap();
    std::fs::copy(bucket.join("disk.raw"), bucket.join("deep/web.raw")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", bucket.join("link.raw")).unwrap();
    let of = |object: &'static str| {
        [("DiskDeviceMapping.1.OSSBucket", "bucket"), ("DiskDeviceMapping.1.OSSObject", object)]
    };
    let shown = async |image: &str, status| {
        until(&root, "DescribeImages", ("ImageId", image), "/Images/Image/0", status).await
    };
    let token = [("ClientToken", "once"), ("DiskDeviceMapping.1.DiskImSize", "30")];
    let asked = [&of("deep/web.raw")[..], &token].concat();
    let made = root.ecs("ImportImage", &asked).await;
    let image = text(&made, "ImageId");
    assert!(text(&made, "TaskId").starts_with("t-") && made["RegionId"] == "local", "{made}");
    let seen = shown(&image, "Available").await;
    assert!(text(&seen, "ImageName").starts_with("web.raw ") && seen["Size"] == 30, "{seen}");
    assert_eq!(text(&root.ecs("ImportImage", &asked).await, "ImageId"), image, "by its token");
    let launch = [("ImageId", image.as_str()), ("InstanceType", "ecs.n1.small")];
    let id = text(&root.ecs("CreateInstance", &launch).await, "InstanceId");
    root.until(&id, "Stopped").await;
    // A link leads nowhere, a folder is no object, and one within a bucket is no bucket.
    root.call(ECS, "ImportImage", &of("link.raw")).await.refused(400, "InvalidOSSObject.NotFound");
    root.call(ECS, "ImportImage", &of("deep")).await.refused(400, "InvalidOSSObject.NotFound");
    let within =
        [("DiskDeviceMapping.1.OSSBucket", "bucket/deep"), ("DiskDeviceMapping.1.OSSObject", "web.raw")];
    root.call(ECS, "ImportImage", &within).await.refused(400, "InvalidOSSBucket.NotFound");
}
