//! DescribeSecurityGroupRules: rules of all groups, by id and filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html>

use compute::resource::Tags;

use super::super::filters::Filters;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::permissions::{rule, rule_id};
use super::refusals;
use super::rules::check_rule_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let ids = parameters.list("SecurityGroupRuleId")?;
    ids.iter().try_for_each(|id| check_rule_id(id))?;
    let filters = Filters::read(parameters, FILTERS)?;
    let paging = Paging::read(parameters, !ids.is_empty())?;
    let groups = call.compute().security_groups(call.account(), None, usize::MAX, |_| true).await?.items;
    let all = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let mut all: Vec<_> = all.map(|(group, rule)| (rule_id(group, rule), group, rule)).collect();
    if let Some(id) = ids.iter().find(|id| !all.iter().any(|(known, ..)| known == *id)) {
        return Err(refusals::no_rule(id));
    }
    // Rules have no tags of their own.
    let no_tags = Tags::default();
    all.retain(|(id, group, _)| {
        let field = |name: &str| match name {
            "group-id" => vec![group.id.to_string()],
            "security-group-rule-id" => vec![id.clone()],
            _ => Vec::new(),
        };
        (ids.is_empty() || ids.contains(id)) && filters.pass(&no_tags, field)
    });
    all.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let (page, more) = paging.cut(all, |(id, ..)| id.clone());
    let views = page.iter().map(|(_, group, one)| rule(call, group, one));
    Ok(next(Tree::new().list("securityGroupRuleSet", views), more.as_deref()))
}

const FILTERS: &[&str] = &["group-id", "security-group-rule-id"];
