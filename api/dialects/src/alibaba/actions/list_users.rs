//! ListUsers: the account's users.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-listusers>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::{self, page, told};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (most, after) = page(call.parameters)?;
    let listed = call.identity().users(call.account_id(), after, most).await?;
    let users: Vec<Value> = listed.items.iter().map(role::user).collect();
    Ok(told(json!({ "Users": { "User": users } }), listed.next.as_deref()))
}
