//! JoinSecurityGroup: makes an instance a member of a group.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-joinsecuritygroup>

use compute::compute::InterfaceChange;
use compute::id::{InterfaceId, SecurityGroupId};
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::act::named;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (interface, group, mut groups) = membership(call).await?;
    call.compute().security_group(call.account(), group).await?;
    if groups.contains(&group) {
        let why = "The instance is in the specified security group already.";
        return Err(Refusal::new(403, "InvalidInstanceId.AlreadyExists", why));
    }
    groups.push(group);
    set(call, interface, groups).await
}

/// The interface and the group that a request is about, and the groups that the interface has.
pub async fn membership(
    call: &Call<'_>,
) -> Result<(InterfaceId, SecurityGroupId, Vec<SecurityGroupId>), Refusal> {
    if call.parameters.get("NetworkInterfaceId").is_some() {
        return Err(Refusal::unsupported("NetworkInterfaceId"));
    }
    let group = SecurityGroupId::read(call.parameters.required("SecurityGroupId")?)?;
    let instance = named(call).await?;
    let first = instance.interfaces.first().ok_or_else(Refusal::wrong_status)?;
    let groups = call.compute().interface(call.account(), *first).await?.security_groups;
    Ok((*first, group, groups))
}

/// Gives an interface these groups.
pub async fn set(
    call: &Call<'_>,
    interface: InterfaceId,
    groups: Vec<SecurityGroupId>,
) -> Result<Value, Refusal> {
    let change = InterfaceChange { security_groups: Some(groups), ..InterfaceChange::default() };
    call.compute().change_interface(call.account(), interface, &change).await?;
    Ok(json!({}))
}
