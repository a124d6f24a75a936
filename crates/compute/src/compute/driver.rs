//! An instance's driver: the one task that takes what happens to the instance, in order, and does what follows. It is there
//! only while there is something to do, and when it begins it knows nothing but the record: so a daemon that was started
//! again goes on by the same code.
//!
//! Each event is on disk before anything follows from it. `advance` says what an event makes of the record; `effects` does
//! what is to be done.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::effects::Ended;
use super::{Compute, ComputeError, advance};
use crate::id::InstanceId;
use crate::lifecycle::{Event, Outcome, State, Task};
use crate::outside::Sight;
use crate::resource::{Instance, Resource, UsageRecord, owned_key};
use crate::store::{Condition, Kept, Transaction, get, put};

/// How long a driver waits before it tries again what the store or the host did not do.
const RETRY: Duration = Duration::from_secs(1);

/// Where to send messages for a driver.
pub type Inbox = mpsc::UnboundedSender<Message>;

/// Something that happened, or was asked.
pub struct Message {
    event: Event,
    reason: String,
    reply: Option<Reply>,
}

type Reply = oneshot::Sender<Result<Instance, ComputeError>>;

impl Message {
    /// Something was seen.
    pub fn saw(sight: Sight) -> Self {
        Self { event: Event::Seen(sight.report), reason: sight.reason, reply: None }
    }

    /// Something was asked or became due, and nobody waits for the answer.
    pub fn event(event: Event) -> Self {
        Self { event, reason: String::new(), reply: None }
    }
}

/// What the driver is at.
struct Work {
    task: Task,
    doing: Pin<Box<dyn Future<Output = Ended> + Send>>,
}

struct Driver {
    compute: Arc<Compute>,
    id: InstanceId,
    account: String,
    inbox: mpsc::UnboundedReceiver<Message>,
    work: Option<Work>,
}

impl Compute {
    /// Sends a message to an instance's driver, and starts one if there is none.
    pub(super) fn tell(self: &Arc<Self>, account: &str, id: InstanceId, message: Message) {
        self.wake(account, id, Some(message));
    }

    /// Sees to it that an instance has a driver as long as there is something to do.
    pub(super) fn wake(self: &Arc<Self>, account: &str, id: InstanceId, message: Option<Message>) {
        let mut drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        let inbox = drivers.entry(id).or_insert_with(|| {
            let (inbox, messages) = mpsc::unbounded_channel();
            let driver = Driver {
                compute: Arc::clone(self),
                id,
                account: account.to_owned(),
                inbox: messages,
                work: None,
            };
            self.tasks.spawn(driver.run());
            inbox
        });
        if let Some(message) = message {
            // A driver leaves the table before it ends, under the same lock.
            let _ = inbox.send(message);
        }
    }

    /// Asks an instance's driver for something, and waits until it is on record or refused.
    pub(super) async fn ask(
        self: &Arc<Self>,
        account: &str,
        id: InstanceId,
        event: Event,
    ) -> Result<Instance, ComputeError> {
        let (reply, answer) = oneshot::channel();
        self.tell(account, id, Message { event, reason: String::new(), reply: Some(reply) });
        answer.await.map_err(|_| ComputeError::Ending)?
    }
}

