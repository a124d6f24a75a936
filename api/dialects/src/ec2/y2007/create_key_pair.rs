//! CreateKeyPair: an RSA key pair, whose private half is given away here and not kept.

use compute::key_pair::Algorithm;
use compute::resource::Tags;

use super::super::xml::Tree;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let name = call.parameters.required("KeyName")?;
    let made = call.compute().create_key_pair(call.account(), name, Algorithm::Rsa, Tags::default()).await?;
    Ok(Tree::new()
        .text("keyName", &made.pair.name)
        .text("keyFingerprint", made.pair.fingerprints.ec2())
        .text("keyMaterial", made.private_key.ssh.expose()))
}
