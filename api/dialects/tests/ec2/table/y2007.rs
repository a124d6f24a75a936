//! The actions of 2007, by Query and by SOAP.

use super::Stranger::{DoesIt, No, SeesNothing};
use super::{Entry, OLD, Refused, Stranger, entry};
use crate::caller::Pairs;

const fn old(
    action: &'static str,
    good: Pairs<'static>,
    refused: &'static [Refused],
    stranger: Stranger,
) -> Entry {
    entry(OLD, action, good, refused, stranger)
}

const NO_IMAGE: Refused = Refused(&[("ImageId", "ami-0000000a")], "InvalidAMIID.NotFound");
const NO_INSTANCE: Refused = Refused(&[("InstanceId.1", "i-0000000a")], "InvalidInstanceID.NotFound");
const BAD_INSTANCE: Refused = Refused(&[("InstanceId.1", "x")], "InvalidInstanceID.Malformed");
const INSTANCE: Pairs<'static> = &[("InstanceId.1", "{old}")];
const NO_GROUP: Refused = Refused(&[("GroupName", "none")], "InvalidGroup.NotFound");
const NOT_THERE: Stranger = No("InvalidInstanceID.NotFound");
const HIDDEN: Stranger = No("AuthFailure");
const LATER: Refused = Refused(&[("InstanceType", "m1.small")], "UnknownParameter");

/// Actions with parameters that are refused by Query only: by SOAP, attributes are elements, which the WSDL names, and a
/// permission may have groups and networks.
pub const BY_QUERY_ONLY: &[(&str, &str)] =
    &[("DescribeImageAttribute", "Attribute"), ("AuthorizeSecurityGroupIngress", "SourceSecurityGroupName")];

