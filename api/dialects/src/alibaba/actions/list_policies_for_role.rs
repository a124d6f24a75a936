//! ListPoliciesForRole: what is attached to a role.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-listpoliciesforrole>

use serde_json::Value;

use super::super::{Call, Refusal};
use super::role::attached;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let found = call.identity().role(call.account_id(), call.parameters.required("RoleName")?).await?;
    Ok(attached(&found.policies))
}
