//! AllocatePublicIpAddress: a public address for an instance, which goes with it.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-allocatepublicipaddress>

use compute::compute::ComputeError;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::{check, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    for name in ["IpAddress", "VlanId"] {
        if call.parameters.get(name).is_some() {
            return Err(Refusal::unsupported(name));
        }
    }
    let instance = named(call).await?;
    check(&instance, &["Running", "Stopped"])?;
    let interface = instance.interfaces.first().ok_or_else(Refusal::wrong_status)?;
    let mbps = instance.dialect["InternetMaxBandwidthOut"].as_u64().unwrap_or(0);
    let mbps = u32::try_from(mbps).unwrap_or(u32::MAX);
    match call.compute().give_address(call.account(), *interface, mbps).await {
        Ok(given) => Ok(json!({ "IpAddress": given.address.to_string() })),
        Err(ComputeError::InUse { .. }) => {
            Err(Refusal::new(403, "AllocatedAlready", "The specified instance has a public address already."))
        }
        Err(error) => Err(error.into()),
    }
}
