//! Users, roles, policies and temporary credentials.

use super::Stranger::{DoesIt, Refused as No, SeesNothing};
use super::{Entry, Refused, Stranger, entry, invalid};
use crate::caller::Pairs;
use crate::fixture::POLICY;

const TRUST: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;

const NO_ROLE: Stranger = No(404, "EntityNotExist.Role");
const NO_SUCH_ROLE: Refused = Refused(&[("RoleName", "none")], 404, "EntityNotExist.Role");
const NO_USER: Stranger = No(404, "EntityNotExist.User");
const NO_SUCH_USER: Refused = Refused(&[("UserName", "none")], 404, "EntityNotExist.User");
const NO_POLICY: Stranger = No(404, "EntityNotExist.Policy");
const NO_SUCH_POLICY: Refused = Refused(&[("PolicyName", "none")], 404, "EntityNotExist.Policy");
const NO_TYPE: Refused = invalid(&[("PolicyType", "Public")]);
const NO_COUNT: Refused = invalid(&[("MaxItems", "0")]);
const NO_KEY: &str = "EntityNotExist.User.AccessKey";
const NO_SUCH_KEY: Refused = Refused(&[("UserAccessKeyId", "LTAI0000000000000000")], 404, NO_KEY);

const TO_ROLE: Pairs<'static> = &[("PolicyType", "Custom"), ("PolicyName", "Spare"), ("RoleName", "Used")];
const OF_ROLE: Pairs<'static> = &[("PolicyType", "Custom"), ("PolicyName", "Reading"), ("RoleName", "Used")];
const TO_USER: Pairs<'static> = &[("PolicyType", "Custom"), ("PolicyName", "Spare"), ("UserName", "ann")];
const OF_USER: Pairs<'static> = &[("PolicyType", "Custom"), ("PolicyName", "Reading"), ("UserName", "ann")];
const READING: Pairs<'static> = &[("PolicyName", "Reading")];
const SPARE: Pairs<'static> = &[("PolicyName", "Spare")];

