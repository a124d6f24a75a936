//! Networks: groups and their rules, VPCs, subnets, addresses and interfaces, from being made to being gone; and that no
//! account sees another's.

use compute::identity::KeyOwner;
use serde_json::json;

use super::caller::{Answered, Caller, Host, Pairs};

/// The one value of an element that is made once.
pub fn one(answer: &Answered, name: &str) -> String {
    let all = answer.all(name);
    assert_eq!(all.len(), 1, "{name} in {}", answer.text);
    all[0].clone()
}

pub async fn made(caller: &Caller, action: &str, more: Pairs<'_>, id: &str) -> String {
    one(&caller.ec2(action, more).await.ok(), id)
}

/// A permission of a list: everybody by TCP.
pub const WEB: Pairs<'_> = &[
    ("IpPermissions.1.IpProtocol", "tcp"),
    ("IpPermissions.1.FromPort", "80"),
    ("IpPermissions.1.ToPort", "443"),
    ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ("IpPermissions.1.IpRanges.1.Description", "the web"),
    ("IpPermissions.1.IpRanges.2.CidrIp", "192.0.2.1/32"),
];

pub fn with<'a>(first: Pairs<'a>, more: Pairs<'a>) -> Vec<(&'a str, &'a str)> {
    [first, more].concat()
}

