//! CreateSecurityGroup: a group whose members may send everything, and to whom nothing is let through yet.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html>

use compute::compute::{ComputeError, NewSecurityGroup};
use compute::id::VpcId;

use super::super::access::resource;
use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::refusals;
use super::words::id;

/// Longest name and description.
const MAX_WORDS: usize = 255;
/// What they may have besides letters and digits, in a VPC.
const MARKS: &str = " ._-:/()#,@[]+=&;{}!$*";

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let name = words(call, "GroupName")?;
    let description = words(call, "GroupDescription")?;
    if name.eq_ignore_ascii_case("default") {
        let why = "Cannot use reserved security group name: default";
        return Err(refusals::value(why));
    }
    if name.starts_with("sg-") {
        let why = format!(
            "Value ({name}) for parameter groupName is invalid. Group names may not be in the format sg-*."
        );
        return Err(refusals::value(why));
    }
    let vpc: Option<VpcId> = id(parameters, "VpcId")?;
    let tags = tags::specified(parameters, "security-group", &["security-group"])?;
    if let Some(vpc) = vpc {
        call.compute().vpc(call.account(), vpc).await?;
    }
    let new = NewSecurityGroup {
        name: name.to_owned(),
        description: description.to_owned(),
        vpc,
        rules: None,
        tags,
    };
    let made = call.compute().create_security_group(call.account(), &new).await;
    let made = made.map_err(|error| match error {
        ComputeError::Exists { .. } => {
            let vpc = vpc.map_or_else(|| "the default VPC".to_owned(), |vpc| format!("VPC '{vpc}'"));
            let why = format!("The security group '{name}' already exists for {vpc}");
            Refusal::new(400, "InvalidGroup.Duplicate", why)
        }
        ComputeError::Limit { .. } => {
            let why = "The maximum number of security groups has been reached.";
            Refusal::new(400, "SecurityGroupLimitExceeded", why)
        }
        error => error.into(),
    })?;
    let id = made.id.to_string();
    Ok(Tree::done()
        .text("groupId", &id)
        .and(tags::set(Tree::new(), &made.tags))
        .text("securityGroupArn", resource(call, "security-group", &id)))
}

fn words<'a>(call: &Call<'a>, name: &str) -> Result<&'a str, Refusal> {
    let text = call.parameters.required(name)?;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || MARKS.contains(c);
    if text.len() > MAX_WORDS || !text.chars().all(is_allowed) {
        let shown: String = text.chars().take(MAX_WORDS).collect();
        let why = format!(
            "Value ({shown}) for parameter {name} is invalid. Character sets beyond ASCII are not supported."
        );
        return Err(refusals::value(why));
    }
    Ok(text)
}
