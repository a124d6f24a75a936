//! Instances, key pairs, tags, and what there is to choose from.

use super::Stranger::{DoesIt, No, SeesNothing};
use super::{Entry, Refused, ec2};
use crate::caller::Pairs;
use crate::fixture::PUBLIC_KEY;

const RUNNING: Pairs<'static> = &[("InstanceId.1", "{running}")];
const STOPPED: Pairs<'static> = &[("InstanceId.1", "{stopped}")];
const NONE: Refused = Refused(&[("InstanceId.1", "i-0000000a")], "InvalidInstanceID.NotFound");
const NO_ONE: Refused = Refused(&[("InstanceId", "i-0000000a")], "InvalidInstanceID.NotFound");
const MISSING: Refused = Refused(&[("InstanceId.1", "")], "MissingParameter");
const TRIED: Refused = Refused(&[("DryRun", "true")], "DryRunOperation");
const NO_FILTER: Refused =
    Refused(&[("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")], "InvalidParameterValue");
const NO_INSTANCE: super::Stranger = No("InvalidInstanceID.NotFound");
const WRONG_STATE: &str = "IncorrectInstanceState";

pub const ENTRIES: &[Entry] = &[
    ec2(
        "CreateKeyPair",
        &[("KeyName", "new")],
        &[
            Refused(&[("KeyName", "")], "MissingParameter"),
            Refused(&[("KeyName", "mine")], "InvalidKeyPair.Duplicate"),
            Refused(&[("KeyType", "dsa")], "InvalidParameterValue"),
        ],
        DoesIt,
    ),
    ec2(
        "CreateTags",
        &[("ResourceId.1", "{running}"), ("Tag.1.Key", "use"), ("Tag.1.Value", "test")],
        &[
            Refused(&[("ResourceId.1", "")], "MissingParameter"),
            Refused(&[("ResourceId.1", "x-1")], "InvalidID"),
            Refused(&[("Tag.1.Key", "aws:a")], "InvalidParameterValue"),
        ],
        NO_INSTANCE,
    ),
    ec2(
        "DeleteKeyPair",
        &[("KeyPairId", "{key}")],
        &[
            Refused(&[("KeyPairId", "")], "MissingParameter"),
            Refused(&[("KeyName", "mine")], "InvalidParameterCombination"),
        ],
        DoesIt,
    ),
    ec2(
        "DeleteTags",
        &[("ResourceId.1", "{running}"), ("Tag.1.Key", "team")],
        &[
            Refused(&[("ResourceId.1", "")], "MissingParameter"),
            Refused(&[("ResourceId.1", "x-1")], "InvalidID"),
        ],
        NO_INSTANCE,
    ),
    ec2(
        "DescribeAccountAttributes",
        &[("AttributeName.1", "supported-platforms")],
        &[Refused(&[("AttributeName.1", "shoe-size")], "InvalidParameterValue")],
        DoesIt,
    ),
    ec2(
        "DescribeAvailabilityZones",
        &[],
        &[Refused(&[("ZoneName.1", "eu-west-1a")], "InvalidParameterValue"), NO_FILTER],
        DoesIt,
    ),
    ec2(
        "DescribeInstanceAttribute",
        &[("InstanceId", "{stopped}"), ("Attribute", "userData")],
        &[
            Refused(&[("InstanceId", "")], "MissingParameter"),
            NO_ONE,
            Refused(&[("Attribute", "colour")], "InvalidParameterValue"),
        ],
        NO_INSTANCE,
    ),
    ec2(
        "DescribeInstanceStatus",
        RUNNING,
        &[NONE, Refused(&[("IncludeAllInstances", "1")], "InvalidParameterValue")],
        NO_INSTANCE,
    ),
    ec2(
        "DescribeInstanceTypes",
        &[("InstanceType.1", "m1.small")],
        &[Refused(&[("InstanceType.1", "t9.vast")], "InvalidInstanceType")],
        DoesIt,
    ),
    ec2(
        "DescribeInstances",
        RUNNING,
        &[
            NONE,
            Refused(&[("InstanceId.1", "i-1")], "InvalidInstanceID.Malformed"),
            Refused(&[("MaxResults", "5")], "InvalidParameterCombination"),
            NO_FILTER,
        ],
        NO_INSTANCE,
    ),
    ec2(
        "DescribeKeyPairs",
        &[("Filter.1.Name", "key-name"), ("Filter.1.Value.1", "mine")],
        &[
            Refused(&[("KeyName.1", "nosuch")], "InvalidKeyPair.NotFound"),
            Refused(&[("KeyPairId.1", "key-1")], "InvalidKeyPair.Format"),
        ],
        SeesNothing,
    ),
    ec2(
        "DescribeRegions",
        &[],
        &[Refused(&[("RegionName.1", "eu-west-1")], "InvalidParameterValue")],
        DoesIt,
    ),
    ec2(
        "DescribeTags",
        &[("Filter.1.Name", "resource-id"), ("Filter.1.Value.1", "{running}")],
        &[NO_FILTER, Refused(&[("NextToken", "%")], "InvalidNextToken")],
        SeesNothing,
    ),
    ec2(
        "GetConsoleOutput",
        &[("InstanceId", "{running}")],
        &[Refused(&[("InstanceId", "")], "MissingParameter"), NO_ONE],
        NO_INSTANCE,
    ),
    ec2(
        "ImportKeyPair",
        &[("KeyName", "new"), ("PublicKeyMaterial", PUBLIC_KEY)],
        &[
            Refused(&[("PublicKeyMaterial", "")], "MissingParameter"),
            Refused(&[("PublicKeyMaterial", "?")], "InvalidKey.Format"),
            Refused(&[("KeyName", "mine")], "InvalidKeyPair.Duplicate"),
        ],
        DoesIt,
    ),
    ec2(
        "ModifyInstanceAttribute",
        &[("InstanceId", "{stopped}"), ("InstanceType.Value", "m1.large")],
        &[
            Refused(&[("InstanceId", "")], "MissingParameter"),
            NO_ONE,
            Refused(&[("InstanceType.Value", "")], "InvalidParameterCombination"),
            Refused(&[("InstanceId", "{running}")], WRONG_STATE),
        ],
        NO_INSTANCE,
    ),
    ec2(
        "ModifyInstanceMetadataOptions",
        &[("InstanceId", "{running}"), ("HttpTokens", "required")],
        &[
            Refused(&[("InstanceId", "")], "MissingParameter"),
            NO_ONE,
            Refused(&[("HttpTokens", "maybe")], "InvalidParameterValue"),
        ],
        NO_INSTANCE,
    ),
    ec2("RebootInstances", RUNNING, &[MISSING, NONE, TRIED, Refused(STOPPED, WRONG_STATE)], NO_INSTANCE),
    ec2(
        "RunInstances",
        &[
            ("ImageId", "{image}"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("NetworkInterface.1.DeviceIndex", "0"),
            ("NetworkInterface.1.SubnetId", "{subnet}"),
            ("NetworkInterface.2.DeviceIndex", "1"),
            ("NetworkInterface.2.NetworkInterfaceId", "{spare interface}"),
            ("ClientToken", "once"),
        ],
        &[
            Refused(&[("ImageId", "")], "MissingParameter"),
            Refused(&[("ImageId", "ami-0000000a")], "InvalidAMIID.NotFound"),
            Refused(&[("MinCount", "2")], "InvalidParameterCombination"),
            Refused(&[("InstanceType", "t9.vast")], "InvalidParameterValue"),
            Refused(&[("KeyName", "nosuch")], "InvalidKeyPair.NotFound"),
            Refused(&[("SubnetId", "{subnet}")], "InvalidParameterCombination"),
            Refused(
                &[("NetworkInterface.2.NetworkInterfaceId", "{interface}")],
                "InvalidNetworkInterface.InUse",
            ),
            Refused(
                &[("NetworkInterface.2.NetworkInterfaceId", "eni-0000000a")],
                "InvalidNetworkInterfaceID.NotFound",
            ),
            Refused(&[("NetworkInterface.2.DeviceIndex", "2")], "InvalidParameterValue"),
            TRIED,
        ],
        No("InvalidAMIID.NotFound"),
    ),
    ec2(
        "StartInstances",
        STOPPED,
        &[MISSING, NONE, Refused(&[("InstanceId.1", "web")], "InvalidInstanceID.Malformed"), TRIED],
        NO_INSTANCE,
    ),
    ec2(
        "StopInstances",
        RUNNING,
        &[
            NONE,
            Refused(&[("Hibernate", "true")], "UnsupportedHibernationConfiguration"),
            Refused(&[("Force", "2")], "InvalidParameterValue"),
        ],
        NO_INSTANCE,
    ),
    ec2(
        "TerminateInstances",
        STOPPED,
        &[MISSING, NONE, Refused(&[("DryRun", "maybe")], "InvalidParameterValue")],
        NO_INSTANCE,
    ),
];
