//! AllocateEipAddress: a public address for the account.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-allocateeipaddress>

use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

/// Mbit/s of an address that nobody chose them for.
const USUAL_MBPS: u32 = 5;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let mbps = parameters.parsed("Bandwidth")?.unwrap_or(USUAL_MBPS);
    if !(1..=1000).contains(&mbps) {
        return Err(parameters.invalid("Bandwidth"));
    }
    let name = parameters.get("Name").unwrap_or_default();
    let made = call.compute().allocate_address(call.account(), None, name, mbps, parameters.tags()?).await?;
    Ok(json!({
        "AllocationId": made.id.written(),
        "EipAddress": made.address.to_string(),
        "ResourceGroupId": "",
    }))
}
