//! What provokes each code.

use super::super::caller::Pairs;
use super::super::world::store::Trouble;
use super::place::Setting;
use super::{Provocation, Sent};

/// Where nothing is out of the way.
pub const fn usual(code: &'static str, action: &'static str, asked: Pairs<'static>) -> Provocation {
    at(Setting::Usual, code, action, asked)
}

const fn at(
    setting: Setting,
    code: &'static str,
    action: &'static str,
    asked: Pairs<'static>,
) -> Provocation {
    Provocation { code, setting, sent: Sent::Rightly, action, asked }
}

/// By somebody else, or at another time.
const fn sent(sent: Sent, code: &'static str, action: &'static str, asked: Pairs<'static>) -> Provocation {
    Provocation { code, setting: Setting::Usual, sent, action, asked }
}

/// A launch of one instance.
macro_rules! launch {
    ($image:literal, $min:literal to $max:literal $(, $more:expr)*) => {
        &[("ImageId", $image), ("MinCount", $min), ("MaxCount", $max) $(, $more)*]
    };
}

/// A permission from a network.
macro_rules! range {
    ($protocol:literal, $from:literal to $to:literal, $cidr:literal) => {
        &[
            ("GroupName", "web"),
            ("IpProtocol", $protocol),
            ("FromPort", $from),
            ("ToPort", $to),
            ("CidrIp", $cidr),
        ]
    };
}

/// A change of who may launch an image.
macro_rules! permit {
    ($image:literal, $item:expr) => {
        &[("ImageId", $image), ("Attribute", "launchPermission"), ("OperationType", "add"), $item]
    };
}

const AUTHORIZE: &str = "AuthorizeSecurityGroupIngress";
const REVOKE: &str = "RevokeSecurityGroupIngress";
const RUN: &str = "RunInstances";
const MODIFY: &str = "ModifyImageAttribute";

const NO_INSTANCE: Pairs<'static> = &[("InstanceId.1", "i-00000000")];
const BAD_INSTANCE: Pairs<'static> = &[("InstanceId.1", "x")];
const INSTANCE: Pairs<'static> = &[("InstanceId.1", "{instance}")];
const LAUNCH: Pairs<'static> = launch!("{image}", "1" to "1");
const NEW_KEY: Pairs<'static> = &[("KeyName", "new")];

/// Keys of records: of key pairs, and all of them.
const KEY_PAIRS: &str = "key-pair/";
const ALL: &str = "";

