//! Roles, users and policies as RAM shows them, and what requests name them by.

use compute::access::{BUILT_IN, BuiltIn};
use compute::identity::{AccountId, Policy, PolicyRef, Role, User};
use serde_json::{Value, json};

use super::super::parameters::Parameters;
use super::super::{Refusal, time};

/// The name of a role for the whole world.
pub fn arn(account: AccountId, role: &str) -> String {
    format!("acs:ram::{account}:role/{role}")
}

/// A role.
pub fn view(role: &Role) -> Value {
    json!({
        "RoleId": role.id.to_string(),
        "RoleName": role.name,
        "Arn": arn(role.account, &role.name),
        "Description": role.description,
        "AssumeRolePolicyDocument": role.trust.text(),
        "MaxSessionDuration": role.max_session_s,
        "CreateDate": time::seconds(role.created),
        "UpdateDate": time::seconds(role.updated),
    })
}

/// A user.
pub fn user(user: &User) -> Value {
    json!({
        "UserId": user.id.to_string(),
        "UserName": user.name,
        "DisplayName": user.description,
        "Comments": "",
        "Email": "",
        "MobilePhone": "",
        "CreateDate": time::seconds(user.created),
        "UpdateDate": time::seconds(user.created),
    })
}

/// A policy of the account.
pub fn policy(policy: &Policy) -> Value {
    json!({
        "PolicyName": policy.name,
        "PolicyType": "Custom",
        "Description": policy.description,
        "DefaultVersion": "v1",
        "AttachmentCount": policy.users + policy.roles,
        "CreateDate": time::seconds(policy.created),
        "UpdateDate": time::seconds(policy.updated),
    })
}

/// One that every account has.
pub fn built_in(policy: &BuiltIn) -> Value {
    json!({
        "PolicyName": policy.name,
        "PolicyType": "System",
        "Description": "",
        "DefaultVersion": "v1",
    })
}

/// The built-in policy of this name.
pub fn find_built_in(name: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|policy| policy.name == name)
}

/// The policy that a request names by its type and its name.
pub fn policy_ref(parameters: &Parameters) -> Result<PolicyRef, Refusal> {
    let name = parameters.required("PolicyName")?.to_owned();
    let types = [("Custom", false), ("System", true)];
    match parameters.choice("PolicyType", &types)? {
        None => Err(Refusal::missing("PolicyType")),
        Some(false) => Ok(PolicyRef::Custom(name)),
        Some(true) => Ok(PolicyRef::BuiltIn(name)),
    }
}

/// Policies that are attached to something.
pub fn attached(policies: &[PolicyRef]) -> Value {
    let view = |attached: &PolicyRef| {
        let kind = match attached {
            PolicyRef::BuiltIn(_) => "System",
            PolicyRef::Custom(_) => "Custom",
        };
        json!({ "PolicyName": attached.name(), "PolicyType": kind, "DefaultVersion": "v1" })
    };
    json!({ "Policies": { "Policy": policies.iter().map(view).collect::<Vec<_>>() } })
}

/// A page of RAM's, which goes by markers: how many it has at most, and where it begins.
pub fn page(parameters: &Parameters) -> Result<(usize, Option<&str>), Refusal> {
    let most: usize = parameters.parsed("MaxItems")?.unwrap_or(100);
    if !(1..=1000).contains(&most) {
        return Err(parameters.invalid("MaxItems"));
    }
    Ok((most, parameters.get("Marker")))
}

/// Adds to an answer where the next page begins.
pub fn told(mut answer: Value, next: Option<&str>) -> Value {
    answer["IsTruncated"] = next.is_some().into();
    if let Some(next) = next {
        answer["Marker"] = next.into();
    }
    answer
}
