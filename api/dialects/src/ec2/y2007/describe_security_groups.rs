//! DescribeSecurityGroups: groups of the caller's with what they let in, all or those that are named.

use std::collections::HashMap;

use compute::id::SecurityGroupId;
use compute::resource::{Peer, SecurityGroup};

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::{group, permissions};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let names = call.parameters.list("GroupName")?;
    for name in &names {
        group::named(call, name).await?;
    }
    let (compute, account) = (call.compute(), call.account());
    let vpc = compute.default_subnet(account).await?.vpc;
    let wanted =
        |group: &SecurityGroup| group.vpc == vpc && (names.is_empty() || names.contains(&group.name));
    let groups = compute.security_groups(account, None, usize::MAX, wanted).await?.items;
    let peers = peers(call, &groups).await?;
    let view = |group: &SecurityGroup| {
        Tree::new()
            .text("ownerId", &group.account)
            .text("groupName", &group.name)
            .text("groupDescription", &group.description)
            .list("ipPermissions", permissions::told(&group.rules, &peers))
    };
    Ok(Tree::new().list("securityGroupInfo", groups.iter().map(view)))
}

/// The names of groups that rules name, of whichever account they are.
async fn peers(
    call: &Call<'_>,
    groups: &[SecurityGroup],
) -> Result<HashMap<SecurityGroupId, String>, Refusal> {
    let mut names = HashMap::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        let Peer::Group { account, group } = &rule.peer else { continue };
        if !names.contains_key(group) {
            names.insert(*group, call.compute().security_group(account, *group).await?.name);
        }
    }
    Ok(names)
}
