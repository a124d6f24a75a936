//! AuthorizeSecurityGroupIngress: lets something through to a group's members.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html>

use compute::resource::Direction;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::rules::authorize;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    authorize(call, Direction::Ingress).await
}
