//! AssumeRole: temporary credentials of a role that trusts the caller, whose own policies have to allow it too. The session may
//! be narrowed by a policy of its own, by managed policies, or by both.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use compute::identity::{AccountId, Assume, KeyForm, LEAST_SESSION_LIMIT_S, PolicyRef};

use super::super::ids::principal;
use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal, time};

/// Most characters that policies and the names of policies have together.
const MAX_POLICY_CHARS: usize = 2048;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let (resource, session) = (parameters.required("RoleArn")?, parameters.required("RoleSessionName")?);
    let wrong = || Refusal::new(400, "ValidationError", "RoleArn is not the ARN of a role.");
    let (account, role) = parse(resource).ok_or_else(wrong)?;
    let (policies, size) = policies(parameters, account)?;
    let assume = Assume {
        account,
        role,
        resource,
        context: &call.context,
        session,
        duration_s: parameters.parsed("DurationSeconds")?.unwrap_or(LEAST_SESSION_LIMIT_S),
        policy: parameters.get("Policy"),
        policies: &policies,
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
    Ok(Tree::new()
        .tree("Credentials", credentials)
        .tree("AssumedRoleUser", user)
        .text_if("PackedPolicySize", (size > 0).then(|| percent(size))))
}

/// The managed policies that the session is narrowed to, and how long these and its own policy are.
fn policies(parameters: &Parameters, account: AccountId) -> Result<(Vec<PolicyRef>, usize), Refusal> {
    let wrong = |why: String| Err(Refusal::new(400, "ValidationError", why));
    let (mut policies, mut size) = (Vec::new(), 0);
    if let Some(own) = parameters.get("Policy") {
        size = own.chars().count();
        if size > MAX_POLICY_CHARS {
            return wrong(format!("Policy has more than {MAX_POLICY_CHARS} characters."));
        }
    }
    for member in parameters.groups("PolicyArns.member")? {
        let arn = member.required("arn")?;
        size += arn.chars().count();
        match policy(arn, account) {
            Some(policy) if !policies.contains(&policy) => policies.push(policy),
            Some(_) => {}
            None => {
                return wrong(format!(
                    "{} is not the ARN of a policy that this role's account has.",
                    member.full("arn")
                ));
            }
        }
    }
    if size > MAX_POLICY_CHARS {
        let percent = percent(size);
        let why = format!("Packed policy consumes {percent}% of allotted space, please use smaller policy.");
        return Err(Refusal::new(400, "PackedPolicyTooLarge", why));
    }
    Ok((policies, size))
}

/// How much of what they may have together policies of so many characters take.
fn percent(size: usize) -> usize {
    (size * 100).div_ceil(MAX_POLICY_CHARS)
}

/// The policy of an ARN, AWS's own or one of this account; a path may come before the name.
fn policy(arn: &str, account: AccountId) -> Option<PolicyRef> {
    let (owner, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":policy/")?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?.to_owned();
    match owner {
        "aws" => Some(PolicyRef::BuiltIn(name)),
        owner if owner.parse() == Ok(account) => Some(PolicyRef::Custom(name)),
        _ => None,
    }
}

/// The account and the name of `arn:aws:iam::123456789012:role/name`; a path may come before the name.
fn parse(arn: &str) -> Option<(AccountId, &str)> {
    let (account, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    Some((account.parse().ok()?, path.rsplit('/').next().filter(|name| !name.is_empty())?))
}
