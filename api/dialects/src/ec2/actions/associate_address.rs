//! AssociateAddress: lets a public address lead to a network interface, in the place of whichever led there.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html>

use std::net::Ipv4Addr;

use compute::compute::ComputeError;
use compute::id::{InstanceId, InterfaceId};
use compute::resource::Interface;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::address::{association, named};
use super::refusals;
use super::words::id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let address = named(call).await?;
    let interface = interface(call).await?;
    let wanted: Option<Ipv4Addr> = call.parameters.parsed("PrivateIpAddress")?;
    if let Some(private) = wanted.filter(|private| *private != interface.address) {
        let why = format!("The address is none of {}.", interface.id);
        return Err(refusals::parameter("privateIpAddress", &private.to_string(), &why));
    }
    let reassociate = call.parameters.flag("AllowReassociation")?.unwrap_or(true);
    let done = call.compute().replace_address(call.account(), address.id, interface.id, reassociate).await;
    let done = done.map_err(|error| match error {
        ComputeError::InUse { .. } => {
            let by = association(&address).unwrap_or_default();
            let why = format!("resource {} is already associated with associate-id {by}", address.id);
            Refusal::new(400, "Resource.AlreadyAssociated", why)
        }
        error => error.into(),
    })?;
    Ok(Tree::done().text_if("associationId", association(&done)))
}

/// The interface that a request names, or the first of the instance that it names.
async fn interface(call: &Call<'_>) -> Result<Interface, Refusal> {
    let parameters = call.parameters;
    let instance: Option<InstanceId> = id(parameters, "InstanceId")?;
    let interface: Option<InterfaceId> = id(parameters, "NetworkInterfaceId")?;
    let id = match (instance, interface) {
        (Some(_), Some(_)) => return Err(refusals::combination("InstanceId", "NetworkInterfaceId")),
        (None, None) => return Err(Refusal::missing("InstanceId")),
        (None, Some(interface)) => interface,
        (Some(instance), None) => {
            let found = call.compute().instance_view(call.account(), instance).await?;
            let first = found.interfaces.first().map(|(interface, _)| interface.id);
            first.ok_or_else(|| {
                let why = format!("The instance '{instance}' is not in a valid state for this operation.");
                Refusal::new(400, "InvalidInstanceID", why)
            })?
        }
    };
    Ok(call.compute().interface(call.account(), id).await?)
}
