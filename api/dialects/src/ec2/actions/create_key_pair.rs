//! CreateKeyPair: makes a key pair, and gives its private half away, once.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html>

use compute::key_pair::Algorithm;

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::key_pair::{ALGORITHMS, made, new_name};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let name = new_name(call)?;
    let algorithm = parameters.choice("KeyType", ALGORITHMS)?.unwrap_or(Algorithm::Rsa);
    match parameters.get("KeyFormat") {
        None | Some("pem") => {}
        Some("ppk") => return Err(Refusal::unsupported("KeyFormat")),
        Some(_) => return Err(parameters.invalid("KeyFormat")),
    }
    let tags = tags::specified(parameters, "key-pair", &["key-pair"])?;
    let new = call.compute().create_key_pair(call.account(), name, algorithm, tags).await?;
    Ok(made(&new.pair, Tree::new().text("keyMaterial", new.private_key.ssh.expose())))
}
