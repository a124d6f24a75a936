//! ModifySecurityGroupRules: lets rules of a group say something else, which keep their ids.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html>

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::rules;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    rules::modify(call).await
}
