//! DeleteKeyPairs: deletes key pairs. Instances that were launched with them keep the public halves.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deletekeypairs>

use compute::compute::ComputeError;
use serde_json::{Value, json};

use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let names = call.parameters.array("KeyPairNames")?.ok_or_else(|| Refusal::missing("KeyPairNames"))?;
    for name in &names {
        match call.compute().delete_key_pair(call.account(), name).await {
            // What is not there need not be deleted, as in the cloud.
            Ok(()) | Err(ComputeError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(json!({}))
}
