//! Security groups, VPCs, vSwitches and public addresses.

use super::Stranger::{DoesIt, Refused as No, SeesNothing};
use super::{Entry, NO_INSTANCE, Refused, Stranger, entry, invalid};
use crate::caller::Pairs;

const NO_PAGE: Pairs<'static> = &[("PageSize", "0")];
const NO_GROUP: Stranger = No(404, "InvalidSecurityGroupId.NotFound");
const NO_SUCH_GROUP: Refused =
    Refused(&[("SecurityGroupId", "sg-1111")], 404, "InvalidSecurityGroupId.NotFound");
const NO_ADDRESS: Stranger = No(404, "InvalidAllocationId.NotFound");
const NO_SUCH_ADDRESS: Refused =
    Refused(&[("AllocationId", "eip-1111")], 404, "InvalidAllocationId.NotFound");
const NO_VPC: Stranger = No(404, "InvalidVpcId.NotFound");
const NO_SUCH_VPC: Refused = Refused(&[("VpcId", "vpc-1111")], 404, "InvalidVpcId.NotFound");
const EIP_STATUS: &str = "IncorrectEipStatus";

const ENTERS: Pairs<'static> = &[
    ("SecurityGroupId", "{group}"),
    ("IpProtocol", "tcp"),
    ("PortRange", "80/80"),
    ("SourceCidrIp", "0.0.0.0/0"),
];
const ENTERED: Pairs<'static> = &[
    ("SecurityGroupId", "{group}"),
    ("IpProtocol", "tcp"),
    ("PortRange", "22/22"),
    ("SourceCidrIp", "10.0.0.0/8"),
];
const LEAVES: Pairs<'static> = &[
    ("SecurityGroupId", "{group}"),
    ("IpProtocol", "tcp"),
    ("PortRange", "443/443"),
    ("DestCidrIp", "0.0.0.0/0"),
];
const LEFT: Pairs<'static> = &[
    ("SecurityGroupId", "{group}"),
    ("IpProtocol", "udp"),
    ("PortRange", "53/53"),
    ("DestCidrIp", "10.0.0.0/8"),
];
const NO_RULE: &[Refused] = &[
    NO_SUCH_GROUP,
    invalid(&[("PortRange", "80/20")]),
    invalid(&[("IpProtocol", "gre")]),
    Refused(&[("Policy", "drop")], 400, "UnsupportedParameter"),
];

