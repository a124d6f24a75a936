//! A public address (EC2's Elastic IP address): by which parameters requests name one, and what is shown of it. Addresses that
//! came with an instance and go with it are none of these.

use std::net::Ipv4Addr;

use compute::id::{AddressId, InterfaceId};
use compute::resource::{Address, Interface};

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::refusals;
use super::words::{derived, required_id};

/// The addresses that an account has allocated.
pub async fn all(call: &Call<'_>) -> Result<Vec<Address>, Refusal> {
    let is_allocated = |address: &Address| !address.release_with_interface;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let listed =
            call.compute().addresses(call.account(), after.as_deref(), usize::MAX, is_allocated).await?;
        all.extend(listed.items);
        after = listed.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// The address that a request names, by its id or by itself.
pub async fn named(call: &Call<'_>) -> Result<Address, Refusal> {
    let parameters = call.parameters;
    match (parameters.get("AllocationId"), parameters.get("PublicIp")) {
        (Some(_), Some(_)) => Err(refusals::combination("AllocationId", "PublicIp")),
        (None, None) => Err(Refusal::missing("AllocationId")),
        (Some(_), None) => {
            let id: AddressId = required_id(parameters, "AllocationId")?;
            let found = call.compute().address(call.account(), id).await?;
            // One that came with an instance has no allocation.
            (!found.release_with_interface)
                .then_some(found)
                .ok_or_else(|| Refusal::no_such("public address", &id.to_string()))
        }
        (None, Some(text)) => by_itself(call, text).await,
    }
}

/// An address by itself.
pub async fn by_itself(call: &Call<'_>, text: &str) -> Result<Address, Refusal> {
    let address = read(text)?;
    let found = all(call).await?.into_iter().find(|known| known.address == address);
    found.ok_or_else(|| {
        Refusal::new(400, "AuthFailure", format!("The address '{address}' does not belong to you."))
    })
}

/// An address that a request names.
pub fn read(text: &str) -> Result<Ipv4Addr, Refusal> {
    text.parse().map_err(|_| refusals::parameter("publicIp", text, "Invalid IPv4 address."))
}

/// What tells that an address leads to an interface: another one as soon as it leads elsewhere.
pub fn association(address: &Address) -> Option<String> {
    let interface: InterfaceId = address.interface?;
    Some(derived("eipassoc", &format!("{} {interface}", address.id)))
}

/// What is shown of an address.
pub fn view(call: &Call<'_>, address: &Address, interface: Option<&Interface>) -> Tree {
    let instance = interface.and_then(|interface| interface.instance);
    let leads = interface.map(|interface| {
        Tree::new()
            .text_if("associationId", association(address))
            .text("networkInterfaceId", interface.id)
            .text("networkInterfaceOwnerId", &interface.account)
            .text("privateIpAddress", interface.address)
    });
    Tree::new()
        .text("publicIp", address.address)
        .text("allocationId", address.id)
        .text("domain", "vpc")
        .text_if("instanceId", instance)
        .and(leads.unwrap_or_default())
        .and(tags::set(Tree::new(), &address.tags))
        .text("publicIpv4Pool", "amazon")
        .text("networkBorderGroup", call.region())
}
