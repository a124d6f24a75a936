//! Security groups and their rules.

use compute::compute::{ComputeError, NewSecurityGroup};
use compute::id::SecurityGroupId;
use compute::resource::{SecurityGroup, SecurityRule};
use native_api::{
    self as api, CreateSecurityGroup, ErrorBody, NetworkQuery, Page, Rename, SetTags, UpdateSecurityRules,
};

use super::Call;
use super::answer::{Answer, created, done, ok};
use super::convert::{self, has_tags, id, is_named};
use super::errors::OrRefuse;
use super::request::{after, page_size, token};
use super::snapshots::{renamed, tagged};

fn rules(call: &Call<'_>, rules: &[api::SecurityRule]) -> Result<Vec<SecurityRule>, ComputeError> {
    rules.iter().map(|rule| convert::new_rule(rule, call.account())).collect()
}

/// CreateSecurityGroup, with its rules at once.
pub async fn create(call: &Call<'_>, request: CreateSecurityGroup) -> Result<Answer, ErrorBody> {
    let new = NewSecurityGroup {
        name: request.name.into(),
        description: convert::words(request.description),
        vpc: request.vpc.as_ref().map(id),
        rules: Some(rules(call, &request.rules).or_refuse()?),
        tags: convert::new_tags(&request.tags),
    };
    created(&convert::security_group(
        call.compute().create_security_group(call.account(), &new).await.or_refuse()?,
    ))
}

/// ListSecurityGroups.
pub async fn list(call: &Call<'_>, query: NetworkQuery) -> Result<Answer, ErrorBody> {
    let vpc = query.vpc.as_ref().map(id);
    let wanted = |group: &SecurityGroup| {
        vpc.is_none_or(|vpc| group.vpc == vpc)
            && is_named(&group.name, query.name.as_ref())
            && has_tags(&group.tags, &query.tag)
    };
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed =
        call.compute().security_groups(call.account(), after.as_deref(), size, wanted).await.or_refuse()?;
    let items: Vec<_> = listed.items.into_iter().map(convert::security_group).collect();
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetSecurityGroup.
pub async fn get(call: &Call<'_>, id: SecurityGroupId) -> Result<Answer, ErrorBody> {
    ok(&convert::security_group(call.compute().security_group(call.account(), id).await.or_refuse()?))
}

/// UpdateSecurityGroup.
pub async fn update(call: &Call<'_>, id: SecurityGroupId, request: Rename) -> Result<Answer, ErrorBody> {
    let changed = call.compute().change_security_group(call.account(), id, &renamed(request)).await;
    ok(&convert::security_group(changed.or_refuse()?))
}

/// SetSecurityGroupTags.
pub async fn set_tags(call: &Call<'_>, id: SecurityGroupId, request: SetTags) -> Result<Answer, ErrorBody> {
    let changed = call.compute().change_security_group(call.account(), id, &tagged(&request)).await;
    ok(&convert::security_group(changed.or_refuse()?))
}

/// UpdateSecurityGroupRules, all at once.
pub async fn update_rules(
    call: &Call<'_>,
    id: SecurityGroupId,
    request: UpdateSecurityRules,
) -> Result<Answer, ErrorBody> {
    let (add, remove) = (rules(call, &request.add).or_refuse()?, rules(call, &request.remove).or_refuse()?);
    let changed = call.compute().set_rules(call.account(), id, &add, &remove).await;
    ok(&convert::security_group(changed.or_refuse()?))
}

/// GetSecurityGroupCounts. The host looks at all of its rules for it, so that one caller may not ask too often at once.
pub async fn counts(call: &Call<'_>, id: SecurityGroupId) -> Result<Answer, ErrorBody> {
    let _place = call.stream()?;
    let (group, counts) = call.compute().group_counts(call.account(), id).await.or_refuse()?;
    ok(&convert::counts(group, counts))
}

/// DeleteSecurityGroup.
pub async fn delete(call: &Call<'_>, id: SecurityGroupId) -> Result<Answer, ErrorBody> {
    call.compute().delete_security_group(call.account(), id).await.or_refuse()?;
    done()
}
