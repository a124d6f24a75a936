//! From a request on a connection to its answer. Whatever is refused is told in the cloud's form, in the format that was asked
//! for, and with the same request id that the log has.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use compute::compute::Compute;
use compute::identity::Identity;
use compute::store::ReadError;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::http::request::Parts;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::actions::{self, Effect};
use super::codec::{self, Format, MAX_BODY_BYTES, Sender};
use super::errors::Refusal;
use super::{Call, Inner, access, auth};
use crate::server::{
    self, Answer, Api, Limits, Listener, Nonces, Peer, Place, close_after, drain, read_body,
};

/// Alibaba Cloud's API.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

impl Service {
    /// The API of this core, which has recovered. Images can be imported that are below the folder `images`.
    ///
    /// # Errors
    ///
    /// The nonces on record cannot be read.
    pub async fn open(
        compute: Arc<Compute>,
        identity: Arc<Identity>,
        limits: Limits,
        images: Option<PathBuf>,
    ) -> Result<Self, ReadError> {
        let nonces = Nonces::open(Arc::clone(compute.store()), "nonce").await?;
        Ok(Self { inner: Arc::new(Inner { compute, identity, limits, images, nonces }) })
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

    /// Forgets nonces of requests that would be too old by now, until the task is dropped.
    pub async fn run_sweeper(self) {
        self.inner.nonces.run_sweeper(&**self.inner.compute.clock()).await;
    }
}

impl Api for Service {
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
        let (sender, mut action) = (Sender::of(&parts), None);
        let result = answer(&self.inner, &parts, &mut body, peer, &mut action).await;
        let mut answer = match &result {
            Ok((format, action, value)) => sender.written(*format, action, value),
            Err((format, refusal)) => sender.refused(*format, refusal),
        };
        if !body.is_end_stream() {
            close_after(&mut answer);
            drain(body, self.inner.limits.body);
        }
        let (status, took) = (answer.status().as_u16(), began.elapsed());
        let action = action.unwrap_or("none");
        log::debug!("{action}: {status} in {took:?}, {}", sender.request_id());
        answer
    }

    fn too_many(&self, _asked: &Parts, most: usize) -> Answer {
        let why = format!("{most} clients are connected; close connections that are not needed.");
        Sender::unknown().refused(Format::Json, &Refusal::new(503, "ServiceUnavailable", why))
    }
}

/// What the handler gives, with the format to write it in, or why there is nothing.
async fn answer(
    inner: &Inner,
    parts: &Parts,
    body: &mut Incoming,
    peer: Peer,
    action: &mut Option<&'static str>,
) -> Result<(Format, &'static str, Value), (Format, Refusal)> {
    let guess = Format::of_head(parts);
    let bytes = read_body(body, MAX_BODY_BYTES, inner.limits.body).await;
    let asked = bytes.map_err(Refusal::from).and_then(|bytes| codec::read(parts, &bytes));
    let asked = asked.map_err(|refusal| (guess, refusal))?;
    let format = asked.format;
    let answered = async {
        let row = actions::find(&asked.version, &asked.action)?;
        *action = Some(row.name);
        let caller = auth::authenticate(inner, parts, &asked).await?;
        let context = peer.context(inner.compute.clock().now());
        let call = Call { inner, caller: &caller, parameters: &asked.parameters, context };
        access::authorize(&call, row).await?;
        let (dry_run, region) = (call.dry_run()?, asked.parameters.get("RegionId"));
        if row.is_regional() && region.is_some_and(|region| region != call.region()) {
            return Err(Refusal::new(
                404,
                "InvalidRegionId.NotFound",
                "The specified RegionId does not exist.",
            ));
        }
        if dry_run && row.effect == Effect::Changes {
            return Err(Refusal::unsupported("DryRun"));
        }
        let value = (row.handle)(&call).await?;
        // Whoever only tries is told that it would have been done; what changes something has said so itself.
        if dry_run { Err(Refusal::dry_run()) } else { Ok((row.name, value)) }
    };
    match answered.await {
        Ok((action, value)) => Ok((format, action, value)),
        Err(refusal) => Err((format, refusal)),
    }
}
