//! StartInstance: boots an instance that is stopped.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-startinstance>

use compute::lifecycle::Action;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::{act, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    act(call, &named(call).await?, Action::Start, &["Stopped"]).await?;
    Ok(json!({}))
}
