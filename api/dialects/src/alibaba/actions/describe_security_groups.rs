//! DescribeSecurityGroups: groups by id, name, VPC and tags, in pages.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describesecuritygroups>

use compute::resource::SecurityGroup;
use serde_json::{Value, json};

use super::super::ids::{CloudId, some};
use super::super::paging::Paging;
use super::super::{Call, Refusal, time};
use super::tagged;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let ids = parameters.array("SecurityGroupIds")?.map(|ids| some::<compute::id::SecurityGroup>(&ids));
    let (one, name, vpc) =
        (parameters.get("SecurityGroupId"), parameters.get("SecurityGroupName"), parameters.get("VpcId"));
    let tags = parameters.tag_pairs()?;
    let mut paging = Paging::read(parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |group: &SecurityGroup| {
        paging.takes(
            ids.as_ref().is_none_or(|ids| ids.contains(&group.id))
                && one.is_none_or(|one| group.id.written() == one)
                && name.is_none_or(|name| group.name == name)
                && vpc.is_none_or(|vpc| group.vpc.written() == vpc)
                && tagged::has(&group.tags, &tags),
        )
    };
    let listed = call.compute().security_groups(call.account(), after.as_deref(), size, wanted).await?;
    let view = |group: &SecurityGroup| {
        json!({
            "SecurityGroupId": group.id.written(),
            "SecurityGroupName": group.name,
            "SecurityGroupType": "normal",
            "Description": group.description,
            "VpcId": group.vpc.written(),
            "CreationTime": time::seconds(group.created),
            "ResourceGroupId": "",
            "ServiceManaged": false,
            "Tags": { "Tag": tagged::view(&group.tags) },
        })
    };
    let groups: Vec<Value> = listed.items.iter().map(view).collect();
    let answer = json!({ "RegionId": call.region(), "SecurityGroups": { "SecurityGroup": groups } });
    Ok(paging.told(answer, listed.next.as_deref()))
}
