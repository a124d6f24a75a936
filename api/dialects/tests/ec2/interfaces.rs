//! Launches with several network interfaces: what is shown of them, what is refused, what is asked of policies, and what is left of
//! them.

use super::caller::Caller;
use super::instances::{host, until};
use super::networks::made;
use super::policies::{allow, user};

/// Two subnets of a VPC of their own.
async fn subnets(caller: &Caller, begins: &str) -> [String; 2] {
    let vpc = made(caller, "CreateVpc", &[("CidrBlock", &format!("{begins}.0.0/16"))], "vpcId").await;
    let mut all = Vec::new();
    for part in ["1", "2"] {
        let block = format!("{begins}.{part}.0/24");
        all.push(made(caller, "CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", &block)], "subnetId").await);
    }
    all.try_into().unwrap()
}

async fn interface(caller: &Caller, subnet: &str) -> String {
    made(caller, "CreateNetworkInterface", &[("SubnetId", subnet)], "networkInterfaceId").await
}

fn launch<'a>(image: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("ImageId", image), ("MinCount", "1"), ("MaxCount", "1")], more].concat()
}

#[tokio::test]
async fn what_is_asked_for_is_shown_and_goes_as_was_said() {
    let (_host, root, image) = host().await;
    let [front, back] = subnets(&root, "10.1").await;
    let mine = interface(&root, &back).await;
    let more = [
        ("NetworkInterface.1.DeviceIndex", "1"),
        ("NetworkInterface.1.NetworkInterfaceId", &*mine),
        ("NetworkInterface.4.DeviceIndex", "0"),
        ("NetworkInterface.4.SubnetId", &*front),
        ("NetworkInterface.4.PrivateIpAddress", "10.1.1.77"),
        ("NetworkInterface.4.Description", "front door"),
        ("TagSpecification.1.ResourceType", "network-interface"),
        ("TagSpecification.1.Tag.1.Key", "team"),
        ("TagSpecification.1.Tag.1.Value", "storage"),
        ("ClientToken", "once"),
    ];
    // A dry run of it takes nothing.
    let dry = [&launch(&image, &more)[..], &[("DryRun", "true")]].concat();
    root.ec2("RunInstances", &dry).await.refused(412, "DryRunOperation");
    let launched = root.ec2("RunInstances", &launch(&image, &more)).await.ok();
    let again = root.ec2("RunInstances", &launch(&image, &more)).await.ok();
    let id = launched.all("instanceId").remove(0);
    assert_eq!(again.all("instanceId"), [&*id], "by its token");
    until(&root, &id, "running").await;
    let shown = root.ec2("DescribeInstances", &[("InstanceId.1", &id)]).await.ok();
    assert_eq!(shown.all("deviceIndex"), ["0", "1"]);
    assert!(shown.text.contains("<description>front door</description>"), "{}", shown.text);
    assert_eq!(shown.all("subnetId"), [&*front, &*front, &*back], "its own is its first interface's");
    assert!(shown.text.contains("<privateIpAddress>10.1.1.77</privateIpAddress>"));
    let tagged = [("Filter.1.Name", "tag:team"), ("Filter.1.Value.1", "storage")];
    let tagged = root.ec2("DescribeNetworkInterfaces", &tagged).await.ok();
    assert_eq!(tagged.all("description"), ["front door"], "only what was made");
    assert_eq!(tagged.all("deleteOnTermination"), ["true"]);
    let of_mine = root.ec2("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &mine)]).await.ok();
    assert_eq!(of_mine.all("deleteOnTermination"), ["false"]);
    let attachment = of_mine.all("attachmentId").remove(0);

    // Whether it goes can still be said otherwise, of an attachment that is.
    let modify = "ModifyNetworkInterfaceAttribute";
    let delete = |value| {
        [
            ("NetworkInterfaceId", &*mine),
            ("Attachment.AttachmentId", &*attachment),
            ("Attachment.DeleteOnTermination", value),
        ]
    };
    let without = [delete("true")[0], delete("true")[2]];
    root.ec2(modify, &without).await.refused(400, "MissingParameter");
    root.ec2(modify, &delete("maybe")).await.refused(400, "InvalidParameterValue");
    root.ec2(modify, &delete("true")).await.ok();
    root.ec2(modify, &delete("false")).await.ok();
    root.ec2("TerminateInstances", &[("InstanceId.1", &id)]).await.ok();
    until(&root, &id, "terminated").await;
    let filter = [("Filter.1.Name", "subnet-id"), ("Filter.1.Value.1", &*back)];
    let left = root.ec2("DescribeNetworkInterfaces", &filter).await;
    assert_eq!(left.ok().all("status"), ["available"]);
    root.ec2(modify, &delete("true")).await.refused(400, "InvalidAttachmentID.NotFound");
    let gone = root.ec2("DescribeInstances", &[("InstanceId.1", &id)]).await.ok();
    assert!(gone.all("networkInterfaceId").is_empty(), "{}", gone.text);
    root.ec2("DeleteSubnet", &[("SubnetId", &front)]).await.ok();
}

#[tokio::test]
async fn a_launch_is_refused_with_all_its_interfaces() {
    let (host, root, image) = host().await;
    let [front, back] = subnets(&root, "10.1").await;
    let [elsewhere, _] = subnets(&root, "10.2").await;
    let (free, far) = (interface(&root, &back).await, interface(&root, &elsewhere).await);
    let stranger = host.stranger().await;
    let theirs = interface(&stranger, &subnets(&stranger, "10.1").await[0]).await;
    let new = [("NetworkInterface.1.DeviceIndex", "0"), ("NetworkInterface.1.SubnetId", &*front)];
    let taken = [("NetworkInterface.2.DeviceIndex", "1"), ("NetworkInterface.2.NetworkInterfaceId", &*free)];
    let of = |id| [taken[0], ("NetworkInterface.2.NetworkInterfaceId", id)];
    let plus = |name, value| [new[0], new[1], taken[0], taken[1], (name, value)];
    let alone = |address| vec![new[0], ("NetworkInterface.1.PrivateIpAddress", address)];
    let combination = "InvalidParameterCombination";
    let cases: Vec<(Vec<(&str, &str)>, &str)> = vec![
        ([new, of("eni-0000000a")].concat(), "InvalidNetworkInterfaceID.NotFound"),
        ([new, of("eni-x")].concat(), "InvalidNetworkInterfaceID.Malformed"),
        ([new, of(&theirs)].concat(), "InvalidNetworkInterfaceID.NotFound"),
        ([new, of(&far)].concat(), combination),
        (vec![new[0], new[1], taken[1]], "InvalidParameterValue"),
        (vec![new[0], new[1], taken[1], ("NetworkInterface.2.DeviceIndex", "0")], combination),
        (vec![new[0], new[1], taken[1], ("NetworkInterface.2.DeviceIndex", "2")], "InvalidParameterValue"),
        (vec![new[0], new[1], taken[1], ("NetworkInterface.2.DeviceIndex", "x")], "InvalidParameterValue"),
        (plus("MaxCount", "2").into(), combination),
        (plus("NetworkInterface.2.SubnetId", &back).into(), combination),
        (plus("NetworkInterface.2.PrivateIpAddress", "10.1.2.9").into(), combination),
        (plus("NetworkInterface.2.PrivateIpAddresses.1.PrivateIpAddress", "10.1.2.9").into(), combination),
        (plus("NetworkInterface.2.Description", "x").into(), combination),
        (plus("NetworkInterface.2.SecurityGroupId.1", "sg-0000000a").into(), combination),
        (plus("NetworkInterface.2.DeleteOnTermination", "true").into(), combination),
        (plus("NetworkInterface.1.AssociatePublicIpAddress", "true").into(), combination),
        (plus("NetworkInterface.2.AssociatePublicIpAddress", "false").into(), combination),
        (plus("SubnetId", &front).into(), combination),
        (plus("SecurityGroupId.1", "sg-0000000a").into(), combination),
        (plus("PrivateIpAddress", "10.1.1.9").into(), combination),
        (plus("NetworkInterface.1.PrivateIpAddress", "10.1.2.9").into(), "InvalidParameterValue"),
        (plus("NetworkInterface.1.PrivateIpAddress", "there").into(), "InvalidParameterValue"),
        (plus("NetworkInterface.1.SecurityGroupId.1", "sg-0000000a").into(), "InvalidGroup.NotFound"),
        (plus("NetworkInterface.1.Ipv6AddressCount", "1").into(), "UnsupportedOperation"),
        (plus("NetworkInterface.1.Ipv6Addresses.1.Ipv6Address", "::1").into(), "UnsupportedOperation"),
        (plus("NetworkInterface.1.InterfaceType", "efa").into(), "UnsupportedOperation"),
        (plus("NetworkInterface.1.SecondaryPrivateIpAddressCount", "1").into(), "UnsupportedOperation"),
        (plus("Placement.AvailabilityZone", "moon").into(), "InvalidZone.NotFound"),
        (vec![new[0], ("NetworkInterface.1.SubnetId", "subnet-0000000a")], "InvalidSubnetID.NotFound"),
        (alone("192.0.2.1"), "InvalidParameterValue"),
        ([&alone("10.98.0.9")[..], &[("MaxCount", "2")]].concat(), combination),
    ];
    let before = root.ec2("DescribeNetworkInterfaces", &[]).await.ok().text;
    for (more, code) in cases {
        let mut pairs = launch(&image, &[]);
        pairs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        pairs.extend(more);
        let answer = root.ec2("RunInstances", &pairs).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (400, Some(code)),
            "{pairs:?}: {}",
            answer.text
        );
    }
    let many: Vec<(String, &str)> = (1..=17)
        .flat_map(|place| {
            let name = |what| format!("NetworkInterface.{place}.{what}");
            [(name("SubnetId"), front.as_str()), (name("DeviceIndex"), INDEXES[place - 1])]
        })
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    root.ec2("RunInstances", &launch(&image, &many)).await.refused(400, "AttachmentLimitExceeded");
    let after = root.ec2("DescribeNetworkInterfaces", &[]).await.ok().text;
    let items = |text: &str| text.split_once("<networkInterfaceSet>").unwrap().1.to_owned();
    assert_eq!(items(&before), items(&after));
    assert!(root.ec2("DescribeInstances", &[]).await.ok().all("instanceId").is_empty());
    assert!(host.node.world.real().volumes.is_empty());
}

