//! ListPolicies: policies of both types, or of one. Those that every account has come first, on the first page.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-listpolicies>

use compute::access::BUILT_IN;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::{built_in, page, policy, told};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let only = call.parameters.choice("PolicyType", &[("Custom", "Custom"), ("System", "System")])?;
    let (most, after) = page(call.parameters)?;
    let mut policies: Vec<Value> = Vec::new();
    if only != Some("Custom") && after.is_none() {
        policies.extend(BUILT_IN.iter().map(built_in));
    }
    if only == Some("System") {
        return Ok(told(json!({ "Policies": { "Policy": policies } }), None));
    }
    let listed = call.identity().policies(call.account_id(), after, most).await?;
    policies.extend(listed.items.iter().map(policy));
    Ok(told(json!({ "Policies": { "Policy": policies } }), listed.next.as_deref()))
}
