//! A key pair: by which parameters requests name one, and what is shown of it.

use compute::compute::ComputeError;
use compute::id::KeyPairId;
use compute::key_pair::Algorithm;
use compute::resource::KeyPair;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};

/// Most characters of a name.
const MAX_NAME: usize = 255;

/// The words for the kinds of keys.
pub const ALGORITHMS: &[(&str, Algorithm)] = &[("ed25519", Algorithm::Ed25519), ("rsa", Algorithm::Rsa)];

/// The word for a kind.
pub fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rsa => "rsa",
        Algorithm::Ed25519 => "ed25519",
    }
}

/// The name that a new key pair is to have.
pub fn new_name<'a>(call: &'a Call<'_>) -> Result<&'a str, Refusal> {
    let name = call.parameters.required("KeyName")?;
    if name.chars().count() > MAX_NAME { Err(call.parameters.invalid("KeyName")) } else { Ok(name) }
}

/// The key pair that a request names; `None` if there is none.
pub async fn named(call: &Call<'_>) -> Result<Option<KeyPair>, Refusal> {
    let parameters = call.parameters;
    let found = match (parameters.get("KeyName"), parameters.get("KeyPairId")) {
        (Some(_), Some(_)) => {
            return Err(Refusal::combination("Only one of KeyName and KeyPairId may be there."));
        }
        (Some(name), None) => call.compute().key_pair(call.account(), name).await,
        (None, Some(id)) => call.compute().key_pair_of(call.account(), KeyPairId::read(id)?).await,
        (None, None) => return Err(parameters.missing("KeyName")),
    };
    match found {
        Ok(pair) => Ok(Some(pair)),
        Err(ComputeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is shown of a key pair by whoever makes one; `more` is the private half.
pub fn made(pair: &KeyPair, more: Tree) -> Tree {
    Tree::new()
        .text("keyName", &pair.name)
        .text("keyFingerprint", pair.fingerprints.ec2())
        .and(more)
        .text("keyPairId", pair.id.written())
        .and(tags::set(Tree::new(), &pair.tags))
}
