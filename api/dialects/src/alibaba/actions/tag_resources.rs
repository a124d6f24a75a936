//! TagResources, and AddTags of old: hangs tags on resources, which keep the others that they have. All that are named are
//! looked at before one is changed.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-tagresources>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::tagged::{Kind, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (kind, ids, new) = (Kind::read(call)?, named(call)?, call.parameters.tags()?);
    if new.0.is_empty() {
        return Err(Refusal::missing("Tag.1.Key"));
    }
    let mut changed = Vec::with_capacity(ids.len());
    for id in &ids {
        let mut tags = kind.tags(call, id).await?;
        tags.0.extend(new.0.clone());
        tags.check().map_err(|error| Refusal::new(400, "InvalidTagKey.Malformed", error.to_string()))?;
        changed.push((id, tags));
    }
    for (id, tags) in changed {
        kind.set(call, id, tags).await?;
    }
    Ok(json!({}))
}
