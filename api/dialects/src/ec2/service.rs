//! From a request on a connection to its answer: by SOAP where it says so, a document where one is asked for, else by Query.
//! Whatever is refused is told in the cloud's form, with the same request id that the log has.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use compute::compute::Compute;
use compute::identity::Identity;
use compute::store::ReadError;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::http::request::Parts;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::actions::{self, Effect, Row};
use super::auth::{self, Caller};
use super::errors::Refusal;
use super::location::Images;
use super::parameters::Parameters;
use super::query::{self, Asked, MAX_BODY_BYTES};
use super::version::Api;
use super::xml::Tree;
use super::y2007::shapes;
use super::{Call, Inner, Protocol, access, soap};
use crate::server::{self, Answer, Limits, Listener, Nonces, Peer, Place, close_after, drain, read_body};

/// Amazon's EC2 API.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

impl Service {
    /// The API of this core, which has recovered. Only what is where `images` says can be registered by its location.
    ///
    /// # Errors
    ///
    /// The signatures on record cannot be read.
    pub async fn open(
        compute: Arc<Compute>,
        identity: Arc<Identity>,
        limits: Limits,
        images: Images,
    ) -> Result<Self, ReadError> {
        let nonces = Nonces::open(Arc::clone(compute.store()), "soap-signature").await?;
        Ok(Self { inner: Arc::new(Inner { compute, identity, limits, images, nonces }) })
    }

    /// Forgets signatures of requests that would be too old by now, until the task is dropped.
    pub async fn run_sweeper(self) {
        self.inner.nonces.run_sweeper(&**self.inner.compute.clock()).await;
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
}

impl server::Api for Service {
    fn limits(&self) -> Limits {
        self.inner.limits
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        _ending: watch::Receiver<bool>,
        _place: Place,
    ) -> Answer {
        let began = Instant::now();
        let (parts, mut body) = request.into_parts();
        let request_id = query::request_id();
        let bytes = read_body(&mut body, MAX_BODY_BYTES, self.limits().body).await.map_err(Refusal::from);
        let (action, mut answer) = if soap::is_soap(&parts) {
            soap::answer(&self.inner, &request_id, bytes, peer).await
        } else if let Some(document) = soap::document(&parts, peer) {
            ("none", document)
        } else {
            by_query(&self.inner, &request_id, &parts, bytes, peer).await
        };
        if !body.is_end_stream() {
            close_after(&mut answer);
            drain(body, self.limits().body);
        }
        let (status, took) = (answer.status().as_u16(), began.elapsed());
        log::debug!("{action}: {status} in {took:?}, {request_id}");
        answer
    }

    fn too_many(&self, asked: &Parts, most: usize) -> Answer {
        let why = format!("{most} clients are connected; close connections that are not needed.");
        let (request_id, refusal) = (query::request_id(), Refusal::new(503, "Unavailable", why));
        match soap::is_soap(asked) {
            true => soap::refused(&request_id, refusal),
            false => query::refused(&request_id, None, &refusal),
        }
    }
}

/// Answers a Query request; tells the action too, for the log.
async fn by_query(
    inner: &Inner,
    request_id: &str,
    parts: &Parts,
    body: Result<Vec<u8>, Refusal>,
    peer: Peer,
) -> (&'static str, Answer) {
    let asked = body.and_then(|body| Ok((query::read(parts, &body)?, body)));
    let (asked, body) = match asked {
        Ok(asked) => asked,
        Err(refusal) => return ("none", query::refused(request_id, None, &refusal)),
    };
    let api = asked.version.api;
    let row = match actions::find(api, &asked.action) {
        Ok(row) => row,
        Err(refusal) => return ("none", query::refused(request_id, Some(api), &refusal)),
    };
    let answered = signed(inner, parts, &asked, &body, row, peer).await;
    let answer = match answered {
        Ok(tree) => query::written(request_id, &asked.version, row.name, &tree),
        Err(refusal) if api == Api::Sts => query::refused(request_id, Some(api), &refusal.in_sts()),
        Err(refusal) if api == Api::Y2007 => query::refused(request_id, Some(api), &refusal.in_2007()),
        Err(refusal) => query::refused(request_id, Some(api), &refusal),
    };
    (row.name, answer)
}

async fn signed(
    inner: &Inner,
    parts: &Parts,
    asked: &Asked,
    body: &[u8],
    row: &Row,
    peer: Peer,
) -> Result<Tree, Refusal> {
    let caller = auth::authenticate(inner, parts, asked, body).await?;
    if row.api == Api::Y2007 {
        shapes::check_query(row.name, &asked.parameters)?;
    }
    perform(inner, &caller, row, &asked.parameters, peer, Protocol::Query).await
}

/// What an action answers to a caller, if that may ask it: the part of the way that all protocols have in common.
pub async fn perform(
    inner: &Inner,
    caller: &Caller,
    row: &Row,
    parameters: &Parameters,
    peer: Peer,
    protocol: Protocol,
) -> Result<Tree, Refusal> {
    let context = peer.context(inner.compute.clock().now());
    let call = Call { inner, caller, parameters, protocol, context };
    access::authorize(&call, row)?;
    // Of those that look themselves, each asks first whatever can be asked without doing it.
    if row.effect != Effect::Tries && call.dry_run()? {
        return Err(Refusal::dry_run());
    }
    (row.handle)(&call).await
}
