//! DescribeInstances: instances by any of many filters, in pages of either style.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstances>

use serde_json::{Value, json};

use super::super::paging::Paging;
use super::super::{Call, Refusal};
use super::instance::{self, Filter};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let filter = Filter::read(call).await?;
    let mut paging = Paging::read(call.parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |instance: &_| paging.takes(filter.takes(instance));
    let listed = call.compute().instance_views(call.account(), after.as_deref(), size, wanted).await?;
    let instances: Vec<Value> = listed.items.iter().map(|view| instance::view(call, view)).collect();
    Ok(paging.told(json!({ "Instances": { "Instance": instances } }), listed.next.as_deref()))
}
