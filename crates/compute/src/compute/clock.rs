//! The time, as an argument: the daemon's clock is the host's, tests have one that they turn.

use std::time::Duration;

use jiff::Timestamp;

use crate::store::Answer;

/// A clock.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Waits until then.
    fn sleep_until(&self, time: Timestamp) -> Answer<'_, ()>;
}

/// The host's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostClock;

/// Longest sleep at once. The host's clock may be set meanwhile.
const LONGEST: Duration = Duration::from_secs(60);

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, time: Timestamp) -> Answer<'_, ()> {
        Box::pin(async move {
            loop {
                let left = time.duration_since(self.now());
                match Duration::try_from(left) {
                    Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LONGEST)).await,
                    Ok(_) | Err(_) => return,
                }
            }
        })
    }
}

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct ManualClock(tokio::sync::watch::Sender<Timestamp>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(tokio::sync::watch::Sender::new(now))
    }

    /// Turns it on by this much.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = now.saturating_add(by).unwrap_or(Timestamp::MAX));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep_until(&self, time: Timestamp) -> Answer<'_, ()> {
        Box::pin(async move {
            // The sender is ours: it cannot be gone.
            let _ = self.0.subscribe().wait_for(|now| *now >= time).await;
        })
    }
}
