//! CreateSnapshot: a snapshot of a volume. It is whole when it is completed.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshot.html>

use compute::compute::NewSnapshot;

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::snapshot::view;
use super::words::required_id;

/// Most characters of a description.
pub const MAX_DESCRIPTION: usize = 255;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let description = parameters.get("Description").unwrap_or_default();
    if description.chars().count() > MAX_DESCRIPTION {
        return Err(parameters.invalid("Description"));
    }
    let new = NewSnapshot {
        volume: required_id(parameters, "VolumeId")?,
        name: String::new(),
        description: description.to_owned(),
        tags: tags::specified(parameters, "snapshot", &["snapshot"])?,
        token: None,
    };
    Ok(view(&call.compute().create_snapshot(call.account(), &new).await?))
}
