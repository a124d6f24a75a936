//! DetachPolicyFromRole: takes a policy away from a role.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-detachpolicyfromrole>

use compute::identity::AttachedTo;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::policy_ref;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let from = AttachedTo::Role(call.parameters.required("RoleName")?);
    call.identity().detach_policy(call.account_id(), &policy_ref(call.parameters)?, from).await?;
    Ok(json!({}))
}
