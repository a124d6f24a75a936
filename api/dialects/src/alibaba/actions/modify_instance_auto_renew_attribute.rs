//! ModifyInstanceAutoRenewAttribute: says by what instances are renewed by themselves, or that they are not. All of those that
//! are named are looked at before one is changed.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyinstanceautorenewattribute>

use compute::compute::InstanceChange;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::describe_instance_auto_renew_attribute::{named, subscription};
use super::period::renewal;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let status = [("AutoRenewal", true), ("Normal", false), ("NotRenewal", false)];
    let is_renewed = match parameters.choice("RenewalStatus", &status)? {
        None => parameters.flag("AutoRenew")?.ok_or_else(|| Refusal::missing("AutoRenew"))?,
        Some(is_renewed) => is_renewed,
    };
    let period = match (is_renewed, renewal(parameters, "Duration")?) {
        (true, None) => return Err(Refusal::missing("Duration")),
        (true, period) => period,
        (false, _) => None,
    };
    let instances = named(call).await?;
    for instance in &instances {
        subscription(instance)?;
    }
    for instance in &instances {
        let change = InstanceChange { auto_renew: Some(period), ..InstanceChange::default() };
        call.compute().change_instance(call.account(), instance.id, &change).await?;
    }
    Ok(json!({}))
}
