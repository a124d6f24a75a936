//! DeleteSecurityGroup: a group that nobody refers to goes.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html>

use compute::compute::ComputeError;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::refusals;
use super::security_group;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let group = security_group::named(call).await?;
    if group.name == "default" {
        let why =
            format!("the specified group: \"{}\" name: \"default\" cannot be deleted by a user", group.id);
        return Err(Refusal::new(400, "CannotDelete", why));
    }
    let deleted = call.compute().delete_security_group(call.account(), group.id).await;
    deleted.map_err(|error| match error {
        ComputeError::InUse { .. } => {
            refusals::dependency(format!("resource {} has a dependent object", group.id))
        }
        error => error.into(),
    })?;
    Ok(Tree::done().text("groupId", group.id))
}
