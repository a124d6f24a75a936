//! DescribeEipAddresses: the account's public addresses, in pages. One that came with an instance is not among them.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-describeeipaddresses>

use std::collections::HashMap;

use compute::id::{InstanceId, InterfaceId};
use compute::resource::Address;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::paging::Paging;
use super::super::{Call, Refusal, time};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let (id, text) = (parameters.get("AllocationId"), parameters.list("EipAddress")?);
    parameters
        .choice("Status", &[("Available", ()), ("InUse", ()), ("Associating", ()), ("Unassociating", ())])?;
    let (status, instance) = (parameters.get("Status"), parameters.get("AssociatedInstanceId"));
    let owners = owners(call).await?;
    let owner = |address: &Address| address.interface.and_then(|interface| owners.get(&interface)).copied();
    let mut paging = Paging::read(parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |address: &Address| {
        paging.takes(
            !address.release_with_interface
                && id.is_none_or(|id| address.id.written() == id)
                && text.as_ref().is_none_or(|all| all.contains(&address.address.to_string()))
                && status.is_none_or(|status| status == self::status(address))
                && instance.is_none_or(|id| owner(address).is_some_and(|owner| owner.written() == id)),
        )
    };
    let listed = call.compute().addresses(call.account(), after.as_deref(), size, wanted).await?;
    let addresses: Vec<Value> =
        listed.items.iter().map(|address| view(call, address, owner(address))).collect();
    Ok(paging.told(json!({ "EipAddresses": { "EipAddress": addresses } }), listed.next.as_deref()))
}

/// Which instance has which interface that a public address leads to.
async fn owners(call: &Call<'_>) -> Result<HashMap<InterfaceId, InstanceId>, Refusal> {
    let mut owners = HashMap::new();
    for interface in call.compute().addresses_by_interface(call.account()).await?.into_keys() {
        let found = call.compute().interface(call.account(), interface).await?;
        owners.extend(found.instance.map(|instance| (interface, instance)));
    }
    Ok(owners)
}

fn status(address: &Address) -> &'static str {
    if address.interface.is_some() { "InUse" } else { "Available" }
}

fn view(call: &Call<'_>, address: &Address, owner: Option<InstanceId>) -> Value {
    json!({
        "AllocationId": address.id.written(),
        "IpAddress": address.address.to_string(),
        "Name": address.name,
        "RegionId": call.region(),
        "Status": status(address),
        "InstanceId": owner.map(CloudId::written).unwrap_or_default(),
        "InstanceType": if owner.is_some() { "EcsInstance" } else { "" },
        "Bandwidth": address.bandwidth_mbps.to_string(),
        "InternetChargeType": "PayByTraffic",
        "ChargeType": "PostPaid",
        "AllocationTime": time::seconds(address.created),
        "OperationLocks": { "LockReason": [] },
    })
}
