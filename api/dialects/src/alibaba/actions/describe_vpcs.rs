//! DescribeVpcs: the account's networks, in pages. Those are few, and there is a limit to them.
//!
//! <https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-describevpcs>

use compute::resource::Vpc;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::paging::Paging;
use super::super::{Call, Refusal, time};
use super::tagged;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let (ids, name) = (parameters.list("VpcId")?, parameters.get("VpcName"));
    let (is_default, tags) = (parameters.flag("IsDefault")?, parameters.tag_pairs()?);
    let (compute, account) = (call.compute(), call.account());
    let mut vpcs = compute.vpcs(account, None, compute::store::MAX_PAGE).await?.items;
    vpcs.retain(|vpc| {
        ids.as_ref().is_none_or(|ids| ids.contains(&vpc.id.written()))
            && name.is_none_or(|name| vpc.name == name)
            && is_default.is_none_or(|wanted| vpc.is_default == wanted)
            && tagged::has(&vpc.tags, &tags)
    });
    let mut paging = Paging::read(parameters)?;
    let mut shown = Vec::new();
    for vpc in paging.cut(vpcs) {
        let inside = |subnet: &compute::resource::Subnet| subnet.vpc == vpc.id;
        let subnets = compute.subnets(account, None, compute::store::MAX_PAGE, inside).await?.items;
        let subnets: Vec<String> = subnets.iter().map(|subnet| subnet.id.written()).collect();
        shown.push(view(call, &vpc, &subnets));
    }
    Ok(paging.told(json!({ "Vpcs": { "Vpc": shown } }), None))
}

fn view(call: &Call<'_>, vpc: &Vpc, subnets: &[String]) -> Value {
    let tags: Vec<Value> =
        vpc.tags.0.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    json!({
        "VpcId": vpc.id.written(),
        "VpcName": vpc.name,
        "Description": vpc.description,
        "RegionId": call.region(),
        "Status": "Available",
        "CidrBlock": vpc.cidr.to_string(),
        "IsDefault": vpc.is_default,
        "VSwitchIds": { "VSwitchId": subnets },
        "VRouterId": "",
        "UserCidrs": { "UserCidr": [] },
        "CreationTime": time::seconds(vpc.created),
        "ResourceGroupId": "",
        "Tags": { "Tag": tags },
    })
}
