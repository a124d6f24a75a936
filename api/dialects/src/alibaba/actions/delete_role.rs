//! DeleteRole: deletes a role that has no policies and that no instance has.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-deleterole>

use compute::resource::Instance;
use serde_json::{Value, json};

use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.parameters.required("RoleName")?;
    let has = |instance: &Instance| instance.ended.is_none() && instance.role.as_deref() == Some(name);
    let users = call.compute().instance_views(call.account(), None, 1, has).await?;
    if !users.items.is_empty() {
        let why = "The role is still the role of an instance: detach it first.";
        return Err(Refusal::new(409, "DeleteConflict.Role.Instance", why));
    }
    call.identity().delete_role(call.account_id(), name).await?;
    Ok(json!({}))
}