impl Driver {
    async fn run(mut self) {
        let mut kept = self.read().await;
        loop {
            let Some(instance) = &kept else {
                if self.leave() {
                    return;
                }
                // Somebody asks for an instance whose record is gone.
                while let Ok(message) = self.inbox.try_recv() {
                    self.refuse(message);
                }
                continue;
            };
            let (task, deadline) = (instance.value.progress.task(), instance.value.progress.deadline());
            self.take_up(task, &instance.value);
            if self.work.is_none() && deadline.is_none() && self.leave() {
                return;
            }
            let clock = Arc::clone(&self.compute.clock);
            let passed = async {
                match deadline {
                    Some(deadline) => clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let ended = async {
                match &mut self.work {
                    Some(work) => (work.task, (&mut work.doing).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(&mut kept, message).await,
                    None => return,
                },
                (task, ended) = ended => {
                    self.work = None;
                    self.end(&mut kept, task, ended).await;
                }
                () = passed => self.pass(&mut kept).await,
            }
        }
    }

    /// Begins what is to be done, unless it is being done. What is not to be done any more is dropped.
    fn take_up(&mut self, task: Option<Task>, instance: &Instance) {
        if self.work.as_ref().map(|work| work.task) == task {
            return;
        }
        self.work = task.map(|task| {
            let (compute, instance) = (Arc::clone(&self.compute), instance.clone());
            let doing = Box::pin(async move { compute.perform(task.effect, &instance).await });
            Work { task, doing }
        });
    }

    /// Leaves the table of drivers, unless there is a message.
    fn leave(&self) -> bool {
        let mut drivers = self.compute.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = self.inbox.is_empty();
        if idle {
            drivers.remove(&self.id);
        }
        idle
    }

    fn refuse(&self, message: Message) {
        if let Some(reply) = message.reply {
            let _ = reply.send(Err(self.not_found()));
        }
    }

    fn not_found(&self) -> ComputeError {
        ComputeError::NotFound { what: Instance::NAME, id: self.id.to_string() }
    }

    /// The record, however long the store does not answer.
    async fn read(&mut self) -> Option<Kept<Instance>> {
        let key = owned_key(Instance::WORD, &self.account, &self.id.to_string());
        loop {
            match get(&*self.compute.store, &key).await {
                Ok(kept) => return kept,
                Err(error) => log::error!("{}: cannot read its record: {error}", self.id),
            }
            self.pause().await;
        }
    }

    async fn pause(&mut self) {
        let now = self.compute.clock.now();
        self.compute.clock.sleep_until(now.saturating_add(RETRY).unwrap_or(Timestamp::MAX)).await;
    }

    async fn take(&mut self, kept: &mut Option<Kept<Instance>>, message: Message) {
        let Message { event, reason, reply } = message;
        if let Event::Seen(report) = event {
            log::info!("{}: seen {report:?}{}{reason}", self.id, if reason.is_empty() { "" } else { ": " });
        }
        let limits = self.compute.config.limits;
        let result = self
            .write(kept, reply.is_none(), |instance, now| {
                advance::apply(instance, event, &reason, &limits, now)
                    .map_err(|why| ComputeError::Refused { instance: instance.id, why })
            })
            .await;
        let Some(reply) = reply else { return };
        let _ = reply.send(result);
    }

    async fn end(&mut self, kept: &mut Option<Kept<Instance>>, task: Task, ended: Ended) {
        let limits = self.compute.config.limits;
        let what = task.effect;
        // It is on record, or the record is gone.
        let _ = match ended {
            Ended::Saw(sight) => {
                self.write(kept, true, |instance, now| {
                    advance::apply(instance, Event::Seen(sight.report), &sight.reason, &limits, now)
                        .map_err(|why| ComputeError::Refused { instance: instance.id, why })
                })
                .await
            }
            Ended::Done => {
                log::debug!("{}: {what:?} is done", self.id);
                self.write(kept, true, |instance, now| {
                    Ok(advance::finish(instance, task, Outcome::Done, "", &limits, now))
                })
                .await
            }
            Ended::GaveUp(reason) => {
                log::warn!("{}: {what:?} cannot be done: {reason}", self.id);
                self.write(kept, true, |instance, now| {
                    Ok(advance::finish(instance, task, Outcome::GaveUp, &reason, &limits, now))
                })
                .await
            }
        };
    }

    async fn pass(&mut self, kept: &mut Option<Kept<Instance>>) {
        let limits = self.compute.config.limits;
        let _ = self
            .write(kept, true, |instance, now| {
                // Somebody else's change may have come before.
                match instance.progress.deadline() {
                    Some(deadline) if deadline <= now => {
                        advance::apply(instance, Event::DeadlinePassed, "", &limits, now)
                            .map_err(|why| ComputeError::Refused { instance: instance.id, why })
                    }
                    Some(_) | None => Ok(None),
                }
            })
            .await;
    }

    /// Changes the record and keeps the change, with the use that ended by it. What has happened cannot be refused:
    /// `insist` tries until the store takes it.
    async fn write(
        &mut self,
        kept: &mut Option<Kept<Instance>>,
        insist: bool,
        change: impl Fn(&mut Instance, Timestamp) -> Result<Option<UsageRecord>, ComputeError> + Send + Sync,
    ) -> Result<Instance, ComputeError> {
        loop {
            let Some(current) = kept.as_ref() else { return Err(self.not_found()) };
            let mut instance = current.value.clone();
            let usage = change(&mut instance, self.compute.clock.now())?;
            if instance == current.value {
                return Ok(instance);
            }
            let mut writes = vec![put(current.key.clone(), &instance)];
            writes.extend(usage.map(|usage| put(usage.key(), &usage)));
            let conditions: Vec<Condition> = vec![current.unmodified()];
            match self.compute.store.commit(Transaction { conditions, writes }).await {
                Ok(modified) => {
                    self.note(&current.value, &instance);
                    *kept = Some(Kept { value: instance.clone(), key: current.key.clone(), modified });
                    return Ok(instance);
                }
                Err(crate::store::CommitError::Conflict { .. }) => *kept = self.read().await,
                Err(error) if insist => {
                    log::error!("{}: cannot write its record: {error}", self.id);
                    self.pause().await;
                    *kept = self.read().await;
                }
                // Nobody knows whether it was done: what is on record tells.
                Err(error) => {
                    *kept = self.read().await;
                    return Err(error.into());
                }
            }
        }
    }

    fn note(&self, before: &Instance, after: &Instance) {
        let now = self.compute.clock.now();
        self.compute.ledger.note_instance(after, self.compute.due_at(after, now));
        if before.state() != after.state() {
            log::info!("{}: {:?} after {:?}", self.id, after.state(), before.state());
        }
        if after.state() == State::Terminated {
            // Still on record for a while, and still known.
            log::info!("{} has ended", self.id);
        }
    }
}
