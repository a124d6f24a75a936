//! StartInstances: starts instances that are stopped.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StartInstances.html>

use compute::lifecycle::Action;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::act;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    Ok(act::told(act::on_all(call, |_| Action::Start).await?))
}
