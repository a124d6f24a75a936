//! Groups and their rules, VPCs, subnets, addresses and interfaces.

use super::Stranger::{DoesIt, No, SeesNothing};
use super::{Entry, Refused, ec2};
use crate::caller::Pairs;

const NO_FILTER: Refused =
    Refused(&[("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")], "InvalidParameterValue");
const NO_GROUP: Refused = Refused(&[("GroupId", "sg-0000000a")], "InvalidGroup.NotFound");
const WITHOUT_GROUP: Refused = Refused(&[("GroupId", "")], "MissingParameter");
const NO_SUBNET: Refused = Refused(&[("SubnetId", "subnet-0000000a")], "InvalidSubnetID.NotFound");
const NO_VPC: Refused = Refused(&[("VpcId", "vpc-0000000a")], "InvalidVpcID.NotFound");
const NO_INTERFACE: Refused =
    Refused(&[("NetworkInterfaceId", "eni-0000000a")], "InvalidNetworkInterfaceID.NotFound");
const NO_ADDRESS: Refused = Refused(&[("AllocationId", "eipalloc-0000000a")], "InvalidAllocationID.NotFound");
const NO_RULE: Refused =
    Refused(&[("SecurityGroupRuleId.1", "sgr-0000000000000000f")], "InvalidSecurityGroupRuleId.NotFound");
const GROUP: super::Stranger = No("InvalidGroup.NotFound");
const WEB: Pairs<'static> = &[
    ("GroupId", "{group}"),
    ("IpPermissions.1.IpProtocol", "tcp"),
    ("IpPermissions.1.FromPort", "80"),
    ("IpPermissions.1.ToPort", "443"),
    ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ("IpPermissions.1.IpRanges.1.Description", "the web"),
];
const BAD_RANGE: Refused =
    Refused(&[("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/33")], "InvalidParameterValue");
const BAD_PORTS: Refused = Refused(&[("IpPermissions.1.ToPort", "65536")], "InvalidParameterValue");
const SSH: &[(&str, &str)] = &[
    ("IpPermissions.1.FromPort", "22"),
    ("IpPermissions.1.ToPort", "22"),
    ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
];

