//! AttachPolicyToRole: lets a role do what a policy says.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-attachpolicytorole>

use compute::identity::AttachedTo;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::policy_ref;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let to = AttachedTo::Role(call.parameters.required("RoleName")?);
    call.identity().attach_policy(call.account_id(), &policy_ref(call.parameters)?, to).await?;
    Ok(json!({}))
}
