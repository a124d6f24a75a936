//! DeleteVpc: a VPC with nothing in it but its default security group goes, with that.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html>

use compute::compute::ComputeError;
use compute::id::VpcId;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::refusals;
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id: VpcId = required_id(call.parameters, "VpcId")?;
    call.compute().vpc(call.account(), id).await?;
    call.compute().delete_vpc(call.account(), id).await.map_err(|error| match error {
        ComputeError::InUse { .. } => {
            let why = format!("The vpc '{id}' has dependencies and cannot be deleted.");
            refusals::dependency(why)
        }
        error => error.into(),
    })?;
    Ok(Tree::done())
}
