//! CreateKeyPair: makes a key pair, and gives its private half away, which nobody is told again.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-createkeypair>

use compute::key_pair::Algorithm;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::launch::name;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let name = name(call.parameters, "KeyPairName")?.ok_or_else(|| Refusal::missing("KeyPairName"))?;
    let made = call
        .compute()
        .create_key_pair(call.account(), &name, Algorithm::Rsa, call.parameters.tags()?)
        .await?;
    Ok(json!({
        "KeyPairId": made.pair.id.written(),
        "KeyPairName": made.pair.name,
        "KeyPairFingerPrint": made.pair.fingerprints.md5.replace(':', ""),
        "PrivateKeyBody": made.private_key.ssh.expose(),
        "ResourceGroupId": "",
    }))
}
