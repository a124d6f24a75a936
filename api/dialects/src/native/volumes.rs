//! Volumes.

use compute::compute::{ComputeError, NewVolume, VolumeChange};
use compute::id::VolumeId;
use compute::resource::{Resource, Volume, VolumeState};
use native_api::{
    self as api, AttachVolume, CreateVolume, ErrorBody, Force, Page, SetTags, UpdateVolume, VolumeQuery,
    VolumeType,
};

use super::answer::{Answer, created, done, ok};
use super::convert::{self, has_tags, id, is_named};
use super::errors::OrRefuse;
use super::launch::token_of;
use super::request::{after, page_size, token};
use super::{Call, states};

/// CreateVolume.
pub async fn create(call: &Call<'_>, mut request: CreateVolume) -> Result<Answer, ErrorBody> {
    let token = request.client_token.take().map(|token| token_of(token, "native/CreateVolume", &request));
    let new = NewVolume {
        size_gib: request.size_gib.map(|size| size.get().into()),
        snapshot: request.snapshot.as_ref().map(id),
        name: convert::words(request.name),
        category: match request.volume_type {
            VolumeType::Local => "local".to_owned(),
        },
        zone: request.zone.map(Into::into),
        tags: convert::new_tags(&request.tags),
        token,
        ..NewVolume::default()
    };
    let volume =
        call.compute().create_volume(call.account(), &new, call.allowance().await?).await.or_refuse()?;
    created(&shown(call, volume).await?)
}

/// With why it failed, if it did: that is in its job, as long as that is on record.
async fn shown(call: &Call<'_>, volume: Volume) -> Result<api::Volume, ErrorBody> {
    let reason = match volume.state {
        VolumeState::Failed => {
            call.compute().failure_of(call.account(), &volume.id.to_string()).await.or_refuse()?
        }
        _ => None,
    };
    Ok(convert::volume(volume, reason))
}

/// ListVolumes.
pub async fn list(call: &Call<'_>, query: VolumeQuery) -> Result<Answer, ErrorBody> {
    let instance = query.instance.as_ref().map(id);
    let wanted = |volume: &Volume| {
        (query.state.is_empty() || query.state.contains(&states::volume(volume.state)))
            && instance.is_none_or(|id| volume.attachment.as_ref().is_some_and(|it| it.instance == id))
            && is_named(&volume.name, query.name.as_ref())
            && has_tags(&volume.tags, &query.tag)
    };
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.compute().volumes(call.account(), after.as_deref(), size, wanted).await.or_refuse()?;
    let mut items = Vec::with_capacity(listed.items.len());
    for volume in listed.items {
        items.push(shown(call, volume).await?);
    }
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetVolume.
pub async fn get(call: &Call<'_>, id: VolumeId) -> Result<Answer, ErrorBody> {
    let volume = call.compute().volume(call.account(), id).await.or_refuse()?;
    ok(&shown(call, volume).await?)
}

/// UpdateVolume. What can be refused is looked at before anything is changed.
pub async fn update(call: &Call<'_>, id: VolumeId, request: UpdateVolume) -> Result<Answer, ErrorBody> {
    let volume = call.compute().volume(call.account(), id).await.or_refuse()?;
    if request.delete_with_instance.is_some() && volume.attachment.is_none() {
        let state = states::word(&states::volume(volume.state)).unwrap_or_default();
        let error =
            ComputeError::WrongState { what: Volume::NAME, id: id.to_string(), state, wanted: "in use" };
        return Err(error).or_refuse();
    }
    if let Some(size) = request.size_gib {
        let (size, allowance) = (size.get().into(), call.allowance().await?);
        if size != volume.size_gib() {
            call.compute().grow_volume(call.account(), id, size, allowance).await.or_refuse()?;
        }
    }
    let change = VolumeChange {
        name: request.name.map(Into::into),
        delete_with_instance: request.delete_with_instance,
        ..VolumeChange::default()
    };
    let volume = call.compute().change_volume(call.account(), id, &change).await.or_refuse()?;
    ok(&shown(call, volume).await?)
}

/// AttachVolume.
pub async fn attach(call: &Call<'_>, volume: VolumeId, request: AttachVolume) -> Result<Answer, ErrorBody> {
    let device = request.device.map(|device| format!("/dev/{device}"));
    let goes = request.delete_with_instance;
    let attached = call
        .compute()
        .attach_volume(call.account(), volume, id(&request.instance), device.as_deref(), goes)
        .await;
    ok(&shown(call, attached.or_refuse()?).await?)
}

/// DetachVolume. It is only taken from an instance that has no VM, so that there is nobody to be asked.
pub async fn detach(call: &Call<'_>, id: VolumeId, _: Force) -> Result<Answer, ErrorBody> {
    let volume = call.compute().detach_volume(call.account(), id).await.or_refuse()?;
    ok(&shown(call, volume).await?)
}

/// DeleteVolume.
pub async fn delete(call: &Call<'_>, id: VolumeId) -> Result<Answer, ErrorBody> {
    call.compute().delete_volume(call.account(), id).await.or_refuse()?;
    done()
}

/// SetVolumeTags.
pub async fn set_tags(call: &Call<'_>, id: VolumeId, request: SetTags) -> Result<Answer, ErrorBody> {
    let change = VolumeChange { tags: Some(convert::new_tags(&request.tags)), ..VolumeChange::default() };
    let volume = call.compute().change_volume(call.account(), id, &change).await.or_refuse()?;
    ok(&shown(call, volume).await?)
}
