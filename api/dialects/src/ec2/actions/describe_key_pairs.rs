//! DescribeKeyPairs: key pairs by name, id and filters.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeKeyPairs.html>

use compute::id::KeyPairId;
use compute::resource::KeyPair;

use super::super::filters::Filters;
use super::super::ids::CloudId;
use super::super::paging::Pages;
use super::super::xml::Tree;
use super::super::{Call, Refusal, tags, time};
use super::key_pair::algorithm;
use super::words::ids;

const FILTERS: &[&str] = &["fingerprint", "key-name", "key-pair-id"];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let filters = Filters::read(parameters, FILTERS)?;
    let (names, named) = (parameters.list("KeyName")?, ids::<KeyPairId>(parameters, "KeyPairId")?);
    let with_key = parameters.flag("IncludePublicKey")?.unwrap_or(false);
    for name in &names {
        call.compute().key_pair(call.account(), name).await?;
    }
    for id in &named {
        call.compute().key_pair_of(call.account(), *id).await?;
    }
    let mut pages = Pages::read(parameters, false)?;
    while let Some((after, most)) = pages.wants() {
        let wanted = |pair: &KeyPair| {
            let is_named = names.contains(&pair.name) || named.contains(&pair.id);
            (is_named || names.is_empty() && named.is_empty())
                && filters.pass(&pair.tags, |name| fields(pair, name).into_iter().collect())
        };
        let listed = call.compute().key_pairs(call.account(), after.as_deref(), most, wanted).await?;
        pages.add(listed.items, listed.next);
    }
    let (pairs, _) = pages.done();
    Ok(Tree::new().list("keySet", pairs.iter().map(|pair| view(pair, with_key))))
}

fn fields(pair: &KeyPair, name: &str) -> Option<String> {
    match name {
        "fingerprint" => Some(pair.fingerprints.ec2().to_owned()),
        "key-name" => Some(pair.name.clone()),
        "key-pair-id" => Some(pair.id.written()),
        _ => None,
    }
}

fn view(pair: &KeyPair, with_key: bool) -> Tree {
    Tree::new()
        .text("keyPairId", pair.id.written())
        .text("keyName", &pair.name)
        .text("keyFingerprint", pair.fingerprints.ec2())
        .text("keyType", algorithm(pair.public_key.algorithm()))
        .and(tags::set(Tree::new(), &pair.tags))
        .text_if("publicKey", with_key.then(|| format!("{} {}", pair.public_key, pair.name)))
        .text("createTime", time::written(pair.created))
}
