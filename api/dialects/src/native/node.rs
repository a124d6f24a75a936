//! The node: places, instance types, jobs, usage, how it is.

use compute::compute::{ComputeError, MAX_ATTACHED, MAX_INTERFACES};
use compute::id::{InstanceId, JobId};
use compute::resource::{self, Instance, JobKind, Resource};
use jiff::Timestamp;
use native_api::{self as api, ErrorBody, ErrorCode, Page, PageQuery, UsageQuery};
use serde::Serialize;

use super::answer::{Answer, ok};
use super::convert::{self, fitted, id};
use super::errors::{OrRefuse, Refusal};
use super::request::{after, no_token, page_size, token};
use super::{Call, server};

/// A page of a list that comes from the configuration.
fn page<T: Serialize>(items: Vec<T>, query: &PageQuery) -> Result<Answer, ErrorBody> {
    let from: usize = match after(query.page_token.as_ref())? {
        None => 0,
        Some(after) => after.parse().map_err(|_| no_token())?,
    };
    let (all, size) = (items.len(), page_size(query.page_size));
    let items: Vec<T> = items.into_iter().skip(from).take(size).collect();
    let end = from.saturating_add(size);
    let next = (end < all).then(|| end.to_string());
    ok(&Page { items, next_page_token: token(next.as_deref()) })
}

/// ListRegions.
pub fn list_regions(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let name = fitted(&call.compute().config().catalog.region, 64, "unknown");
    page(vec![api::Region { name, here: true }], &query)
}

/// ListZones.
pub fn list_zones(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let catalog = &call.compute().config().catalog;
    let zone = |zone: &resource::Zone| api::Zone {
        name: fitted(&zone.name, 64, "unknown"),
        region: fitted(&catalog.region, 64, "unknown"),
        available: true,
    };
    page(catalog.zones.iter().map(zone).collect(), &query)
}

fn instance_type(it: &resource::InstanceType) -> api::InstanceType {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    api::InstanceType {
        name: fitted(&it.name, 40, "unknown"),
        vcpus: it.vcpus,
        memory_mib: it.memory_mib.try_into().unwrap_or(api::SizeMib::MAX),
        ephemeral_gib: u32::try_from(it.ephemeral_gib).unwrap_or(u32::MAX),
        max_network_interfaces: count(MAX_INTERFACES),
        max_volumes: count(MAX_ATTACHED),
    }
}

/// ListInstanceTypes, the smallest first.
pub fn list_instance_types(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let mut types: Vec<_> = call.compute().config().catalog.instance_types.iter().collect();
    types.sort_by(|one, other| {
        (one.vcpus, one.memory_mib, &one.name).cmp(&(other.vcpus, other.memory_mib, &other.name))
    });
    page(types.into_iter().map(instance_type).collect(), &query)
}

/// GetInstanceType.
pub fn get_instance_type(call: &Call<'_>, name: &str) -> Result<Answer, ErrorBody> {
    ok(&instance_type(call.compute().instance_type(name).or_refuse()?))
}

/// A job with the size of what it made.
async fn shown(call: &Call<'_>, job: resource::Job) -> Result<Option<api::Job>, ErrorBody> {
    let image = match &job.kind {
        JobKind::ImportImage { image, .. } | JobKind::CopyImage { image, .. } => *image,
        _ => return Ok(None),
    };
    let bytes = match (&job.state, call.compute().image(call.account(), image).await) {
        (resource::JobState::Succeeded {}, Ok(image)) => image.disk.map(|disk| disk.bytes),
        (_, Ok(_) | Err(ComputeError::NotFound { .. })) => None,
        (_, Err(error)) => return Err(error.refusal()),
    };
    Ok(convert::job(job, bytes))
}

fn makes_image(job: &resource::Job) -> bool {
    matches!(job.kind, JobKind::ImportImage { .. } | JobKind::CopyImage { .. })
}

