//! A VPC: what is shown of it, and what it is filtered by.

use compute::resource::Vpc;

use super::super::tags;
use super::super::xml::Tree;
use super::words::derived;

/// What is shown of a VPC.
pub fn view(vpc: &Vpc) -> Tree {
    let block = Tree::new()
        .text("cidrBlock", vpc.cidr)
        .text("associationId", association(vpc))
        .tree("cidrBlockState", Tree::new().text("state", "associated"));
    Tree::new()
        .text("vpcId", vpc.id)
        .text("ownerId", &vpc.account)
        .text("state", "available")
        .text("cidrBlock", vpc.cidr)
        .list("cidrBlockAssociationSet", [block])
        // None was made: guests are told by DHCP what the host is configured with.
        .text("dhcpOptionsId", "default")
        .and(tags::set(Tree::new(), &vpc.tags))
        .text("instanceTenancy", "default")
        .text("isDefault", vpc.is_default)
}

/// What VPCs can be filtered by besides tags.
pub const FILTERS: &[&str] = &[
    "cidr",
    "cidr-block-association.association-id",
    "cidr-block-association.cidr-block",
    "cidr-block-association.state",
    "dhcp-options-id",
    "ipv6-cidr-block-association.association-id",
    "ipv6-cidr-block-association.ipv6-cidr-block",
    "ipv6-cidr-block-association.ipv6-pool",
    "ipv6-cidr-block-association.state",
    "is-default",
    "isDefault",
    "owner-id",
    "state",
    "vpc-id",
];

/// What a VPC has by the name of a filter.
pub fn fields(vpc: &Vpc, name: &str) -> Vec<String> {
    match name {
        "cidr" | "cidr-block-association.cidr-block" => vec![vpc.cidr.to_string()],
        "cidr-block-association.association-id" => vec![association(vpc)],
        "cidr-block-association.state" => vec!["associated".to_owned()],
        "dhcp-options-id" => vec!["default".to_owned()],
        "is-default" | "isDefault" => vec![vpc.is_default.to_string()],
        "owner-id" => vec![vpc.account.clone()],
        "state" => vec!["available".to_owned()],
        "vpc-id" => vec![vpc.id.to_string()],
        _ => Vec::new(),
    }
}

fn association(vpc: &Vpc) -> String {
    derived("vpc-cidr-assoc", &vpc.id.to_string())
}
