//! CreateUser: makes a user, who may do nothing yet.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-createuser>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let name = call.parameters.required("UserName")?;
    let words = call.parameters.first(&["DisplayName", "Comments"]).unwrap_or_default();
    let user = call.identity().create_user(call.account_id(), name, words, call.now()).await?;
    Ok(json!({ "User": role::user(&user) }))
}
