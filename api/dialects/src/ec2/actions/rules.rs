//! Rules that are added to groups and taken away.

use compute::compute::ComputeError;
use compute::id::SecurityGroupId;
use compute::resource::{Direction, SecurityGroup, SecurityRule};

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::permissions::{
    description, is_same, named, permissions, replacement, revoked, rule, rule_id, said,
};
use super::refusals;
use super::security_group;
use super::words::{drawn, required_id};

/// Adds the rules that a request names to the group that it names: all of them, or none.
pub async fn authorize(call: &Call<'_>, direction: Direction) -> Result<Tree, Refusal> {
    let group = security_group::named(call).await?;
    if !call.parameters.groups("TagSpecification")?.is_empty() {
        // Rules have no tags here, and nobody is told that they got some.
        return Err(Refusal::unsupported("TagSpecification"));
    }
    let mut rules = named(call, &group, direction).await?;
    rules.iter_mut().for_each(|rule| rule.id = Some(drawn("sgr")));
    let changed = call.compute().change_rules(call.account(), group.id, &rules, &[]).await;
    changed.map_err(|error| refused(error, &rules))?;
    Ok(Tree::done().list("securityGroupRuleSet", rules.iter().map(|added| rule(call, &group, added))))
}

/// Takes the rules that a request names from the group that it names. In a default VPC those that are not there are told; in
/// another none is taken then.
pub async fn revoke(call: &Call<'_>, direction: Direction) -> Result<Tree, Refusal> {
    let group = security_group::named(call).await?;
    let ids = call.parameters.list("SecurityGroupRuleId")?;
    let (found, unknown) = match ids.is_empty() {
        true => by_what_they_say(call, &group, direction).await?,
        false if !call.parameters.groups("IpPermissions")?.is_empty() => {
            return Err(refusals::combination("SecurityGroupRuleIds", "IpPermissions"));
        }
        false => (by_id(&group, direction, &ids)?, Vec::new()),
    };
    if !found.is_empty() {
        let changed = call.compute().change_rules(call.account(), group.id, &[], &found).await;
        changed.map_err(|error| refused(error, &found))?;
    }
    Ok(Tree::done()
        .list("unknownIpPermissionSet", permissions(&unknown))
        .list("revokedSecurityGroupRuleSet", found.iter().map(|rule| revoked(&group, rule))))
}

/// Says of rules that are there what a request says of them, by id or by what they let through: of all of them, or of none.
pub async fn describe(call: &Call<'_>, direction: Direction) -> Result<Tree, Refusal> {
    let group = security_group::named(call).await?;
    let by_id = call.parameters.groups("SecurityGroupRuleDescription")?;
    let mut changes = Vec::new();
    if by_id.is_empty() {
        for wanted in named(call, &group, direction).await? {
            let known = group.rules.iter().find(|rule| is_same(rule, &wanted));
            let known = known.ok_or_else(refusals::no_permission)?;
            let SecurityRule { description, .. } = wanted;
            changes.push((known.clone(), SecurityRule { description, ..known.clone() }));
        }
    } else if !call.parameters.groups("IpPermissions")?.is_empty() {
        return Err(refusals::combination("SecurityGroupRuleDescriptions", "IpPermissions"));
    }
    for one in &by_id {
        let id = one.required("SecurityGroupRuleId")?.to_owned();
        let rule = self::by_id(&group, direction, &[id])?.remove(0);
        changes.push((rule.clone(), SecurityRule { description: description(one)?, ..rule }));
    }
    replace(call, &group, &changes).await
}

/// Lets rules that are there say something else, by their ids, which they keep: all of them, or none.
pub async fn modify(call: &Call<'_>) -> Result<Tree, Refusal> {
    let group: SecurityGroupId = required_id(call.parameters, "GroupId")?;
    let group = call.compute().security_group(call.account(), group).await?;
    let listed = call.parameters.groups("SecurityGroupRule")?;
    if listed.is_empty() {
        return Err(Refusal::missing("SecurityGroupRule"));
    }
    let mut changes: Vec<(SecurityRule, SecurityRule)> = Vec::new();
    for one in &listed {
        let id = one.required("SecurityGroupRuleId")?;
        check_rule_id(id)?;
        let known = group.rules.iter().find(|rule| rule_id(&group, rule) == id);
        let known = known.ok_or_else(|| refusals::no_rule(id))?;
        if changes.iter().any(|(before, _)| before == known) {
            return Err(refusals::value("The same security group rule must not appear multiple times"));
        }
        let said = one.group("SecurityGroupRule");
        if said.is_empty() {
            return Err(one.missing("SecurityGroupRule"));
        }
        let after = replacement(call, &group, known.direction, &said).await?;
        changes.push((known.clone(), SecurityRule { id: Some(id.to_owned()), ..after }));
    }
    replace(call, &group, &changes).await
}

async fn replace(
    call: &Call<'_>,
    group: &SecurityGroup,
    changes: &[(SecurityRule, SecurityRule)],
) -> Result<Tree, Refusal> {
    let changed = call.compute().replace_rules(call.account(), group.id, changes).await;
    changed.map_err(|error| {
        let after: Vec<SecurityRule> = changes.iter().map(|(_, after)| after.clone()).collect();
        refused(error, &after)
    })?;
    Ok(Tree::done())
}

/// Rules of a group that a request describes, and those that the group does not have.
async fn by_what_they_say(
    call: &Call<'_>,
    group: &SecurityGroup,
    direction: Direction,
) -> Result<(Vec<SecurityRule>, Vec<SecurityRule>), Refusal> {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for wanted in named(call, group, direction).await? {
        match group.rules.iter().find(|rule| is_same(rule, &wanted)) {
            Some(rule) => found.push(rule.clone()),
            None => unknown.push(wanted),
        }
    }
    if !unknown.is_empty() && !call.compute().vpc(call.account(), group.vpc).await?.is_default {
        return Err(refusals::no_permission());
    }
    Ok((found, unknown))
}

fn by_id(group: &SecurityGroup, direction: Direction, ids: &[String]) -> Result<Vec<SecurityRule>, Refusal> {
    let mut found: Vec<SecurityRule> = Vec::new();
    for id in ids {
        check_rule_id(id)?;
        let is_it = |rule: &&SecurityRule| rule.direction == direction && rule_id(group, rule) == *id;
        let rule = group.rules.iter().find(is_it).ok_or_else(|| refusals::no_rule(id))?;
        if !found.contains(rule) {
            found.push(rule.clone());
        }
    }
    Ok(found)
}

/// Refuses what has not the form of a rule's id.
pub fn check_rule_id(id: &str) -> Result<(), Refusal> {
    let digits = id.strip_prefix("sgr-").unwrap_or_default();
    let is_id = [8, 17].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_id {
        true => Ok(()),
        false => Err(refusals::malformed_id("InvalidSecurityGroupRuleId.Malformed", "sgr", id)),
    }
}

/// What the core says of rules, in EC2's words for rules.
fn refused(error: ComputeError, rules: &[SecurityRule]) -> Refusal {
    match error {
        ComputeError::Exists { .. } => {
            let why = match rules {
                [rule] => format!("the specified rule {} already exists", said(rule)),
                _ => "one of the specified rules already exists".to_owned(),
            };
            Refusal::new(400, "InvalidPermission.Duplicate", why)
        }
        ComputeError::NotFound { what: "rule", .. } => refusals::no_permission(),
        ComputeError::Limit { .. } => Refusal::new(
            400,
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        ),
        // All else was looked at before: the group that a rule names is of another network.
        ComputeError::Invalid { .. } => refusals::different_networks(),
        error => error.into(),
    }
}
