//! Key pairs.

use compute::id::KeyPairId;
use native_api::{CreateKeyPair, ErrorBody, ImportKeyPair, NewKeyPair, Page, PageQuery, SetTags};

use super::answer::{Answer, created, done, ok};
use super::convert;
use super::errors::OrRefuse;
use super::request::{after, page_size, token};
use super::{Call, states};

/// CreateKeyPair. The private half is shown as ssh takes it, here and never again.
pub async fn create(call: &Call<'_>, request: CreateKeyPair) -> Result<Answer, ErrorBody> {
    let (algorithm, tags) = (states::new_algorithm(request.algorithm), convert::new_tags(&request.tags));
    let made = call
        .compute()
        .create_key_pair(call.account(), request.name.as_str(), algorithm, tags)
        .await
        .or_refuse()?;
    let private_key = made.private_key.ssh.expose().to_owned();
    created(&NewKeyPair { key_pair: convert::key_pair(made.pair), private_key })
}

/// ImportKeyPair.
pub async fn import(call: &Call<'_>, request: ImportKeyPair) -> Result<Answer, ErrorBody> {
    let (name, key) = (request.name.as_str(), request.public_key.as_str());
    let tags = convert::new_tags(&request.tags);
    let pair = call.compute().import_key_pair(call.account(), name, key, tags).await.or_refuse()?;
    created(&convert::key_pair(pair))
}

/// ListKeyPairs.
pub async fn list(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed =
        call.compute().key_pairs(call.account(), after.as_deref(), size, |_| true).await.or_refuse()?;
    let items: Vec<_> = listed.items.into_iter().map(convert::key_pair).collect();
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetKeyPair.
pub async fn get(call: &Call<'_>, id: KeyPairId) -> Result<Answer, ErrorBody> {
    ok(&convert::key_pair(call.compute().key_pair_of(call.account(), id).await.or_refuse()?))
}

/// DeleteKeyPair.
pub async fn delete(call: &Call<'_>, id: KeyPairId) -> Result<Answer, ErrorBody> {
    let pair = call.compute().key_pair_of(call.account(), id).await.or_refuse()?;
    call.compute().delete_key_pair(call.account(), &pair.name).await.or_refuse()?;
    done()
}

/// SetKeyPairTags.
pub async fn set_tags(call: &Call<'_>, id: KeyPairId, request: SetTags) -> Result<Answer, ErrorBody> {
    let tags = convert::new_tags(&request.tags);
    ok(&convert::key_pair(call.compute().tag_key_pair(call.account(), id, &tags).await.or_refuse()?))
}
