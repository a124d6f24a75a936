//! DescribeInstances: instances by any of many filters, in pages of either style.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstances>

use serde_json::{Value, json};

use super::super::paging::Paging;
use super::super::{Call, Refusal};
use super::instance::{self, Filter};
use super::instance_page::page;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let filter = Filter::read(call).await?;
    let mut paging = Paging::read(call.parameters)?;
    let (found, next) = page(call, &mut paging, filter.of(), |instance| filter.takes(instance)).await?;
    let instances: Vec<Value> = found.iter().map(|view| instance::view(call, view)).collect();
    Ok(paging.told(json!({ "Instances": { "Instance": instances } }), next.as_deref()))
}