#[tokio::test]
async fn rules_come_by_lists_and_go_by_id_or_by_what_they_say() {
    let host = Host::start().await;
    let root = host.root().await;
    let group = made(
        &root,
        "CreateSecurityGroup",
        &[("GroupName", "web"), ("GroupDescription", "front end")],
        "groupId",
    )
    .await;
    let of = [("GroupId", group.as_str())];
    let added = root.ec2("AuthorizeSecurityGroupIngress", &with(&of, WEB)).await.ok();
    assert_eq!(added.all("return"), ["true"]);
    assert_eq!(added.all("cidrIpv4"), ["0.0.0.0/0", "192.0.2.1/32"]);
    assert_eq!(
        (added.all("isEgress"), added.all("description")),
        (vec!["false".to_owned(); 2], vec!["the web".to_owned()])
    );
    let ids = added.all("securityGroupRuleId");
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("sgr-") && id.len() == 21), "{ids:?}");

    // A group in its own list, with what older clients send.
    let by_name = [("GroupName", "web"), ("SourceSecurityGroupName", "web")];
    root.ec2("AuthorizeSecurityGroupIngress", &by_name).await.ok();
    let single = [
        ("GroupId", &*group),
        ("IpProtocol", "icmp"),
        ("FromPort", "8"),
        ("ToPort", "-1"),
        ("CidrIp", "10.0.0.1/8"),
    ];
    let added = root.ec2("AuthorizeSecurityGroupIngress", &single).await.ok();
    assert_eq!(added.all("cidrIpv4"), ["10.0.0.0/8"], "bits behind the mask are dropped");
    let shown = root.ec2("DescribeSecurityGroups", &[("GroupId.1", &*group)]).await.ok();
    let (inwards, outwards) = shown.text.split_once("<ipPermissionsEgress>").unwrap();
    let inwards = Answered { text: inwards.to_owned(), ..shown.clone() };
    assert_eq!(inwards.all("ipProtocol"), ["tcp", "tcp", "udp", "icmp", "icmp"]);
    assert_eq!(inwards.all("fromPort"), ["80", "0", "0", "-1", "8"]);
    assert_eq!(inwards.all("toPort"), ["443", "65535", "65535", "-1", "-1"]);
    assert_eq!(inwards.all("cidrIp"), ["0.0.0.0/0", "192.0.2.1/32", "10.0.0.0/8"]);
    assert_eq!(inwards.all("userId"), vec![root.account.to_string(); 3]);
    assert!(
        outwards.contains("<ipProtocol>-1</ipProtocol>") && outwards.contains("<cidrIp>0.0.0.0/0</cidrIp>")
    );

    // Twice is refused, and nothing of the request is done.
    let more = [
        ("IpPermissions.2.IpProtocol", "udp"),
        ("IpPermissions.2.FromPort", "53"),
        ("IpPermissions.2.ToPort", "53"),
        ("IpPermissions.2.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    let twice = root.ec2("AuthorizeSecurityGroupIngress", &[&of, WEB, &more].concat()).await;
    twice.refused(400, "InvalidPermission.Duplicate");
    let again = root.ec2("DescribeSecurityGroups", &[("GroupId.1", &*group)]).await.ok();
    assert_eq!(again.all("fromPort"), shown.all("fromPort"));

    // By what they say, where a description is not asked; by id; and those that are not there are told.
    let without = [
        ("IpPermissions.1.IpProtocol", "6"),
        ("IpPermissions.1.FromPort", "80"),
        ("IpPermissions.1.ToPort", "443"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ("IpPermissions.1.IpRanges.2.CidrIp", "198.51.100.1/32"),
    ];
    let gone = root.ec2("RevokeSecurityGroupIngress", &with(&of, &without)).await.ok();
    assert_eq!(gone.all("cidrIpv4"), ["0.0.0.0/0"]);
    assert_eq!(gone.all("cidrIp"), ["198.51.100.1/32"], "in a default VPC what was not there is told");
    let by_id = [("GroupId", &*group), ("SecurityGroupRuleId.1", &*ids[1])];
    root.ec2("RevokeSecurityGroupEgress", &by_id).await.refused(400, "InvalidSecurityGroupRuleId.NotFound");
    root.ec2("RevokeSecurityGroupIngress", &by_id).await.ok();
    root.ec2("RevokeSecurityGroupIngress", &by_id).await.refused(400, "InvalidSecurityGroupRuleId.NotFound");
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", &*group)];
    let rules = root.ec2("DescribeSecurityGroupRules", &filter).await;
    assert_eq!(rules.ok().all("securityGroupRuleId").len(), 5, "four in, one out");
}

#[tokio::test]
async fn something_else_is_said_of_rules_and_interfaces() {
    let host = Host::start().await;
    let root = host.root().await;
    let words = [("GroupName", "web"), ("GroupDescription", "front end")];
    let group = made(&root, "CreateSecurityGroup", &words, "groupId").await;
    let of = [("GroupId", &*group)];
    let added = root.ec2("AuthorizeSecurityGroupIngress", &with(&of, WEB)).await.ok();
    let ids = added.all("securityGroupRuleId");
    let update = "UpdateSecurityGroupRuleDescriptionsIngress";
    let by_id = [
        of[0],
        ("SecurityGroupRuleDescription.1.SecurityGroupRuleId", &*ids[1]),
        ("SecurityGroupRuleDescription.1.Description", "one of ours"),
    ];
    root.ec2(update, &by_id).await.ok();
    // Without a description, what was said is taken back.
    let silent = [of[0], WEB[0], WEB[1], WEB[2], WEB[3]];
    root.ec2(update, &silent).await.ok();
    let shown = root.ec2("DescribeSecurityGroupRules", &[]).await.ok();
    assert_eq!(shown.all("description"), ["one of ours"]);
    assert!(ids.iter().all(|id| shown.all("securityGroupRuleId").contains(id)), "they are the same rules");
    let other = [of[0], WEB[0], WEB[1], WEB[2], ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8")];
    root.ec2(update, &other).await.refused(400, "InvalidPermission.NotFound");
    let egress = "UpdateSecurityGroupRuleDescriptionsEgress";
    root.ec2(egress, &by_id).await.refused(400, "InvalidSecurityGroupRuleId.NotFound");
    root.ec2(update, &of).await.refused(400, "MissingParameter");

    let filter = [("Filter.1.Name", "default-for-az"), ("Filter.1.Value.1", "true")];
    let subnet = one(&root.ec2("DescribeSubnets", &filter).await.ok(), "subnetId");
    let interface =
        made(&root, "CreateNetworkInterface", &[("SubnetId", &*subnet)], "networkInterfaceId").await;
    let interface = ("NetworkInterfaceId", &*interface);
    let modify = "ModifyNetworkInterfaceAttribute";
    root.ec2(modify, &[interface, ("SecurityGroupId.1", &*group)]).await.ok();
    root.ec2(modify, &[interface, ("Description.Value", "spare")]).await.ok();
    root.ec2(modify, &[interface, ("SourceDestCheck.Value", "true")]).await.ok();
    let shown = root.ec2("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", interface.1)]).await.ok();
    assert_eq!((one(&shown, "groupId"), one(&shown, "description")), (group.clone(), "spare".to_owned()));
    root.ec2(modify, &[interface, ("Description.Value", "")]).await.ok();
    for (more, code) in [
        (&[][..], "MissingParameter"),
        (&[("SourceDestCheck.Value", "false")], "UnsupportedOperation"),
        (&[("Description.Value", "x"), ("SecurityGroupId.1", &*group)], "InvalidParameterCombination"),
        (&[("SecurityGroupId.1", "sg-00000001")], "InvalidGroup.NotFound"),
        (&[("AssociatePublicIpAddress", "true")], "UnsupportedOperation"),
    ] {
        root.ec2(modify, &with(&[interface], more)).await.refused(400, code);
    }
    let shown = root.ec2("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", interface.1)]).await.ok();
    assert_eq!((one(&shown, "groupId"), one(&shown, "description")), (group, String::new()));
}

