//! DescribeKeyPairs: key pairs by name, fingerprint and tags, in pages.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describekeypairs>

use compute::resource::KeyPair;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::paging::Paging;
use super::super::{Call, Refusal, time};
use super::instance::is_like;
use super::tagged;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let name = parameters.get("KeyPairName");
    let fingerprint = parameters.get("KeyPairFingerPrint");
    let shows_key = parameters.flag("IncludePublicKey")?.unwrap_or(false);
    let tags = parameters.tag_pairs()?;
    let mut paging = Paging::read(parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |pair: &KeyPair| {
        paging.takes(
            name.is_none_or(|name| is_like(&pair.name, name))
                && fingerprint.is_none_or(|wanted| pair.fingerprints.md5.replace(':', "") == wanted)
                && tagged::has(&pair.tags, &tags),
        )
    };
    let listed = call.compute().key_pairs(call.account(), after.as_deref(), size, wanted).await?;
    let pairs: Vec<Value> = listed.items.iter().map(|pair| view(pair, shows_key)).collect();
    Ok(paging.told(json!({ "KeyPairs": { "KeyPair": pairs } }), listed.next.as_deref()))
}

fn view(pair: &KeyPair, shows_key: bool) -> Value {
    let mut view = json!({
        "KeyPairId": pair.id.written(),
        "KeyPairName": pair.name,
        "KeyPairFingerPrint": pair.fingerprints.md5.replace(':', ""),
        "CreationTime": time::seconds(pair.created),
        "ResourceGroupId": "",
        "Tags": { "Tag": tagged::view(&pair.tags) },
    });
    if shows_key {
        view["PublicKey"] = json!(pair.public_key.to_string());
    }
    view
}