/// ListJobs: those that make images. What else is a job inside shows in what it works on.
pub async fn list_jobs(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed =
        call.compute().jobs_that(call.account(), after.as_deref(), size, makes_image).await.or_refuse()?;
    let mut items = Vec::with_capacity(listed.items.len());
    for job in listed.items {
        items.extend(shown(call, job).await?);
    }
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetJob.
pub async fn get_job(call: &Call<'_>, id: JobId) -> Result<Answer, ErrorBody> {
    let job = call.compute().job(call.account(), id).await.or_refuse()?;
    let absent = || ComputeError::NotFound { what: resource::Job::NAME, id: id.to_string() }.refusal();
    ok(&shown(call, job).await?.ok_or_else(absent)?)
}

/// ListUsage: first what has ended, then what goes on; the place in the list says which of them.
pub async fn list_usage(call: &Call<'_>, query: UsageQuery) -> Result<Answer, ErrorBody> {
    let (from, to) = (query.from.unwrap_or(Timestamp::MIN), query.to.unwrap_or(Timestamp::MAX));
    let (size, now, account) = (page_size(query.page_size), call.now(), call.account());
    let instance: Option<InstanceId> = query.instance.as_ref().map(id);
    let wanted = |id: InstanceId, usage: &compute::charge::Usage| {
        instance.is_none_or(|wanted| wanted == id)
            && query
                .product_code
                .as_ref()
                .is_none_or(|code| usage.product_codes.iter().any(|it| it == code.as_str()))
            && usage.since() < to
            && usage.until().is_none_or(|until| until >= from)
    };
    let record = |id, usage: &compute::charge::Usage| {
        convert::usage(id, account, usage, usage.hours_between(from, to, now))
    };
    let after = after(query.page_token.as_ref())?;
    let (phase, place) = match &after {
        None => ("ended", None),
        Some(after) => {
            let (phase, place) = after.split_once('/').ok_or_else(no_token)?;
            (phase, Some(place).filter(|place| !place.is_empty()))
        }
    };
    let mut items = Vec::new();
    let going_on = match phase {
        "ended" => {
            let wanted = |it: &resource::UsageRecord| wanted(it.instance, &it.usage);
            let listed = call.compute().usage_that(account, place, size, wanted).await.or_refuse()?;
            items.extend(listed.items.iter().map(|it| record(it.instance, &it.usage)));
            if let Some(next) = listed.next {
                return ok(&Page { items, next_page_token: token(Some(&format!("ended/{next}"))) });
            }
            None
        }
        "running" => place,
        _ => return Err(no_token()),
    };
    let left = size - items.len();
    if left == 0 {
        return ok(&Page { items, next_page_token: token(Some("running/")) });
    }
    let runs = |it: &Instance| it.usage.as_ref().is_some_and(|usage| wanted(it.id, usage));
    let listed = call.compute().instance_views(account, going_on, left, runs).await.or_refuse()?;
    let running =
        listed.items.iter().filter_map(|view| Some((view.instance.id, view.instance.usage.as_ref()?)));
    items.extend(running.map(|(id, usage)| record(id, usage)));
    let next = listed.next.map(|next| format!("running/{next}"));
    ok(&Page { items, next_page_token: token(next.as_deref()) })
}

/// GetHealth.
pub async fn health(call: &Call<'_>) -> Result<Answer, ErrorBody> {
    if *call.ending.borrow() {
        return Err(ErrorCode::Unavailable.body("the daemon is ending", "try again in a moment"));
    }
    let revision = convert::revision(server::revision(call.inner).await?);
    ok(&api::Health { version: call.inner.facts.version.clone(), revision })
}

/// GetHost.
pub async fn host(call: &Call<'_>) -> Result<Answer, ErrorBody> {
    let (facts, config) = (&call.inner.facts, call.compute().config());
    let (capacity, used) = call.compute().capacity();
    ok(&api::Host {
        name: config.node.clone(),
        version: facts.version.clone(),
        vmm_version: facts.vmm_version.clone(),
        kernel: facts.kernel.clone(),
        zone: fitted(&config.catalog.zones[0].name, 64, "unknown"),
        started_at: facts.started_at,
        capacity: convert::amounts(capacity),
        used: convert::amounts(used),
        disk_free_bytes: call.compute().free_disk_bytes().await.or_refuse()?,
        reflink: facts.reflink,
    })
}
