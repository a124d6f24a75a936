//! TerminateInstances: ends instances for good.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html>

use compute::lifecycle::Action;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::act;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    Ok(act::told(act::on_all(call, |_| Action::Terminate).await?))
}