pub const ENTRIES: &[Entry] = &[
    entry(
        "AssumeRole",
        &[("RoleArn", "acs:ram::{account}:role/Used"), ("RoleSessionName", "session")],
        &["RoleArn", "RoleSessionName"],
        &[
            Refused(&[("RoleArn", "Used")], 400, "InvalidParameter.RoleArn"),
            Refused(&[("DurationSeconds", "60")], 400, "InvalidParameter.DurationSeconds"),
            Refused(&[("RoleSessionName", "a b")], 400, "InvalidParameter.RoleSessionName"),
            Refused(&[("Policy", "{")], 400, "InvalidParameter.PolicyGrammar"),
        ],
        &[Refused(&[("RoleArn", "acs:ram::{account}:role/Closed")], 403, "NoPermission")],
        No(403, "NoPermission"),
    ),
    entry(
        "AttachPolicyToRole",
        TO_ROLE,
        &["PolicyType", "PolicyName", "RoleName"],
        &[NO_SUCH_ROLE, NO_SUCH_POLICY, NO_TYPE],
        &[Refused(READING, 409, "EntityAlreadyExists.Policy")],
        NO_ROLE,
    ),
    entry(
        "AttachPolicyToUser",
        TO_USER,
        &["PolicyType", "PolicyName", "UserName"],
        &[NO_SUCH_USER, NO_SUCH_POLICY, NO_TYPE],
        &[Refused(READING, 409, "EntityAlreadyExists.Policy")],
        NO_USER,
    ),
    entry(
        "CreateAccessKey",
        &[("UserName", "bob")],
        &[],
        &[NO_SUCH_USER],
        &[Refused(&[("UserName", "ann")], 409, "LimitExceeded.User.AccessKey")],
        NO_USER,
    ),
    entry(
        "CreatePolicy",
        &[("PolicyName", "New"), ("PolicyDocument", POLICY)],
        &["PolicyName", "PolicyDocument"],
        &[
            Refused(&[("PolicyDocument", "{")], 400, "MalformedPolicyDocument"),
            Refused(&[("PolicyName", "a b")], 400, "InvalidParameter.Name"),
        ],
        &[
            Refused(READING, 409, "EntityAlreadyExists.Policy"),
            Refused(&[("PolicyName", "AliyunECSFullAccess")], 409, "EntityAlreadyExists.Policy"),
        ],
        DoesIt,
    ),
    entry(
        "CreateRole",
        &[("RoleName", "New"), ("AssumeRolePolicyDocument", TRUST)],
        &["RoleName", "AssumeRolePolicyDocument"],
        &[
            Refused(&[("AssumeRolePolicyDocument", "{")], 400, "MalformedPolicyDocument"),
            Refused(&[("MaxSessionDuration", "60")], 400, "InvalidParameter.MaxSessionDuration"),
        ],
        &[Refused(&[("RoleName", "Used")], 409, "EntityAlreadyExists.Role")],
        DoesIt,
    ),
    entry(
        "CreateUser",
        &[("UserName", "new")],
        &["UserName"],
        &[Refused(&[("UserName", "a b")], 400, "InvalidParameter.Name")],
        &[Refused(&[("UserName", "ann")], 409, "EntityAlreadyExists.User")],
        DoesIt,
    ),
    entry(
        "DeleteAccessKey",
        &[("UserName", "ann"), ("UserAccessKeyId", "{key}")],
        &["UserAccessKeyId"],
        &[NO_SUCH_KEY, NO_SUCH_USER],
        &[Refused(&[("UserName", "bob")], 404, NO_KEY)],
        NO_USER,
    ),
    entry(
        "DeletePolicy",
        SPARE,
        &["PolicyName"],
        &[NO_SUCH_POLICY],
        &[Refused(READING, 409, "DeleteConflict.Policy.User")],
        NO_POLICY,
    ),
    entry(
        "DeleteRole",
        &[("RoleName", "Spare")],
        &["RoleName"],
        &[NO_SUCH_ROLE],
        &[Refused(&[("RoleName", "Used")], 409, "DeleteConflict.Role.Instance")],
        NO_ROLE,
    ),
    entry(
        "DeleteUser",
        &[("UserName", "bob")],
        &["UserName"],
        &[NO_SUCH_USER],
        &[Refused(&[("UserName", "ann")], 409, "DeleteConflict.User.AccessKey")],
        NO_USER,
    ),
    entry(
        "DetachPolicyFromRole",
        OF_ROLE,
        &["PolicyType", "PolicyName", "RoleName"],
        &[NO_SUCH_ROLE, NO_TYPE],
        &[Refused(SPARE, 404, "EntityNotExist.Policy")],
        NO_ROLE,
    ),
    entry(
        "DetachPolicyFromUser",
        OF_USER,
        &["PolicyType", "PolicyName", "UserName"],
        &[NO_SUCH_USER, NO_TYPE],
        &[Refused(SPARE, 404, "EntityNotExist.Policy")],
        NO_USER,
    ),
    entry("GetCallerIdentity", &[], &[], &[invalid(&[("DryRun", "perhaps")])], &[], DoesIt),
    entry(
        "GetPolicy",
        &[("PolicyType", "Custom"), ("PolicyName", "Reading")],
        &["PolicyType", "PolicyName"],
        &[NO_TYPE, NO_SUCH_POLICY],
        &[],
        NO_POLICY,
    ),
    entry("GetRole", &[("RoleName", "Used")], &["RoleName"], &[NO_SUCH_ROLE], &[], NO_ROLE),
    entry("GetUser", &[("UserName", "ann")], &["UserName"], &[NO_SUCH_USER], &[], NO_USER),
    entry("ListAccessKeys", &[("UserName", "ann")], &[], &[NO_SUCH_USER], &[], NO_USER),
    entry(
        "ListPolicies",
        &[("PolicyType", "Custom")],
        &[],
        &[NO_TYPE, NO_COUNT],
        &[],
        SeesNothing("Policies.Policy"),
    ),
    entry("ListPoliciesForRole", &[("RoleName", "Used")], &["RoleName"], &[NO_SUCH_ROLE], &[], NO_ROLE),
    entry("ListPoliciesForUser", &[("UserName", "ann")], &["UserName"], &[NO_SUCH_USER], &[], NO_USER),
    entry("ListRoles", &[], &[], &[NO_COUNT], &[], SeesNothing("Roles.Role")),
    entry("ListUsers", &[], &[], &[NO_COUNT], &[], SeesNothing("Users.User")),
    entry(
        "UpdateAccessKey",
        &[("UserName", "ann"), ("UserAccessKeyId", "{key}"), ("Status", "Inactive")],
        &["UserAccessKeyId", "Status"],
        &[NO_SUCH_KEY, invalid(&[("Status", "Asleep")])],
        &[Refused(&[("UserName", "bob")], 404, NO_KEY)],
        NO_USER,
    ),
    entry(
        "UpdateRole",
        &[("RoleName", "Used"), ("NewDescription", "of the web servers")],
        &["RoleName"],
        &[
            NO_SUCH_ROLE,
            Refused(&[("NewAssumeRolePolicyDocument", "{")], 400, "MalformedPolicyDocument"),
            Refused(&[("NewMaxSessionDuration", "60")], 400, "InvalidParameter.MaxSessionDuration"),
        ],
        &[],
        NO_ROLE,
    ),
];