#[tokio::test]
async fn groups_are_found_by_what_their_rules_say() {
    let host = Host::start().await;
    let root = host.root().await;
    let vpc = made(&root, "CreateVpc", &[("CidrBlock", "10.1.0.0/16")], "vpcId").await;
    let words = |name: &'static str| [("GroupName", name), ("GroupDescription", "for tests"), ("VpcId", "")];
    let mut ids = Vec::new();
    for name in ["web", "app"] {
        let mut new = words(name);
        new[2].1 = &vpc;
        ids.push(made(&root, "CreateSecurityGroup", &new, "groupId").await);
    }
    root.ec2("AuthorizeSecurityGroupIngress", &with(&[("GroupId", &*ids[0])], WEB)).await.ok();
    let from_web = [
        ("GroupId", &*ids[1]),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupName", "web"),
        ("IpPermissions.1.Groups.1.Description", "front end"),
    ];
    let added = root.ec2("AuthorizeSecurityGroupIngress", &from_web).await.ok();
    assert!(
        added.text.contains(&format!("<referencedGroupInfo><groupId>{}</groupId>", ids[0])),
        "{}",
        added.text
    );
    assert_eq!((one(&added, "fromPort"), one(&added, "ipProtocol")), ("-1".to_owned(), "-1".to_owned()));
    for (filters, found) in [
        (&[("group-name", "web")][..], &["web"][..]),
        (&[("ip-permission.from-port", "80")], &["web"]),
        (&[("ip-permission.cidr", "192.0.2.*")], &["web"]),
        (&[("ip-permission.group-name", "web")], &["app"]),
        (&[("ip-permission.group-id", &*ids[0])], &["app"]),
        (&[("ip-permission.protocol", "-1"), ("group-name", "a*")], &["app"]),
        (&[("egress.ip-permission.cidr", "0.0.0.0/0"), ("vpc-id", &*vpc)], &["app", "default", "web"]),
        (&[("description", "default*"), ("vpc-id", &*vpc)], &["default"]),
        (&[("owner-id", "000000000000")], &[]),
        (&[("tag:colour", "red")], &[]),
    ] {
        let mut pairs = Vec::new();
        for (place, (name, value)) in filters.iter().enumerate() {
            pairs.push((format!("Filter.{}.Name", place + 1), (*name).to_owned()));
            pairs.push((format!("Filter.{}.Value.1", place + 1), (*value).to_owned()));
        }
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut names = root.ec2("DescribeSecurityGroups", &pairs).await.ok().all("groupName");
        names.sort();
        assert_eq!(names, found, "{filters:?}");
    }

    // In a VPC of its own a rule that is not there is an error, and nothing is taken.
    let group = ("GroupId", &*ids[0]);
    let other =
        [group, WEB[0], WEB[1], WEB[2], WEB[3], ("IpPermissions.1.IpRanges.2.CidrIp", "198.51.100.1/32")];
    root.ec2("RevokeSecurityGroupIngress", &other).await.refused(400, "InvalidPermission.NotFound");
    assert_eq!(
        root.ec2("DescribeSecurityGroups", &[("GroupId.1", &*ids[0])]).await.ok().all("cidrIp").len(),
        3
    );
    root.ec2("DeleteSecurityGroup", &[group]).await.refused(400, "DependencyViolation");
    root.ec2("DeleteVpc", &[("VpcId", &*vpc)]).await.refused(400, "DependencyViolation");
    for id in ids.iter().rev() {
        root.ec2("DeleteSecurityGroup", &[("GroupId", id)]).await.ok();
    }
    root.ec2("DeleteVpc", &[("VpcId", &*vpc)]).await.ok();
    root.ec2("DescribeVpcs", &[("VpcId.1", &*vpc)]).await.refused(400, "InvalidVpcID.NotFound");
}

