//! The native API on its connections: from a request to its route, its caller and its handler. Every refusal is an
//! `ErrorBody`. The connections themselves are `crate::server`'s.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use compute::compute::Compute;
use compute::identity::Identity;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use native_api::{Access, ErrorBody, ErrorCode, NotFound, Operation, Route};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::TlsAcceptor;

use super::answer::{self, Answer};
use super::errors::OrRefuse;
use super::metrics::Metrics;
use super::request::Input;
use super::{Call, HostFacts, Inner, Limits, auth, dispatch};
use crate::server::{self, Api, Listener, Operators, Peer, Place, close_after, drain};

/// The native API.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

impl Service {
    /// The API of this core, which has recovered.
    pub fn new(compute: Arc<Compute>, identity: Arc<Identity>, facts: HostFacts, limits: Limits) -> Self {
        let (metrics, streams) = (Metrics::default(), Default::default());
        Self { inner: Arc::new(Inner { compute, identity, facts, limits, metrics, streams }) }
    }

    /// Makes the account that the operator acts for unless another is named, if there is none. Called by every request
    /// that needs it; a daemon that calls it when it starts sees early that it can.
    ///
    /// # Errors
    ///
    /// The record store does not do its part.
    pub async fn ensure_default_account(&self) -> Result<compute::identity::AccountId, ErrorBody> {
        auth::default_account(&self.inner).await.map(|account| account.id)
    }

    /// Serves the operator on a unix socket until `shutdown`, then lets what is under way come to its end, within limits.
    pub async fn serve_unix(
        &self,
        listener: UnixListener,
        operators: Operators,
        shutdown: impl Future<Output = ()>,
    ) {
        server::serve(self.clone(), Listener::Unix(listener, operators), shutdown).await;
    }

    /// Serves the network until `shutdown`, then lets what is under way come to its end, within limits.
    pub async fn serve_tcp(
        &self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        shutdown: impl Future<Output = ()>,
    ) {
        server::serve(self.clone(), Listener::Tcp(listener, tls), shutdown).await;
    }

    /// Serves one connection until it ends, or `ending` says that all is to end. `place` is given back then.
    pub async fn serve_connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        &self,
        stream: S,
        peer: Peer,
        ending: watch::Receiver<bool>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        server::serve_connection(self, stream, peer, ending, place).await;
    }
}

impl Api for Service {
    fn limits(&self) -> server::Limits {
        self.inner.limits.walls()
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        ending: watch::Receiver<bool>,
        place: Place,
    ) -> Answer {
        answer_measured(&self.inner, request, peer, ending, place).await
    }

    fn too_many(&self, _asked: &Parts, most: usize) -> Answer {
        answer::error(&ErrorCode::TooManyRequests.body(
            format!("{most} clients are connected"),
            "close connections that are not needed, or try again",
        ))
    }
}

/// Answers a request, and notes how that went. Nothing is logged of what was sent, as it may be secret.
async fn answer_measured(
    inner: &Arc<Inner>,
    request: Request<Incoming>,
    peer: Peer,
    ending: watch::Receiver<bool>,
    place: Place,
) -> Answer {
    let began = Instant::now();
    let (mut account, mut operation) = (None, None);
    let answer = answer(inner, request, peer, ending, place, &mut account, &mut operation).await;
    let (took, status) = (began.elapsed(), answer.status().as_u16());
    inner.metrics.note(operation, status, took);
    let operation = operation.map_or("none", Operation::as_str);
    log::debug!("{operation} for {}: {status} in {took:?}", account.as_deref().unwrap_or("nobody"));
    answer
}

async fn answer(
    inner: &Arc<Inner>,
    request: Request<Incoming>,
    peer: Peer,
    ending: watch::Receiver<bool>,
    place: Place,
    account: &mut Option<String>,
    operation: &mut Option<Operation>,
) -> Answer {
    let path = request.uri().path().to_owned();
    let (route, ids) = match native_api::find(request.method().as_str(), &path) {
        Ok(found) => (found.route, found.parameters.into_iter().map(|word| word.into_owned()).collect()),
        Err(not_found) => {
            let answer = no_route(request.method(), not_found);
            drain(request.into_body(), inner.limits.body);
            return answer;
        }
    };
    *operation = Some(route.operation);
    let mut input = Input::new(route, ids, request, inner.limits.body);
    let result = match caller(inner, peer, route, &input).await {
        Ok(caller) => {
            *account = caller.is_known.then(|| caller.access.account.clone());
            let call = Call { inner, caller: &caller, ending };
            match input.check().await {
                Ok(()) => dispatch::handle(&call, route.operation, &mut input, place).await,
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let mut answer = match result {
        Ok(answer) => return answer,
        Err(error) => answer::error(&error),
    };
    if !input.is_read() {
        close_after(&mut answer);
    }
    input.drain();
    answer
}

/// Who asks, if they may.
async fn caller(
    inner: &Arc<Inner>,
    peer: Peer,
    route: &'static Route,
    input: &Input,
) -> Result<auth::Caller, ErrorBody> {
    let caller = match route.access {
        Access::Open => return Ok(auth::Caller::nobody()),
        Access::Caller | Access::Policy | Access::Operator => {
            auth::authenticate(inner, peer, input.headers()).await?
        }
    };
    auth::authorize(inner, &caller, peer, route, input.word(0))?;
    Ok(caller)
}

fn no_route(method: &Method, not_found: NotFound) -> Answer {
    match not_found {
        NotFound::Path => {
            let error = ErrorCode::NotFound
                .body("there is no such path", "the OpenAPI document has all that there are");
            answer::error(&error)
        }
        NotFound::Method(methods) => {
            let allowed = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
            let hint = format!("it takes {allowed}");
            let mut answer = answer::error(
                &ErrorCode::MethodNotAllowed.body(format!("this path does not take {method}"), hint),
            );
            if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                answer.headers_mut().insert(ALLOW, allowed);
            }
            answer
        }
    }
}

/// Whether the store answers, for whoever asks how the daemon is.
pub async fn revision(inner: &Inner) -> Result<compute::store::Revision, ErrorBody> {
    // Nothing has such a key; the page still tells as of when that is so.
    Ok(inner.compute.store().range("health/", None, 1).await.or_refuse()?.revision)
}
