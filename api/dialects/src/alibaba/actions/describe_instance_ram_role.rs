//! DescribeInstanceRamRole: which instances have which roles, by the ones or by the other.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinstanceramrole>

use compute::resource::Instance;
use serde_json::{Value, json};

use super::super::ids::{CloudId, some};
use super::super::paging::Paging;
use super::super::{Call, Refusal, states};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let ids = call.parameters.array("InstanceIds")?.map(|ids| some::<compute::id::Instance>(&ids));
    let role = call.parameters.get("RamRoleName");
    let mut paging = Paging::read(call.parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |instance: &Instance| {
        paging.takes(
            states::instance(instance.state()).is_some()
                && ids.as_ref().is_none_or(|ids| ids.contains(&instance.id))
                && instance.role.as_deref().is_some_and(|has| role.is_none_or(|role| has == role)),
        )
    };
    let listed = call.compute().instance_views(call.account(), after.as_deref(), size, wanted).await?;
    let view =
        |instance: &Instance| json!({ "InstanceId": instance.id.written(), "RamRoleName": instance.role });
    let sets: Vec<Value> = listed.items.iter().map(|found| view(&found.instance)).collect();
    let answer = json!({ "RegionId": call.region(), "InstanceRamRoleSets": { "InstanceRamRoleSet": sets } });
    Ok(paging.told(answer, listed.next.as_deref()))
}
