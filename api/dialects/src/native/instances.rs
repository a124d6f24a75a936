//! Instances after they were launched, and their launches.

use compute::compute::{ComputeError, InstanceChange, Protection};
use compute::id::{InstanceId, ReservationId};
use compute::lifecycle::{Action, Refused, State};
use compute::resource::{Instance, Resource};
use native_api::{
    self as api, ErrorBody, Force, InstanceQuery, Page, PageQuery, Renew, SetTags, UpdateInstance,
};

use super::answer::{Answer, accepted, ok};
use super::convert::{self, has_tags, id, is_named};
use super::errors::OrRefuse;
use super::request::{after, page_size, token};
use super::{Call, states};

/// ListInstances.
pub async fn list(call: &Call<'_>, query: InstanceQuery) -> Result<Answer, ErrorBody> {
    let wanted = |instance: &Instance| {
        (query.state.is_empty() || query.state.contains(&states::instance(instance.state())))
            && is_named(&instance.name, query.name.as_ref())
            && has_tags(&instance.tags, &query.tag)
    };
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let (views, next) = if query.id.is_empty() {
        let listed = call
            .compute()
            .instance_views(call.account(), after.as_deref(), size, wanted)
            .await
            .or_refuse()?;
        (listed.items, listed.next)
    } else {
        // As many as are asked for are looked up by themselves; the order is the same.
        let mut ids: Vec<InstanceId> = query.id.iter().map(id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| after.as_ref().is_none_or(|after| id.to_string() > *after));
        let mut views = call.compute().instance_views_of(call.account(), &ids, wanted).await.or_refuse()?;
        let more = views.len() > size;
        views.truncate(size);
        let next = views.last().filter(|_| more).map(|last| last.instance.id.to_string());
        (views, next)
    };
    let items: Vec<_> = views.into_iter().map(convert::instance).collect();
    ok(&Page { items, next_page_token: token(next.as_deref()) })
}

async fn shown(call: &Call<'_>, id: InstanceId) -> Result<api::Instance, ErrorBody> {
    Ok(convert::instance(call.compute().instance_view(call.account(), id).await.or_refuse()?))
}

/// GetInstance.
pub async fn get(call: &Call<'_>, id: InstanceId) -> Result<Answer, ErrorBody> {
    ok(&shown(call, id).await?)
}

/// UpdateInstance: all of it or nothing.
pub async fn update(call: &Call<'_>, id: InstanceId, request: UpdateInstance) -> Result<Answer, ErrorBody> {
    let instance = call.compute().instance(call.account(), id).await.or_refuse()?;
    let needs_stop =
        request.user_data.is_some() || request.host_name.is_some() || request.instance_type.is_some();
    if needs_stop {
        stopped(&instance).or_refuse()?;
    }
    if let Some(Some(role)) = &request.role {
        call.pass_role(role.as_str()).await?;
    }
    let release = match request.release_at {
        None => None,
        Some(at) => Some(convert::release(at, call.now()).or_refuse()?),
    };
    let change = InstanceChange {
        name: request.name.map(Into::into),
        host_name: request.host_name.map(Into::into),
        user_data: request.user_data.map(|data| data.bytes()),
        instance_type: request.instance_type.map(Into::into),
        rules: request.rules.map(convert::new_rules),
        release,
        auto_renew: request.auto_renew.map(|period| period.map(convert::new_period)),
        role: request.role.map(|role| role.map(Into::into)),
        metadata_options: request
            .metadata_options
            .map(|options| convert::new_metadata_options(options).into())
            .unwrap_or_default(),
        ..InstanceChange::default()
    };
    let changed = call.compute().change_instance(call.account(), id, &change).await;
    // A type that is not offered is a parameter, not what the path names.
    let changed = changed.map_err(|error| match error {
        ComputeError::NotFound { what: "instance type", id } => {
            ComputeError::invalid("instance_type", format!("{id:?} is not offered"))
        }
        error => error,
    });
    changed.or_refuse()?;
    get(call, id).await
}