pub const ENTRIES: &[Entry] = &[
    ec2(
        "AllocateAddress",
        &[("Domain", "vpc")],
        &[
            Refused(&[("Domain", "standard")], "InvalidParameterValue"),
            Refused(&[("Address", "8.8.8.8")], "InvalidAddress.NotFound"),
        ],
        DoesIt,
    ),
    ec2(
        "AssociateAddress",
        &[("AllocationId", "{address}"), ("NetworkInterfaceId", "{spare interface}")],
        &[
            Refused(&[("AllocationId", "")], "MissingParameter"),
            NO_ADDRESS,
            Refused(
                &[("AllocationId", "{used address}"), ("AllowReassociation", "false")],
                "Resource.AlreadyAssociated",
            ),
        ],
        No("InvalidAllocationID.NotFound"),
    ),
    ec2(
        "AttachNetworkInterface",
        &[("NetworkInterfaceId", "{spare interface}"), ("InstanceId", "{stopped}"), ("DeviceIndex", "2")],
        &[
            Refused(&[("InstanceId", "")], "MissingParameter"),
            Refused(&[("DeviceIndex", "0")], "InvalidParameterValue"),
            Refused(&[("NetworkInterfaceId", "{interface}")], "InvalidNetworkInterface.InUse"),
        ],
        No("InvalidNetworkInterfaceID.NotFound"),
    ),
    ec2("AuthorizeSecurityGroupEgress", WEB, &[WITHOUT_GROUP, NO_GROUP, BAD_RANGE, BAD_PORTS], GROUP),
    ec2(
        "AuthorizeSecurityGroupIngress",
        WEB,
        &[WITHOUT_GROUP, NO_GROUP, BAD_RANGE, BAD_PORTS, Refused(SSH, "InvalidPermission.Duplicate")],
        GROUP,
    ),
    ec2(
        "CreateNetworkInterface",
        &[("SubnetId", "{subnet}"), ("Description", "spare")],
        &[
            Refused(&[("SubnetId", "")], "MissingParameter"),
            NO_SUBNET,
            Refused(&[("PrivateIpAddress", "x")], "InvalidParameterValue"),
            Refused(&[("SecurityGroupId.1", "sg-0000000a")], "InvalidGroup.NotFound"),
        ],
        No("InvalidSubnetID.NotFound"),
    ),
    ec2(
        "CreateSecurityGroup",
        &[("GroupName", "new"), ("GroupDescription", "for tests"), ("VpcId", "{vpc}")],
        &[
            Refused(&[("GroupDescription", "")], "MissingParameter"),
            NO_VPC,
            Refused(&[("GroupName", "web")], "InvalidGroup.Duplicate"),
            Refused(&[("GroupName", "default")], "InvalidParameterValue"),
        ],
        No("InvalidVpcID.NotFound"),
    ),
    ec2(
        "CreateSubnet",
        &[("VpcId", "{vpc}"), ("CidrBlock", "10.1.2.0/24")],
        &[
            Refused(&[("VpcId", "")], "MissingParameter"),
            NO_VPC,
            Refused(&[("CidrBlock", "10.9.0.0/24")], "InvalidSubnet.Range"),
            Refused(&[("CidrBlock", "10.1.0.128/25")], "InvalidSubnet.Conflict"),
        ],
        No("InvalidVpcID.NotFound"),
    ),
    ec2(
        "CreateVpc",
        &[("CidrBlock", "10.3.0.0/16")],
        &[
            Refused(&[("CidrBlock", "")], "MissingParameter"),
            Refused(&[("CidrBlock", "10.0.0.0/8")], "InvalidVpc.Range"),
            Refused(&[("InstanceTenancy", "dedicated")], "InvalidParameterValue"),
        ],
        DoesIt,
    ),
    ec2(
        "DeleteNetworkInterface",
        &[("NetworkInterfaceId", "{spare interface}")],
        &[NO_INTERFACE, Refused(&[("NetworkInterfaceId", "{interface}")], "InvalidNetworkInterface.InUse")],
        No("InvalidNetworkInterfaceID.NotFound"),
    ),
    ec2(
        "DeleteSecurityGroup",
        &[("GroupId", "{spare group}")],
        &[WITHOUT_GROUP, NO_GROUP, Refused(&[("GroupId", "{group}")], "DependencyViolation")],
        GROUP,
    ),
    ec2(
        "DeleteSubnet",
        &[("SubnetId", "{spare subnet}")],
        &[NO_SUBNET, Refused(&[("SubnetId", "{subnet}")], "DependencyViolation")],
        No("InvalidSubnetID.NotFound"),
    ),
    ec2(
        "DeleteVpc",
        &[("VpcId", "{spare vpc}")],
        &[
            Refused(&[("VpcId", "")], "MissingParameter"),
            NO_VPC,
            Refused(&[("VpcId", "{vpc}")], "DependencyViolation"),
        ],
        No("InvalidVpcID.NotFound"),
    ),
    ec2(
        "DescribeAddresses",
        &[("AllocationId.1", "{used address}")],
        &[Refused(&[("PublicIp.1", "192.0.2.9")], "InvalidAddress.NotFound"), NO_FILTER],
        No("InvalidAllocationID.NotFound"),
    ),
    ec2(
        "DescribeNetworkInterfaces",
        &[("NetworkInterfaceId.1", "{interface}")],
        &[
            Refused(&[("NetworkInterfaceId.1", "eni-0000000a")], "InvalidNetworkInterfaceID.NotFound"),
            NO_FILTER,
        ],
        No("InvalidNetworkInterfaceID.NotFound"),
    ),
    ec2(
        "DescribeSecurityGroupRules",
        &[("SecurityGroupRuleId.1", "{rule}")],
        &[NO_RULE, Refused(&[("SecurityGroupRuleId.1", "sgr-1")], "InvalidSecurityGroupRuleId.Malformed")],
        No("InvalidSecurityGroupRuleId.NotFound"),
    ),
    ec2(
        "DescribeSecurityGroups",
        &[("GroupId.1", "{group}")],
        &[Refused(&[("GroupId.1", "sg-0000000a")], "InvalidGroup.NotFound"), NO_FILTER],
        GROUP,
    ),
    ec2(
        "DescribeSubnets",
        &[("SubnetId.1", "{subnet}")],
        &[Refused(&[("MaxResults", "5")], "InvalidParameterCombination"), NO_FILTER],
        No("InvalidSubnetID.NotFound"),
    ),
    ec2(
        "DescribeVpcs",
        &[("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", "{vpc}")],
        &[Refused(&[("NextToken", "?")], "InvalidNextToken"), NO_FILTER],
        SeesNothing,
    ),
    ec2(
        "DetachNetworkInterface",
        &[("AttachmentId", "{attachment}")],
        &[Refused(&[("AttachmentId", "eni-attach-1")], "InvalidAttachmentID.NotFound")],
        No("InvalidAttachmentID.NotFound"),
    ),
    ec2(
        "DisassociateAddress",
        &[("AssociationId", "{association}")],
        &[
            Refused(&[("AssociationId", "")], "MissingParameter"),
            Refused(&[("AssociationId", "eipassoc-1")], "InvalidAssociationID.NotFound"),
        ],
        No("InvalidAssociationID.NotFound"),
    ),
    ec2(
        "ModifyNetworkInterfaceAttribute",
        &[("NetworkInterfaceId", "{interface}"), ("Description.Value", "spare")],
        &[
            NO_INTERFACE,
            Refused(&[("Description.Value", "")], "MissingParameter"),
            Refused(&[("SecurityGroupId.1", "{group}")], "InvalidParameterCombination"),
            Refused(
                &[
                    ("Description.Value", ""),
                    ("Attachment.AttachmentId", "eni-attach-1"),
                    ("Attachment.DeleteOnTermination", "true"),
                ],
                "InvalidAttachmentID.NotFound",
            ),
        ],
        No("InvalidNetworkInterfaceID.NotFound"),
    ),
    ec2(
        "ModifySecurityGroupRules",
        &[
            ("GroupId", "{group}"),
            ("SecurityGroupRule.1.SecurityGroupRuleId", "{rule}"),
            ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"),
            ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "22"),
            ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "23"),
            ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "10.1.0.0/16"),
            ("SecurityGroupRule.1.SecurityGroupRule.Description", "us"),
        ],
        &[
            WITHOUT_GROUP,
            NO_GROUP,
            Refused(
                &[("SecurityGroupRule.1.SecurityGroupRuleId", "sgr-0000000000000000f")],
                "InvalidSecurityGroupRuleId.NotFound",
            ),
            Refused(&[("SecurityGroupRule.1.SecurityGroupRule.FromPort", "24")], "InvalidParameterValue"),
            Refused(&[("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "")], "MissingParameter"),
        ],
        GROUP,
    ),
    ec2(
        "ReleaseAddress",
        &[("AllocationId", "{address}")],
        &[
            Refused(&[("AllocationId", "")], "MissingParameter"),
            NO_ADDRESS,
            Refused(&[("AllocationId", "{used address}")], "InvalidIPAddress.InUse"),
        ],
        No("InvalidAllocationID.NotFound"),
    ),
    ec2(
        "RevokeSecurityGroupEgress",
        &[("GroupId", "{group}"), ("SecurityGroupRuleId.1", "{egress rule}")],
        &[WITHOUT_GROUP, NO_GROUP, NO_RULE],
        GROUP,
    ),
    ec2(
        "RevokeSecurityGroupIngress",
        &[("GroupId", "{group}"), ("SecurityGroupRuleId.1", "{rule}")],
        &[
            WITHOUT_GROUP,
            NO_GROUP,
            NO_RULE,
            Refused(&[("IpPermissions.1.IpProtocol", "-1")], "InvalidParameterCombination"),
        ],
        GROUP,
    ),
    ec2(
        "UpdateSecurityGroupRuleDescriptionsEgress",
        &[
            ("GroupId", "{group}"),
            ("SecurityGroupRuleDescription.1.SecurityGroupRuleId", "{egress rule}"),
            ("SecurityGroupRuleDescription.1.Description", "names"),
        ],
        &[
            NO_GROUP,
            Refused(
                &[("SecurityGroupRuleDescription.1.SecurityGroupRuleId", "{rule}")],
                "InvalidSecurityGroupRuleId.NotFound",
            ),
        ],
        GROUP,
    ),
    ec2(
        "UpdateSecurityGroupRuleDescriptionsIngress",
        &[
            ("GroupId", "{group}"),
            ("SecurityGroupRuleDescription.1.SecurityGroupRuleId", "{rule}"),
            ("SecurityGroupRuleDescription.1.Description", "us"),
        ],
        &[
            NO_GROUP,
            Refused(
                &[("SecurityGroupRuleDescription.1.SecurityGroupRuleId", "{egress rule}")],
                "InvalidSecurityGroupRuleId.NotFound",
            ),
        ],
        GROUP,
    ),
];
