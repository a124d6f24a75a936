//! DeleteInstance: releases an instance with what goes with it. One that is paid in advance is released when its time is over,
//! or where the caller gives that up.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deleteinstance>

use compute::lifecycle::Action;
use compute::resource::Instance;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::{act, check, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    delete(call, &named(call).await?).await?;
    Ok(json!({}))
}

/// Releases it, if that may be.
pub async fn delete(call: &Call<'_>, instance: &Instance) -> Result<(), Refusal> {
    act(call, instance, Action::Terminate, deletable(call, instance)?).await
}

/// The states in which this request may release it; refuses one that may not be released in any.
pub fn deletable(call: &Call<'_>, instance: &Instance) -> Result<&'static [&'static str], Refusal> {
    let allowed: &[&str] = match call.parameters.flag("Force")? {
        Some(true) => &["Pending", "Starting", "Running", "Stopping", "Stopped"],
        Some(false) | None => &["Stopped"],
    };
    check(instance, allowed)?;
    let is_given_up = call.parameters.flag("TerminateSubscription")?.unwrap_or(false);
    match instance.terms.expires() {
        Some(expires) if expires > call.now() && !is_given_up => Err(Refusal::charge_type()),
        Some(_) | None => Ok(allowed),
    }
}
