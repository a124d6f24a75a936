//! RevokeSecurityGroupIngress: takes away what lets something through to a group's members.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>

use compute::resource::Direction;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::rules::revoke;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    revoke(call, Direction::Ingress).await
}
