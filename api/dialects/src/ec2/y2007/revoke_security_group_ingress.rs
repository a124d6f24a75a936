//! RevokeSecurityGroupIngress: takes away what was let in to members of a group, named just as it was when it was granted.

use compute::compute::ComputeError;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::{group, permissions};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let group = group::named(call, call.parameters.required("GroupName")?).await?;
    let rules = permissions::read(call).await?;
    let rules = permissions::granted(&group.rules, rules);
    match call.compute().change_rules(call.account(), group.id, &[], &rules).await {
        Ok(_) => Ok(Tree::done()),
        Err(ComputeError::NotFound { what: "rule", .. }) => {
            let why = "The permission is not authorized on this group";
            Err(Refusal::new(400, "InvalidPermission.NotFound", why))
        }
        Err(error) => Err(error.into()),
    }
}
