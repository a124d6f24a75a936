//! DeleteInstances: releases several, if each of them can be.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deleteinstances>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::all;
use super::delete_instance::{deletable, delete};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let ids = call.parameters.list("InstanceId")?.filter(|ids| !ids.is_empty());
    let instances = all(call, &ids.ok_or_else(|| Refusal::missing("InstanceId"))?).await?;
    for instance in &instances {
        deletable(call, instance)?;
        if instance.protected {
            return Err(compute::compute::ComputeError::Protected { instance: instance.id }.into());
        }
    }
    for instance in &instances {
        delete(call, instance).await?;
    }
    Ok(json!({}))
}
