//! The life of instances, as the vendor's own scripts walk through it: create, start, stop, release, renew.

use std::time::Duration;

use serde_json::Value;

use super::caller::{Caller, ECS, Host, Pairs};

async fn create(root: &Caller, image: &str, more: &[(&str, &str)]) -> String {
    let mut all = vec![("ImageId", image), ("InstanceType", "ecs.n1.small"), ("IoOptimized", "optimized")];
    all.extend_from_slice(more);
    let made = root.ecs("CreateInstance", &all).await;
    made["InstanceId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_instance_is_created_stopped_and_lives_until_it_is_deleted() {
    let host = Host::start().await;
    let root = host.root().await;
    let more = [
        ("SystemDisk.Category", "cloud_ssd"),
        ("InstanceName", "web 1"),
        ("Tag.1.Key", "team"),
        ("Tag.1.Value", "blue"),
        ("DataDisk.1.Size", "20"),
        ("UserData", "IyEvYmluL3NoCg=="),
        ("Password", "Secret-1234"),
    ];
    // As the cloud's public images are named.
    let id = create(&root, "ubuntu1404_64_40G_cloudinit_20160727.raw", &more).await;
    let id = id.as_str();
    let seen = root.until(id, "Stopped").await;
    assert_eq!(seen["InstanceName"], "web 1");
    assert_eq!(seen["HostName"], format!("iZ{}Z", &id[2..]));
    assert_eq!(seen["Tags"]["Tag"][0]["TagValue"], "blue");
    assert_eq!(
        (&seen["InstanceChargeType"], &seen["ExpiredTime"]),
        (&"PostPaid".into(), &"2099-12-31T15:59Z".into())
    );
    assert!(seen["VpcAttributes"]["VSwitchId"].as_str().unwrap().starts_with("vsw-"), "{seen}");
    assert!(host.node.world.real().vms.is_empty(), "nothing starts by itself");

    let named = [("InstanceId", id)];
    root.call(ECS, "StopInstance", &named).await.refused(403, "IncorrectInstanceStatus");
    root.call(ECS, "StartInstance", &[named[0], ("DryRun", "true")]).await.refused(400, "DryRunOperation");
    root.ecs("StartInstance", &named).await;
    root.until(id, "Running").await;
    root.call(ECS, "StartInstance", &named).await.refused(403, "IncorrectInstanceStatus");
    root.call(ECS, "DeleteInstance", &named).await.refused(403, "IncorrectInstanceStatus");
    let output = root.ecs("GetInstanceConsoleOutput", &named).await;
    assert_eq!(output["ConsoleOutput"], "bG9naW46IA==");
    root.ecs("RebootInstance", &named).await;
    root.until(id, "Running").await;
    root.ecs("StopInstance", &[named[0], ("ForceStop", "False")]).await;
    root.until(id, "Stopped").await;
    assert_eq!(root.ecs("DescribeUserData", &named).await["UserData"], "IyEvYmluL3NoCg==");
    let renamed = [named[0], ("InstanceName", "web 2"), ("DeletionProtection", "true")];
    root.ecs("ModifyInstanceAttribute", &renamed).await;
    assert_eq!(root.ecs("DescribeInstanceAttribute", &named).await["InstanceName"], "web 2");
    root.call(ECS, "DeleteInstance", &named).await.refused(403, "InvalidOperation.DeletionProtection");
    root.ecs("ModifyInstanceAttribute", &[named[0], ("DeletionProtection", "false")]).await;
    root.ecs("StartInstance", &named).await;
    root.until(id, "Running").await;
    root.ecs("DeleteInstance", &[named[0], ("Force", "True")]).await;
    assert_eq!(root.ecs("DescribeInstances", &[]).await["TotalCount"], 0);
    root.call(ECS, "StartInstance", &named).await.refused(404, "InvalidInstanceId.NotFound");
}

#[tokio::test]
async fn run_instances_starts_as_many_as_are_asked_for_once() {
    let host = Host::start().await;
    let root = host.root().await;
    let image = host.image();
    let more = [
        ("ImageId", image.as_str()),
        ("InstanceType", "ecs.n1.small"),
        ("Amount", "3"),
        ("ClientToken", "token-1"),
        ("InternetMaxBandwidthOut", "5"),
    ];
    let ids = |answer: &Value| answer["InstanceIdSets"]["InstanceIdSet"].as_array().unwrap().clone();
    let first = ids(&root.ecs("RunInstances", &more).await);
    assert_eq!(first.len(), 3);
    assert_eq!(ids(&root.ecs("RunInstances", &more).await), first, "the same launch");
    let other = [&more[..], &[("InstanceName", "other")]].concat();
    root.call(ECS, "RunInstances", &other).await.refused(400, "IdempotentParameterMismatch");
    for id in &first {
        let seen = root.until(id.as_str().unwrap(), "Running").await;
        assert_eq!(seen["PublicIpAddress"]["IpAddress"].as_array().unwrap().len(), 1, "{seen}");
    }
    root.call(ECS, "RunInstances", &[&more[..2], &[("DryRun", "true")]].concat())
        .await
        .refused(400, "DryRunOperation");
    // In pages of either style.
    let page = root.ecs("DescribeInstances", &[("PageSize", "2"), ("PageNumber", "2")]).await;
    let count = |page: &Value| page["Instances"]["Instance"].as_array().unwrap().len();
    assert_eq!((count(&page), &page["TotalCount"]), (1, &3.into()));
    let page = root.ecs("DescribeInstances", &[("MaxResults", "2")]).await;
    assert_eq!(count(&page), 2);
    let next = page["NextToken"].as_str().unwrap();
    let page = root.ecs("DescribeInstances", &[("MaxResults", "2"), ("NextToken", next)]).await;
    assert_eq!((count(&page), &page["NextToken"]), (1, &"".into()));
    let statuses = root.ecs("DescribeInstanceStatus", &[("PageSize", "50")]).await;
    assert_eq!(statuses["InstanceStatuses"]["InstanceStatus"].as_array().unwrap().len(), 3);
    let all: Vec<(String, &str)> =
        first.iter().zip(1..).map(|(id, n)| (format!("InstanceId.{n}"), id.as_str().unwrap())).collect();
    let mut named: Vec<(&str, &str)> = all.iter().map(|(name, id)| (name.as_str(), *id)).collect();
    root.call(ECS, "DeleteInstances", &named).await.refused(403, "IncorrectInstanceStatus");
    named.push(("Force", "true"));
    root.ecs("DeleteInstances", &named).await;
    assert_eq!(root.ecs("DescribeInstances", &[]).await["TotalCount"], 0);
}

#[tokio::test]
async fn lists_have_what_all_filters_let_through() {
    let host = Host::start().await;
    let root = host.root().await;
    let image = host.image();
    let one = create(&root, &image, &[("InstanceName", "web-1"), ("Tag.1.Key", "a")]).await;
    create(&root, &image, &[("InstanceName", "db-1"), ("InstanceChargeType", "PrePaid"), ("Period", "1")])
        .await;
    let seen = root.until(&one, "Stopped").await;
    let group = seen["SecurityGroupIds"]["SecurityGroupId"][0].as_str().unwrap();
    let address =
        format!("[\"{}\"]", seen["VpcAttributes"]["PrivateIpAddress"]["IpAddress"][0].as_str().unwrap());
    let both = format!("[\"{one}\",\"i-1111\"]");
    let within = [
        ("Filter.3.Key", "ExpiredStartTime"),
        ("Filter.3.Value", "2026-12-20T00:00Z"),
        ("Filter.4.Key", "ExpiredEndTime"),
        ("Filter.4.Value", "2026-12-28T00:00Z"),
    ];
    let cases: [(Pairs<'_>, u64); 16] = [
        (&[], 2),
        (&[("InstanceIds", "[]")], 0),
        (&[("InstanceIds", &both)], 1),
        (&[("InstanceName", "web*")], 1),
        (&[("InstanceName", "web")], 0),
        (&within, 1),
        (&within[..2], 2),
        (&[("SecurityGroupId", group)], 2),
        (&[("SecurityGroupId", "sg-1111")], 0),
        (&[("PrivateIpAddresses", &address)], 1),
        (&[("Tag.1.Key", "a")], 1),
        (&[("Tag.1.Key", "a"), ("Tag.1.Value", "b")], 0),
        (&[("InstanceChargeType", "PrePaid")], 1),
        (&[("InstanceTypeFamily", "ecs.n1"), ("InstanceNetworkType", "vpc")], 2),
        (&[("Status", "Running")], 0),
        (&[("ImageId", &image), ("InstanceName", "db-1")], 1),
    ];
    for (filter, count) in cases {
        assert_eq!(root.ecs("DescribeInstances", filter).await["TotalCount"], count, "{filter:?}");
    }
    let stranger = host.stranger().await;
    assert_eq!(stranger.ecs("DescribeInstances", &[("InstanceIds", &both)]).await["TotalCount"], 0);
    stranger
        .call(ECS, "StartInstance", &[("InstanceId", &one)])
        .await
        .refused(404, "InvalidInstanceId.NotFound");
}

#[tokio::test]
async fn a_release_time_is_set_read_and_cancelled_and_comes() {
    let host = Host::start().await;
    let root = host.root().await;
    let id = create(&root, &host.image(), &[]).await;
    root.until(&id, "Stopped").await;
    let set = |at| [("InstanceId", id.as_str()), ("AutoReleaseTime", at)];
    let action = "ModifyInstanceAutoReleaseTime";
    for bad in ["2026-11-24T00:29:00Z", "2029-11-25T00:00:00Z", "2026-11-24T01:00Z", "soon"] {
        root.call(ECS, action, &set(bad)).await.refused(400, "InvalidAutoReleaseTime.Malformed");
    }
    root.ecs(action, &set("2026-11-24T00:40:59Z")).await;
    assert_eq!(root.until(&id, "Stopped").await["AutoReleaseTime"], "2026-11-24T00:40Z");
    root.ecs(action, &set("")).await;
    assert_eq!(root.until(&id, "Stopped").await["AutoReleaseTime"], "");
    root.ecs(action, &set("2026-11-24T00:40:00Z")).await;
    host.node.compute.look_at_terms("2026-11-24T00:40:00Z".parse().unwrap()).await;
    let gone = async {
        while root.ecs("DescribeInstances", &[]).await["TotalCount"] != 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it is released");
}

#[tokio::test]
async fn what_is_paid_in_advance_is_renewed_and_not_deleted() {
    let host = Host::start().await;
    let root = host.root().await;
    let id = create(&root, &host.image(), &[("InstanceChargeType", "PrePaid"), ("Period", "1")]).await;
    let other = create(&root, &host.image(), &[]).await;
    assert_eq!(root.until(&id, "Stopped").await["ExpiredTime"], "2026-12-24T00:00Z");
    root.until(&other, "Stopped").await;
    let named = [("InstanceId", id.as_str())];
    root.call(ECS, "DeleteInstance", &named).await.refused(403, "ChargeTypeViolation");
    root.call(ECS, "ModifyInstanceAutoReleaseTime", &named).await.refused(403, "ChargeTypeViolation");
    let renew = [named[0], ("Period", "1"), ("ClientToken", "once")];
    root.ecs("RenewInstance", &renew).await;
    root.ecs("RenewInstance", &renew).await;
    assert_eq!(root.until(&id, "Stopped").await["ExpiredTime"], "2027-01-24T00:00Z", "the same renewal");
    root.call(ECS, "RenewInstance", &[named[0], ("Period", "10")]).await.refused(400, "InvalidPeriod");
    root.call(ECS, "RenewInstance", &[("InstanceId", &other), ("Period", "1")])
        .await
        .refused(403, "ChargeTypeViolation");
    // By the name that the vendor's script sends, too.
    for name in ["InstanceId", "InstanceIds"] {
        let read = root.ecs("DescribeInstanceAutoRenewAttribute", &[(name, &id)]).await;
        let attribute = &read["InstanceRenewAttributes"]["InstanceRenewAttribute"][0];
        assert_eq!((&attribute["AutoRenewEnabled"], &attribute["Duration"]), (&false.into(), &0.into()));
    }
    let action = "ModifyInstanceAutoRenewAttribute";
    root.call(ECS, action, &[named[0], ("AutoRenew", "True"), ("Duration", "4")])
        .await
        .refused(400, "InvalidPeriod");
    let both = format!("{id},{other}");
    let change = [("InstanceId", both.as_str()), ("AutoRenew", "True"), ("Duration", "1")];
    root.call(ECS, action, &change).await.refused(403, "ChargeTypeViolation");
    root.ecs(action, &[named[0], change[1], change[2]]).await;
    let read = root.ecs("DescribeInstanceAutoRenewAttribute", &named).await;
    assert_eq!(read["InstanceRenewAttributes"]["InstanceRenewAttribute"][0]["Duration"], 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_makes_nothing() {
    let host = Host::start().await;
    let root = host.root().await;
    let image = host.image();
    let large = "QUFB".repeat(6000);
    let cases: [(Pairs<'_>, u16, &str); 19] = [
        (&[("ImageId", "")], 400, "MissingParameter"),
        (&[("InstanceType", "")], 400, "MissingParameter"),
        (&[("ImageId", "m-00000001")], 404, "InvalidImageId.NotFound"),
        (&[("InstanceType", "ecs.none")], 400, "InvalidInstanceType.ValueNotSupported"),
        (&[("SystemDisk.Category", "tape")], 400, "InvalidSystemDiskCategory.ValueNotSupported"),
        (&[("SystemDisk.Size", "x")], 400, "InvalidParameter"),
        (&[("SystemDisk.Size", "5")], 400, "InvalidSystemDiskSize.ValueNotSupported"),
        (&[("DataDisk.1.Category", "cloud")], 400, "MissingParameter"),
        (&[("DataDisk.1.SnapshotId", "s-1")], 404, "InvalidSnapshotId.NotFound"),
        (&[("SecurityGroupId", "sg-00000001")], 404, "InvalidSecurityGroupId.NotFound"),
        (&[("VSwitchId", "vsw-00000001")], 404, "InvalidVSwitchId.NotFound"),
        (&[("KeyPairName", "none")], 404, "InvalidKeyPairName.NotFound"),
        (&[("RamRoleName", "none")], 404, "InvalidRamRole.NotFound"),
        (&[("UserData", "???")], 400, "InvalidUserData.Base64FormatInvalid"),
        (&[("UserData", &large)], 400, "InvalidUserData.SizeExceeded"),
        (&[("UserData", "QUFB"), ("IoOptimized", "none")], 400, "InvalidUserData.NotSupported"),
        (&[("Password", "simple")], 400, "InvalidPassword.Malformed"),
        (&[("InstanceChargeType", "PrePaid")], 400, "MissingParameter"),
        (&[("DedicatedHostId", "dh-1")], 400, "UnsupportedParameter"),
    ];
    for (more, status, code) in cases {
        let mut all = vec![("ImageId", image.as_str()), ("InstanceType", "ecs.n1.small")];
        all.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        all.extend_from_slice(more);
        root.call(ECS, "CreateInstance", &all).await.refused(status, code);
    }
    root.call(ECS, "DescribeInstances", &[("RegionId", "cn-x")])
        .await
        .refused(404, "InvalidRegionId.NotFound");
    root.call(ECS, "StartInstance", &[]).await.refused(400, "MissingParameter");
    root.call(ECS, "StartInstance", &[("InstanceId", "i-1111")])
        .await
        .refused(404, "InvalidInstanceId.NotFound");
    assert_eq!(root.ecs("DescribeInstances", &[]).await["TotalCount"], 0);
    assert_eq!(host.node.compute.usage_of(&root.account.to_string()).disk_gib, 0);
}

#[tokio::test]
async fn key_pairs_and_tags() {
    let host = Host::start().await;
    let root = host.root().await;
    let made = root.ecs("CreateKeyPair", &[("KeyPairName", "mine")]).await;
    assert!(made["PrivateKeyBody"].as_str().unwrap().contains("PRIVATE KEY"));
    root.call(ECS, "CreateKeyPair", &[("KeyPairName", "mine")]).await.refused(400, "KeyPair.AlreadyExist");
    root.call(ECS, "ImportKeyPair", &[("KeyPairName", "other"), ("PublicKeyBody", "x")])
        .await
        .refused(400, "InvalidPublicKey.NotFound");
    let listed = root.ecs("DescribeKeyPairs", &[("KeyPairName", "m*")]).await;
    assert_eq!(listed["KeyPairs"]["KeyPair"][0]["KeyPairFingerPrint"], made["KeyPairFingerPrint"]);
    let id = create(&root, &host.image(), &[("KeyPairName", "mine")]).await;
    assert_eq!(root.until(&id, "Stopped").await["KeyPairName"], "mine");
    let on = [("ResourceType", "instance"), ("ResourceId.1", id.as_str())];
    root.ecs(
        "TagResources",
        &[&on[..], &[("Tag.1.Key", "a"), ("Tag.1.Value", "1"), ("Tag.2.Key", "b")]].concat(),
    )
    .await;
    root.ecs("AddTags", &[("ResourceType", "instance"), ("ResourceId", &id), ("Tag.1.Key", "c")]).await;
    let tags = root.ecs("ListTagResources", &on).await;
    assert_eq!(tags["TagResources"]["TagResource"].as_array().unwrap().len(), 3);
    root.ecs("UntagResources", &[&on[..], &[("TagKey.1", "a"), ("TagKey.2", "b")]].concat()).await;
    assert_eq!(root.ecs("ListTagResources", &on).await["TagResources"]["TagResource"][0]["TagKey"], "c");
    root.ecs("DeleteKeyPairs", &[("KeyPairNames", "[\"mine\"]")]).await;
    assert_eq!(root.ecs("DescribeKeyPairs", &[]).await["TotalCount"], 0);
}

#[tokio::test]
async fn what_there_is_to_choose_from_is_told() {
    let host = Host::start().await;
    let root = host.root().await;
    let types = root.ecs("DescribeInstanceTypes", &[("InstanceTypes.1", "ecs.s2.large")]).await;
    let s2 = &types["InstanceTypes"]["InstanceType"][0];
    assert_eq!((&s2["CpuCoreCount"], &s2["MemorySize"]), (&2.into(), &4.0.into()));
    assert_eq!(root.ecs("DescribeZones", &[]).await["Zones"]["Zone"][0]["ZoneId"], "local-a");
    let images = root.ecs("DescribeImages", &[("ImageOwnerAlias", "self")]).await;
    assert_eq!(
        (&images["TotalCount"], &images["Images"]["Image"][0]["ImageId"]),
        (&1.into(), &host.image().into())
    );
    assert_eq!(root.ecs("DescribeImages", &[("ImageId", "m-00000001")]).await["TotalCount"], 0);
    assert_eq!(root.ecs("DescribeImages", &[("ImageOwnerAlias", "system")]).await["TotalCount"], 0);
}