fn stopped(instance: &Instance) -> Result<(), ComputeError> {
    match instance.state() {
        State::Created | State::Stopped | State::Locked | State::Failed => Ok(()),
        state => {
            let state = states::word(&states::instance(state)).unwrap_or_default();
            Err(ComputeError::WrongState {
                what: Instance::NAME,
                id: instance.id.to_string(),
                state,
                wanted: "stopped",
            })
        }
    }
}

async fn act(call: &Call<'_>, id: InstanceId, action: Action) -> Result<Answer, ErrorBody> {
    let (allowance, protection) = (call.allowance().await?, Protection::Respected);
    match call.compute().act(call.account(), id, action, allowance, protection).await {
        // What is so already is done.
        Ok(_) | Err(ComputeError::Refused { why: Refused::Already, .. }) => {}
        Err(error) => return Err(error).or_refuse(),
    }
    accepted(&shown(call, id).await?)
}

/// StartInstance.
pub async fn start(call: &Call<'_>, id: InstanceId) -> Result<Answer, ErrorBody> {
    act(call, id, Action::Start).await
}

/// StopInstance.
pub async fn stop(call: &Call<'_>, id: InstanceId, how: Force) -> Result<Answer, ErrorBody> {
    act(call, id, if how.force { Action::StopForced } else { Action::Stop }).await
}

/// RebootInstance.
pub async fn reboot(call: &Call<'_>, id: InstanceId, how: Force) -> Result<Answer, ErrorBody> {
    act(call, id, if how.force { Action::RebootForced } else { Action::Reboot }).await
}

/// TerminateInstance.
pub async fn terminate(call: &Call<'_>, id: InstanceId) -> Result<Answer, ErrorBody> {
    act(call, id, Action::Terminate).await
}

/// RenewInstance.
pub async fn renew(call: &Call<'_>, id: InstanceId, request: Renew) -> Result<Answer, ErrorBody> {
    call.compute().renew(call.account(), id, convert::new_period(request.period), None).await.or_refuse()?;
    get(call, id).await
}

/// GetInstanceMetrics.
pub async fn metrics(call: &Call<'_>, id: InstanceId) -> Result<Answer, ErrorBody> {
    call.compute().instance(call.account(), id).await.or_refuse()?;
    let used = call.compute().machines().metrics(id).await.map_err(ComputeError::from).or_refuse()?;
    ok(&api::InstanceMetrics {
        at: call.now(),
        cpu_ms: used.cpu_ms,
        memory_bytes: used.memory_bytes,
        disk_read_bytes: used.disk_read_bytes,
        disk_write_bytes: used.disk_write_bytes,
        disk_reads: used.disk_reads,
        disk_writes: used.disk_writes,
        net_receive_bytes: used.net_receive_bytes,
        net_send_bytes: used.net_send_bytes,
        net_receive_packets: used.net_receive_packets,
        net_send_packets: used.net_send_packets,
    })
}

/// GetUserData.
pub async fn user_data(call: &Call<'_>, id: InstanceId) -> Result<Answer, ErrorBody> {
    let instance = call.compute().instance(call.account(), id).await.or_refuse()?;
    // The core keeps it in base64 too, and no more of it.
    ok(&api::InstanceUserData { user_data: convert::text(instance.user_data) })
}

/// SetInstanceTags.
pub async fn set_tags(call: &Call<'_>, id: InstanceId, request: SetTags) -> Result<Answer, ErrorBody> {
    let change = InstanceChange { tags: Some(convert::new_tags(&request.tags)), ..InstanceChange::default() };
    call.compute().change_instance(call.account(), id, &change).await.or_refuse()?;
    get(call, id).await
}

/// ListReservations.
pub async fn list_reservations(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.compute().reservations(call.account(), after.as_deref(), size).await.or_refuse()?;
    let items: Vec<_> = listed.items.into_iter().map(convert::reservation).collect();
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetReservation.
pub async fn get_reservation(call: &Call<'_>, id: ReservationId) -> Result<Answer, ErrorBody> {
    ok(&convert::reservation(call.compute().reservation_of(call.account(), id).await.or_refuse()?))
}
