//! DeleteAccessKey: deletes a key, which is refused from then on.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-deleteaccesskey>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::access_key::known_owner;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = call.parameters.required("UserAccessKeyId")?;
    call.identity().delete_access_key(call.account_id(), &known_owner(call).await?, id).await?;
    Ok(json!({}))
}