const INDEXES: [&str; 17] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"];

#[tokio::test]
async fn policies_are_asked_for_each_interface() {
    let (host, root, image) = host().await;
    let [front, back] = subnets(&root, "10.1").await;
    let (mine, other) = (interface(&root, &back).await, interface(&root, &back).await);
    let ann = user(&host, &root, "ann").await;
    let account = root.account;
    let resources = format!(
        r#"["arn:aws:ec2:*:*:instance/*","arn:aws:ec2:*:*:volume/*","arn:aws:ec2:*::image/*",
            "arn:aws:ec2:*:{account}:subnet/{back}","arn:aws:ec2:*:{account}:network-interface/{mine}"]"#
    );
    allow(&host, &root, "ann", "one", r#""ec2:RunInstances""#, &resources).await;
    let with = |id| {
        launch(
            &image,
            &[("NetworkInterface.7.DeviceIndex", "0"), ("NetworkInterface.7.NetworkInterfaceId", id)],
        )
    };
    ann.ec2("RunInstances", &with(&other)).await.refused(403, "UnauthorizedOperation");
    // One that is to be made is another.
    let new = [("NetworkInterface.7.DeviceIndex", "0"), ("NetworkInterface.7.SubnetId", &*back)];
    ann.ec2("RunInstances", &launch(&image, &new)).await.refused(403, "UnauthorizedOperation");
    ann.ec2("RunInstances", &launch(&image, &[])).await.refused(403, "UnauthorizedOperation");
    ann.ec2("RunInstances", &with(&mine)).await.ok();
    let made = format!(r#""arn:aws:ec2:*:{account}:network-interface/*""#);
    allow(&host, &root, "ann", "new", r#""ec2:RunInstances""#, &made).await;
    ann.ec2("RunInstances", &launch(&image, &new)).await.ok();
    // The second one is in a subnet that is not theirs.
    let both =
        [new[0], new[1], ("NetworkInterface.8.DeviceIndex", "1"), ("NetworkInterface.8.SubnetId", &*front)];
    ann.ec2("RunInstances", &launch(&image, &both)).await.refused(403, "UnauthorizedOperation");
}
