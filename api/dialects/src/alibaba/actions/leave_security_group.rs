//! LeaveSecurityGroup: makes an instance a member of a group no longer. One group it always has.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-leavesecuritygroup>

use serde_json::Value;

use super::super::{Call, Refusal};
use super::join_security_group::{membership, set};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (interface, group, mut groups) = membership(call).await?;
    if !groups.contains(&group) {
        let why = "The instance is not in the specified security group.";
        return Err(Refusal::new(403, "InstanceNotInSecurityGroup", why));
    }
    groups.retain(|has| *has != group);
    if groups.is_empty() {
        let why = "The specified instance must be in at least one security group.";
        return Err(Refusal::new(403, "InstanceLastSecurityGroup", why));
    }
    set(call, interface, groups).await
}
