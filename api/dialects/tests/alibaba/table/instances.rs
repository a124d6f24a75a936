//! Instances, key pairs, tags, and what there is to choose from.

use super::Stranger::{DoesIt, Fails, Refused as No, SeesNothing};
use super::{Entry, NO_INSTANCE, Refused, entry, invalid};
use crate::caller::Pairs;
use crate::fixture::PUBLIC_KEY;

const RUNNING: Pairs<'static> = &[("InstanceId", "{running}")];
const STOPPED: Pairs<'static> = &[("InstanceId", "{stopped}")];
const PREPAID: Pairs<'static> = &[("InstanceId", "{prepaid}")];
const NONE: Pairs<'static> = &[("InstanceId", "i-1111")];
const NO_PAGE: Pairs<'static> = &[("PageSize", "0")];
const PERHAPS: Pairs<'static> = &[("DryRun", "perhaps")];
const CREATE: Pairs<'static> =
    &[("ImageId", "{image}"), ("InstanceType", "ecs.n1.small"), ("InstanceName", "new")];
const TAGGED: Pairs<'static> = &[
    ("ResourceType", "instance"),
    ("ResourceId.1", "{running}"),
    ("Tag.1.Key", "use"),
    ("Tag.1.Value", "test"),
];
const TAGGED_BEFORE: Pairs<'static> = &[
    ("ResourceType", "instance"),
    ("ResourceId", "{running}"),
    ("Tag.1.Key", "use"),
    ("Tag.1.Value", "test"),
];
const TAGS: Pairs<'static> = &[("ResourceType", "instance"), ("ResourceId.1", "{running}")];
const PLANET: Pairs<'static> = &[("ResourceType", "planet")];

/// Longer than a tag's key may be.
const LONG: &str = "a key of a tag that goes on and on and on and on and on and on and on and on and on and on and on and on and on and on and on and on and on";

const NO_SUCH: Refused = Refused(NONE, 404, "InvalidInstanceId.NotFound");
const WRONG_STATUS: &str = "IncorrectInstanceStatus";
const CHARGE: &str = "ChargeTypeViolation";

