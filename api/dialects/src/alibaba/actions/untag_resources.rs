//! UntagResources, and RemoveTags of old: takes tags off resources by their keys, or all of them. All that are named are
//! looked at before one is changed.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-untagresources>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::tagged::{Kind, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (kind, ids) = (Kind::read(call)?, named(call)?);
    let mut keys = call.parameters.list("TagKey")?.unwrap_or_default();
    keys.extend(call.parameters.tag_pairs()?.into_iter().map(|(key, _)| key));
    let all = call.parameters.flag("All")?.unwrap_or(false);
    if keys.is_empty() && !all {
        return Err(Refusal::missing("TagKey.1"));
    }
    let mut changed = Vec::with_capacity(ids.len());
    for id in &ids {
        let mut tags = kind.tags(call, id).await?;
        tags.0.retain(|key, _| !keys.is_empty() && !keys.contains(key));
        changed.push((id, tags));
    }
    for (id, tags) in changed {
        kind.set(call, id, tags).await?;
    }
    Ok(json!({}))
}
