//! ImportKeyPair: takes the public half of somebody's own key.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::xml::Tree;
use super::super::{Call, Refusal, tags};
use super::key_pair::{made, new_name};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let name = new_name(call)?;
    let material = call.parameters.required("PublicKeyMaterial")?;
    let wrong = || Refusal::new(400, "InvalidKey.Format", "Key is not in valid OpenSSH public key format");
    let material: String = material.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let text = BASE64_STANDARD.decode(material).map_err(|_| wrong())?;
    let text = String::from_utf8(text).map_err(|_| wrong())?;
    let tags = tags::specified(call.parameters, "key-pair", &["key-pair"])?;
    let pair = call.compute().import_key_pair(call.account(), name, text.trim(), tags).await?;
    Ok(made(&pair, Tree::new()))
}
