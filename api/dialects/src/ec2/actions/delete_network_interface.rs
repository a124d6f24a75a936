//! DeleteNetworkInterface: an interface that no instance has goes.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkInterface.html>

use compute::compute::ComputeError;
use compute::id::InterfaceId;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id: InterfaceId = required_id(call.parameters, "NetworkInterfaceId")?;
    let in_use = || {
        let why = format!("Network interface '{id}' is currently in use.");
        Refusal::new(400, "InvalidNetworkInterface.InUse", why)
    };
    if call.compute().interface(call.account(), id).await?.instance.is_some() {
        return Err(in_use());
    }
    call.compute().delete_interface(call.account(), id).await.map_err(|error| match error {
        ComputeError::InUse { .. } => in_use(),
        error => error.into(),
    })?;
    Ok(Tree::done())
}
