//! ImportKeyPair: takes a public key that somebody has the other half of.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-importkeypair>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::launch::name;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let name = name(call.parameters, "KeyPairName")?.ok_or_else(|| Refusal::missing("KeyPairName"))?;
    let text = call.parameters.required("PublicKeyBody")?;
    let pair = call.compute().import_key_pair(call.account(), &name, text, call.parameters.tags()?).await?;
    let fingerprint = pair.fingerprints.md5.replace(':', "");
    Ok(json!({ "KeyPairName": pair.name, "KeyPairFingerPrint": fingerprint, "ResourceGroupId": "" }))
}
