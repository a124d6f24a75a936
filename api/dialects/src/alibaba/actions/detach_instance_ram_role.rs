//! DetachInstanceRamRole: takes a role away from instances.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-detachinstanceramrole>

use serde_json::Value;

use super::super::{Call, Refusal};
use super::ram_role::change;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let role = call.parameters.required("RamRoleName")?;
    change(call, "DetachInstanceRamRole", role, None, |instance| match instance.role.as_deref() {
        Some(has) if has == role => Ok(()),
        Some(_) | None => {
            let why = "The specified RamRoleName is not the role of the instance.";
            Err(Refusal::new(403, "InvalidRamRole.NotAttached", why))
        }
    })
    .await
}
