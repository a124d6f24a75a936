//! CreateNetworkInterface: an interface in a subnet that no instance has yet.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkInterface.html>

use compute::compute::{ComputeError, NewInterface};
use compute::id::SubnetId;

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::interface::{Known, asked_address, view};
use super::refusals;
use super::words::{ids, refuse, required_id};

/// What asks for more addresses than the one that an interface here has, or for another kind of interface.
const UNSUPPORTED: &[&str] = &[
    "InterfaceType",
    "Ipv4PrefixCount",
    "Ipv6AddressCount",
    "Ipv6PrefixCount",
    "SecondaryPrivateIpAddressCount",
];
/// The same in lists.
const UNSUPPORTED_LISTS: &[&str] = &["Ipv4Prefix", "Ipv6Addresses", "Ipv6Prefix"];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    refuse(parameters, UNSUPPORTED)?;
    for name in UNSUPPORTED_LISTS {
        if !parameters.groups(name)?.is_empty() {
            return Err(Refusal::unsupported(name));
        }
    }
    let subnet: SubnetId = required_id(parameters, "SubnetId")?;
    let security_groups = ids(parameters, "SecurityGroupId")?;
    let new = NewInterface {
        subnet,
        address: asked_address(parameters)?,
        security_groups,
        name: String::new(),
        description: parameters.get("Description").unwrap_or_default().to_owned(),
        tags: tags::specified(parameters, "network-interface", &["network-interface"])?,
        token: call.token("ec2/CreateNetworkInterface")?,
    };
    for group in &new.security_groups {
        call.compute().security_group(call.account(), *group).await?;
    }
    call.compute().subnet(call.account(), subnet).await?;
    let made = call.compute().create_interface(call.account(), &new).await;
    let made = made.map_err(|error| match error {
        ComputeError::Address { taken: true, .. } => {
            Refusal::new(400, "InvalidIPAddress.InUse", "The specified address is already in use.")
        }
        ComputeError::Address { why, taken: false } if new.address.is_some() => {
            refusals::value(why)
        }
        ComputeError::Address { .. } => {
            let why = format!("There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances.");
            Refusal::new(400, "InsufficientFreeAddressesInSubnet", why)
        }
        ComputeError::Invalid { parameter: "security_groups", .. } => {
            refusals::different_networks()
        }
        ComputeError::Limit { .. } => {
            let why = "The maximum number of network interfaces has been reached.";
            Refusal::new(400, "NetworkInterfaceLimitExceeded", why)
        }
        error => error.into(),
    })?;
    let known = Known::of(call).await?;
    Ok(Tree::new()
        .tree("networkInterface", view(call, &made, &known))
        .text_if("clientToken", parameters.get("ClientToken")))
}
