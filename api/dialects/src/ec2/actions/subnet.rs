//! A subnet: what is shown of it, and what it is filtered by.

use compute::resource::Subnet;

use super::super::access::resource;
use super::super::xml::Tree;
use super::super::{Call, tags};
use super::words::zone_id;

/// What is shown of a subnet.
pub fn view(call: &Call<'_>, subnet: &Subnet) -> Tree {
    let names = Tree::new()
        .text("hostnameType", "ip-name")
        .text("enableResourceNameDnsARecord", false)
        .text("enableResourceNameDnsAAAARecord", false);
    Tree::new()
        .text("subnetId", subnet.id)
        .text("subnetArn", resource(call, "subnet", &subnet.id.to_string()))
        .text("state", "available")
        .text("ownerId", &subnet.account)
        .text("vpcId", subnet.vpc)
        .text("cidrBlock", subnet.cidr)
        .list("ipv6CidrBlockAssociationSet", [])
        .text("availableIpAddressCount", available(call, subnet))
        .text("availabilityZone", &subnet.zone)
        .text("availabilityZoneId", zone_id(call, &subnet.zone))
        .text("defaultForAz", subnet.is_default)
        .text("mapPublicIpOnLaunch", maps_public(call, subnet))
        .text("mapCustomerOwnedIpOnLaunch", false)
        .text("assignIpv6AddressOnCreation", false)
        .tree("privateDnsNameOptionsOnLaunch", names)
        .and(tags::set(Tree::new(), &subnet.tags))
        .text("ipv6Native", false)
        .text("enableDns64", false)
}

/// Whether what is launched in it gets a public address unless it is to have none: in a default subnet, where there are some.
pub fn maps_public(call: &Call<'_>, subnet: &Subnet) -> bool {
    subnet.is_default && !call.compute().config().public_addresses.is_empty()
}

/// How many addresses it has left.
fn available(call: &Call<'_>, subnet: &Subnet) -> u64 {
    let all = subnet.assignable();
    let all = u64::from(all.end.saturating_sub(all.start));
    all.saturating_sub(call.compute().taken_addresses(subnet))
}

/// What subnets can be filtered by besides tags.
pub const FILTERS: &[&str] = &[
    "availability-zone",
    "availability-zone-id",
    "availabilityZone",
    "availabilityZoneId",
    "available-ip-address-count",
    "cidr",
    "cidr-block",
    "cidrBlock",
    "customer-owned-ipv4-pool",
    "default-for-az",
    "defaultForAz",
    "enable-dns64",
    "enable-lni-at-device-index",
    "ipv6-cidr-block-association.association-id",
    "ipv6-cidr-block-association.ipv6-cidr-block",
    "ipv6-cidr-block-association.state",
    "ipv6-native",
    "map-customer-owned-ip-on-launch",
    "map-public-ip-on-launch",
    "outpost-arn",
    "owner-id",
    "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
    "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
    "private-dns-name-options-on-launch.hostname-type",
    "state",
    "subnet-arn",
    "subnet-id",
    "vpc-id",
];

/// What a subnet has by the name of a filter.
pub fn fields(call: &Call<'_>, subnet: &Subnet, name: &str) -> Vec<String> {
    match name {
        "availability-zone" | "availabilityZone" => vec![subnet.zone.clone()],
        "availability-zone-id" | "availabilityZoneId" => vec![zone_id(call, &subnet.zone)],
        "available-ip-address-count" => vec![available(call, subnet).to_string()],
        "cidr" | "cidr-block" | "cidrBlock" => vec![subnet.cidr.to_string()],
        "default-for-az" | "defaultForAz" => vec![subnet.is_default.to_string()],
        "map-public-ip-on-launch" => vec![maps_public(call, subnet).to_string()],
        "owner-id" => vec![subnet.account.clone()],
        "private-dns-name-options-on-launch.hostname-type" => vec!["ip-name".to_owned()],
        "state" => vec!["available".to_owned()],
        "subnet-arn" => vec![resource(call, "subnet", &subnet.id.to_string())],
        "subnet-id" => vec![subnet.id.to_string()],
        "vpc-id" => vec![subnet.vpc.to_string()],
        "enable-dns64"
        | "ipv6-native"
        | "map-customer-owned-ip-on-launch"
        | "private-dns-name-options-on-launch.enable-resource-name-dns-a-record"
        | "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record" => {
            vec!["false".to_owned()]
        }
        _ => Vec::new(),
    }
}
