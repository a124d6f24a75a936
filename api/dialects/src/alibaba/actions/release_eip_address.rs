//! ReleaseEipAddress: gives a public address back that leads to nothing.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-releaseeipaddress>

use compute::id::AddressId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = AddressId::read(call.parameters.required("AllocationId")?)?;
    call.compute().release_address(call.account(), id).await?;
    Ok(json!({}))
}
