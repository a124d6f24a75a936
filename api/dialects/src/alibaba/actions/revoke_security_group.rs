//! RevokeSecurityGroup: takes away what let something through to a group's members.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-revokesecuritygroup>

use compute::resource::Direction;
use serde_json::Value;

use super::super::{Call, Refusal};
use super::security_rules::change;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    change(call, Direction::Ingress, false).await
}
