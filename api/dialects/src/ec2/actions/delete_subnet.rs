//! DeleteSubnet: a subnet that no network interface is in goes.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSubnet.html>

use compute::compute::ComputeError;
use compute::id::SubnetId;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::refusals;
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id: SubnetId = required_id(call.parameters, "SubnetId")?;
    call.compute().subnet(call.account(), id).await?;
    call.compute().delete_subnet(call.account(), id).await.map_err(|error| match error {
        ComputeError::InUse { .. } => {
            let why = format!("The subnet '{id}' has dependencies and cannot be deleted.");
            refusals::dependency(why)
        }
        error => error.into(),
    })?;
    Ok(Tree::done())
}
