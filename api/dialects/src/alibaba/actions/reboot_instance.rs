//! RebootInstance: lets a guest shut down and boots it again, or resets it.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-rebootinstance>

use compute::lifecycle::Action;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::{act, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let is_forced = call.parameters.flag("ForceStop")?.unwrap_or(false);
    let action = if is_forced { Action::RebootForced } else { Action::Reboot };
    act(call, &named(call).await?, action, &["Running"]).await?;
    Ok(json!({}))
}
