//! A security group: by which parameters requests name one, and what is shown of it.

use std::net::Ipv4Addr;

use compute::compute::ComputeError;
use compute::id::SecurityGroupId;
use compute::resource::{Direction, SecurityGroup};
use ipnet::Ipv4Net;

use super::super::access::resource;
use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::permissions::permissions;
use super::refusals;

/// The group that a request names, by its id or by its name in the default VPC.
pub async fn named(call: &Call<'_>) -> Result<SecurityGroup, Refusal> {
    let parameters = call.parameters;
    let (id, name) = (parameters.get("GroupId"), parameters.get("GroupName"));
    let found = match (id, name) {
        (Some(_), Some(_)) => return Err(refusals::combination("GroupId", "GroupName")),
        (Some(id), None) => call.compute().security_group(call.account(), SecurityGroupId::read(id)?).await,
        (None, Some(name)) => call.compute().security_group_named(call.account(), None, name).await,
        (None, None) => return Err(Refusal::missing("GroupId")),
    };
    found.map_err(|error| match error {
        ComputeError::NotFound { .. } => Refusal::no_such("security group", id.or(name).unwrap_or_default()),
        error => error.into(),
    })
}

/// A network; bits behind its mask are dropped, as EC2 does.
pub fn network(text: &str) -> Result<Ipv4Net, Refusal> {
    let malformed = || {
        let text: String = text.chars().take(40).collect();
        refusals::value(format!("CIDR block {text} is malformed"))
    };
    let (address, bits) = text.split_once('/').ok_or_else(malformed)?;
    let address: Ipv4Addr = address.parse().map_err(|_| malformed())?;
    let bits: u8 = bits.parse().map_err(|_| malformed())?;
    Ok(Ipv4Net::new(address, bits).map_err(|_| malformed())?.trunc())
}

/// What is shown of a group.
pub fn view(call: &Call<'_>, group: &SecurityGroup) -> Tree {
    let of = |direction| permissions(group.rules.iter().filter(move |rule| rule.direction == direction));
    Tree::new()
        .text("ownerId", &group.account)
        .text("groupName", &group.name)
        .text("groupDescription", &group.description)
        .text("groupId", group.id)
        .list("ipPermissions", of(Direction::Ingress))
        .list("ipPermissionsEgress", of(Direction::Egress))
        .text("vpcId", group.vpc)
        .text("securityGroupArn", resource(call, "security-group", &group.id.to_string()))
        .and(tags::set(Tree::new(), &group.tags))
}
