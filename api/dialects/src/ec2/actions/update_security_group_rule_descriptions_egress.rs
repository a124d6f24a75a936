//! UpdateSecurityGroupRuleDescriptionsEgress: says something else of rules for what a group's members send.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UpdateSecurityGroupRuleDescriptionsEgress.html>

use compute::resource::Direction;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::rules::describe;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    describe(call, Direction::Egress).await
}
