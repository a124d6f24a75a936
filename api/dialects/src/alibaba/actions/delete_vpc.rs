//! DeleteVpc: deletes a network that has no vSwitches and no security groups but its default one.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-deletevpc>

use compute::id::VpcId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = VpcId::read(call.parameters.required("VpcId")?)?;
    call.compute().delete_vpc(call.account(), id).await?;
    Ok(json!({}))
}
