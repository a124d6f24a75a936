//! Snapshots.

use compute::compute::{NewSnapshot, WordsChange};
use compute::id::SnapshotId;
use compute::resource::{Snapshot, SnapshotState};
use native_api::{self as api, CreateSnapshot, ErrorBody, Page, Rename, SetTags, SnapshotQuery};

use super::Call;
use super::answer::{Answer, created, done, ok};
use super::convert::{self, has_tags, id, is_named};
use super::errors::OrRefuse;
use super::launch::token_of;
use super::request::{after, page_size, token};

/// CreateSnapshot.
pub async fn create(call: &Call<'_>, mut request: CreateSnapshot) -> Result<Answer, ErrorBody> {
    let token = request.client_token.take().map(|token| token_of(token, "native/CreateSnapshot", &request));
    let new = NewSnapshot {
        volume: id(&request.volume),
        name: convert::words(request.name),
        description: convert::words(request.description),
        tags: convert::new_tags(&request.tags),
        token,
    };
    let snapshot = call.compute().create_snapshot(call.account(), &new).await.or_refuse()?;
    created(&shown(call, snapshot).await?)
}

/// With why it failed, if it did: that is in its job, as long as that is on record.
async fn shown(call: &Call<'_>, snapshot: Snapshot) -> Result<api::Snapshot, ErrorBody> {
    let reason = match snapshot.state {
        SnapshotState::Failed => {
            call.compute().failure_of(call.account(), &snapshot.id.to_string()).await.or_refuse()?
        }
        _ => None,
    };
    Ok(convert::snapshot(snapshot, reason))
}

/// ListSnapshots.
pub async fn list(call: &Call<'_>, query: SnapshotQuery) -> Result<Answer, ErrorBody> {
    let volume = query.volume.as_ref().map(id);
    let wanted = |snapshot: &Snapshot| {
        volume.is_none_or(|id| snapshot.volume == id)
            && is_named(&snapshot.name, query.name.as_ref())
            && has_tags(&snapshot.tags, &query.tag)
    };
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed =
        call.compute().snapshots(call.account(), after.as_deref(), size, wanted).await.or_refuse()?;
    let mut items = Vec::with_capacity(listed.items.len());
    for snapshot in listed.items {
        items.push(shown(call, snapshot).await?);
    }
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetSnapshot.
pub async fn get(call: &Call<'_>, id: SnapshotId) -> Result<Answer, ErrorBody> {
    let snapshot = call.compute().snapshot(call.account(), id).await.or_refuse()?;
    ok(&shown(call, snapshot).await?)
}

/// What a `Rename` says, for the core.
pub fn renamed(request: Rename) -> WordsChange {
    WordsChange {
        name: request.name.map(Into::into),
        description: request.description.map(Into::into),
        tags: None,
    }
}

/// What a `SetTags` says, for the core.
pub fn tagged(request: &SetTags) -> WordsChange {
    WordsChange { tags: Some(convert::new_tags(&request.tags)), ..WordsChange::default() }
}

/// UpdateSnapshot.
pub async fn update(call: &Call<'_>, id: SnapshotId, request: Rename) -> Result<Answer, ErrorBody> {
    let snapshot = call.compute().change_snapshot(call.account(), id, &renamed(request)).await.or_refuse()?;
    ok(&shown(call, snapshot).await?)
}

/// SetSnapshotTags.
pub async fn set_tags(call: &Call<'_>, id: SnapshotId, request: SetTags) -> Result<Answer, ErrorBody> {
    let snapshot = call.compute().change_snapshot(call.account(), id, &tagged(&request)).await.or_refuse()?;
    ok(&shown(call, snapshot).await?)
}

/// DeleteSnapshot.
pub async fn delete(call: &Call<'_>, id: SnapshotId) -> Result<Answer, ErrorBody> {
    call.compute().delete_snapshot(call.account(), id).await.or_refuse()?;
    done()
}
