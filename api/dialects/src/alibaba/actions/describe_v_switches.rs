//! DescribeVSwitches: parts of VPCs, in pages.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-describevswitches>

use compute::resource::Subnet;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::paging::Paging;
use super::super::{Call, Refusal, time};
use super::tagged;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let ids = parameters.list("VSwitchId")?;
    let (vpc, zone, name) =
        (parameters.get("VpcId"), parameters.get("ZoneId"), parameters.get("VSwitchName"));
    let (is_default, tags) = (parameters.flag("IsDefault")?, parameters.tag_pairs()?);
    let mut paging = Paging::read(parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |subnet: &Subnet| {
        paging.takes(
            ids.as_ref().is_none_or(|ids| ids.contains(&subnet.id.written()))
                && vpc.is_none_or(|vpc| subnet.vpc.written() == vpc)
                && zone.is_none_or(|zone| subnet.zone == zone)
                && name.is_none_or(|name| subnet.name == name)
                && is_default.is_none_or(|wanted| subnet.is_default == wanted)
                && tagged::has(&subnet.tags, &tags),
        )
    };
    let listed = call.compute().subnets(call.account(), after.as_deref(), size, wanted).await?;
    let switches: Vec<Value> = listed.items.iter().map(|subnet| view(call, subnet)).collect();
    Ok(paging.told(json!({ "VSwitches": { "VSwitch": switches } }), listed.next.as_deref()))
}

fn view(call: &Call<'_>, subnet: &Subnet) -> Value {
    let all = u64::try_from(subnet.assignable().len()).unwrap_or(u64::MAX);
    let tags: Vec<Value> =
        subnet.tags.0.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    json!({
        "VSwitchId": subnet.id.written(),
        "VSwitchName": subnet.name,
        "Description": subnet.description,
        "VpcId": subnet.vpc.written(),
        "ZoneId": subnet.zone,
        "CidrBlock": subnet.cidr.to_string(),
        "Status": "Available",
        "IsDefault": subnet.is_default,
        "AvailableIpAddressCount": all.saturating_sub(call.compute().taken_addresses(subnet)),
        "CreationTime": time::seconds(subnet.created),
        "ResourceGroupId": "",
        "Tags": { "Tag": tags },
    })
}
