//! DeleteVSwitch: deletes a part of a VPC that nothing is in.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-deletevswitch>

use compute::id::SubnetId;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let id = SubnetId::read(call.parameters.required("VSwitchId")?)?;
    call.compute().delete_subnet(call.account(), id).await?;
    Ok(json!({}))
}
