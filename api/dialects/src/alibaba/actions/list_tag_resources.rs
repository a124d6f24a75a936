//! ListTagResources, and DescribeTags of old: the tags of resources that are named.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-listtagresources>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::tagged::{Kind, has, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (kind, ids, wanted) = (Kind::read(call)?, named(call)?, call.parameters.tag_pairs()?);
    let (mut resources, mut tags) = (Vec::new(), Vec::new());
    for id in &ids {
        let found = kind.tags(call, id).await?;
        if !has(&found, &wanted) {
            continue;
        }
        for (key, value) in found.0 {
            tags.push(json!({ "TagKey": key, "TagValue": value }));
            resources.push(json!({
                "ResourceType": kind.word(), "ResourceId": id, "TagKey": key, "TagValue": value }));
        }
    }
    Ok(json!({
        "TagResources": { "TagResource": resources },
        "Tags": { "Tag": tags },
        "NextToken": "",
    }))
}
