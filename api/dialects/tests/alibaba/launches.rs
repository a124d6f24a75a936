//! Launches: what instances are called, what policies are asked about what they are launched with, and images of instances.

use std::time::Duration;

use serde_json::Value;

use super::caller::{Caller, ECS, Host, Pairs, RAM};

const TRUST: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}")).to_owned()
}

/// The ids of what RunInstances launched, in its order.
fn launched(answer: &Value) -> Vec<String> {
    let ids = answer["InstanceIdSets"]["InstanceIdSet"].as_array().unwrap();
    ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Waits until an image can be launched.
async fn available(root: &Caller, image: &str) -> Value {
    let seen = async {
        loop {
            let answer = root.ecs("DescribeImages", &[("ImageId", image)]).await;
            let found = answer["Images"]["Image"][0].clone();
            if found["Status"] == "Available" {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap_or_else(|_| panic!("no {image}"))
}

#[tokio::test]
async fn instances_of_a_launch_are_called_by_numbers() {
    let host = Host::start().await;
    let root = host.root().await;
    let image = host.image();
    let base = [("ImageId", image.as_str()), ("InstanceType", "ecs.n1.small"), ("Amount", "2")];
    let named = async |more: Pairs<'_>| {
        let mut names = Vec::new();
        for id in launched(&root.ecs("RunInstances", &[&base, more].concat()).await) {
            let ids = format!("[\"{id}\"]");
            let shown = root.ecs("DescribeInstances", &[("InstanceIds", &ids)]).await;
            let shown = &shown["Instances"]["Instance"][0];
            names.push((text(shown, "InstanceName"), text(shown, "HostName")));
        }
        names
    };
    let pairs = |expected: [(&str, &str); 2]| expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    let both = [("InstanceName", "web-[7,3]"), ("HostName", "h[1,2]-x")];
    assert_eq!(named(&both).await, pairs([("web-007", "h01-x"), ("web-008", "h02-x")]));
    let unique = [("InstanceName", "db"), ("HostName", "db"), ("UniqueSuffix", "true")];
    assert_eq!(named(&unique).await, pairs([("db001", "db001"), ("db002", "db002")]));
    let listed = [("InstanceName", "all"), ("HostNames.1", "one"), ("HostNames.2", "two.example")];
    assert_eq!(named(&listed).await, pairs([("all", "one"), ("all", "two.example")]));

    let before = root.ecs("DescribeInstances", &[]).await["TotalCount"].clone();
    let cases: [(Pairs<'_>, &str); 5] = [
        (&[("HostNames.1", "one")], "InvalidParameter"),
        (&[("HostNames.1", "one"), ("HostNames.2", "two"), ("HostName", "h")], "InvalidParameter"),
        (&[("HostNames.1", "one"), ("HostNames.2", "-")], "InvalidHostName.Malformed"),
        (&[("HostName", "h[1, 2]")], "InvalidHostName.Malformed"),
        (&[("InstanceName", "web[999999,6]")], "InvalidParameter"),
    ];
    for (more, code) in cases {
        root.call(ECS, "RunInstances", &[&base, more].concat()).await.refused(400, code);
    }
    assert_eq!(root.ecs("DescribeInstances", &[]).await["TotalCount"], before, "nothing was launched");
}

/// A user with one policy of this account.
async fn user(host: &Host, root: &Caller, name: &str, document: &str) -> Caller {
    root.ram("CreateUser", &[("UserName", name)]).await;
    root.ram("CreatePolicy", &[("PolicyName", name), ("PolicyDocument", document)]).await;
    let attach = [("PolicyType", "Custom"), ("PolicyName", name), ("UserName", name)];
    root.ram("AttachPolicyToUser", &attach).await;
    let made = root.ram("CreateAccessKey", &[("UserName", name)]).await;
    let (id, secret) = (text(&made["AccessKey"], "AccessKeyId"), text(&made["AccessKey"], "AccessKeySecret"));
    Caller { address: host.address, id, secret, ..root.clone() }
}

#[tokio::test]
async fn policies_are_asked_about_all_that_a_launch_uses() {
    let host = Host::start().await;
    let root = host.root().await;
    let (image, account) = (host.image(), root.account);
    let vpc =
        text(&root.call("2016-04-28", "CreateVpc", &[("CidrBlock", "10.9.0.0/16")]).await.ok(), "VpcId");
    let switch = [("VpcId", vpc.as_str()), ("CidrBlock", "10.9.1.0/24"), ("ZoneId", "local-a")];
    let switch = text(&root.call("2016-04-28", "CreateVSwitch", &switch).await.ok(), "VSwitchId");
    let group = text(&root.ecs("CreateSecurityGroup", &[("VpcId", &vpc)]).await, "SecurityGroupId");
    root.ecs("CreateKeyPair", &[("KeyPairName", "key")]).await;
    let allowed = [
        ("ecs", "instance", "*"),
        ("ecs", "image", &image),
        ("ecs", "securitygroup", &group),
        ("vpc", "vswitch", &switch),
        ("ecs", "keypair", "key"),
    ];
    let document = |without: &str| {
        let resources = allowed.iter().filter(|(_, kind, _)| *kind != without);
        let resources: Vec<String> = resources
            .map(|(service, kind, id)| format!("\"acs:{service}:*:{account}:{kind}/{id}\""))
            .collect();
        let actions = r#"["ecs:CreateInstance","ecs:RunInstances"]"#;
        let resources = resources.join(",");
        format!(
            r#"{{"Statement":[{{"Action":{actions},"Resource":[{resources}],"Effect":"Allow"}}],"Version":"1"}}"#
        )
    };
    let launch = [
        ("ImageId", image.as_str()),
        ("InstanceType", "ecs.n1.small"),
        ("SecurityGroupId", &group),
        ("VSwitchId", &switch),
        ("KeyPairName", "key"),
    ];
    let all = user(&host, &root, "all", &document("")).await;
    all.ecs("CreateInstance", &launch).await;
    all.ecs("RunInstances", &launch).await;
    // By its name it is the same image.
    let by_name = [&[("ImageId", "ubuntu1404_64_40G_cloudinit_20160727.raw")], &launch[1..]].concat();
    all.ecs("CreateInstance", &by_name).await;
    let interface = [
        launch[0],
        launch[1],
        ("NetworkInterface.1.SecurityGroupIds.1", &group),
        ("NetworkInterface.1.VSwitchId", &switch),
    ];
    all.ecs("RunInstances", &interface).await;
    for (_, kind, _) in allowed {
        let one = user(&host, &root, &format!("no-{kind}"), &document(kind)).await;
        for action in ["CreateInstance", "RunInstances"] {
            let refused = one.call(ECS, action, &launch).await.refused(403, "Forbidden.RAM");
            assert!(text(&refused, "Message").contains(&format!(":{kind}/")), "{refused}");
            let plain = one.call(ECS, action, &launch[..2]).await;
            let needs = matches!(kind, "instance" | "image");
            assert_eq!(plain.status, if needs { 403 } else { 200 }, "{kind}: {}", plain.text);
        }
        if ["securitygroup", "vswitch"].contains(&kind) {
            one.call(ECS, "RunInstances", &interface).await.refused(403, "Forbidden.RAM");
        }
    }
    // The role that instances get is passed, whatever launches them.
    root.ram("CreateRole", &[("RoleName", "Given"), ("AssumeRolePolicyDocument", TRUST)]).await;
    for action in ["CreateInstance", "RunInstances"] {
        let with = [&launch[..], &[("RamRoleName", "Given")]].concat();
        let refused = all.call(ECS, action, &with).await.refused(403, "Forbidden.RAM");
        assert!(text(&refused, "Message").contains("ram:PassRole"), "{refused}");
    }
    root.call(RAM, "DeleteRole", &[("RoleName", "Given")]).await.ok();
}

#[tokio::test]
async fn an_image_is_made_of_an_instance() {
    let host = Host::start().await;
    let root = host.root().await;
    let image = host.image();
    let create = [("ImageId", image.as_str()), ("InstanceType", "ecs.n1.small")];
    let id = text(&root.ecs("CreateInstance", &create).await, "InstanceId");
    root.until(&id, "Stopped").await;
    let wanted = [("InstanceId", id.as_str()), ("ImageName", "golden"), ("ClientToken", "once")];
    let made = text(&root.ecs("CreateImage", &wanted).await, "ImageId");
    assert_eq!(text(&root.ecs("CreateImage", &wanted).await, "ImageId"), made, "the same image");
    let shown = available(&root, &made).await;
    let mapped = shown["DiskDeviceMappings"]["DiskDeviceMapping"][0].clone();
    let ids = format!("[\"{}\"]", text(&mapped, "SnapshotId"));
    let snapshots = root.ecs("DescribeSnapshots", &[("SnapshotIds", &ids)]).await;
    let snapshot = &snapshots["Snapshots"]["Snapshot"][0];
    assert_eq!(
        (&snapshot["Status"], &snapshot["SourceDiskType"]),
        (&"accomplished".into(), &"system".into())
    );
    let from = [("ImageId", made.as_str()), create[1]];
    let copy = text(&root.ecs("CreateInstance", &from).await, "InstanceId");
    root.until(&copy, "Stopped").await;
    root.ecs("DeleteImage", &[from[0], ("Force", "true")]).await;
    assert_eq!(
        root.ecs("DescribeSnapshots", &[("SnapshotIds", &ids)]).await["TotalCount"],
        1,
        "the snapshot stays"
    );
    let mapping =
        [("DiskDeviceMapping.1.SnapshotId", text(&mapped, "SnapshotId")), ("ImageName", "again".to_owned())];
    let mapping: Vec<(&str, &str)> = mapping.iter().map(|(name, value)| (*name, value.as_str())).collect();
    available(&root, &text(&root.ecs("CreateImage", &mapping).await, "ImageId")).await;
    let more = [&mapping[..], &[("DiskDeviceMapping.2.SnapshotId", "s-00000001")]].concat();
    root.call(ECS, "CreateImage", &more).await.refused(400, "UnsupportedParameter");
    let missing = [("InstanceId", "i-1111"), ("ImageName", "nothing")];
    root.call(ECS, "CreateImage", &missing).await.refused(404, "InvalidInstanceId.NotFound");
    let taken = [wanted[0], ("ImageName", "again")];
    let refused = root.call(ECS, "CreateImage", &taken).await;
    assert!(refused.status == 400 || refused.status == 403, "{}", refused.text);
    let snapshots = root.ecs("DescribeSnapshots", &[]).await;
    assert_eq!(snapshots["TotalCount"], 1, "what was refused took none");
}
