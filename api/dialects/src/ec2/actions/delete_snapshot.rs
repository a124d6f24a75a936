//! DeleteSnapshot: deletes a snapshot, unless there is an image of it. Volumes that were made of it do not need it.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshot.html>

use compute::id::SnapshotId;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id: SnapshotId = required_id(call.parameters, "SnapshotId")?;
    if let Some(image) = call.compute().image_made_of(call.account(), id).await? {
        let why = format!("The snapshot {} is currently in use by {}", id.written(), image.id.written());
        return Err(Refusal::new(400, "InvalidSnapshot.InUse", why));
    }
    call.compute().delete_snapshot(call.account(), id).await?;
    Ok(Tree::done())
}
