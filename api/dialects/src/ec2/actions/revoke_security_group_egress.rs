//! RevokeSecurityGroupEgress: takes away what lets something through that members of a group send.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupEgress.html>

use compute::resource::Direction;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::rules::revoke;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    revoke(call, Direction::Egress).await
}
