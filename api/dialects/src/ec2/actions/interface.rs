//! A network interface: what is shown of it, and what it is filtered by.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use compute::compute::Compute;
use compute::id::{InterfaceId, SecurityGroupId, SubnetId};
use compute::resource::{Address, Cloud, Interface, SecurityGroup, Subnet};

use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal, tags, time};
use super::words::{derived, zone_id};
use super::{address, refusals};

/// What is shown of interfaces besides their own records: an account's groups, subnets and public addresses.
pub struct Known {
    groups: HashMap<SecurityGroupId, SecurityGroup>,
    subnets: HashMap<SubnetId, Subnet>,
    publics: HashMap<InterfaceId, Address>,
}

impl Known {
    /// Reads them.
    pub async fn of(call: &Call<'_>) -> Result<Self, Refusal> {
        let compute: &Compute = call.compute();
        let groups = compute.security_groups(call.account(), None, usize::MAX, |_| true).await?.items;
        let subnets = compute.subnets(call.account(), None, usize::MAX, |_| true).await?.items;
        Ok(Self {
            groups: groups.into_iter().map(|group| (group.id, group)).collect(),
            subnets: subnets.into_iter().map(|subnet| (subnet.id, subnet)).collect(),
            publics: compute.addresses_by_interface(call.account()).await?,
        })
    }

    /// The name of a group.
    pub fn group_name(&self, id: SecurityGroupId) -> &str {
        self.groups.get(&id).map_or("", |group| group.name.as_str())
    }

    fn zone(&self, interface: &Interface) -> &str {
        self.subnets.get(&interface.subnet).map_or("", |subnet| subnet.zone.as_str())
    }
}

/// What tells that an instance has an interface: another one as soon as another has it.
pub fn attachment(interface: &Interface) -> Option<String> {
    let instance = interface.instance?;
    Some(derived("eni-attach", &format!("{} {instance}", interface.id)))
}

/// A MAC address as it is written.
pub fn mac(interface: &Interface) -> String {
    interface.mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// What is shown of an interface.
pub fn view(call: &Call<'_>, interface: &Interface, known: &Known) -> Tree {
    let domains = &call.compute().config().domains;
    let private_name = domains.of_private(Cloud::Ec2, interface.address);
    let groups = interface
        .security_groups
        .iter()
        .map(|id| Tree::new().text("groupId", id).text("groupName", known.group_name(*id)));
    let attached = interface.instance.map(|instance| {
        Tree::new()
            .text_if("attachmentId", attachment(interface))
            .text("instanceId", instance)
            .text("instanceOwnerId", &interface.account)
            .text("deviceIndex", interface.index)
            .text("networkCardIndex", 0)
            .text("status", "attached")
            .text("attachTime", time::written(interface.created))
            .text("deleteOnTermination", interface.delete_with_instance)
    });
    let public = known.publics.get(&interface.id);
    let leads_here = public.map(|public| {
        let allocated = (!public.release_with_interface).then_some(public);
        Tree::new()
            .text("publicIp", public.address)
            .text("publicDnsName", domains.of_public(public.address))
            .text("ipOwnerId", owner(public))
            .text_if("allocationId", allocated.map(|public| public.id))
            .text_if("associationId", allocated.and_then(address::association))
    });
    let address = Tree::new()
        .text("privateIpAddress", interface.address)
        .text("privateDnsName", &private_name)
        .text("primary", true)
        .tree_if("association", leads_here.clone());
    let zone = known.zone(interface);
    Tree::new()
        .text("networkInterfaceId", interface.id)
        .text("subnetId", interface.subnet)
        .text("vpcId", interface.vpc)
        .text("availabilityZone", zone)
        .text("availabilityZoneId", zone_id(call, zone))
        .text("description", &interface.description)
        .text("ownerId", &interface.account)
        .text("requesterManaged", false)
        .text("status", status(interface))
        .text("macAddress", mac(interface))
        .text("privateIpAddress", interface.address)
        .text("privateDnsName", private_name)
        .text_if("publicDnsName", public.map(|public| domains.of_public(public.address)))
        .text("sourceDestCheck", true)
        .list("groupSet", groups)
        .tree_if("attachment", attached)
        .tree_if("association", leads_here)
        .and(tags::set(Tree::new(), &interface.tags))
        .list("privateIpAddressesSet", [address])
        .list("ipv6AddressesSet", [])
        .text("interfaceType", "interface")
}

fn status(interface: &Interface) -> &'static str {
    if interface.instance.is_some() { "in-use" } else { "available" }
}

