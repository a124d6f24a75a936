//! CreateSecurityGroup: a group whose members may send everything, and to whom nothing is let through yet.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createsecuritygroup>

use compute::compute::NewSecurityGroup;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::launch::{description, name};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let new = NewSecurityGroup {
        // The cloud's need no name, the core's do.
        name: name(parameters, "SecurityGroupName")?
            .unwrap_or_else(|| format!("sg-{}", uuid::Uuid::new_v4())),
        description: description(parameters)?.unwrap_or_default(),
        vpc: parameters.get("VpcId").map(CloudId::read).transpose()?,
        rules: None,
        tags: parameters.tags()?,
    };
    let made = call.compute().create_security_group(call.account(), &new).await?;
    Ok(json!({ "SecurityGroupId": made.id.written() }))
}