pub const ENTRIES: &[Entry] = &[
    entry(
        "AddTags",
        TAGGED_BEFORE,
        &["ResourceType", "ResourceId", "Tag.1.Key"],
        &[invalid(PLANET)],
        &[],
        NO_INSTANCE,
    ),
    entry(
        "AttachInstanceRamRole",
        &[("RamRoleName", "Spare"), ("InstanceIds", r#"["{stopped}"]"#)],
        &["RamRoleName", "InstanceIds"],
        &[
            invalid(&[("InstanceIds", "{stopped}")]),
            Refused(&[("RamRoleName", "none")], 404, "InvalidRamRole.NotFound"),
        ],
        &[],
        No(404, "InvalidRamRole.NotFound"),
    ),
    entry(
        "CreateInstance",
        CREATE,
        &["ImageId", "InstanceType"],
        &[
            Refused(&[("InstanceType", "ecs.none")], 400, "InvalidInstanceType.ValueNotSupported"),
            Refused(&[("InstanceChargeType", "PrePaid"), ("Period", "99")], 400, "InvalidPeriod"),
            Refused(&[("DryRun", "true")], 400, "DryRunOperation"),
        ],
        &[Refused(
            &[("VSwitchId", "{switch}"), ("PrivateIpAddress", "10.0.0.9")],
            400,
            "InvalidPrivateIpAddress",
        )],
        No(404, "InvalidImageId.NotFound"),
    ),
    entry(
        "CreateKeyPair",
        &[("KeyPairName", "new")],
        &["KeyPairName"],
        &[Refused(&[("KeyPairName", "-")], 400, "InvalidKeyPairName.Malformed")],
        &[Refused(&[("KeyPairName", "mine")], 400, "KeyPair.AlreadyExist")],
        DoesIt,
    ),
    entry(
        "DeleteInstance",
        STOPPED,
        &["InstanceId"],
        &[NO_SUCH, invalid(&[("Force", "perhaps")])],
        &[Refused(RUNNING, 403, WRONG_STATUS), Refused(PREPAID, 403, CHARGE)],
        NO_INSTANCE,
    ),
    entry(
        "DeleteInstances",
        &[("InstanceId.1", "{stopped}")],
        &["InstanceId.1"],
        &[
            Refused(&[("InstanceId.1", "i-1111")], 404, "InvalidInstanceId.NotFound"),
            invalid(&[("Force", "perhaps")]),
        ],
        &[
            Refused(&[("InstanceId.1", "{running}")], 403, WRONG_STATUS),
            Refused(&[("InstanceId.1", "{prepaid}")], 403, CHARGE),
        ],
        NO_INSTANCE,
    ),
    // Of those that are not there none is deleted, and that is all that is asked for.
    entry(
        "DeleteKeyPairs",
        &[("KeyPairNames", r#"["mine"]"#)],
        &["KeyPairNames"],
        &[invalid(&[("KeyPairNames", "mine")])],
        &[],
        DoesIt,
    ),
    entry("DescribeInstanceAttribute", RUNNING, &["InstanceId"], &[NO_SUCH], &[], NO_INSTANCE),
    entry(
        "DescribeInstanceAutoRenewAttribute",
        PREPAID,
        &["InstanceId"],
        &[NO_SUCH, invalid(NO_PAGE)],
        &[Refused(STOPPED, 403, CHARGE)],
        NO_INSTANCE,
    ),
    entry(
        "DescribeInstanceRamRole",
        &[("RamRoleName", "Used")],
        &[],
        &[invalid(&[("InstanceIds", "{running}")]), invalid(NO_PAGE)],
        &[],
        SeesNothing("InstanceRamRoleSets.InstanceRamRoleSet"),
    ),
    entry(
        "DescribeInstanceStatus",
        &[("InstanceId.1", "{running}")],
        &[],
        &[invalid(NO_PAGE)],
        &[],
        SeesNothing("InstanceStatuses.InstanceStatus"),
    ),
    entry(
        "DescribeInstanceTypes",
        &[("InstanceTypes.1", "ecs.n1.small")],
        &[],
        &[invalid(&[("MinimumCpuCoreCount", "many")])],
        &[],
        DoesIt,
    ),
    entry(
        "DescribeInstances",
        &[("InstanceIds", r#"["{running}"]"#)],
        &[],
        &[
            invalid(&[("Status", "Idle")]),
            invalid(&[("PageNumber", "0")]),
            invalid(&[("NextToken", "?"), ("MaxResults", "1")]),
            Refused(&[("RegionId", "elsewhere")], 404, "InvalidRegionId.NotFound"),
        ],
        &[],
        SeesNothing("Instances.Instance"),
    ),
    entry(
        "DescribeKeyPairs",
        &[("KeyPairName", "mine")],
        &[],
        &[invalid(NO_PAGE)],
        &[],
        SeesNothing("KeyPairs.KeyPair"),
    ),
    entry("DescribeRegions", &[], &[], &[invalid(PERHAPS)], &[], DoesIt),
    entry("DescribeTags", TAGS, &["ResourceType", "ResourceId.1"], &[invalid(PLANET)], &[], NO_INSTANCE),
    entry("DescribeUserData", STOPPED, &["InstanceId"], &[NO_SUCH], &[], NO_INSTANCE),
    entry(
        "DescribeZones",
        &[],
        &[],
        &[Refused(&[("RegionId", "elsewhere")], 404, "InvalidRegionId.NotFound")],
        &[],
        DoesIt,
    ),
    entry(
        "DetachInstanceRamRole",
        &[("RamRoleName", "Used"), ("InstanceIds", r#"["{running}"]"#)],
        &["RamRoleName", "InstanceIds"],
        &[invalid(&[("InstanceIds", "{running}")])],
        &[],
        Fails(
            "DetachInstanceRamRoleResults.DetachInstanceRamRoleResult.0.Code",
            "InvalidInstanceId.NotFound",
        ),
    ),
    entry("GetInstanceConsoleOutput", RUNNING, &["InstanceId"], &[NO_SUCH], &[], NO_INSTANCE),
    entry(
        "ImportKeyPair",
        &[("KeyPairName", "new"), ("PublicKeyBody", PUBLIC_KEY)],
        &["KeyPairName", "PublicKeyBody"],
        &[Refused(&[("PublicKeyBody", "x")], 400, "InvalidPublicKey.NotFound")],
        &[Refused(&[("KeyPairName", "mine")], 400, "KeyPair.AlreadyExist")],
        DoesIt,
    ),
    entry("ListTagResources", TAGS, &["ResourceType", "ResourceId.1"], &[invalid(PLANET)], &[], NO_INSTANCE),
    entry(
        "ModifyInstanceAttribute",
        &[("InstanceId", "{stopped}"), ("InstanceName", "renamed")],
        &["InstanceId"],
        &[
            NO_SUCH,
            Refused(&[("Password", "simple")], 400, "InvalidPassword.Malformed"),
            invalid(&[("DeletionProtection", "perhaps")]),
        ],
        &[Refused(&[("InstanceId", "{running}"), ("UserData", "QUFB")], 403, WRONG_STATUS)],
        NO_INSTANCE,
    ),
    entry(
        "ModifyInstanceAutoReleaseTime",
        &[("InstanceId", "{stopped}"), ("AutoReleaseTime", "2026-11-25T00:00:00Z")],
        &["InstanceId"],
        &[NO_SUCH, Refused(&[("AutoReleaseTime", "soon")], 400, "InvalidAutoReleaseTime.Malformed")],
        &[Refused(PREPAID, 403, CHARGE)],
        NO_INSTANCE,
    ),
    entry(
        "ModifyInstanceAutoRenewAttribute",
        &[("InstanceId", "{prepaid}"), ("AutoRenew", "True"), ("Duration", "1")],
        &["InstanceId", "AutoRenew", "Duration"],
        &[
            NO_SUCH,
            invalid(&[("AutoRenew", "perhaps")]),
            invalid(&[("RenewalStatus", "Never")]),
            Refused(&[("Duration", "4")], 400, "InvalidPeriod"),
        ],
        &[Refused(STOPPED, 403, CHARGE)],
        NO_INSTANCE,
    ),
    entry(
        "RebootInstance",
        RUNNING,
        &["InstanceId"],
        &[
            NO_SUCH,
            invalid(&[("ForceStop", "perhaps")]),
            Refused(&[("DryRun", "true")], 400, "DryRunOperation"),
        ],
        &[Refused(STOPPED, 403, WRONG_STATUS)],
        NO_INSTANCE,
    ),
    entry(
        "RemoveTags",
        &[("ResourceType", "instance"), ("ResourceId", "{running}"), ("Tag.1.Key", "team")],
        &["ResourceType", "ResourceId", "Tag.1.Key"],
        &[invalid(PLANET)],
        &[],
        NO_INSTANCE,
    ),
    entry(
        "RenewInstance",
        &[("InstanceId", "{prepaid}"), ("Period", "1")],
        &["InstanceId", "Period"],
        &[
            NO_SUCH,
            Refused(&[("Period", "10")], 400, "InvalidPeriod"),
            Refused(&[("Period", "x")], 400, "InvalidPeriod"),
        ],
        &[Refused(STOPPED, 403, CHARGE)],
        NO_INSTANCE,
    ),
    entry(
        "RunInstances",
        CREATE,
        &["ImageId", "InstanceType"],
        &[
            invalid(&[("Amount", "0")]),
            Refused(&[("SystemDisk.Category", "tape")], 400, "InvalidSystemDiskCategory.ValueNotSupported"),
            Refused(&[("DryRun", "true")], 400, "DryRunOperation"),
        ],
        &[Refused(&[("SecurityGroupId", "{group}")], 400, "InvalidSecurityGroupId.VPCMismatch")],
        No(404, "InvalidImageId.NotFound"),
    ),
    entry(
        "StartInstance",
        STOPPED,
        &["InstanceId"],
        &[NO_SUCH, invalid(PERHAPS), Refused(&[("DryRun", "true")], 400, "DryRunOperation")],
        &[Refused(RUNNING, 403, WRONG_STATUS)],
        NO_INSTANCE,
    ),
    entry(
        "StopInstance",
        RUNNING,
        &["InstanceId"],
        &[
            NO_SUCH,
            invalid(&[("ForceStop", "perhaps")]),
            Refused(&[("Hibernate", "true")], 400, "UnsupportedParameter"),
        ],
        &[
            Refused(STOPPED, 403, WRONG_STATUS),
            Refused(&[("InstanceId", "{stopped}"), ("ForceStop", "true")], 403, WRONG_STATUS),
        ],
        NO_INSTANCE,
    ),
    entry(
        "TagResources",
        TAGGED,
        &["ResourceType", "ResourceId.1", "Tag.1.Key"],
        &[invalid(PLANET), Refused(&[("Tag.1.Key", LONG)], 400, "InvalidTagKey.Malformed")],
        &[],
        NO_INSTANCE,
    ),
    entry(
        "UntagResources",
        &[("ResourceType", "instance"), ("ResourceId.1", "{running}"), ("TagKey.1", "team")],
        &["ResourceType", "ResourceId.1", "TagKey.1"],
        &[invalid(PLANET), invalid(&[("All", "perhaps")])],
        &[],
        NO_INSTANCE,
    ),
];
