//! AllocateAddress: takes a public address of the host's pool, this one or any.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AllocateAddress.html>

use compute::compute::ComputeError;

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::address::read;
use super::refusals;
use super::words::refuse;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    refuse(parameters, &["CustomerOwnedIpv4Pool", "IpamPoolId"])?;
    match parameters.get("Domain") {
        None | Some("vpc") => {}
        Some(domain) => {
            return Err(refusals::parameter("domain", domain, "Only vpc is offered."));
        }
    }
    if let Some(pool) = parameters.get("PublicIpv4Pool")
        && pool != "amazon"
    {
        let why = format!("The pool ID '{pool}' does not exist");
        return Err(Refusal::new(400, "InvalidPublicIpv4PoolID.NotFound", why));
    }
    if let Some(group) = parameters.get("NetworkBorderGroup")
        && group != call.region()
    {
        return Err(refusals::parameter("networkBorderGroup", group, "There is no such group."));
    }
    let wanted = parameters.get("Address").map(read).transpose()?;
    let tags = tags::specified(parameters, "elastic-ip", &["elastic-ip"])?;
    let made = call.compute().allocate_address(call.account(), wanted, "", 0, tags).await;
    let made = made.map_err(|error| match error {
        ComputeError::Address { taken: true, .. } => {
            let why = format!("Address '{}' not found.", parameters.get("Address").unwrap_or_default());
            Refusal::new(400, "InvalidAddress.NotFound", why)
        }
        ComputeError::Address { why, taken: false } => Refusal::new(400, "InsufficientAddressCapacity", why),
        error => error.into(),
    })?;
    Ok(Tree::new()
        .text("publicIp", made.address)
        .text("domain", "vpc")
        .text("allocationId", made.id)
        .text("publicIpv4Pool", "amazon")
        .text("networkBorderGroup", call.region()))
}
