//! DeleteSnapshot: deletes a snapshot. Volumes and images that were made of it do not need it.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshot.html>

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id = required_id(call.parameters, "SnapshotId")?;
    call.compute().delete_snapshot(call.account(), id).await?;
    Ok(Tree::done())
}
