//! AssociateEipAddress: lets a public address lead to an instance.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-associateeipaddress>

use compute::compute::ComputeError;
use compute::id::AddressId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::act::{check, named};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    parameters.choice("InstanceType", &[("EcsInstance", ())])?;
    let id = AddressId::read(parameters.required("AllocationId")?)?;
    let instance = named(call).await?;
    check(&instance, &["Running", "Stopped"])?;
    let interface = instance.interfaces.first().copied().ok_or_else(Refusal::wrong_status)?;
    match call.compute().associate_address(call.account(), id, Some(interface), false).await {
        Ok(_) => Ok(json!({})),
        Err(ComputeError::InUse { what: "network interface", .. }) => {
            let why = "Specified instance already is associated.";
            Err(Refusal::new(400, "InvalidAssociation.Duplicated", why))
        }
        Err(error) => Err(error.into()),
    }
}
