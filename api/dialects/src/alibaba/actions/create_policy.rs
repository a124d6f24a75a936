//! CreatePolicy: makes a policy of the account.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-createpolicy>

use compute::access::BUILT_IN;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::policy;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let (name, document) = (parameters.required("PolicyName")?, parameters.required("PolicyDocument")?);
    if BUILT_IN.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
        let why = "The policy already exists, as one that every account has.";
        return Err(Refusal::new(409, "EntityAlreadyExists.Policy", why));
    }
    let words = parameters.get("Description").unwrap_or_default();
    let made = call.identity().create_policy(call.account_id(), name, words, document, call.now()).await?;
    Ok(json!({ "Policy": policy(&made) }))
}
