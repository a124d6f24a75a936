//! AssumeRole: temporary credentials of a role that trusts the caller, whose own policies have to allow it too.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole>

use compute::identity::{AccountId, Assume, KeyForm, LEAST_SESSION_LIMIT_S};
use serde_json::{Value, json};

use super::super::{Call, Refusal, time};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let (resource, session) = (parameters.required("RoleArn")?, parameters.required("RoleSessionName")?);
    let (account, role) = parse(resource).ok_or_else(|| {
        Refusal::new(400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.")
    })?;
    let assume = Assume {
        account,
        role,
        resource,
        context: &call.context,
        session,
        duration_s: parameters.parsed("DurationSeconds")?.unwrap_or(LEAST_SESSION_LIMIT_S),
        policy: parameters.get("Policy"),
        policies: &[],
        form: KeyForm::Sts,
    };
    let made = call.identity().assume_role(&call.caller.access, &assume, call.now()).await?;
    Ok(json!({
        "Credentials": {
            "AccessKeyId": made.id.as_str(),
            "AccessKeySecret": made.secret.expose(),
            "SecurityToken": made.token.expose(),
            "Expiration": time::seconds(made.expiration),
        },
        "AssumedRoleUser": {
            "Arn": format!("acs:ram::{account}:assumed-role/{}/{}", made.role, made.session),
            "AssumedRoleId": format!("{}:{}", made.role_id, made.session),
        },
    }))
}

/// The account and the name of `acs:ram::123456789012:role/name`.
fn parse(arn: &str) -> Option<(AccountId, &str)> {
    let (account, name) = arn.strip_prefix("acs:ram::")?.split_once(":role/")?;
    Some((account.parse().ok()?, name))
}
