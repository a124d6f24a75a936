//! GetRole: a role, with who may assume it.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-getrole>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::view;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let role = call.identity().role(call.account_id(), call.parameters.required("RoleName")?).await?;
    Ok(json!({ "Role": view(&role) }))
}
