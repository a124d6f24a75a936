//! RunInstances: up to a hundred instances of one kind, started as soon as they are there.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-runinstances>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::launch::{Plan, ids, launch};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let max: u32 = call.parameters.parsed("Amount")?.unwrap_or(1);
    let min: u32 = call.parameters.parsed("MinAmount")?.unwrap_or(max);
    for (name, count) in [("Amount", max), ("MinAmount", min)] {
        if !(1..=compute::compute::MAX_LAUNCH).contains(&count) || count > max {
            return Err(call.parameters.invalid(name));
        }
    }
    for name in ["HostNames.1", "UniqueSuffix"] {
        if call.parameters.get(name).is_some_and(|value| !value.eq_ignore_ascii_case("false")) {
            return Err(Refusal::unsupported(name));
        }
    }
    let launched = launch(call, "alibaba/RunInstances", &Plan { min, max, is_started: true }).await?;
    Ok(json!({ "InstanceIdSets": { "InstanceIdSet": ids(&launched) } }))
}
