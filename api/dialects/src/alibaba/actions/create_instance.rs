//! CreateInstance: one instance, which is stopped when it is there.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createinstance>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::launch::{Plan, ids, launch};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let plan = Plan { min: 1, max: 1, own_names: Vec::new(), is_started: false };
    let launched = launch(call, "alibaba/CreateInstance", &plan).await?;
    Ok(json!({ "InstanceId": ids(&launched).first() }))
}
