//! ModifyInstanceMetadataOptions: how a guest gets at its metadata, from its next request on.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataOptions.html>

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::act::known;
use super::instance::metadata_options;
use super::run_instances::metadata_change;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id = known(call, call.parameters.required("InstanceId")?).await?.id;
    let change = metadata_change(call.parameters)?;
    let instance = call.compute().set_metadata_options(call.account(), id, change).await?;
    Ok(Tree::new()
        .text("instanceId", id.written())
        .tree("instanceMetadataOptions", metadata_options(instance.metadata_options)))
}
