//! UpdateAccessKey: lets a key be used, or no longer.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-updateaccesskey>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::access_key::{STATUSES, known_owner};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = call.parameters.required("UserAccessKeyId")?;
    let status = call.parameters.choice("Status", STATUSES)?.ok_or_else(|| Refusal::missing("Status"))?;
    call.identity().set_access_key_status(call.account_id(), &known_owner(call).await?, id, status).await?;
    Ok(json!({}))
}
