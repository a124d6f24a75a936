//! What is refused of networks, action by action, in the cloud's words; and that nothing has changed then.

use super::caller::{Caller, Host, Pairs};
use super::networks::made;

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_the_clouds_words() {
    let host = Host::start().await;
    let root = host.root().await;
    let vpc = made(&root, "CreateVpc", &[("CidrBlock", "10.1.0.0/16")], "vpcId").await;
    let subnet =
        made(&root, "CreateSubnet", &[("VpcId", &*vpc), ("CidrBlock", "10.1.0.0/24")], "subnetId").await;
    let interface =
        made(&root, "CreateNetworkInterface", &[("SubnetId", &*subnet)], "networkInterfaceId").await;
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", &*vpc)];
    let default = root.ec2("DescribeSecurityGroups", &filter).await;
    let default = default.ok().within("securityGroupInfo", "groupId").remove(0);
    let group = ("GroupId", &*default);
    let (tcp, all) = (("IpProtocol", "tcp"), ("CidrIp", "0.0.0.0/0"));
    let port = [("FromPort", "22"), ("ToPort", "22")];
    let authorize = "AuthorizeSecurityGroupIngress";
    let cases: &[(&str, Pairs<'_>, &str)] = &[
        ("CreateSecurityGroup", &[("GroupName", "x")], "MissingParameter"),
        ("CreateSecurityGroup", &[("GroupDescription", "x")], "MissingParameter"),
        (
            "CreateSecurityGroup",
            &[("GroupName", "default"), ("GroupDescription", "x")],
            "InvalidParameterValue",
        ),
        ("CreateSecurityGroup", &[("GroupName", "sg-x"), ("GroupDescription", "x")], "InvalidParameterValue"),
        (
            "CreateSecurityGroup",
            &[("GroupName", "gr\u{fc}n"), ("GroupDescription", "x")],
            "InvalidParameterValue",
        ),
        (
            "CreateSecurityGroup",
            &[("GroupName", "a"), ("GroupDescription", "x"), ("VpcId", "vpc-1")],
            "InvalidVpcID.Malformed",
        ),
        ("DeleteSecurityGroup", &[], "MissingParameter"),
        ("DeleteSecurityGroup", &[("GroupId", "web")], "InvalidGroupId.Malformed"),
        ("DeleteSecurityGroup", &[("GroupName", "nosuch")], "InvalidGroup.NotFound"),
        ("DeleteSecurityGroup", &[("GroupName", "default")], "CannotDelete"),
        ("DeleteSecurityGroup", &[group, ("GroupName", "default")], "InvalidParameterCombination"),
        ("DescribeSecurityGroups", &[("GroupName.1", "nosuch")], "InvalidGroup.NotFound"),
        ("DescribeSecurityGroups", &[("GroupId.1", "sg-0000000000000000f")], "InvalidGroup.NotFound"),
        (
            "DescribeSecurityGroups",
            &[("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")],
            "InvalidParameterValue",
        ),
        (
            "DescribeSecurityGroupRules",
            &[("SecurityGroupRuleId.1", "sgr-1")],
            "InvalidSecurityGroupRuleId.Malformed",
        ),
        (
            "DescribeSecurityGroupRules",
            &[("SecurityGroupRuleId.1", "sgr-0000000000000000f")],
            "InvalidSecurityGroupRuleId.NotFound",
        ),
        (authorize, &[group], "MissingParameter"),
        (authorize, &[tcp, all, port[0], port[1]], "MissingParameter"),
        (authorize, &[group, tcp, all], "InvalidParameterValue"),
        (authorize, &[group, tcp, all, ("FromPort", "80"), ("ToPort", "22")], "InvalidParameterValue"),
        (authorize, &[group, tcp, all, ("FromPort", "0"), ("ToPort", "65536")], "InvalidParameterValue"),
        (authorize, &[group, tcp, all, ("FromPort", "x"), ("ToPort", "22")], "InvalidParameterValue"),
        (authorize, &[group, tcp, port[0], port[1], ("CidrIp", "10.0.0.0/33")], "InvalidParameterValue"),
        (authorize, &[group, tcp, port[0], port[1], ("CidrIp", "10.0.0.1")], "InvalidParameterValue"),
        (authorize, &[group, tcp, port[0], port[1]], "MissingParameter"),
        (authorize, &[group, all], "MissingParameter"),
        (authorize, &[group, all, ("IpProtocol", "carrier-pigeon")], "InvalidPermission.Malformed"),
        (authorize, &[group, all, ("IpProtocol", "47")], "InvalidPermission.Malformed"),
        (
            authorize,
            &[group, all, ("IpProtocol", "icmp"), ("FromPort", "-1"), ("ToPort", "0")],
            "InvalidPermission.Malformed",
        ),
        (
            authorize,
            &[group, all, ("IpProtocol", "icmp"), ("FromPort", "256"), ("ToPort", "0")],
            "InvalidPermission.Malformed",
        ),
        (authorize, &[group, all, ("IpPermissions.1.IpProtocol", "-1")], "InvalidParameterCombination"),
        (authorize, &[group, all, ("SourceSecurityGroupName", "default")], "InvalidParameterCombination"),
        (authorize, &[group, ("SourceSecurityGroupOwnerId", "123456789012")], "MissingParameter"),
        (authorize, &[group, ("IpPermissions.1.IpProtocol", "-1")], "MissingParameter"),
        (authorize, &[group, ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0")], "MissingParameter"),
        (
            authorize,
            &[group, ("IpPermissions.1.IpProtocol", "-1"), ("IpPermissions.1.Groups.1.UserId", "1")],
            "InvalidGroup.NotFound",
        ),
        (
            authorize,
            &[group, ("IpPermissions.1.IpProtocol", "-1"), ("IpPermissions.1.Groups.1.GroupId", "web")],
            "InvalidGroupId.Malformed",
        ),
        (
            authorize,
            &[group, ("IpPermissions.1.IpProtocol", "-1"), ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "::/0")],
            "UnsupportedOperation",
        ),
        (
            authorize,
            &[
                group,
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
                ("IpPermissions.2.IpProtocol", "-1"),
                ("IpPermissions.2.IpRanges.1.CidrIp", "10.0.0.9/8"),
            ],
            "InvalidParameterValue",
        ),
        (
            authorize,
            &[
                group,
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
                ("IpPermissions.1.IpRanges.1.Description", "a<b"),
            ],
            "InvalidParameterValue",
        ),
        (
            "AuthorizeSecurityGroupEgress",
            &[
                group,
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ],
            "InvalidPermission.Duplicate",
        ),
        ("RevokeSecurityGroupIngress", &[group, tcp, all, port[0], port[1]], "InvalidPermission.NotFound"),
        (
            "RevokeSecurityGroupIngress",
            &[group, ("SecurityGroupRuleId.1", "x")],
            "InvalidSecurityGroupRuleId.Malformed",
        ),
        (
            "RevokeSecurityGroupIngress",
            &[group, ("SecurityGroupRuleId.1", "sgr-00000001"), ("IpPermissions.1.IpProtocol", "-1")],
            "InvalidParameterCombination",
        ),
        (
            authorize,
            &[
                group,
                tcp,
                all,
                port[0],
                port[1],
                ("TagSpecification.1.ResourceType", "security-group-rule"),
                ("TagSpecification.1.Tag.1.Key", "k"),
            ],
            "UnsupportedOperation",
        ),
        ("CreateVpc", &[], "MissingParameter"),
        ("CreateVpc", &[("CidrBlock", "10.0.0.0/8")], "InvalidVpc.Range"),
        ("CreateVpc", &[("CidrBlock", "10.0.0.0/29")], "InvalidVpc.Range"),
        ("CreateVpc", &[("CidrBlock", "8.8.0.0/16")], "InvalidVpc.Range"),
        ("CreateVpc", &[("CidrBlock", "10.0.0.0")], "InvalidParameterValue"),
        (
            "CreateVpc",
            &[("CidrBlock", "10.0.0.0/16"), ("InstanceTenancy", "dedicated")],
            "InvalidParameterValue",
        ),
        (
            "CreateVpc",
            &[("CidrBlock", "10.0.0.0/16"), ("AmazonProvidedIpv6CidrBlock", "true")],
            "UnsupportedOperation",
        ),
        (
            "CreateVpc",
            &[("CidrBlock", "10.0.0.0/16"), ("TagSpecification.1.ResourceType", "subnet")],
            "InvalidParameterValue",
        ),
        ("DeleteVpc", &[], "MissingParameter"),
        ("DeleteVpc", &[("VpcId", "x")], "InvalidVpcID.Malformed"),
        ("DeleteVpc", &[("VpcId", "vpc-00000001")], "InvalidVpcID.NotFound"),
        ("DeleteVpc", &[("VpcId", &vpc)], "DependencyViolation"),
        ("CreateSubnet", &[("CidrBlock", "10.1.1.0/24")], "MissingParameter"),
        ("CreateSubnet", &[("VpcId", &vpc)], "MissingParameter"),
        ("CreateSubnet", &[("VpcId", "vpc-00000001"), ("CidrBlock", "10.1.1.0/24")], "InvalidVpcID.NotFound"),
        ("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", "10.2.1.0/24")], "InvalidSubnet.Range"),
        ("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", "10.1.1.0/29")], "InvalidSubnet.Range"),
        ("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", "10.1.0.128/25")], "InvalidSubnet.Conflict"),
        (
            "CreateSubnet",
            &[("VpcId", &vpc), ("CidrBlock", "10.1.1.0/24"), ("AvailabilityZone", "eu-west-1a")],
            "InvalidParameterValue",
        ),
        ("DeleteSubnet", &[("SubnetId", &subnet)], "DependencyViolation"),
        ("DeleteSubnet", &[("SubnetId", "subnet-00000001")], "InvalidSubnetID.NotFound"),
        ("AllocateAddress", &[("Domain", "standard")], "InvalidParameterValue"),
        ("AllocateAddress", &[("Address", "x")], "InvalidParameterValue"),
        ("AllocateAddress", &[("Address", "8.8.8.8")], "InvalidAddress.NotFound"),
        ("AllocateAddress", &[("PublicIpv4Pool", "mine")], "InvalidPublicIpv4PoolID.NotFound"),
        ("AllocateAddress", &[("IpamPoolId", "ipam")], "UnsupportedOperation"),
        ("AssociateAddress", &[("NetworkInterfaceId", &interface)], "MissingParameter"),
        (
            "AssociateAddress",
            &[("AllocationId", "x"), ("NetworkInterfaceId", &interface)],
            "InvalidAllocationID.Malformed",
        ),
        ("AssociateAddress", &[("PublicIp", "192.0.2.9"), ("NetworkInterfaceId", &interface)], "AuthFailure"),
        (
            "AssociateAddress",
            &[("PublicIp", "192.0.2.9"), ("AllocationId", "eipalloc-00000001")],
            "InvalidParameterCombination",
        ),
        ("DisassociateAddress", &[], "MissingParameter"),
        ("DisassociateAddress", &[("AssociationId", "eipassoc-1")], "InvalidAssociationID.NotFound"),
        ("ReleaseAddress", &[], "MissingParameter"),
        ("DescribeAddresses", &[("PublicIp.1", "192.0.2.9")], "InvalidAddress.NotFound"),
        (
            "DescribeNetworkInterfaces",
            &[("NetworkInterfaceId.1", "eni-00000001")],
            "InvalidNetworkInterfaceID.NotFound",
        ),
        ("CreateNetworkInterface", &[], "MissingParameter"),
        (
            "CreateNetworkInterface",
            &[("SubnetId", &subnet), ("SecurityGroupId.1", "sg-00000001")],
            "InvalidGroup.NotFound",
        ),
        (
            "CreateNetworkInterface",
            &[("SubnetId", &subnet), ("SecondaryPrivateIpAddressCount", "2")],
            "UnsupportedOperation",
        ),
        (
            "CreateNetworkInterface",
            &[("SubnetId", &subnet), ("PrivateIpAddress", "x")],
            "InvalidParameterValue",
        ),
        (
            "DeleteNetworkInterface",
            &[("NetworkInterfaceId", "eni-00000001")],
            "InvalidNetworkInterfaceID.NotFound",
        ),
        (
            "AttachNetworkInterface",
            &[("NetworkInterfaceId", &interface), ("DeviceIndex", "1")],
            "MissingParameter",
        ),
        (
            "AttachNetworkInterface",
            &[("NetworkInterfaceId", &interface), ("InstanceId", "i-00000001"), ("DeviceIndex", "1")],
            "InvalidInstanceID.NotFound",
        ),
        ("DetachNetworkInterface", &[("AttachmentId", "eni-attach-1")], "InvalidAttachmentID.NotFound"),
        ("DescribeAvailabilityZones", &[("ZoneName.1", "eu-west-1a")], "InvalidParameterValue"),
        ("DescribeAvailabilityZones", &[("ZoneId.1", "euw1-az1")], "InvalidParameterValue"),
        ("DescribeAccountAttributes", &[("AttributeName.1", "shoe-size")], "InvalidParameterValue"),
        ("DescribeSubnets", &[("MaxResults", "5"), ("SubnetId.1", &subnet)], "InvalidParameterCombination"),
        ("DescribeVpcs", &[("NextToken", "?")], "InvalidNextToken"),
    ];
    let before = state(&root).await;
    for (action, pairs, code) in cases {
        let refused = root.ec2(action, pairs).await;
        assert_eq!(refused.code().as_deref(), Some(*code), "{action} {pairs:?}: {}", refused.text);
    }
    assert_eq!(state(&root).await, before, "what is refused has changed nothing");
}

/// All that an account has of networks.
async fn state(caller: &Caller) -> Vec<String> {
    let mut all = Vec::new();
    for action in [
        "DescribeVpcs",
        "DescribeSubnets",
        "DescribeSecurityGroups",
        "DescribeSecurityGroupRules",
        "DescribeNetworkInterfaces",
        "DescribeAddresses",
    ] {
        let answer = caller.ec2(action, &[]).await.ok();
        let (_, without_id) = answer.text.split_once("</requestId>").unwrap();
        all.push(without_id.to_owned());
    }
    all
}
