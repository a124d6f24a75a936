//! DescribeSecurityGroupAttribute: a group with its rules.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describesecuritygroupattribute>

use compute::id::SecurityGroupId;
use compute::resource::Direction;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::security_rules::view;

const DIRECTIONS: &[(&str, Option<Direction>)] =
    &[("all", None), ("ingress", Some(Direction::Ingress)), ("egress", Some(Direction::Egress))];

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = SecurityGroupId::read(call.parameters.required("SecurityGroupId")?)?;
    let only = call.parameters.choice("Direction", DIRECTIONS)?.flatten();
    let group = call.compute().security_group(call.account(), id).await?;
    let wanted = group.rules.iter().filter(|rule| only.is_none_or(|only| rule.direction == only));
    let permissions: Vec<Value> = wanted.map(view).collect();
    Ok(json!({
        "RegionId": call.region(),
        "SecurityGroupId": group.id.written(),
        "SecurityGroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc.written(),
        "InnerAccessPolicy": "Drop",
        "Permissions": { "Permission": permissions },
    }))
}
