//! AttachNetworkInterface: gives an interface to an instance that is stopped, as its next.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachNetworkInterface.html>

use compute::compute::ComputeError;
use compute::id::{InstanceId, InterfaceId};

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::interface::attachment;
use super::refusals;
use super::words::required_id;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let id: InterfaceId = required_id(parameters, "NetworkInterfaceId")?;
    let instance: InstanceId = required_id(parameters, "InstanceId")?;
    parameters.required("DeviceIndex")?;
    let index: u32 = parameters.parsed("DeviceIndex")?.unwrap_or_default();
    if parameters.parsed("NetworkCardIndex")?.unwrap_or(0_u32) != 0 {
        return Err(Refusal::unsupported("NetworkCardIndex"));
    }
    call.compute().interface(call.account(), id).await?;
    let next = call.compute().instance(call.account(), instance).await?.interfaces.len();
    if u32::try_from(next).unwrap_or(u32::MAX) != index {
        let why = match usize::try_from(index).is_ok_and(|index| index < next) {
            true => {
                format!("Instance '{instance}' already has an interface attached at device index '{index}'.")
            }
            false => format!(
                "The next device index of instance '{instance}' is '{next}', and none is left out here."
            ),
        };
        return Err(refusals::value(why));
    }
    let attached = call.compute().attach_interface(call.account(), id, instance, false).await;
    let attached = attached.map_err(|error| match error {
        ComputeError::InUse { .. } => {
            let why = format!("Interface: [{id}] in use.");
            Refusal::new(400, "InvalidNetworkInterface.InUse", why)
        }
        ComputeError::Invalid { parameter: "network_interface", .. } => {
            let why = "You may not attach a network interface to an instance if they are not in the same network and \
                       availability zone.";
            refusals::value(why)
        }
        ComputeError::Limit { .. } => {
            let why = format!("Instance '{instance}' has as many interfaces as it can have.");
            Refusal::new(400, "AttachmentLimitExceeded", why)
        }
        error => error.into(),
    })?;
    Ok(Tree::new().text_if("attachmentId", attachment(&attached)).text("networkCardIndex", 0))
}
