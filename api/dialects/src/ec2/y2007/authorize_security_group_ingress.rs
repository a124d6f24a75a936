//! AuthorizeSecurityGroupIngress: lets more in to members of a group, all that is asked for or nothing.

use compute::compute::ComputeError;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::{group, permissions};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let group = group::named(call, call.parameters.required("GroupName")?).await?;
    let rules = permissions::read(call).await?;
    if rules.iter().any(|rule| permissions::is_let_in(&group.rules, rule)) {
        return Err(duplicate());
    }
    match call.compute().change_rules(call.account(), group.id, &rules, &[]).await {
        Ok(_) => Ok(Tree::done()),
        Err(ComputeError::Exists { .. }) => Err(duplicate()),
        // Ranges the wrong way round, groups that are never met.
        Err(ComputeError::Invalid { why, .. }) => Err(permissions::malformed(why)),
        Err(ComputeError::Limit { most, .. }) => {
            let why = format!("A security group has at most {most} rules");
            Err(Refusal::new(400, "RulesPerSecurityGroupLimitExceeded", why))
        }
        Err(error) => Err(error.into()),
    }
}

fn duplicate() -> Refusal {
    Refusal::new(
        400,
        "InvalidPermission.Duplicate",
        "The permission has already been authorized on this group",
    )
}
