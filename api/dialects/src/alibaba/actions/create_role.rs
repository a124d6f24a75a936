//! CreateRole: makes a role, which may do nothing yet.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-createrole>

use compute::identity::LEAST_SESSION_LIMIT_S;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::view;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let (name, trust) = (parameters.required("RoleName")?, parameters.required("AssumeRolePolicyDocument")?);
    let longest = parameters.parsed("MaxSessionDuration")?.unwrap_or(LEAST_SESSION_LIMIT_S);
    let words = parameters.get("Description").unwrap_or_default();
    let role =
        call.identity().create_role(call.account_id(), name, words, trust, longest, call.now()).await?;
    Ok(json!({ "Role": view(&role) }))
}
