//! GetPolicy: a policy of either type, with its document.
//!
//! <https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-getpolicy>

use compute::identity::{Kind, LookError, PolicyRef};
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::role::{built_in, find_built_in, policy, policy_ref};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (view, document) = match policy_ref(call.parameters)? {
        PolicyRef::Custom(name) => {
            let found = call.identity().policy(call.account_id(), &name).await?;
            (policy(&found), found.document.text().to_owned())
        }
        PolicyRef::BuiltIn(name) => {
            let found = find_built_in(&name).ok_or(LookError::Absent { kind: Kind::Policy, name })?;
            (built_in(found), found.text.to_owned())
        }
    };
    let version = json!({ "VersionId": "v1", "IsDefaultVersion": true, "PolicyDocument": document });
    Ok(json!({ "Policy": view, "DefaultPolicyVersion": version }))
}