#[tokio::test]
async fn a_rule_can_name_a_group_of_another_account() {
    let host = Host::start().await;
    let (root, other) = (host.root().await, host.stranger().await);
    let theirs =
        made(&other, "CreateSecurityGroup", &[("GroupName", "web"), ("GroupDescription", "x")], "groupId")
            .await;
    let ours =
        made(&root, "CreateSecurityGroup", &[("GroupName", "app"), ("GroupDescription", "x")], "groupId")
            .await;
    let account = other.account.to_string();
    let pair =
        [("GroupName", "app"), ("SourceSecurityGroupName", "web"), ("SourceSecurityGroupOwnerId", &*account)];
    let added = root.ec2("AuthorizeSecurityGroupIngress", &pair).await.ok();
    assert_eq!(added.all("userId"), vec![account.clone(); 3]);
    // Used, and gone when it is not any more.
    other.ec2("DeleteSecurityGroup", &[("GroupId", &*theirs)]).await.refused(400, "DependencyViolation");
    root.ec2("RevokeSecurityGroupIngress", &pair).await.ok();
    other.ec2("DeleteSecurityGroup", &[("GroupId", &*theirs)]).await.ok();
    for (name, owner) in [("web", &*account), ("app", &*account), ("web", "12"), ("default", "999999999999")]
    {
        let pair =
            [("GroupId", &*ours), ("SourceSecurityGroupName", name), ("SourceSecurityGroupOwnerId", owner)];
        root.ec2("AuthorizeSecurityGroupIngress", &pair).await.refused(400, "InvalidGroup.NotFound");
    }
    // A group of a VPC of its own is met by nobody here.
    let vpc = made(&root, "CreateVpc", &[("CidrBlock", "10.1.0.0/16")], "vpcId").await;
    let inside = made(
        &root,
        "CreateSecurityGroup",
        &[("GroupName", "inside"), ("GroupDescription", "x"), ("VpcId", &*vpc)],
        "groupId",
    )
    .await;
    let pair = [
        ("GroupId", &*ours),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", &*inside),
    ];
    let refused = root.ec2("AuthorizeSecurityGroupIngress", &pair).await;
    refused.refused(400, "InvalidGroup.NotFound");
    assert!(refused.text.contains("different networks"), "{}", refused.text);
}

#[tokio::test]
async fn a_vpc_has_subnets_and_interfaces() {
    let host = Host::start().await;
    let root = host.root().await;
    let tags = [
        ("CidrBlock", "10.2.3.4/16"),
        ("TagSpecification.1.ResourceType", "vpc"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "shop"),
    ];
    let vpc = root.ec2("CreateVpc", &tags).await.ok();
    assert_eq!(
        (vpc.all("cidrBlock"), vpc.all("value")),
        (vec!["10.2.0.0/16".to_owned(); 2], vec!["shop".to_owned()])
    );
    let vpc = one(&vpc, "vpcId");
    let of = [("VpcId", &*vpc), ("CidrBlock", "10.2.1.0/28"), ("AvailabilityZoneId", "local-az1")];
    let subnet = root.ec2("CreateSubnet", &of).await.ok();
    assert_eq!(
        (one(&subnet, "availabilityZone"), one(&subnet, "availableIpAddressCount")),
        ("local-a".to_owned(), "11".to_owned())
    );
    let subnet = one(&subnet, "subnetId");

    let new = [
        ("SubnetId", &*subnet),
        ("PrivateIpAddress", "10.2.1.9"),
        ("Description", "spare"),
        ("ClientToken", "t"),
    ];
    let interface = root.ec2("CreateNetworkInterface", &new).await.ok();
    assert_eq!(
        (one(&interface, "status"), one(&interface, "groupName")),
        ("available".to_owned(), "default".to_owned())
    );
    assert_eq!(interface.all("privateDnsName"), vec!["ip-10-2-1-9.local.compute.internal".to_owned(); 2]);
    let id = one(&interface, "networkInterfaceId");
    assert_eq!(
        one(&root.ec2("CreateNetworkInterface", &new).await.ok(), "networkInterfaceId"),
        id,
        "by its token"
    );
    let taken = [("SubnetId", &*subnet), ("PrivateIpAddress", "10.2.1.9")];
    root.ec2("CreateNetworkInterface", &taken).await.refused(400, "InvalidIPAddress.InUse");
    let outside = [("SubnetId", &*subnet), ("PrivateIpAddress", "10.2.1.99")];
    root.ec2("CreateNetworkInterface", &outside).await.refused(400, "InvalidParameterValue");
    let counted = root.ec2("DescribeSubnets", &[("SubnetId.1", &*subnet)]).await.ok();
    assert_eq!(one(&counted, "availableIpAddressCount"), "10");
    let found = [("Filter.1.Name", "private-ip-address"), ("Filter.1.Value.1", "10.2.1.?")];
    assert_eq!(root.ec2("DescribeNetworkInterfaces", &found).await.ok().all("networkInterfaceId"), [&*id]);
    let none = [("Filter.1.Name", "attachment.status"), ("Filter.1.Value.1", "attached")];
    assert!(root.ec2("DescribeNetworkInterfaces", &none).await.ok().all("networkInterfaceId").is_empty());

    root.ec2("DeleteSubnet", &[("SubnetId", &*subnet)]).await.refused(400, "DependencyViolation");
    root.ec2("DeleteNetworkInterface", &[("NetworkInterfaceId", &*id)]).await.ok();
    root.ec2("DeleteSubnet", &[("SubnetId", &*subnet)]).await.ok();
    root.ec2("DeleteVpc", &[("VpcId", &*vpc)]).await.ok();
}

