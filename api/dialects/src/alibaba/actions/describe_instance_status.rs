//! DescribeInstanceStatus: the states of instances, and nothing else of them.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstancestatus>

use std::collections::BTreeSet;

use compute::resource::Instance;
use serde_json::{Value, json};

use super::super::ids::{CloudId, some};
use super::super::paging::Paging;
use super::super::{Call, Refusal, states};
use super::instance_page::{Of, page};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let ids = call.parameters.list("InstanceId")?.map(|ids| some::<compute::id::Instance>(&ids));
    let zone = call.parameters.get("ZoneId");
    let mut paging = Paging::read(call.parameters)?;
    let of = match (ids, zone) {
        (Some(ids), _) => Of::These(ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect()),
        (None, None) => Of::All,
        (None, Some(_)) => Of::Passing,
    };
    let wanted = |instance: &Instance| {
        states::instance(instance.state()).is_some() && zone.is_none_or(|zone| instance.zone == zone)
    };
    let (found, next) = page(call, &mut paging, of, wanted).await?;
    let view = |instance: &Instance| json!({ "InstanceId": instance.id.written(), "Status": states::instance(instance.state()) });
    let statuses: Vec<Value> = found.iter().map(|found| view(&found.instance)).collect();
    Ok(paging.told(json!({ "InstanceStatuses": { "InstanceStatus": statuses } }), next.as_deref()))
}
