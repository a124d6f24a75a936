//! DetachNetworkInterface: takes an interface from an instance that is stopped.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachNetworkInterface.html>

use compute::resource::Interface;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::interface::attachment;
use super::refusals;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let wanted = call.parameters.required("AttachmentId")?;
    call.parameters.flag("Force")?;
    let is_it = |interface: &Interface| attachment(interface).as_deref() == Some(wanted);
    let found = call.compute().interfaces(call.account(), None, 1, is_it).await?.items.pop();
    let interface = found.ok_or_else(|| refusals::no_attachment(wanted))?;
    if interface.index == 0 {
        let why = "The network interface at device index 0 cannot be detached.";
        return Err(Refusal::new(400, "OperationNotPermitted", why));
    }
    call.compute().detach_interface(call.account(), interface.id).await?;
    Ok(Tree::done())
}