#[tokio::test]
async fn what_is_launched_in_a_default_subnet_has_a_public_address() {
    let host = Host::start().await;
    let root = host.root().await;
    let image = super::soap::image(&host, &root).await;
    let launched = async |more: Pairs<'_>| {
        let launch = [("ImageId", &*image), ("MinCount", "1"), ("MaxCount", "1")];
        let id = made(&root, "RunInstances", &with(&launch, more), "instanceId").await;
        let shown = root.ec2("DescribeInstances", &[("InstanceId.1", &*id)]).await.ok();
        shown.all("ipAddress").len()
    };
    let subnets = root.ec2("DescribeSubnets", &[]).await.ok();
    assert_eq!(subnets.all("mapPublicIpOnLaunch"), ["true"]);
    let default = one(&subnets, "subnetId");
    let vpc = made(&root, "CreateVpc", &[("CidrBlock", "10.2.0.0/16")], "vpcId").await;
    let of = [("VpcId", &*vpc), ("CidrBlock", "10.2.1.0/28")];
    let other = made(&root, "CreateSubnet", &of, "subnetId").await;
    let mapping = [("Filter.1.Name", "map-public-ip-on-launch"), ("Filter.1.Value.1", "true")];
    assert_eq!(root.ec2("DescribeSubnets", &mapping).await.ok().all("subnetId"), [&*default]);

    assert_eq!(launched(&[]).await, 1);
    assert_eq!(launched(&[("SubnetId", &default)]).await, 1);
    assert_eq!(launched(&[("SubnetId", &other)]).await, 0);
    let of_interface =
        |subnet| [("NetworkInterface.1.DeviceIndex", "0"), ("NetworkInterface.1.SubnetId", subnet)];
    assert_eq!(launched(&of_interface(&default)).await, 1);
    let public = |says| [("NetworkInterface.1.AssociatePublicIpAddress", says)];
    assert_eq!(launched(&with(&of_interface(&default), &public("false"))).await, 0);
    assert_eq!(launched(&with(&of_interface(&other), &public("true"))).await, 1);
}

#[tokio::test]
async fn an_address_leads_where_it_was_last_let() {
    let host = Host::start().await;
    let root = host.root().await;
    let vpc = made(&root, "CreateVpc", &[("CidrBlock", "10.2.0.0/16")], "vpcId").await;
    let subnet =
        made(&root, "CreateSubnet", &[("VpcId", &*vpc), ("CidrBlock", "10.2.0.0/24")], "subnetId").await;
    let mut interfaces = Vec::new();
    for _ in 0..2 {
        interfaces.push(
            made(&root, "CreateNetworkInterface", &[("SubnetId", &*subnet)], "networkInterfaceId").await,
        );
    }
    let address = root.ec2("AllocateAddress", &[("Domain", "vpc")]).await.ok();
    let (public, allocation) = (one(&address, "publicIp"), one(&address, "allocationId"));
    let to =
        |interface: usize| [("AllocationId", &*allocation), ("NetworkInterfaceId", &*interfaces[interface])];
    let first = one(&root.ec2("AssociateAddress", &to(0)).await.ok(), "associationId");
    assert_eq!(one(&root.ec2("AssociateAddress", &to(0)).await.ok(), "associationId"), first, "again");
    let other = to(1);
    let kept = with(&other, &[("AllowReassociation", "false")]);
    root.ec2("AssociateAddress", &kept).await.refused(400, "Resource.AlreadyAssociated");
    let second = one(&root.ec2("AssociateAddress", &to(1)).await.ok(), "associationId");
    assert_ne!(first, second);
    let shown = root.ec2("DescribeAddresses", &[("PublicIp.1", &*public)]).await.ok();
    assert_eq!(
        (one(&shown, "networkInterfaceId"), one(&shown, "associationId")),
        (interfaces[1].clone(), second.clone())
    );
    let led = [("Filter.1.Name", "association.public-ip"), ("Filter.1.Value.1", &*public)];
    let led = root.ec2("DescribeNetworkInterfaces", &led).await.ok();
    assert_eq!(led.all("networkInterfaceId"), [&*interfaces[1]]);
    let dashed = public.replace('.', "-");
    assert!(
        led.all("publicDnsName")
            .iter()
            .all(|name| *name == format!("ec2-{dashed}.public.local.compute.internal")),
        "{}",
        led.text
    );

    // An association that is over is none.
    root.ec2("DisassociateAddress", &[("AssociationId", &*first)])
        .await
        .refused(400, "InvalidAssociationID.NotFound");
    root.ec2("ReleaseAddress", &[("AllocationId", &*allocation)])
        .await
        .refused(400, "InvalidIPAddress.InUse");
    root.ec2("DisassociateAddress", &[("AssociationId", &*second)]).await.ok();
    root.ec2("DisassociateAddress", &[("PublicIp", &*public)]).await.ok();
    root.ec2("ReleaseAddress", &[("AllocationId", &*allocation)]).await.ok();
    root.ec2("ReleaseAddress", &[("AllocationId", &*allocation)])
        .await
        .refused(400, "InvalidAllocationID.NotFound");
    root.ec2("ReleaseAddress", &[("PublicIp", &*public)]).await.refused(400, "AuthFailure");
    // The same one again, by itself.
    let again = root.ec2("AllocateAddress", &[("Address", &*public)]).await.ok();
    assert_eq!(one(&again, "publicIp"), public);
    root.ec2("AllocateAddress", &[("Address", &*public)]).await.refused(400, "InvalidAddress.NotFound");
}

