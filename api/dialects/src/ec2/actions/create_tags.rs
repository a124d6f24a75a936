//! CreateTags: hangs tags on resources. One of the same key is replaced.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>

use compute::resource::{MAX_TAGS, Tags};

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::tagged::named;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let pairs = tags::pairs(call.parameters)?;
    if pairs.is_empty() {
        return Err(call.parameters.missing("Tag"));
    }
    let resources = named(call).await?;
    let mut changes = Vec::with_capacity(resources.len());
    for (resource, Tags(mut all)) in resources {
        all.extend(pairs.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default())));
        if all.len() > MAX_TAGS {
            let why = format!("A resource has at most {MAX_TAGS} tags.");
            return Err(Refusal::new(400, "TagLimitExceeded", why));
        }
        let all = Tags(all);
        all.check().map_err(|error| Refusal::new(400, "InvalidParameterValue", error.to_string()))?;
        changes.push((resource, all));
    }
    // Whatever can be refused was: none is changed where another one cannot be.
    for (resource, all) in changes {
        resource.set(call, all).await?;
    }
    Ok(Tree::done())
}
