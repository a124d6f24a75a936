//! DeregisterImage: nothing more is launched from an image. Instances that were do not need it. Its snapshots go with it
//! where that is asked for and no other image is of them.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html>

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, access};
use super::image::own;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let image = own(call, parameters.required("ImageId")?).await?;
    let with_snapshot = parameters.flag("DeleteAssociatedSnapshots")?.unwrap_or(false);
    call.compute().delete_image(call.account(), image.id).await?;
    let mut results = Vec::new();
    let data = image.data_disks.iter().filter_map(|disk| disk.snapshot);
    for snapshot in image.snapshot.into_iter().chain(data).filter(|_| with_snapshot) {
        let resource = access::resource(call, "snapshot", &snapshot.written());
        let code = if access::ask(call, "ec2:DeleteSnapshot", &resource).is_err() {
            "missing-permissions"
        } else if call.compute().image_made_of(call.account(), snapshot).await?.is_some() {
            "skipped"
        } else {
            match call.compute().delete_snapshot(call.account(), snapshot).await.map_err(Refusal::from) {
                Ok(_) => "success",
                Err(refusal) if refusal.status >= 500 => "internal-error",
                Err(_) => "client-error",
            }
        };
        results.push(Tree::new().text("snapshotId", snapshot.written()).text("returnCode", code));
    }
    let tree = Tree::done();
    Ok(if with_snapshot { tree.list("deleteSnapshotResultSet", results) } else { tree })
}