pub const ENTRIES: &[Entry] = &[
    entry(
        "AllocateEipAddress",
        &[("Bandwidth", "5")],
        &[],
        &[invalid(&[("Bandwidth", "0")]), invalid(&[("Bandwidth", "much")])],
        &[],
        DoesIt,
    ),
    entry(
        "AllocatePublicIpAddress",
        &[("InstanceId", "{running}")],
        &["InstanceId"],
        &[
            Refused(&[("InstanceId", "i-1111")], 404, "InvalidInstanceId.NotFound"),
            Refused(&[("IpAddress", "203.0.113.1")], 400, "UnsupportedParameter"),
        ],
        &[Refused(&[("InstanceId", "{stopped}")], 403, "AllocatedAlready")],
        NO_INSTANCE,
    ),
    entry(
        "AssociateEipAddress",
        &[("AllocationId", "{address}"), ("InstanceId", "{running}")],
        &["AllocationId", "InstanceId"],
        &[NO_SUCH_ADDRESS, invalid(&[("InstanceType", "Nat")])],
        &[
            Refused(&[("AllocationId", "{used address}")], 400, EIP_STATUS),
            Refused(&[("InstanceId", "{stopped}")], 400, "InvalidAssociation.Duplicated"),
        ],
        NO_INSTANCE,
    ),
    entry(
        "AuthorizeSecurityGroup",
        ENTERS,
        &["SecurityGroupId", "IpProtocol", "SourceCidrIp"],
        NO_RULE,
        &[],
        NO_GROUP,
    ),
    entry(
        "AuthorizeSecurityGroupEgress",
        LEAVES,
        &["SecurityGroupId", "IpProtocol", "DestCidrIp"],
        NO_RULE,
        &[],
        NO_GROUP,
    ),
    entry(
        "CreateSecurityGroup",
        &[("VpcId", "{vpc}"), ("SecurityGroupName", "new")],
        &[],
        &[NO_SUCH_VPC, Refused(&[("SecurityGroupName", "-")], 400, "InvalidSecurityGroupName.Malformed")],
        &[],
        NO_VPC,
    ),
    entry(
        "CreateVSwitch",
        &[("VpcId", "{vpc}"), ("CidrBlock", "192.168.3.0/24"), ("ZoneId", "local-a")],
        &["VpcId", "CidrBlock", "ZoneId"],
        &[
            NO_SUCH_VPC,
            invalid(&[("CidrBlock", "300.0.0.0/24")]),
            Refused(&[("ZoneId", "elsewhere")], 404, "InvalidZoneId.NotFound"),
        ],
        &[Refused(&[("CidrBlock", "192.168.1.0/24")], 400, "InvalidCidrBlock.Overlapped")],
        NO_VPC,
    ),
    entry(
        "CreateVpc",
        &[("CidrBlock", "10.0.0.0/8")],
        &[],
        &[invalid(&[("CidrBlock", "300.0.0.0/8")])],
        &[],
        DoesIt,
    ),
    entry(
        "DeleteSecurityGroup",
        &[("SecurityGroupId", "{spare group}")],
        &["SecurityGroupId"],
        &[NO_SUCH_GROUP],
        &[Refused(&[("SecurityGroupId", "{group}")], 403, "DependencyViolation")],
        NO_GROUP,
    ),
    entry(
        "DeleteVSwitch",
        &[("VSwitchId", "{spare switch}")],
        &["VSwitchId"],
        &[Refused(&[("VSwitchId", "vsw-1111")], 404, "InvalidVSwitchId.NotFound")],
        &[Refused(&[("VSwitchId", "{switch}")], 400, "DependencyViolation")],
        No(404, "InvalidVSwitchId.NotFound"),
    ),
    entry(
        "DeleteVpc",
        &[("VpcId", "{spare vpc}")],
        &["VpcId"],
        &[NO_SUCH_VPC],
        &[Refused(&[("VpcId", "{vpc}")], 400, "DependencyViolation")],
        NO_VPC,
    ),
    entry(
        "DescribeEipAddresses",
        &[("AllocationId", "{used address}")],
        &[],
        &[invalid(NO_PAGE), invalid(&[("Status", "Idle")])],
        &[],
        SeesNothing("EipAddresses.EipAddress"),
    ),
    entry(
        "DescribeSecurityGroupAttribute",
        &[("SecurityGroupId", "{group}")],
        &["SecurityGroupId"],
        &[NO_SUCH_GROUP, invalid(&[("Direction", "up")])],
        &[],
        NO_GROUP,
    ),
    entry(
        "DescribeSecurityGroups",
        &[("SecurityGroupId", "{group}")],
        &[],
        &[invalid(NO_PAGE), invalid(&[("SecurityGroupIds", "sg-1111")])],
        &[],
        SeesNothing("SecurityGroups.SecurityGroup"),
    ),
    entry(
        "DescribeVSwitches",
        &[("VSwitchId", "{switch}")],
        &[],
        &[invalid(NO_PAGE), invalid(&[("IsDefault", "perhaps")])],
        &[],
        SeesNothing("VSwitches.VSwitch"),
    ),
    entry(
        "DescribeVpcs",
        &[("VpcId", "{spare vpc}")],
        &[],
        &[invalid(NO_PAGE), invalid(&[("IsDefault", "perhaps")])],
        &[],
        SeesNothing("Vpcs.Vpc"),
    ),
    entry(
        "JoinSecurityGroup",
        &[("SecurityGroupId", "{spare group}"), ("InstanceId", "{running}")],
        &["SecurityGroupId", "InstanceId"],
        &[NO_SUCH_GROUP, Refused(&[("InstanceId", "i-1111")], 404, "InvalidInstanceId.NotFound")],
        &[Refused(&[("SecurityGroupId", "{group}")], 403, "InvalidInstanceId.AlreadyExists")],
        NO_INSTANCE,
    ),
    entry(
        "LeaveSecurityGroup",
        &[("SecurityGroupId", "{group}"), ("InstanceId", "{stopped}")],
        &["SecurityGroupId", "InstanceId"],
        &[Refused(&[("InstanceId", "i-1111")], 404, "InvalidInstanceId.NotFound")],
        &[
            Refused(&[("SecurityGroupId", "{spare group}")], 403, "InstanceNotInSecurityGroup"),
            Refused(&[("InstanceId", "{running}")], 403, "InstanceLastSecurityGroup"),
        ],
        NO_INSTANCE,
    ),
    entry(
        "ReleaseEipAddress",
        &[("AllocationId", "{address}")],
        &["AllocationId"],
        &[NO_SUCH_ADDRESS],
        &[Refused(&[("AllocationId", "{used address}")], 400, EIP_STATUS)],
        NO_ADDRESS,
    ),
    entry(
        "RevokeSecurityGroup",
        ENTERED,
        &["SecurityGroupId", "IpProtocol", "SourceCidrIp"],
        NO_RULE,
        &[],
        NO_GROUP,
    ),
    entry(
        "RevokeSecurityGroupEgress",
        LEFT,
        &["SecurityGroupId", "IpProtocol", "DestCidrIp"],
        NO_RULE,
        &[],
        NO_GROUP,
    ),
    entry(
        "UnassociateEipAddress",
        &[("AllocationId", "{used address}")],
        &["AllocationId"],
        &[NO_SUCH_ADDRESS],
        &[Refused(&[("AllocationId", "{address}")], 400, EIP_STATUS)],
        NO_ADDRESS,
    ),
];
