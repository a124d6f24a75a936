//! DeleteKeyPair: forgets a key pair. Guests that have it keep it. One that is not there is deleted already.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteKeyPair.html>

use compute::compute::ComputeError;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::key_pair::named;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let Some(pair) = named(call).await? else { return Ok(Tree::done()) };
    match call.compute().delete_key_pair(call.account(), &pair.name).await {
        Ok(()) | Err(ComputeError::NotFound { .. }) => Ok(Tree::done().text("keyPairId", pair.id.written())),
        Err(error) => Err(error.into()),
    }
}
