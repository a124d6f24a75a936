//! CreateVpc: a network of its own.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-createvpc>

use compute::compute::NewVpc;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::launch::{description, name};

/// The network that the cloud gives to whoever names none.
const USUAL: &str = "172.16.0.0/12";

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let cidr = parameters.get("CidrBlock").unwrap_or(USUAL);
    let new = NewVpc {
        cidr: cidr.parse().map_err(|_| parameters.invalid("CidrBlock"))?,
        name: name(parameters, "VpcName")?.unwrap_or_default(),
        description: description(parameters)?.unwrap_or_default(),
        tags: parameters.tags()?,
    };
    let vpc = call.compute().create_vpc(call.account(), &new).await?;
    Ok(json!({ "VpcId": vpc.id.written(), "VRouterId": "", "RouteTableId": "", "ResourceGroupId": "" }))
}
