//! What time brings: automatic releases, expiry, renewals; and what is kept only for a while. One timer looks at all of it;
//! it may be late, killed and started again, and the outcome is the same.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::driver::Message;
use super::{Compute, ComputeError};
use crate::charge::{Due, Terms};
use crate::id::InstanceId;
use crate::lifecycle::{Event, State};
use crate::resource::{ClientToken, HELD_AFTER_END, Image, Instance, Job, Resource, owned_key};
use crate::store::{Kept, MAX_OPERATIONS, Transaction, Write, list};

/// How often the terms of instances are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often what is kept for a while is looked at.
const SWEEP: Duration = Duration::from_secs(60);
/// How long jobs that ended are kept.
const JOBS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long client tokens are kept. EC2 and Alibaba say a day.
const TOKENS_KEPT: Duration = Duration::from_secs(2 * 24 * 3600);

impl Compute {
    /// Runs the timer until the task is dropped.
    pub async fn run_timer(self: Arc<Self>) {
        let mut swept = self.clock.now();
        loop {
            let now = self.clock.now();
            self.look_at_terms(now).await;
            if since(swept, now) >= SWEEP {
                swept = now;
                if let Err(error) = self.sweep(now).await {
                    log::error!("cannot remove what is old: {error}");
                }
            }
            self.clock.sleep_until(now.saturating_add(TICK).unwrap_or(Timestamp::MAX)).await;
        }
    }

    /// When an instance's terms are next to be looked at.
    pub(super) fn due_at(&self, instance: &Instance, now: Timestamp) -> Option<Timestamp> {
        let due = instance.terms.due(&self.config.charging, now);
        match (due, instance.state()) {
            (_, State::Terminating | State::Terminated) => None,
            (Due::Nothing(next), _) => next,
            (Due::Lock { release }, State::Locking | State::Locked) => Some(release),
            (Due::Renew { .. } | Due::Lock { .. } | Due::Release, _) => Some(now),
        }
    }

    /// Does what is due by now.
    pub async fn look_at_terms(self: &Arc<Self>, now: Timestamp) {
        for (id, account) in self.ledger.due(now) {
            if let Err(error) = self.do_what_is_due(&account, id, now).await {
                log::error!("{id}: cannot do what is due: {error}");
            }
        }
    }

    async fn do_what_is_due(
        self: &Arc<Self>,
        account: &str,
        id: InstanceId,
        now: Timestamp,
    ) -> Result<(), ComputeError> {
        let key = owned_key(Instance::WORD, account, &id.to_string());
        let Some(kept) = crate::store::get::<Instance>(&*self.store, &key).await? else {
            self.ledger.forget_instance(id);
            return Ok(());
        };
        match kept.value.terms.due(&self.config.charging, now) {
            Due::Nothing(_) => self.ledger.note_instance(&kept.value, self.due_at(&kept.value, now)),
            Due::Renew { period, .. } => {
                let renewed = self
                    .change_owned::<Instance>(account, &id.to_string(), |instance| {
                        // Somebody may have renewed it, or stopped the renewals, meanwhile.
                        if let (Terms::Subscription(subscription), Due::Renew { .. }) =
                            (&mut instance.terms.clone(), instance.terms.due(&self.config.charging, now))
                        {
                            subscription
                                .renew(period, now)
                                .map_err(|error| ComputeError::invalid("period", error.to_string()))?;
                            instance.terms = Terms::Subscription(subscription.clone());
                        }
                        Ok(())
                    })
                    .await?;
                log::info!("{id} was renewed until {:?}", renewed.terms.expires());
                self.ledger.note_instance(&renewed, self.due_at(&renewed, now));
            }
            Due::Lock { .. } => self.tell(account, id, Message::event(Event::Expired)),
            Due::Release => self.tell(account, id, Message::event(Event::ReleaseDue)),
        }
        Ok(())
    }

    /// Removes what was kept for a while.
    ///
    /// # Errors
    ///
    /// The store or the host does not do its part; what was not removed is the next time.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), ComputeError> {
        let by = now.saturating_sub(HELD_AFTER_END).unwrap_or(Timestamp::MIN);
        for (id, account) in self.ledger.ended(by) {
            let key = owned_key(Instance::WORD, &account, &id.to_string());
            if let Some(kept) = crate::store::get::<Instance>(&*self.store, &key).await? {
                self.machines.forget(id).await?;
                self.remove(&kept).await?;
            }
            self.ledger.forget_instance(id);
        }
        let (jobs, _) = list::<Job>(&*self.store, "job/").await?;
        let ended = |job: &Job| job.ended.is_some_and(|ended| since(ended, now) >= JOBS_KEPT);
        self.remove_all(jobs, ended).await?;
        let (tokens, _) = list::<ClientToken>(&*self.store, "client-token/").await?;
        self.remove_all(tokens, |token| since(token.created, now) >= TOKENS_KEPT).await?;
        let (images, _) = list::<Image>(&*self.store, "image/").await?;
        let deregistered = |image: &Image| {
            let is_old = |then| since(then, now) >= HELD_AFTER_END;
            image.disk.is_none() && image.deregistered.is_some_and(is_old)
        };
        self.remove_all(images, deregistered).await?;
        let (reservations, _) = list::<crate::resource::Reservation>(&*self.store, "reservation/").await?;
        self.remove_all(reservations, |reservation| {
            let is_old = since(reservation.created, now) >= HELD_AFTER_END;
            is_old && !reservation.instances.iter().any(|id| self.ledger.has_instance(*id))
        })
        .await
    }

    async fn remove_all<T>(
        &self,
        all: Vec<Kept<T>>,
        is_old: impl Fn(&T) -> bool,
    ) -> Result<(), ComputeError> {
        let old: Vec<Kept<T>> = all.into_iter().filter(|kept| is_old(&kept.value)).collect();
        for some in old.chunks(MAX_OPERATIONS) {
            let conditions = some.iter().map(Kept::unmodified).collect();
            let writes = some.iter().map(|kept| Write::Delete(kept.key.clone())).collect();
            self.store.commit(Transaction { conditions, writes }).await?;
        }
        Ok(())
    }
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}