#[tokio::test]
async fn interfaces_and_addresses_are_given_to_instances() {
    let host = Host::start().await;
    let operator = host.node.operator();
    let image = host.node.image(&operator, "disk.raw").await;
    let root = host.default_account().await;
    let vpc = made(&root, "CreateVpc", &[("CidrBlock", "10.3.0.0/16")], "vpcId").await;
    let subnet =
        made(&root, "CreateSubnet", &[("VpcId", &*vpc), ("CidrBlock", "10.3.0.0/24")], "subnetId").await;
    let interface =
        made(&root, "CreateNetworkInterface", &[("SubnetId", &*subnet)], "networkInterfaceId").await;
    // One that was never started, with a public address of its own.
    let launch = json!({"image": image, "instance_type": "tiny", "subnet": subnet, "public_address": true,
        "rules": {"start": false}});
    let launched = operator.post("/v1/instances", &launch).await.status(202);
    let instance = launched["instances"][0]["id"].as_str().unwrap().to_owned();
    operator.until(&format!("/v1/instances/{instance}"), "/state", "created").await;

    let to = |index: &'static str| {
        [("NetworkInterfaceId", &*interface), ("InstanceId", &*instance), ("DeviceIndex", index)]
    };
    for index in ["0", "2"] {
        root.ec2("AttachNetworkInterface", &to(index)).await.refused(400, "InvalidParameterValue");
    }
    let attachment = one(&root.ec2("AttachNetworkInterface", &to("1")).await.ok(), "attachmentId");
    root.ec2("AttachNetworkInterface", &to("2")).await.refused(400, "InvalidNetworkInterface.InUse");
    let of = [("NetworkInterfaceId", &*interface)];
    root.ec2("DeleteNetworkInterface", &of).await.refused(400, "InvalidNetworkInterface.InUse");
    let filter = [("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", &*instance)];
    let attached = root.ec2("DescribeNetworkInterfaces", &filter).await.ok();
    let mut indexes = attached.all("deviceIndex");
    indexes.sort();
    assert_eq!(indexes, ["0", "1"]);
    assert_eq!(attached.all("status").iter().filter(|status| *status == "in-use").count(), 2);
    let first = attached.all("attachmentId").into_iter().find(|id| *id != attachment).unwrap();
    root.ec2("DetachNetworkInterface", &[("AttachmentId", &*first)])
        .await
        .refused(400, "OperationNotPermitted");
    root.ec2("DetachNetworkInterface", &[("AttachmentId", &*attachment)]).await.ok();
    let gone = root.ec2("DetachNetworkInterface", &[("AttachmentId", &*attachment)]).await;
    gone.refused(400, "InvalidAttachmentID.NotFound");

    // What an address takes the place of: the instance's own goes, and was nobody's allocation.
    assert_eq!(attached.all("ipOwnerId"), vec!["amazon".to_owned(); 2]);
    assert!(root.ec2("DescribeAddresses", &[]).await.ok().all("publicIp").is_empty());
    let allocation = made(&root, "AllocateAddress", &[], "allocationId").await;
    let lead =
        [("AllocationId", &*allocation), ("InstanceId", &*instance), ("PrivateIpAddress", "10.3.0.99")];
    root.ec2("AssociateAddress", &lead).await.refused(400, "InvalidParameterValue");
    root.ec2("AssociateAddress", &lead[..2]).await.ok();
    let shown = root.ec2("DescribeAddresses", &[("AllocationId.1", &*allocation)]).await.ok();
    assert_eq!(one(&shown, "instanceId"), instance);
    let led = root.ec2("DescribeNetworkInterfaces", &filter).await.ok();
    assert_eq!(led.all("ipOwnerId"), vec![root.account.to_string(); 2]);
    root.ec2("ReleaseAddress", &[("AllocationId", &*allocation)])
        .await
        .refused(400, "InvalidIPAddress.InUse");
}

