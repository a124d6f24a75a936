//! DescribeSecurityGroups: groups by id, name and filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>

use std::collections::HashMap;

use compute::id::SecurityGroupId;
use compute::resource::{Direction, Peer, SecurityGroup, SecurityRule};

use super::super::filters::Filters;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::permissions::filtered;
use super::security_group::view;
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let (ids, names) = (ids::<SecurityGroupId>(parameters, "GroupId")?, parameters.list("GroupName")?);
    let filters = Filters::read(parameters, FILTERS)?;
    let paging = Paging::read(parameters, !(ids.is_empty() && names.is_empty()))?;
    for id in &ids {
        call.compute().security_group(call.account(), *id).await?;
    }
    // A name means the group in the default VPC; others are found by a filter.
    let mut wanted_ids = ids.clone();
    for name in &names {
        wanted_ids.push(call.compute().security_group_named(call.account(), None, name).await?.id);
    }
    let known = group_names(call).await?;
    let wanted = |group: &SecurityGroup| {
        let is_asked = wanted_ids.is_empty() || wanted_ids.contains(&group.id);
        is_asked && filters.pass(&group.tags, |name| fields(group, &known, name))
    };
    let listed =
        call.compute().security_groups(call.account(), paging.after.as_deref(), paging.size, wanted).await?;
    let groups = listed.items.iter().map(|group| view(call, group));
    Ok(next(Tree::new().list("securityGroupInfo", groups), listed.next.as_deref()))
}

/// The names of an account's groups.
async fn group_names(call: &Call<'_>) -> Result<HashMap<SecurityGroupId, String>, Refusal> {
    let all = call.compute().security_groups(call.account(), None, usize::MAX, |_| true).await?;
    Ok(all.items.into_iter().map(|group| (group.id, group.name)).collect())
}

/// What can be filtered by besides tags.
const FILTERS: &[&str] = &[
    "description",
    "egress.ip-permission.cidr",
    "egress.ip-permission.from-port",
    "egress.ip-permission.group-id",
    "egress.ip-permission.group-name",
    "egress.ip-permission.ipv6-cidr",
    "egress.ip-permission.prefix-list-id",
    "egress.ip-permission.protocol",
    "egress.ip-permission.to-port",
    "egress.ip-permission.user-id",
    "group-id",
    "group-name",
    "ip-permission.cidr",
    "ip-permission.from-port",
    "ip-permission.group-id",
    "ip-permission.group-name",
    "ip-permission.ipv6-cidr",
    "ip-permission.prefix-list-id",
    "ip-permission.protocol",
    "ip-permission.to-port",
    "ip-permission.user-id",
    "owner-id",
    "vpc-id",
];

fn fields(group: &SecurityGroup, known: &HashMap<SecurityGroupId, String>, name: &str) -> Vec<String> {
    let of_rules = |direction, field: &str| {
        let rules = group.rules.iter().filter(|rule| rule.direction == direction);
        rules.filter_map(|rule| field_of(rule, known, field)).collect()
    };
    match name {
        "description" => vec![group.description.clone()],
        "group-id" => vec![group.id.to_string()],
        "group-name" => vec![group.name.clone()],
        "owner-id" => vec![group.account.clone()],
        "vpc-id" => vec![group.vpc.to_string()],
        name => match (name.strip_prefix("egress.ip-permission."), name.strip_prefix("ip-permission.")) {
            (Some(field), _) => of_rules(Direction::Egress, field),
            (None, Some(field)) => of_rules(Direction::Ingress, field),
            (None, None) => Vec::new(),
        },
    }
}

fn field_of(rule: &SecurityRule, known: &HashMap<SecurityGroupId, String>, field: &str) -> Option<String> {
    match (field, &rule.peer) {
        ("group-name", Peer::Group { group, .. }) => known.get(group).cloned(),
        _ => filtered(rule, field),
    }
}
