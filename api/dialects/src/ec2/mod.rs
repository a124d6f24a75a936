//! Amazon's EC2 API, as clients of 2007 and of today speak to it, and as much of STS as they need, all on one address.
//! `Service` takes connections; what can be asked is `actions::ROWS` and `y2007::ROWS`, a row and a file for each action.
//!
//! The way of a request: `service` → `query` (parameters, whatever way they came) → `auth` (signature, freshness, caller) →
//! `access` (the caller's policies) → the row's handler → `xml`. SOAP comes in by `soap` instead of `query` and `auth`, and
//! goes on the same way. A handler translates and calls the core.
//!
//! <https://docs.aws.amazon.com/ec2/latest/devguide/Query-Requests.html>

mod access;
mod actions;
mod auth;
mod errors;
mod filters;
mod ids;
mod location;
mod manifest;
mod paging;
mod parameters;
mod query;
pub mod reading;
mod service;
mod signature;
mod soap;
mod states;
mod tags;
mod time;
mod version;
mod xml;
mod y2007;

use compute::access::Context;
use compute::capacity::Amounts;
use compute::compute::{Compute, Token};
use compute::identity::{AccountId, Identity};
use jiff::Timestamp;
use std::sync::Arc;

pub use actions::{Coverage, coverage};
pub use location::Images;
pub use service::Service;

use auth::Caller;
use errors::Refusal;
use parameters::Parameters;

/// What every request needs.
struct Inner {
    compute: Arc<Compute>,
    identity: Arc<Identity>,
    limits: crate::server::Limits,
    /// Where images may be that are registered by their location.
    images: Images,
    /// Signatures of SOAP requests that were answered.
    nonces: crate::server::Nonces,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// As parameters.
    Query,
    /// In an envelope.
    Soap,
}

/// A request whose caller is known and may ask it.
struct Call<'a> {
    inner: &'a Inner,
    caller: &'a Caller,
    parameters: &'a Parameters,
    /// How it came.
    protocol: Protocol,
    /// What policies can ask about.
    context: Context,
}

impl Call<'_> {
    fn compute(&self) -> &Arc<Compute> {
        &self.inner.compute
    }

    fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// The account, as the core's resources name it.
    fn account(&self) -> &str {
        &self.caller.access.account
    }

    /// The account, as the core's identities name it.
    fn account_id(&self) -> AccountId {
        self.caller.who.account()
    }

    fn now(&self) -> Timestamp {
        self.inner.compute.clock().now()
    }

    fn region(&self) -> &str {
        &self.inner.compute.config().catalog.region
    }

    /// What the account may have in all.
    async fn allowance(&self) -> Result<Amounts, Refusal> {
        Ok(self.identity().account(self.account_id()).await?.quotas)
    }

    /// The client's token, if it sent one, with all else that it sent.
    fn token(&self, operation: &'static str) -> Result<Option<Token>, Refusal> {
        let Some(token) = self.parameters.get("ClientToken") else { return Ok(None) };
        if token.len() > 64 || !token.is_ascii() {
            return Err(Refusal::invalid("ClientToken", token));
        }
        let parameters = self.parameters.fingerprint();
        Ok(Some(Token { operation, token: token.to_owned(), parameters }))
    }

    /// Whether the client only wants to know if it could.
    fn dry_run(&self) -> Result<bool, Refusal> {
        Ok(self.parameters.flag("DryRun")?.unwrap_or(false))
    }
}
