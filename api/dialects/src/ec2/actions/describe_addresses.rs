//! DescribeAddresses: the public addresses that were allocated, by id, by themselves and by filters.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAddresses.html>

use std::collections::HashMap;

use compute::id::{AddressId, InterfaceId};
use compute::resource::{Address, Interface};

use super::super::filters::Filters;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::address::{all, association, read, view};
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let ids: Vec<AddressId> = ids(parameters, "AllocationId")?;
    let publics = parameters.list("PublicIp")?;
    let publics = publics.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    let filters = Filters::read(parameters, FILTERS)?;
    let addresses = all(call).await?;
    if let Some(id) = ids.iter().find(|id| !addresses.iter().any(|known| known.id == **id)) {
        return Err(Refusal::no_such("public address", &id.to_string()));
    }
    if let Some(public) =
        publics.iter().find(|public| !addresses.iter().any(|known| known.address == **public))
    {
        return Err(Refusal::new(400, "InvalidAddress.NotFound", format!("Address '{public}' not found.")));
    }
    let mut interfaces: HashMap<InterfaceId, Interface> = HashMap::new();
    for id in addresses.iter().filter_map(|address| address.interface) {
        // It may go at any moment, and then the address leads nowhere.
        if let Ok(interface) = call.compute().interface(call.account(), id).await {
            interfaces.insert(id, interface);
        }
    }
    let leads_to = |address: &Address| address.interface.and_then(|id| interfaces.get(&id));
    let wanted = addresses.iter().filter(|address| {
        let is_asked = (ids.is_empty() && publics.is_empty())
            || ids.contains(&address.id)
            || publics.contains(&address.address);
        is_asked && filters.pass(&address.tags, |name| fields(call, address, leads_to(address), name))
    });
    Ok(Tree::new().list("addressesSet", wanted.map(|address| view(call, address, leads_to(address)))))
}

const FILTERS: &[&str] = &[
    "allocation-id",
    "association-id",
    "domain",
    "instance-id",
    "network-border-group",
    "network-interface-id",
    "network-interface-owner-id",
    "private-ip-address",
    "public-ip",
];

fn fields(call: &Call<'_>, address: &Address, interface: Option<&Interface>, name: &str) -> Vec<String> {
    let field = match name {
        "allocation-id" => Some(address.id.to_string()),
        "association-id" => association(address),
        "domain" => Some("vpc".to_owned()),
        "instance-id" => interface.and_then(|one| one.instance).map(|id| id.to_string()),
        "network-border-group" => Some(call.region().to_owned()),
        "network-interface-id" => interface.map(|one| one.id.to_string()),
        "network-interface-owner-id" => interface.map(|one| one.account.clone()),
        "private-ip-address" => interface.map(|one| one.address.to_string()),
        "public-ip" => Some(address.address.to_string()),
        _ => None,
    };
    field.into_iter().collect()
}
