//! DeletePolicy: deletes a policy of the account that is attached to nothing.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-deletepolicy>

use serde_json::{Value, json};

use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    call.identity().delete_policy(call.account_id(), call.parameters.required("PolicyName")?).await?;
    Ok(json!({}))
}