#[tokio::test]
async fn an_address_of_a_default_vpc_can_be_released_while_it_leads_somewhere() {
    let host = Host::start().await;
    let root = host.root().await;
    let filter = [("Filter.1.Name", "default-for-az"), ("Filter.1.Value.1", "true")];
    let subnet = one(&root.ec2("DescribeSubnets", &filter).await.ok(), "subnetId");
    let interface =
        made(&root, "CreateNetworkInterface", &[("SubnetId", &*subnet)], "networkInterfaceId").await;
    let public = made(&root, "AllocateAddress", &[], "publicIp").await;
    root.ec2("AssociateAddress", &[("PublicIp", &*public), ("NetworkInterfaceId", &*interface)]).await.ok();
    root.ec2("ReleaseAddress", &[("PublicIp", &*public)]).await.ok();
    let shown = root.ec2("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &*interface)]).await.ok();
    assert!(shown.all("publicIp").is_empty(), "{}", shown.text);
}

#[tokio::test]
async fn the_region_its_zones_and_the_account_are_told() {
    let host = Host::start().await;
    let root = host.root().await;
    assert_eq!(root.ec2("DescribeRegions", &[]).await.ok().all("regionName"), ["local"]);
    root.ec2("DescribeRegions", &[("RegionName.1", "eu-west-1")]).await.refused(400, "InvalidParameterValue");
    let zones = root.ec2("DescribeAvailabilityZones", &[("ZoneName.1", "local-a")]).await.ok();
    assert_eq!(
        (one(&zones, "zoneId"), one(&zones, "zoneState")),
        ("local-az1".to_owned(), "available".to_owned())
    );
    let filter = [("Filter.1.Name", "state"), ("Filter.1.Value.1", "impaired")];
    assert!(root.ec2("DescribeAvailabilityZones", &filter).await.ok().all("zoneName").is_empty());
    let default =
        root.ec2("DescribeVpcs", &[("Filter.1.Name", "is-default"), ("Filter.1.Value.1", "true")]).await.ok();
    let attributes = [("AttributeName.1", "default-vpc"), ("AttributeName.2", "supported-platforms")];
    let told = root.ec2("DescribeAccountAttributes", &attributes).await.ok();
    assert_eq!(told.all("attributeName"), ["supported-platforms", "default-vpc"]);
    assert_eq!(told.all("attributeValue"), ["VPC".to_owned(), one(&default, "vpcId")]);
    assert_eq!(root.ec2("DescribeAccountAttributes", &[]).await.ok().all("attributeName").len(), 6);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let host = Host::start().await;
    let root = host.root().await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        root.ec2("CreateSecurityGroup", &[("GroupName", name), ("GroupDescription", "x")]).await.ok();
        root.ec2("CreateVpc", &[("CidrBlock", "10.1.0.0/16")]).await.ok();
    }
    for (action, id, all) in [
        // Each VPC has its default group, and a rule for what its members send; the first also one for what they get.
        ("DescribeSecurityGroups", "groupId", 7 + 6),
        ("DescribeSecurityGroupRules", "securityGroupRuleId", 7 + 1 + 6 + 6),
        ("DescribeVpcs", "vpcId", 7),
    ] {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = root.ec2(action, &[("MaxResults", "5"), ("NextToken", &*token)]).await.ok();
            let own = if action == "DescribeSecurityGroups" {
                page.within("securityGroupInfo", id)
            } else {
                page.all(id)
            };
            assert!((1..=5).contains(&own.len()), "{action}: {}", page.text);
            seen.extend(own);
            let Some(next) = page.all("nextToken").pop() else { break };
            token = next;
        }
        assert_eq!(seen.len(), all, "{action}: {seen:?}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all, "{action}: none twice");
    }
}