pub const PROVOCATIONS: &[Provocation] = &[
    // Who asks, and when.
    sent(Sent::Unknown, "AuthFailure", "DescribeInstances", &[]),
    sent(Sent::Forged, "SignatureDoesNotMatch", "DescribeInstances", &[]),
    sent(Sent::Late, "RequestExpired", "DescribeInstances", &[]),
    at(Setting::Disabled, "AuthFailure", "DescribeInstances", &[]),
    // What is another's.
    usual("AuthFailure", RUN, launch!("{hidden image}", "1" to "1")),
    usual("AuthFailure", "RegisterImage", &[("ImageLocation", "bucket/theirs.manifest.xml")]),
    usual("AuthFailure", "DeregisterImage", &[("ImageId", "{hidden image}")]),
    usual("AuthFailure", MODIFY, permit!("{hidden image}", ("UserGroup.1", "all"))),
    usual(
        "AuthFailure",
        "DescribeImageAttribute",
        &[("ImageId", "{hidden image}"), ("Attribute", "launchPermission")],
    ),
    // What is asked at all.
    usual("InvalidAction", "StartInstances", INSTANCE),
    usual("InvalidAction", "DescribeVolumes", &[]),
    usual("UnknownParameter", RUN, launch!("{image}", "1" to "1", ("InstanceType", "m1.small"))),
    usual("UnknownParameter", "DescribeInstances", &[("MaxResults", "5")]),
    usual("MissingParameter", RUN, launch!("", "1" to "1")),
    usual("MissingParameter", RUN, launch!("{image}", "" to "1")),
    usual("MissingParameter", "TerminateInstances", &[]),
    usual("MissingParameter", "RebootInstances", &[]),
    usual("MissingParameter", "CreateKeyPair", &[]),
    usual("MissingParameter", AUTHORIZE, &[("GroupName", "web")]),
    // Images.
    usual("InvalidManifest", "RegisterImage", &[("ImageLocation", "bucket/none.manifest.xml")]),
    usual("InvalidParameterValue", "RegisterImage", &[("ImageLocation", "../etc/passwd")]),
    usual("InvalidParameterValue", "RegisterImage", &[("ImageLocation", "http://a/b")]),
    usual("InvalidAMIID.Malformed", RUN, launch!("ami-x", "1" to "1")),
    usual("InvalidAMIID.Malformed", "DescribeImages", &[("ImageId.1", "x")]),
    usual("InvalidAMIID.NotFound", RUN, launch!("ami-00000000", "1" to "1")),
    usual("InvalidAMIID.NotFound", "DescribeImages", &[("ImageId.1", "ami-00000000")]),
    usual("InvalidAMIID.NotFound", "DeregisterImage", &[("ImageId", "ami-00000000")]),
    usual("InvalidAMIID.Unavailable", RUN, launch!("{gone image}", "1" to "1")),
    usual("InvalidAMIID.Unavailable", "DeregisterImage", &[("ImageId", "{gone image}")]),
    usual("InvalidUserID.Malformed", "DescribeImages", &[("Owner.1", "me")]),
    usual("InvalidUserID.Malformed", "DescribeImages", &[("ExecutableBy.1", "amazon")]),
    usual("InvalidAMIAttributeItemValue", MODIFY, permit!("{image}", ("UserId.1", "me"))),
    usual("InvalidAMIAttributeItemValue", MODIFY, permit!("{image}", ("Group.1", "some"))),
    usual(
        "InvalidAMIAttributeItemValue",
        MODIFY,
        &[("ImageId", "{image}"), ("Attribute", "productCodes"), ("ProductCode.1", "not one")],
    ),
    usual(
        "InvalidParameterValue",
        "ResetImageAttribute",
        &[("ImageId", "{image}"), ("Attribute", "productCodes")],
    ),
    // Launches.
    usual("InvalidParameterCombination", RUN, launch!("{image}", "0" to "0")),
    usual("InvalidParameterCombination", RUN, launch!("{image}", "2" to "1")),
    usual("InvalidParameterValue", RUN, launch!("{image}", "x" to "1")),
    usual("InvalidParameterValue", RUN, launch!("{image}", "1" to "1", ("UserData", "a"))),
    usual("InvalidParameterValue", RUN, launch!("{image}", "1" to "1", ("AddressingType", "odd"))),
    usual("InvalidKeyPair.NotFound", RUN, launch!("{image}", "1" to "1", ("KeyName", "none"))),
    usual("InvalidGroup.NotFound", RUN, launch!("{image}", "1" to "1", ("SecurityGroup.1", "none"))),
    at(Setting::AtItsLimit, "InstanceLimitExceeded", RUN, LAUNCH),
    usual("InstanceLimitExceeded", RUN, launch!("{image}", "101" to "101")),
    at(Setting::FullHost, "InsufficientInstanceCapacity", RUN, LAUNCH),
    // There are six public addresses, and each instance has one.
    usual("InsufficientInstanceCapacity", RUN, launch!("{image}", "20" to "20")),
    // Instances.
    usual("InvalidInstanceID.Malformed", "DescribeInstances", BAD_INSTANCE),
    usual("InvalidInstanceID.Malformed", "TerminateInstances", BAD_INSTANCE),
    usual("InvalidInstanceID.Malformed", "RebootInstances", BAD_INSTANCE),
    usual("InvalidInstanceID.NotFound", "DescribeInstances", NO_INSTANCE),
    usual("InvalidInstanceID.NotFound", "TerminateInstances", NO_INSTANCE),
    usual("InvalidInstanceID.NotFound", "RebootInstances", NO_INSTANCE),
    usual("InvalidInstanceID.NotFound", "GetConsoleOutput", NO_INSTANCE),
    usual(
        "InvalidInstanceID.NotFound",
        "ConfirmProductInstance",
        &[("ProductCode", "774F4FF8"), ("InstanceId", "i-00000000")],
    ),
    // Key pairs.
    usual("InvalidKeyPair.Duplicate", "CreateKeyPair", &[("KeyName", "mine")]),
    usual("InvalidKeyPair.NotFound", "DescribeKeyPairs", &[("KeyName.1", "none")]),
    // Groups, and what they let in.
    usual(
        "InvalidGroup.Duplicate",
        "CreateSecurityGroup",
        &[("GroupName", "web"), ("GroupDescription", "d")],
    ),
    usual(
        "InvalidGroup.Reserved",
        "CreateSecurityGroup",
        &[("GroupName", "default"), ("GroupDescription", "d")],
    ),
    usual("InvalidGroup.Reserved", "DeleteSecurityGroup", &[("GroupName", "default")]),
    usual("InvalidGroup.NotFound", "DeleteSecurityGroup", &[("GroupName", "none")]),
    usual("InvalidGroup.NotFound", "DescribeSecurityGroups", &[("GroupName.1", "none")]),
    usual("InvalidGroup.InUse", "DeleteSecurityGroup", &[("GroupName", "web")]),
    usual("InvalidPermission.Malformed", AUTHORIZE, range!("gre", "1" to "1", "0.0.0.0/0")),
    usual("InvalidPermission.Malformed", AUTHORIZE, range!("tcp", "2" to "1", "0.0.0.0/0")),
    usual("InvalidPermission.Malformed", AUTHORIZE, range!("tcp", "1" to "65536", "0.0.0.0/0")),
    usual("InvalidPermission.Malformed", AUTHORIZE, range!("tcp", "-1" to "-1", "0.0.0.0/0")),
    usual("InvalidPermission.Malformed", AUTHORIZE, range!("icmp", "-1" to "3", "0.0.0.0/0")),
    usual("InvalidPermission.Malformed", AUTHORIZE, range!("icmp", "256" to "0", "0.0.0.0/0")),
    usual("InvalidPermission.Malformed", AUTHORIZE, range!("udp", "x" to "1", "0.0.0.0/0")),
    usual("InvalidPermission.Malformed", AUTHORIZE, range!("udp", "1" to "1", "10.0.0.0")),
    usual("InvalidPermission.Duplicate", AUTHORIZE, range!("tcp", "80" to "80", "0.0.0.0/0")),
    usual("InvalidPermission.NotFound", REVOKE, range!("tcp", "81" to "81", "0.0.0.0/0")),
    // The server's own. What is in authentication's way is one thing, what is in an action's another.
    at(Setting::Store(ALL, Trouble::Damaged), "InternalError", "DescribeInstances", &[]),
    at(Setting::Store(KEY_PAIRS, Trouble::Damaged), "InternalError", "DescribeKeyPairs", &[]),
    at(Setting::Store(KEY_PAIRS, Trouble::Damaged), "InternalError", "CreateKeyPair", NEW_KEY),
    at(Setting::HostFails, "InternalError", "GetConsoleOutput", INSTANCE),
    at(Setting::Store(ALL, Trouble::Silent), "Unavailable", "DescribeInstances", &[]),
    at(Setting::Store(KEY_PAIRS, Trouble::Silent), "Unavailable", "DescribeKeyPairs", &[]),
    at(Setting::Store(KEY_PAIRS, Trouble::Full), "Unavailable", "CreateKeyPair", NEW_KEY),
    at(Setting::HostIsShort, "Unavailable", "GetConsoleOutput", INSTANCE),
    at(Setting::Crowded, "Unavailable", "DescribeInstances", &[]),
];
