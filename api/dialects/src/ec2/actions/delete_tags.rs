//! DeleteTags: takes tags from resources: those that are named, with the value that is named if one is, or all.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html>

use compute::compute::TagChange;

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::tagged::{change, named};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let pairs = tags::pairs(call.parameters)?;
    let removed =
        if pairs.is_empty() { TagChange::RemoveAll } else { TagChange::Remove(pairs.into_iter().collect()) };
    change(call, &named(call)?, &removed).await?;
    Ok(Tree::done())
}
