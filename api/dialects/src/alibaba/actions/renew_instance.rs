//! RenewInstance: pays for an instance in advance for some time more.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-renewinstance>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::describe_instance_auto_renew_attribute::{named, subscription};
use super::period::bought;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let period = bought(call.parameters)?;
    let instances = named(call).await?;
    // What is paid cannot be given back, so only one at a time is taken.
    let [instance] = &instances[..] else { return Err(call.parameters.invalid("InstanceId")) };
    subscription(instance)?;
    let token = call.token("alibaba/RenewInstance")?;
    call.compute().renew(call.account(), instance.id, period, token.as_ref()).await?;
    Ok(json!({}))
}
