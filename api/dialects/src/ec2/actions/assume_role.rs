//! AssumeRole: temporary credentials of a role that trusts the caller, whose own policies have to allow it too.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use compute::identity::{AccountId, Assume, KeyForm, LEAST_SESSION_LIMIT_S};

use super::super::ids::principal;
use super::super::xml::Tree;
use super::super::{Call, Refusal, time};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let (resource, session) = (parameters.required("RoleArn")?, parameters.required("RoleSessionName")?);
    let wrong = || Refusal::new(400, "ValidationError", "RoleArn is not the ARN of a role.");
    let (account, role) = parse(resource).ok_or_else(wrong)?;
    let assume = Assume {
        account,
        role,
        resource,
        context: &call.context,
        session,
        duration_s: parameters.parsed("DurationSeconds")?.unwrap_or(LEAST_SESSION_LIMIT_S),
        policy: parameters.get("Policy"),
        form: KeyForm::Asia,
    };
    let made = call.identity().assume_role(&call.caller.access, &assume, call.now()).await?;
    let credentials = Tree::new()
        .text("AccessKeyId", made.id.as_str())
        .text("SecretAccessKey", made.secret.expose())
        .text("SessionToken", made.token.expose())
        .text("Expiration", time::seconds(made.expiration));
    let user = Tree::new()
        .text("AssumedRoleId", format!("{}:{}", principal("AROA", made.role_id), made.session))
        .text("Arn", format!("arn:aws:sts::{account}:assumed-role/{}/{}", made.role, made.session));
    Ok(Tree::new().tree("Credentials", credentials).tree("AssumedRoleUser", user))
}

/// The account and the name of `arn:aws:iam::123456789012:role/name`; a path may come before the name.
fn parse(arn: &str) -> Option<(AccountId, &str)> {
    let (account, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    Some((account.parse().ok()?, path.rsplit('/').next().filter(|name| !name.is_empty())?))
}
