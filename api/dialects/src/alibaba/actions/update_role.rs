//! UpdateRole: changes who may assume a role, and for how long.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-updaterole>

use compute::identity::RoleChange;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::view;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let change = RoleChange {
        description: parameters.get("NewDescription").map(str::to_owned),
        trust: parameters.get("NewAssumeRolePolicyDocument").map(str::to_owned),
        max_session_s: parameters.parsed("NewMaxSessionDuration")?,
    };
    let name = parameters.required("RoleName")?;
    let role = call.identity().update_role(call.account_id(), name, &change, call.now()).await?;
    Ok(json!({ "Role": view(&role) }))
}
