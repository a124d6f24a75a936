//! DeleteSecurityGroup: removes a group that nobody is in and no rule names.

use compute::compute::ComputeError;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::group::{DEFAULT, named};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let group = named(call, call.parameters.required("GroupName")?).await?;
    if group.name == DEFAULT {
        let why = format!("The security group '{DEFAULT}' is reserved");
        return Err(Refusal::new(400, "InvalidGroup.Reserved", why));
    }
    match call.compute().delete_security_group(call.account(), group.id).await {
        Ok(()) => Ok(Tree::done()),
        Err(ComputeError::InUse { by, .. }) => {
            let why = format!("The security group '{}' is in use by {by}", group.name);
            Err(Refusal::new(400, "InvalidGroup.InUse", why))
        }
        Err(error) => Err(error.into()),
    }
}
