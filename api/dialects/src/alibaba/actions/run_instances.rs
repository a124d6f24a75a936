//! RunInstances: up to a hundred instances of one kind, started as soon as they are there.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-runinstances>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::launch::{Plan, ids, launch};
use super::names::own_names;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let max: u32 = call.parameters.parsed("Amount")?.unwrap_or(1);
    let min: u32 = call.parameters.parsed("MinAmount")?.unwrap_or(max);
    for (name, count) in [("Amount", max), ("MinAmount", min)] {
        if !(1..=compute::compute::MAX_LAUNCH).contains(&count) || count > max {
            return Err(call.parameters.invalid(name));
        }
    }
    let own_names = own_names(call.parameters, max as usize)?;
    let plan = Plan { min, max, own_names, is_started: true };
    let launched = launch(call, "alibaba/RunInstances", &plan).await?;
    Ok(json!({ "InstanceIdSets": { "InstanceIdSet": ids(&launched) } }))
}
