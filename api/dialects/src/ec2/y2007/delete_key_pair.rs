//! DeleteKeyPair: forgets a key pair. One that there is not is forgotten, too.

use compute::compute::ComputeError;

use super::super::xml::Tree;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let name = call.parameters.required("KeyName")?;
    match call.compute().delete_key_pair(call.account(), name).await {
        Ok(()) | Err(ComputeError::NotFound { .. }) => Ok(Tree::done()),
        Err(error) => Err(error.into()),
    }
}
