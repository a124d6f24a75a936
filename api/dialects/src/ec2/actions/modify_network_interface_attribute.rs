//! ModifyNetworkInterfaceAttribute: changes the security groups of an interface, what is said of it, or whether it goes with its
//! instance. The groups of one whose instance runs hold at once.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyNetworkInterfaceAttribute.html>

use compute::compute::{ComputeError, InterfaceChange, WordsChange};
use compute::id::{InterfaceId, SecurityGroupId};

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::interface::attachment;
use super::refusals;
use super::words::{ids, refuse, required_id};

/// What an interface here is or has for good.
const UNSUPPORTED: &[&str] = &[
    "AssociatePublicIpAddress",
    "Attachment.DefaultEnaQueueCount",
    "Attachment.EnaQueueCount",
    "EnablePrimaryIpv6",
];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let id: InterfaceId = required_id(parameters, "NetworkInterfaceId")?;
    refuse(parameters, UNSUPPORTED)?;
    // Whoever sends with another's address is not let through, whatever is asked.
    if parameters.flag("SourceDestCheck.Value")? == Some(false) {
        return Err(Refusal::unsupported("SourceDestCheck"));
    }
    let groups: Vec<SecurityGroupId> = ids(parameters, "SecurityGroupId")?;
    // One that is said to be empty is: it is the only value that can be.
    let description = parameters.iter().find(|(name, _)| *name == "Description.Value");
    let description = description.map(|(_, text)| text.to_owned());
    let checked = parameters.get("SourceDestCheck.Value");
    let delete = parameters.flag("Attachment.DeleteOnTermination")?;
    let told = [!groups.is_empty(), description.is_some(), checked.is_some(), delete.is_some()];
    match told.iter().filter(|is| **is).count() {
        1 => {}
        0 => return Err(Refusal::missing("Description")),
        _ => return Err(Refusal::combination("Fields for multiple attribute types specified")),
    }
    let interface = call.compute().interface(call.account(), id).await?;
    if delete.is_some() {
        let wanted = parameters.required("Attachment.AttachmentId")?;
        if attachment(&interface).as_deref() != Some(wanted) {
            return Err(refusals::no_attachment(wanted));
        }
    }
    let change = InterfaceChange {
        words: WordsChange { description, ..WordsChange::default() },
        security_groups: (!groups.is_empty()).then_some(groups),
        delete_with_instance: delete,
    };
    call.compute().change_interface(call.account(), id, &change).await.map_err(|error| match error {
        ComputeError::Invalid { parameter: "security_groups", .. } => refusals::different_networks(),
        error => error.into(),
    })?;
    Ok(Tree::done())
}
