//! UntagResources, and RemoveTags of old: takes tags off resources by their keys, or all of them, off all that are named or off
//! none.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-untagresources>

use compute::compute::TagChange;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::tagged;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let mut keys = call.parameters.list("TagKey")?.unwrap_or_default();
    keys.extend(call.parameters.tag_pairs()?.into_iter().map(|(key, _)| key));
    let all = call.parameters.flag("All")?.unwrap_or(false);
    let change = match (keys.is_empty(), all) {
        (true, true) => TagChange::RemoveAll,
        (true, false) => return Err(Refusal::missing("TagKey.1")),
        // All counts only where no key is named.
        (false, _) => TagChange::Remove(keys.into_iter().map(|key| (key, None)).collect()),
    };
    tagged::change(call, &change).await?;
    Ok(json!({}))
}
