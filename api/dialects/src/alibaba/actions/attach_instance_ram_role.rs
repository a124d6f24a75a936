//! AttachInstanceRamRole: gives instances that have no role one that the caller may pass.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole>

use serde_json::Value;

use super::super::access::pass_role;
use super::super::{Call, Refusal};
use super::ram_role::change;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    if call.parameters.get("Policy").is_some() {
        return Err(Refusal::unsupported("Policy"));
    }
    let role = pass_role(call, call.parameters.required("RamRoleName")?).await?.name;
    change(call, "AttachInstanceRamRole", &role, Some(&role), |instance| match &instance.role {
        None => Ok(()),
        Some(other) => {
            let why = format!("The instance has the role {other:?}: detach it first.");
            Err(Refusal::new(403, "InvalidInstance.AlreadyHasRamRole", why))
        }
    })
    .await
}