/// Whose a public address is; one that came with the instance is nobody's of the account.
pub fn owner(public: &Address) -> &str {
    if public.release_with_interface { "amazon" } else { &public.account }
}

/// The address that it is to have: said alone, or as the primary one of a list.
pub fn asked_address(parameters: &Parameters) -> Result<Option<Ipv4Addr>, Refusal> {
    let alone = parameters.parsed("PrivateIpAddress")?;
    let listed = parameters.groups("PrivateIpAddresses")?;
    if listed.is_empty() {
        return Ok(alone);
    }
    if alone.is_some() {
        return Err(refusals::combination("PrivateIpAddress", "PrivateIpAddresses"));
    }
    let mut primary = None;
    for one in &listed {
        if one.flag("Primary")? != Some(true) || primary.is_some() {
            return Err(Refusal::unsupported(&one.full("PrivateIpAddress")));
        }
        primary = one.parsed("PrivateIpAddress")?;
    }
    Ok(primary)
}

/// What interfaces can be filtered by besides tags.
pub const FILTERS: &[&str] = &[
    "addresses.association.owner-id",
    "addresses.association.public-ip",
    "addresses.primary",
    "addresses.private-ip-address",
    "association.allocation-id",
    "association.association-id",
    "association.ip-owner-id",
    "association.public-dns-name",
    "association.public-ip",
    "attachment.attach-time",
    "attachment.attachment-id",
    "attachment.delete-on-termination",
    "attachment.device-index",
    "attachment.instance-id",
    "attachment.instance-owner-id",
    "attachment.status",
    "availability-zone",
    "availability-zone-id",
    "description",
    "group-id",
    "group-name",
    "interface-type",
    "ipv6-addresses.ipv6-address",
    "mac-address",
    "network-interface-id",
    "operator.managed",
    "operator.principal",
    "owner-id",
    "private-dns-name",
    "private-ip-address",
    "requester-id",
    "requester-managed",
    "source-dest-check",
    "status",
    "subnet-id",
    "vpc-id",
];

/// What an interface has by the name of a filter.
pub fn fields(call: &Call<'_>, interface: &Interface, known: &Known, name: &str) -> Vec<String> {
    let domains = &call.compute().config().domains;
    let public = known.publics.get(&interface.id);
    let allocated = public.filter(|public| !public.release_with_interface);
    let attached = interface.instance;
    let field = match name {
        "group-id" => return interface.security_groups.iter().map(ToString::to_string).collect(),
        "group-name" => {
            return interface.security_groups.iter().map(|id| known.group_name(*id).to_owned()).collect();
        }
        "addresses.association.owner-id" | "association.ip-owner-id" => {
            public.map(|public| owner(public).to_owned())
        }
        "addresses.association.public-ip" | "association.public-ip" => {
            public.map(|public| public.address.to_string())
        }
        "association.public-dns-name" => public.map(|public| domains.of_public(public.address)),
        "association.allocation-id" => allocated.map(|public| public.id.to_string()),
        "association.association-id" => allocated.and_then(address::association),
        "addresses.primary" | "source-dest-check" => Some("true".to_owned()),
        "addresses.private-ip-address" | "private-ip-address" => Some(interface.address.to_string()),
        "attachment.attach-time" => attached.map(|_| time::written(interface.created)),
        "attachment.attachment-id" => attachment(interface),
        "attachment.delete-on-termination" => attached.map(|_| interface.delete_with_instance.to_string()),
        "attachment.device-index" => attached.map(|_| interface.index.to_string()),
        "attachment.instance-id" => attached.map(|id| id.to_string()),
        "attachment.instance-owner-id" => attached.map(|_| interface.account.clone()),
        "attachment.status" => attached.map(|_| "attached".to_owned()),
        "availability-zone" => Some(known.zone(interface).to_owned()),
        "availability-zone-id" => Some(zone_id(call, known.zone(interface))),
        "description" => Some(interface.description.clone()),
        "interface-type" => Some("interface".to_owned()),
        "mac-address" => Some(mac(interface)),
        "network-interface-id" => Some(interface.id.to_string()),
        "operator.managed" | "requester-managed" => Some("false".to_owned()),
        "owner-id" => Some(interface.account.clone()),
        "private-dns-name" => Some(domains.of_private(Cloud::Ec2, interface.address)),
        "status" => Some(status(interface).to_owned()),
        "subnet-id" => Some(interface.subnet.to_string()),
        "vpc-id" => Some(interface.vpc.to_string()),
        _ => None,
    };
    field.into_iter().collect()
}
