//! GetCallerIdentity: who signed the request. Everybody may ask who they are.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-getcalleridentity>

use compute::identity::Who;
use serde_json::{Value, json};

use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let account = call.account();
    Ok(match &call.caller.who {
        Who::Root { .. } => json!({
            "AccountId": account,
            "Arn": format!("acs:ram::{account}:root"),
            "IdentityType": "Account",
            "PrincipalId": account,
        }),
        Who::User { name, id, .. } => json!({
            "AccountId": account,
            "Arn": format!("acs:ram::{account}:user/{name}"),
            "IdentityType": "RAMUser",
            "PrincipalId": id.to_string(),
            "UserId": id.to_string(),
        }),
        Who::Role { name, id, session, .. } => json!({
            "AccountId": account,
            "Arn": format!("acs:ram::{account}:assumed-role/{name}/{session}"),
            "IdentityType": "AssumedRoleUser",
            "PrincipalId": format!("{id}:{session}"),
            "RoleId": id.to_string(),
        }),
    })
}
