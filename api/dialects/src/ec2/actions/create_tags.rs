//! CreateTags: hangs tags on resources. One of the same key is replaced.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>

use compute::compute::TagChange;
use compute::resource::{MAX_TAGS, TagError, Tags};

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::tagged::{change, named};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let pairs = tags::pairs(call.parameters)?;
    if pairs.is_empty() {
        return Err(call.parameters.missing("Tag"));
    }
    let new = Tags(pairs.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect());
    let resources = named(call)?;
    match new.check() {
        Err(TagError::TooMany) => return Err(too_many()),
        Err(error) => return Err(Refusal::new(400, "InvalidParameterValue", error.to_string())),
        Ok(()) => {}
    }
    // What can still be wrong is that there are too many of them with those that are there.
    let changed = change(call, &resources, &TagChange::Add(new)).await;
    changed.map_err(|refusal| if refusal.code == "InvalidParameterValue" { too_many() } else { refusal })?;
    Ok(Tree::done())
}

fn too_many() -> Refusal {
    Refusal::new(400, "TagLimitExceeded", format!("A resource has at most {MAX_TAGS} tags."))
}
