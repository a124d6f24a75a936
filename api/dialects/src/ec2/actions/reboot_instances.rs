//! RebootInstances: asks guests to restart; those that do not are reset after a while.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RebootInstances.html>

use compute::lifecycle::Action;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::act;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    act::on_all(call, |_| Action::Reboot).await?;
    Ok(Tree::done())
}
