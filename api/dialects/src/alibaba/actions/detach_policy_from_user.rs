//! DetachPolicyFromUser: takes a policy away from a user.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-detachpolicyfromuser>

use compute::identity::AttachedTo;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::policy_ref;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let from = AttachedTo::User(call.parameters.required("UserName")?);
    call.identity().detach_policy(call.account_id(), &policy_ref(call.parameters)?, from).await?;
    Ok(json!({}))
}
