//! ListRoles: the account's roles.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-listroles>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::{page, told, view};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (most, after) = page(call.parameters)?;
    let listed = call.identity().roles(call.account_id(), after, most).await?;
    let roles: Vec<Value> = listed.items.iter().map(view).collect();
    Ok(told(json!({ "Roles": { "Role": roles } }), listed.next.as_deref()))
}
