//! DeleteUser: deletes a user who has no keys and no policies.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-deleteuser>

use serde_json::{Value, json};

use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    call.identity().delete_user(call.account_id(), call.parameters.required("UserName")?).await?;
    Ok(json!({}))
}
