//! CreateVSwitch: a part of a VPC, in a zone.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-createvswitch>

use compute::compute::NewSubnet;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::launch::{description, name};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let cidr = parameters.required("CidrBlock")?;
    let new = NewSubnet {
        vpc: CloudId::read(parameters.required("VpcId")?)?,
        cidr: cidr.parse().map_err(|_| parameters.invalid("CidrBlock"))?,
        zone: Some(parameters.required("ZoneId")?.to_owned()),
        private: false,
        name: name(parameters, "VSwitchName")?.unwrap_or_default(),
        description: description(parameters)?.unwrap_or_default(),
        tags: parameters.tags()?,
    };
    let made = call.compute().create_subnet(call.account(), &new).await?;
    Ok(json!({ "VSwitchId": made.id.written() }))
}
