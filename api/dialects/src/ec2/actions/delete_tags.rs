//! DeleteTags: takes tags from resources: those that are named, with the value that is named if one is, or all.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html>

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::tagged::named;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let pairs = tags::pairs(call.parameters)?;
    for (resource, mut all) in named(call).await? {
        let goes = |key: &String, value: &String| {
            pairs.is_empty()
                || pairs.iter().any(|(named, of)| named == key && of.as_ref().is_none_or(|of| of == value))
        };
        all.0.retain(|key, value| !goes(key, value));
        resource.set(call, all).await?;
    }
    Ok(Tree::done())
}
