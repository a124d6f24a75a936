//! ReleaseAddress: gives a public address back. In a default VPC it may still lead somewhere.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReleaseAddress.html>

use compute::compute::ComputeError;
use compute::resource::NetworkOf;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::address::named;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let address = named(call).await?;
    let in_use = || {
        let why = format!("Address {} is in use.", address.address);
        Refusal::new(400, "InvalidIPAddress.InUse", why)
    };
    let is_in_default_vpc = match address.interface {
        None => false,
        Some(interface) => match call.compute().interface(call.account(), interface).await?.network {
            NetworkOf::Host => true,
            NetworkOf::Vpc(_) => return Err(in_use()),
        },
    };
    if is_in_default_vpc {
        call.compute().associate_address(call.account(), address.id, None, true).await?;
    }
    call.compute().release_address(call.account(), address.id).await.map_err(|error| match error {
        ComputeError::InUse { .. } => in_use(),
        error => error.into(),
    })?;
    Ok(Tree::done())
}
