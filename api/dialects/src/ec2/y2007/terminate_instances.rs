//! TerminateInstances: ends instances for good. Whatever ends already, or has ended, may be named again.

use compute::lifecycle::Action;

use super::super::actions::act;
use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, states};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let changes = act::on_all(call, |_| Action::Terminate).await?;
    let change = |(id, before, after): &(_, _, _)| {
        let id: compute::id::InstanceId = *id;
        Tree::new()
            .text("instanceId", id.written())
            .tree("shutdownState", states::instance(*after).tree())
            .tree("previousState", states::instance(*before).tree())
    };
    Ok(Tree::new().list("instancesSet", changes.iter().map(change)))
}
