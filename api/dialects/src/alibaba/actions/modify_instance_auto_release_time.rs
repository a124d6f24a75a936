//! ModifyInstanceAutoReleaseTime: says when an instance is released by itself, or that it is not.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyinstanceautoreleasetime>

use compute::charge::Terms;
use compute::compute::InstanceChange;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::named;
use super::launch::release;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let instance = named(call).await?;
    if let Terms::Subscription(_) = instance.terms {
        return Err(Refusal::charge_type());
    }
    let change = InstanceChange { release: Some(release(call)?), ..InstanceChange::default() };
    call.compute().change_instance(call.account(), instance.id, &change).await?;
    Ok(json!({}))
}
