//! StopInstance: lets a guest shut down, or pulls the plug. A guest that is on its way down, or comes up, can still be cut off.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-stopinstance>

use compute::lifecycle::Action;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::{act, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    if call.parameters.flag("Hibernate")? == Some(true) {
        return Err(Refusal::unsupported("Hibernate"));
    }
    let instance = named(call).await?;
    match call.parameters.flag("ForceStop")? {
        Some(true) => act(call, &instance, Action::StopForced, &["Running", "Stopping", "Starting"]).await?,
        Some(false) | None => act(call, &instance, Action::Stop, &["Running"]).await?,
    }
    Ok(json!({}))
}
