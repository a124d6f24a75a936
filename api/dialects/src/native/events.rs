//! What happens in an account, as lines of JSON: the store's changes, told as events of the contract. Tells what to look at
//! anew; who may see how it is, asks for that.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use compute::id::ImageId;
use compute::identity;
use compute::resource::{
    Image, ImageState, Instance, Interface, Job, JobKind, JobState, KeyPair, Resource, SecurityGroup,
    Snapshot, Subnet, UsageRecord, Volume, Vpc,
};
use compute::store::{Key, Revision, Store, WatchError};
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use native_api::{Change, ErrorBody, Event, EventKind, EventQuery, WaitMs};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::answer::{Answer, json_bytes};
use super::errors::{OrRefuse, Refusal};
use super::server;
use super::{Call, StreamPlace, convert, ended, states};
use crate::server::Place;

/// StreamEvents.
pub async fn stream(call: &Call<'_>, query: EventQuery, place: Place) -> Result<Answer, ErrorBody> {
    let taken = call.stream()?;
    let now = server::revision(call.inner).await?;
    let mut follower = Follower {
        account: call.account().to_owned(),
        images: HashSet::new(),
        call: Followed { compute: call.compute().clone(), ending: call.ending.clone() },
        keep_alive: call.inner.limits.keep_alive,
        wait: query.wait_ms.map(|wait| Duration::from_millis(WaitMs::get(wait).into())),
        _places: (place, taken),
    };
    follower.know_images().await?;
    let since = query.since.map(|since| Revision(since.get()));
    // One room only: what the client does not take waits in the store.
    let (lines, body) = mpsc::channel(1);
    tokio::spawn(async move { follower.follow(since, now, lines).await });
    let mut answer = Response::new(Lines(body).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// The body: what is sent to it, piece by piece.
struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// What a stream needs beyond its request.
struct Followed {
    compute: std::sync::Arc<compute::compute::Compute>,
    ending: watch::Receiver<bool>,
}

/// One stream.
struct Follower {
    account: String,
    /// Images of the account that were seen: when one is removed, nothing else says whose it was.
    images: HashSet<ImageId>,
    call: Followed,
    keep_alive: Duration,
    wait: Option<Duration>,
    _places: (Place, StreamPlace),
}

impl Follower {
    async fn know_images(&mut self) -> Result<(), ErrorBody> {
        let mut after = None;
        loop {
            let own = |image: &Image| image.account == self.account;
            let page =
                self.call.compute.images(&self.account, after.as_deref(), 1000, own).await.or_refuse()?;
            self.images.extend(page.items.into_iter().map(|image| image.id));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Until nobody listens any more, the daemon ends, or nothing happened for as long as was asked.
    async fn follow(&mut self, since: Option<Revision>, now: Revision, lines: mpsc::Sender<Bytes>) {
        let store = self.call.compute.store().clone();
        let mut from = since.unwrap_or(now);
        // A number that was never given is of another store, or of one that was put back to an older state.
        if from > now {
            from = now;
            if lines.send(self.gap(now)).await.is_err() {
                return;
            }
        }
        let mut changes = store.watch("", from);
        let mut quiet_until = self.wait.map(|wait| Instant::now() + wait);
        loop {
            let keep_alive = Instant::now() + self.keep_alive;
            let found = tokio::select! {
                found = changes.next() => found,
                () = sleep_until(quiet_until.unwrap_or(keep_alive).min(keep_alive)) => {
                    if quiet_until.is_some_and(|until| until <= Instant::now()) {
                        return;
                    }
                    if lines.send(Bytes::from_static(b"\n")).await.is_err() {
                        return;
                    }
                    continue;
                }
                () = lines.closed() => return,
                () = ended(self.call.ending.clone()) => return,
            };
            let text = match found {
                Ok(found) => match self.lines(&*store, found).await {
                    Ok(text) => text,
                    Err(error) => return log::debug!("a stream of events ended: {}", error.message),
                },
                Err(WatchError::Compacted { .. }) => {
                    let Ok(page) = store.range("health/", None, 1).await else { return };
                    changes = store.watch("", page.revision);
                    self.gap(page.revision).into()
                }
                Err(WatchError::Failed(error)) => return log::debug!("a stream of events ended: {error}"),
            };
            if !text.is_empty() {
                quiet_until = self.wait.map(|wait| Instant::now() + wait);
                if lines.send(text.into()).await.is_err() {
                    return;
                }
            }
        }
    }

    /// That events are missing before this revision.
    fn gap(&self, revision: Revision) -> Bytes {
        let event = Event {
            revision: convert::revision(revision),
            at: self.call.compute.clock().now(),
            account: Some(convert::text(&self.account)),
            kind: EventKind::Gap,
            resource: String::new(),
            change: Change::Changed,
            state: None,
        };
        line(&event).into()
    }

    async fn lines(
        &mut self,
        store: &dyn Store,
        changes: Vec<compute::store::Change>,
    ) -> Result<Vec<u8>, ErrorBody> {
        let (mut text, at) = (Vec::new(), self.call.compute.clock().now());
        for change in changes {
            // Whose key or certificate was deleted is only told by who is written with it.
            let owners = ["account", "user"].map(|word| format!("{word}/{}", self.account));
            let is_owners = change.records.iter().any(|(key, _)| {
                let key = key.as_str();
                owners.iter().any(|owner| {
                    key.strip_prefix(owner.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
            });
            let failed: Vec<ImageId> = change
                .records
                .iter()
                .filter_map(|(key, value)| self.failed_image(key, value.as_deref()))
                .collect();
            for (key, value) in &change.records {
                let Some(seen) = self.see(key, value.as_deref(), is_owners, &failed) else { continue };
                let change_kind = match seen.change {
                    Some(change) => change,
                    None => self.change_of(store, key, change.revision).await?,
                };
                text.extend(line(&Event {
                    revision: convert::revision(change.revision),
                    at,
                    account: Some(convert::text(&self.account)),
                    kind: seen.kind,
                    resource: seen.resource,
                    change: change_kind,
                    state: seen.state,
                }));
            }
        }
        Ok(text)
    }

    /// Whether a record that was written is new since. One that is gone again is told of by the change that did it.
    async fn change_of(&self, store: &dyn Store, key: &Key, revision: Revision) -> Result<Change, ErrorBody> {
        let record = store.get(key).await.map_err(Refusal::refusal)?;
        Ok(if record.is_some_and(|record| record.created == revision) {
            Change::Created
        } else {
            Change::Changed
        })
    }

    /// The image that a job of the account did not make.
    fn failed_image(&self, key: &Key, value: Option<&[u8]>) -> Option<ImageId> {
        let rest = key.as_str().strip_prefix("job/")?.strip_prefix(self.account.as_str())?;
        let job: Job = read(value?).filter(|_| rest.starts_with('/'))?;
        match (job.kind, job.state) {
            (JobKind::ImportImage { image, .. } | JobKind::CopyImage { image, .. }, JobState::Failed(_)) => {
                Some(image)
            }
            _ => None,
        }
    }

    /// What a change of a record is to the account, if it is anything.
    fn see(&mut self, key: &Key, value: Option<&[u8]>, is_owners: bool, failed: &[ImageId]) -> Option<Seen> {
        let mut words = key.as_str().split('/');
        let (word, second, last) = (words.next()?, words.next()?, words.next());
        let deleted = value.is_none().then_some(Change::Deleted);
        let seen = |kind, resource: &str, state| {
            Some(Seen { kind, resource: resource.to_owned(), state, change: deleted })
        };
        if word == Image::WORD {
            return self.see_image(second.parse().ok()?, value, failed);
        }
        if word == "certificate" {
            let is_ours = match value {
                Some(value) => read::<identity::Certificate>(value)?.account.to_string() == self.account,
                None => is_owners,
            };
            return if is_ours { seen(EventKind::Certificate, second, None) } else { None };
        }
        if word == "access-key" {
            let is_ours = match value {
                Some(value) => read::<identity::AccessKey>(value)?.account.to_string() == self.account,
                None => is_owners,
            };
            return if is_ours { seen(EventKind::AccessKey, second, None) } else { None };
        }
        if second != self.account {
            return None;
        }
        if word == "account" {
            return seen(EventKind::Account, second, None);
        }
        let last = last?;
        match word {
            "user" => seen(EventKind::User, &named(value, last, |it: identity::User| it.name), None),
            "role" => seen(EventKind::Role, &named(value, last, |it: identity::Role| it.name), None),
            "policy" => seen(EventKind::Policy, &named(value, last, |it: identity::Policy| it.name), None),
            KeyPair::WORD => {
                let name = of_hex(last);
                seen(EventKind::KeyPair, &named(value, &name, |it: KeyPair| it.id.to_string()), None)
            }
            Instance::WORD => {
                let state = |it: Instance| states::word(&states::instance(it.state()));
                seen(EventKind::Instance, last, value.and_then(read).and_then(state))
            }
            Volume::WORD => {
                let state = |it: Volume| states::word(&states::volume(it.state));
                seen(EventKind::Volume, last, value.and_then(read).and_then(state))
            }
            Snapshot::WORD => {
                let state = |it: Snapshot| states::word(&states::snapshot(it.state));
                seen(EventKind::Snapshot, last, value.and_then(read).and_then(state))
            }
            Job::WORD => {
                let Some(value) = value else { return seen(EventKind::Job, last, None) };
                // Those that are not shown are not told of either.
                let job = convert::job(read(value)?, None)?;
                seen(EventKind::Job, last, states::word(&job.state))
            }
            "reservation" => seen(EventKind::Reservation, last, None),
            Vpc::WORD => seen(EventKind::Vpc, last, None),
            Subnet::WORD => seen(EventKind::Subnet, last, None),
            Interface::WORD => seen(EventKind::NetworkInterface, last, None),
            SecurityGroup::WORD => seen(EventKind::SecurityGroup, last, None),
            "address" => seen(EventKind::Address, last, None),
            UsageRecord::WORD => {
                seen(EventKind::Usage, &named(value, last, |it: UsageRecord| it.instance.to_string()), None)
            }
            _ => None,
        }
    }

    fn see_image(&mut self, id: ImageId, value: Option<&[u8]>, failed: &[ImageId]) -> Option<Seen> {
        let (kind, resource) = (EventKind::Image, id.to_string());
        let Some(value) = value else {
            let is_ours = self.images.remove(&id) || failed.contains(&id);
            let change = Some(Change::Deleted);
            return is_ours.then_some(Seen { kind, resource, state: None, change });
        };
        let image: Image = read(value)?;
        if image.account != self.account {
            return None;
        }
        if image.state == ImageState::Deregistered {
            // Its record goes later, when nobody sees it any more.
            let was_there = self.images.remove(&id);
            let change = Some(Change::Deleted);
            return was_there.then_some(Seen { kind, resource, state: None, change });
        }
        self.images.insert(id);
        let state = states::image(image.state).and_then(|state| states::word(&state));
        Some(Seen { kind, resource, state, change: None })
    }
}

/// What a change is to an account.
struct Seen {
    kind: EventKind,
    resource: String,
    state: Option<String>,
    /// `None` if it has to be looked up whether it is new.
    change: Option<Change>,
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}

/// What a record says of itself, or what its key says of it.
fn named<T: DeserializeOwned>(value: Option<&[u8]>, key: &str, name: impl Fn(T) -> String) -> String {
    value.and_then(read).map_or_else(|| key.to_owned(), name)
}

/// The name that a key has in hexadecimal digits.
fn of_hex(digits: &str) -> String {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| digits.to_owned())
}

fn line(event: &Event) -> Vec<u8> {
    let mut line = json_bytes(event);
    line.push(b'\n');
    line
}
