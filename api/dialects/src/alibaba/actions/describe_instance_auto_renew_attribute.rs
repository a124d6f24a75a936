//! DescribeInstanceAutoRenewAttribute: by what instances that are paid in advance are renewed by themselves.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstanceautorenewattribute>

use compute::charge::{Subscription, Terms};
use compute::resource::Instance;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::paging::Paging;
use super::super::{Call, Refusal};
use super::act;
use super::period::told;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let mut attributes = Vec::new();
    for instance in named(call).await? {
        attributes.push(view(&instance, subscription(&instance)?));
    }
    let status = call.parameters.get("RenewalStatus");
    attributes.retain(|attribute| status.is_none_or(|status| attribute["RenewalStatus"] == status));
    let mut paging = Paging::read(call.parameters)?;
    let page = paging.cut(attributes);
    Ok(paging.told(json!({ "InstanceRenewAttributes": { "InstanceRenewAttribute": page } }), None))
}

/// Those that a request about renewal names: by one parameter or the other, at least one.
pub async fn named(call: &Call<'_>) -> Result<Vec<Instance>, Refusal> {
    let mut ids = call.parameters.list("InstanceId")?.unwrap_or_default();
    ids.extend(call.parameters.list("InstanceIds")?.unwrap_or_default());
    if ids.is_empty() {
        return Err(Refusal::missing("InstanceId"));
    }
    act::all(call, &ids).await
}

/// The subscription of one that is paid in advance.
pub fn subscription(instance: &Instance) -> Result<&Subscription, Refusal> {
    match &instance.terms {
        Terms::Subscription(subscription) => Ok(subscription),
        Terms::PayAsYouGo { .. } => Err(Refusal::charge_type()),
    }
}

fn view(instance: &Instance, subscription: &Subscription) -> Value {
    let (duration, unit) = told(subscription.auto_renew);
    json!({
        "InstanceId": instance.id.written(),
        "AutoRenewEnabled": subscription.auto_renew.is_some(),
        "Duration": duration,
        "PeriodUnit": unit,
        "RenewalStatus": if subscription.auto_renew.is_some() { "AutoRenewal" } else { "Normal" },
    })
}