pub const ENTRIES: &[Entry] = &[
    old(
        "AuthorizeSecurityGroupIngress",
        &[
            ("GroupName", "old"),
            ("IpProtocol", "tcp"),
            ("FromPort", "22"),
            ("ToPort", "22"),
            ("CidrIp", "10.0.0.0/8"),
        ],
        &[
            NO_GROUP,
            Refused(&[("IpProtocol", "gre")], "InvalidPermission.Malformed"),
            Refused(&[("SourceSecurityGroupName", "old")], "InvalidParameterCombination"),
            Refused(
                &[("FromPort", "80"), ("ToPort", "80"), ("CidrIp", "0.0.0.0/0")],
                "InvalidPermission.Duplicate",
            ),
        ],
        No("InvalidGroup.NotFound"),
    ),
    old(
        "ConfirmProductInstance",
        &[("ProductCode", "774F4FF8"), ("InstanceId", "{old}")],
        &[Refused(&[("InstanceId", "i-0000000a")], "InvalidInstanceID.NotFound")],
        HIDDEN,
    ),
    old(
        "CreateKeyPair",
        &[("KeyName", "new")],
        &[
            Refused(&[("KeyName", "")], "MissingParameter"),
            Refused(&[("KeyName", "mine")], "InvalidKeyPair.Duplicate"),
        ],
        DoesIt,
    ),
    old(
        "CreateSecurityGroup",
        &[("GroupName", "new"), ("GroupDescription", "for tests")],
        &[
            Refused(&[("GroupName", "old")], "InvalidGroup.Duplicate"),
            Refused(&[("GroupName", "default")], "InvalidGroup.Reserved"),
        ],
        DoesIt,
    ),
    // Of those that are not there none is deleted, and that is all that is asked for.
    old("DeleteKeyPair", &[("KeyName", "mine")], &[Refused(&[("KeyName", "")], "MissingParameter")], DoesIt),
    old(
        "DeleteSecurityGroup",
        &[("GroupName", "empty")],
        &[
            NO_GROUP,
            Refused(&[("GroupName", "default")], "InvalidGroup.Reserved"),
            Refused(&[("GroupName", "old")], "InvalidGroup.InUse"),
        ],
        No("InvalidGroup.NotFound"),
    ),
    old(
        "DeregisterImage",
        &[("ImageId", "{old image}")],
        &[NO_IMAGE, Refused(&[("ImageId", "x")], "InvalidAMIID.Malformed")],
        HIDDEN,
    ),
    old(
        "DescribeImageAttribute",
        &[("ImageId", "{old image}"), ("Attribute", "productCodes")],
        &[NO_IMAGE, Refused(&[("Attribute", "kernel")], "InvalidParameterValue")],
        HIDDEN,
    ),
    old(
        "DescribeImages",
        &[("ImageId.1", "{old image}")],
        &[
            Refused(&[("ImageId.1", "ami-0000000a")], "InvalidAMIID.NotFound"),
            Refused(&[("Owner.1", "me")], "InvalidUserID.Malformed"),
        ],
        SeesNothing,
    ),
    old("DescribeInstances", INSTANCE, &[NO_INSTANCE, BAD_INSTANCE], SeesNothing),
    old(
        "DescribeKeyPairs",
        &[("KeyName.1", "mine")],
        &[Refused(&[("KeyName.1", "none")], "InvalidKeyPair.NotFound")],
        No("InvalidKeyPair.NotFound"),
    ),
    old(
        "DescribeSecurityGroups",
        &[("GroupName.1", "old")],
        &[Refused(&[("GroupName.1", "none")], "InvalidGroup.NotFound")],
        No("InvalidGroup.NotFound"),
    ),
    old("GetConsoleOutput", INSTANCE, &[NO_INSTANCE, BAD_INSTANCE], NOT_THERE),
    old(
        "ModifyImageAttribute",
        &[
            ("ImageId", "{old image}"),
            ("Attribute", "launchPermission"),
            ("OperationType", "add"),
            ("UserGroup.1", "all"),
        ],
        &[NO_IMAGE, Refused(&[("UserGroup.1", "some")], "InvalidAMIAttributeItemValue")],
        HIDDEN,
    ),
    old(
        "RebootInstances",
        INSTANCE,
        &[Refused(&[("InstanceId.1", "")], "MissingParameter"), NO_INSTANCE, BAD_INSTANCE],
        NOT_THERE,
    ),
    old(
        "RegisterImage",
        &[("ImageLocation", "bucket/good.raw")],
        &[
            Refused(&[("ImageLocation", "bucket/none.manifest.xml")], "InvalidManifest"),
            Refused(&[("ImageLocation", "../etc/passwd")], "InvalidParameterValue"),
            Refused(&[("ImageLocation", "http://10.0.0.1/a.img")], "InvalidParameterValue"),
        ],
        DoesIt,
    ),
    old(
        "ResetImageAttribute",
        &[("ImageId", "{old image}"), ("Attribute", "launchPermission")],
        &[NO_IMAGE, Refused(&[("Attribute", "productCodes")], "InvalidParameterValue")],
        HIDDEN,
    ),
    old(
        "RevokeSecurityGroupIngress",
        &[("GroupName", "old"), ("IpProtocol", "tcp"), ("FromPort", "80"), ("ToPort", "80")],
        &[NO_GROUP, Refused(&[("ToPort", "81")], "InvalidPermission.NotFound")],
        No("InvalidGroup.NotFound"),
    ),
    old(
        "RunInstances",
        &[
            ("ImageId", "{old image}"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("KeyName", "mine"),
            ("SecurityGroup.1", "old"),
        ],
        &[
            NO_IMAGE,
            Refused(&[("MaxCount", "0")], "InvalidParameterCombination"),
            Refused(&[("KeyName", "none")], "InvalidKeyPair.NotFound"),
            LATER,
        ],
        No("InvalidGroup.NotFound"),
    ),
    old(
        "TerminateInstances",
        INSTANCE,
        &[Refused(&[("InstanceId.1", "")], "MissingParameter"), NO_INSTANCE, BAD_INSTANCE],
        NOT_THERE,
    ),
];
