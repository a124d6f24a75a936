//! DescribeInstanceStatus: the states of instances, and nothing else of them.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstancestatus>

use compute::resource::Instance;
use serde_json::{Value, json};

use super::super::ids::{CloudId, some};
use super::super::paging::Paging;
use super::super::{Call, Refusal, states};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let ids = call.parameters.list("InstanceId")?.map(|ids| some::<compute::id::Instance>(&ids));
    let zone = call.parameters.get("ZoneId");
    let mut paging = Paging::read(call.parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |instance: &Instance| {
        paging.takes(
            states::instance(instance.state()).is_some()
                && ids.as_ref().is_none_or(|ids| ids.contains(&instance.id))
                && zone.is_none_or(|zone| instance.zone == zone),
        )
    };
    let listed = call.compute().instance_views(call.account(), after.as_deref(), size, wanted).await?;
    let view = |instance: &Instance| json!({ "InstanceId": instance.id.written(), "Status": states::instance(instance.state()) });
    let statuses: Vec<Value> = listed.items.iter().map(|found| view(&found.instance)).collect();
    Ok(paging.told(json!({ "InstanceStatuses": { "InstanceStatus": statuses } }), listed.next.as_deref()))
}