#[tokio::test]
async fn no_account_has_another_ones_networks() {
    let host = Host::start().await;
    let (root, other) = (host.root().await, host.stranger().await);
    let vpc = made(&root, "CreateVpc", &[("CidrBlock", "10.1.0.0/16")], "vpcId").await;
    let subnet =
        made(&root, "CreateSubnet", &[("VpcId", &*vpc), ("CidrBlock", "10.1.0.0/24")], "subnetId").await;
    let words = [("GroupName", "web"), ("GroupDescription", "x"), ("VpcId", &*vpc)];
    let group = made(&root, "CreateSecurityGroup", &words, "groupId").await;
    let interface =
        made(&root, "CreateNetworkInterface", &[("SubnetId", &*subnet)], "networkInterfaceId").await;
    let allocation = made(&root, "AllocateAddress", &[], "allocationId").await;
    for (action, pairs, code) in [
        ("DescribeVpcs", &[("VpcId.1", &*vpc)][..], "InvalidVpcID.NotFound"),
        ("DeleteVpc", &[("VpcId", &*vpc)], "InvalidVpcID.NotFound"),
        ("CreateSubnet", &[("VpcId", &*vpc), ("CidrBlock", "10.1.1.0/24")], "InvalidVpcID.NotFound"),
        ("DescribeSubnets", &[("SubnetId.1", &*subnet)], "InvalidSubnetID.NotFound"),
        ("DeleteSubnet", &[("SubnetId", &*subnet)], "InvalidSubnetID.NotFound"),
        ("CreateNetworkInterface", &[("SubnetId", &*subnet)], "InvalidSubnetID.NotFound"),
        ("DescribeSecurityGroups", &[("GroupId.1", &*group)], "InvalidGroup.NotFound"),
        ("DeleteSecurityGroup", &[("GroupId", &*group)], "InvalidGroup.NotFound"),
        ("AuthorizeSecurityGroupIngress", &with(&[("GroupId", &*group)], WEB), "InvalidGroup.NotFound"),
        ("CreateSecurityGroup", &words, "InvalidVpcID.NotFound"),
        (
            "DescribeNetworkInterfaces",
            &[("NetworkInterfaceId.1", &*interface)],
            "InvalidNetworkInterfaceID.NotFound",
        ),
        (
            "DeleteNetworkInterface",
            &[("NetworkInterfaceId", &*interface)],
            "InvalidNetworkInterfaceID.NotFound",
        ),
        ("DescribeAddresses", &[("AllocationId.1", &*allocation)], "InvalidAllocationID.NotFound"),
        ("ReleaseAddress", &[("AllocationId", &*allocation)], "InvalidAllocationID.NotFound"),
        (
            "AssociateAddress",
            &[("AllocationId", &*allocation), ("NetworkInterfaceId", &*interface)],
            "InvalidAllocationID.NotFound",
        ),
    ] {
        other.ec2(action, pairs).await.refused(400, code);
    }
    for (action, id) in [
        ("DescribeVpcs", &vpc),
        ("DescribeSubnets", &subnet),
        ("DescribeSecurityGroups", &group),
        ("DescribeSecurityGroupRules", &group),
        ("DescribeNetworkInterfaces", &interface),
        ("DescribeAddresses", &allocation),
    ] {
        assert!(root.ec2(action, &[]).await.ok().text.contains(&**id), "{action}");
        assert!(!other.ec2(action, &[]).await.ok().text.contains(&**id), "{action}");
    }
}

#[tokio::test]
async fn policies_are_asked_for_what_is_named() {
    let host = Host::start().await;
    let root = host.root().await;
    let now = host.node.compute.clock().now();
    host.identity.create_user(root.account, "nobody", "", now).await.unwrap();
    let nobody = host.key(root.account, &KeyOwner::User("nobody".to_owned())).await;
    for action in [
        "AllocateAddress",
        "AssociateAddress",
        "AttachNetworkInterface",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateNetworkInterface",
        "CreateSecurityGroup",
        "CreateSubnet",
        "CreateVpc",
        "DeleteNetworkInterface",
        "DeleteSecurityGroup",
        "DeleteSubnet",
        "DeleteVpc",
        "DescribeAccountAttributes",
        "DescribeAddresses",
        "DescribeAvailabilityZones",
        "DescribeNetworkInterfaces",
        "DescribeRegions",
        "DescribeSecurityGroupRules",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeVpcs",
        "DetachNetworkInterface",
        "DisassociateAddress",
        "ModifyNetworkInterfaceAttribute",
        "ModifySecurityGroupRules",
        "ReleaseAddress",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        "UpdateSecurityGroupRuleDescriptionsIngress",
    ] {
        nobody.ec2(action, &[("GroupId", "sg-00000001")]).await.refused(403, "UnauthorizedOperation");
        if !action.starts_with("Describe") {
            root.ec2(action, &[("DryRun", "true")]).await.refused(412, "DryRunOperation");
        }
    }
}
