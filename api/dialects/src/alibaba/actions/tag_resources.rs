//! TagResources, and AddTags of old: hangs tags on resources, which keep the others that they have. All that are named get them,
//! or none.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-tagresources>

use compute::compute::TagChange;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::tagged;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let new = call.parameters.tags()?;
    if new.0.is_empty() {
        return Err(Refusal::missing("Tag.1.Key"));
    }
    tagged::change(call, &TagChange::Add(new)).await?;
    Ok(json!({}))
}
