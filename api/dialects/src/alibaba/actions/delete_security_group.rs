//! DeleteSecurityGroup: deletes a group that has no members and that no other group's rule names.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deletesecuritygroup>

use compute::id::SecurityGroupId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = SecurityGroupId::read(call.parameters.required("SecurityGroupId")?)?;
    call.compute().delete_security_group(call.account(), id).await?;
    Ok(json!({}))
}
