//! GetUser: a user.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-getuser>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let user = call.identity().user(call.account_id(), call.parameters.required("UserName")?).await?;
    Ok(json!({ "User": role::user(&user) }))
}
