//! DescribeUserData: what a guest was given to read.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeuserdata>

use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::act::named;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let instance = named(call).await?;
    let id = instance.id.written();
    Ok(json!({ "InstanceId": id, "RegionId": call.region(), "UserData": instance.user_data }))
}
