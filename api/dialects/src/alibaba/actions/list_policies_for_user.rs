//! ListPoliciesForUser: what is attached to a user.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-listpoliciesforuser>

use serde_json::Value;

use super::super::{Call, Refusal};
use super::role::attached;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let found = call.identity().user(call.account_id(), call.parameters.required("UserName")?).await?;
    Ok(attached(&found.policies))
}
