//! UnassociateEipAddress: lets a public address lead to nothing.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-unassociateeipaddress>

use compute::id::AddressId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = AddressId::read(call.parameters.required("AllocationId")?)?;
    let address = call.compute().address(call.account(), id).await?;
    // One that came with an instance is not the account's to lead elsewhere.
    if address.interface.is_none() || address.release_with_interface {
        return Err(Refusal::new(
            400,
            "IncorrectEipStatus",
            "Current elastic IP status does not support this operation.",
        ));
    }
    call.compute().associate_address(call.account(), id, None, false).await?;
    Ok(json!({}))
}
