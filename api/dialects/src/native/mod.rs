//! The native API: bothyd's own, over HTTP/1.1. `Service` takes connections; what can be asked is `native_api::ROUTES`, and
//! what is done for it is one flat match in `dispatch`, with the handlers in a file for each subject.
//!
//! On the unix socket the caller is the operator of the host; over TCP callers show an access key. A handler translates and
//! calls the core; which account it is for is settled before, and no handler sees another's resources.

mod access_keys;
mod accounts;
mod addresses;
mod answer;
mod auth;
mod certificates;
mod connect;
mod console;
mod convert;
mod dispatch;
mod errors;
mod events;
mod images;
mod instances;
mod interfaces;
mod key_pairs;
mod launch;
mod metrics;
mod networks;
mod node;
mod policies;
mod request;
mod roles;
mod security_groups;
mod server;
mod snapshots;
mod states;
mod upgrade;
mod users;
mod volumes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use compute::compute::Compute;
use compute::identity::Identity;
use jiff::Timestamp;
use native_api::{ErrorBody, ErrorCode};
use tokio::sync::watch;

pub use auth::DEFAULT_ACCOUNT;
pub use server::Service;

use crate::server::ended;
pub use crate::server::{Operators, Peer};

/// What is told of the host that does not come from the core.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// Version of the daemon.
    pub version: String,
    /// Version of the program that runs each VM.
    pub vmm_version: String,
    /// The host's kernel.
    pub kernel: String,
    /// When the daemon was started.
    pub started_at: Timestamp,
    /// Whether disks share blocks with the images that they were made of.
    pub reflink: bool,
}

/// What keeps one client from hurting the others.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections of one listener; more are told to come back.
    pub connections: usize,
    /// Most consoles, event streams and waits for output of one account at once.
    pub streams: usize,
    /// Longest time for a TLS handshake, for a request's head, and for a connection to stand idle.
    pub head: Duration,
    /// Longest time for a request's body.
    pub body: Duration,
    /// Longest time in which a client may take nothing of its answer.
    pub stall: Duration,
    /// How often something is said on a stream of events on which nothing happens.
    pub keep_alive: Duration,
    /// After shutdown, answers that are on their way get this long.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let crate::server::Limits { connections, head, body, stall, grace } = Default::default();
        Self { connections, streams: 64, head, body, stall, keep_alive: Duration::from_secs(15), grace }
    }
}

impl Limits {
    /// Those of its connections.
    fn walls(&self) -> crate::server::Limits {
        let &Self { connections, head, body, stall, grace, .. } = self;
        crate::server::Limits { connections, head, body, stall, grace }
    }
}

/// What every request needs.
struct Inner {
    compute: Arc<Compute>,
    identity: Arc<Identity>,
    facts: HostFacts,
    limits: Limits,
    metrics: metrics::Metrics,
    streams: Mutex<HashMap<String, usize>>,
}

/// A request whose caller is known and may ask it.
struct Call<'a> {
    inner: &'a Arc<Inner>,
    caller: &'a auth::Caller,
    ending: watch::Receiver<bool>,
}

impl Call<'_> {
    fn compute(&self) -> &Arc<Compute> {
        &self.inner.compute
    }

    fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// The account that is acted for.
    fn account(&self) -> &str {
        &self.caller.access.account
    }

    fn now(&self) -> Timestamp {
        self.inner.compute.clock().now()
    }

    /// Takes a place among the streams of the caller's account.
    fn stream(&self) -> Result<StreamPlace, ErrorBody> {
        let mut streams = self.inner.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let count = streams.entry(self.account().to_owned()).or_default();
        if *count >= self.inner.limits.streams {
            let message =
                format!("{count} streams of this account are open, which is as many as there may be");
            return Err(ErrorCode::TooManyRequests.body(message, "close some that are not needed"));
        }
        *count += 1;
        Ok(StreamPlace { inner: Arc::clone(self.inner), account: self.account().to_owned() })
    }
}

/// A place among the streams of an account; free again when this is dropped.
struct StreamPlace {
    inner: Arc<Inner>,
    account: String,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut streams = self.inner.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = streams.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                streams.remove(&self.account);
            }
        }
    }
}
