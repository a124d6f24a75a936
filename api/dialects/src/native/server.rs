//! Connections: accepted within limits, with or without TLS, each served until it ends or the daemon does. What is no HTTP
//! at all gets hyper's own bare 400, and a head that does not come in time the end of its connection; every other refusal
//! is an `ErrorBody`.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compute::compute::Compute;
use compute::identity::Identity;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use native_api::{Access, ErrorBody, ErrorCode, NotFound, Operation, Route};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::answer::{self, Answer};
use super::errors::OrRefuse;
use super::metrics::Metrics;
use super::patience::Patient;
use super::request::Input;
use super::{Call, HostFacts, Inner, Limits, auth, dispatch, ended};

/// Most clients at once that are being told that there are too many; beyond that, connections are closed without a word.
const MAX_REFUSALS: usize = 64;

/// Longest time that telling it takes.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest head of a request, and most that is held of an answer which the client has not taken.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The operator of the host.
    Operator,
    /// Somebody of the host who is not the operator.
    Stranger {
        /// The user's number.
        uid: u32,
    },
    /// Somebody on the network, who has to show an access key.
    Network {
        /// From where.
        address: SocketAddr,
        /// Whether nobody in between can read it.
        encrypted: bool,
    },
}

/// Who is the operator on a unix socket, besides root and the user that the daemon runs as.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operators {
    /// Members of this group.
    pub gid: Option<u32>,
}

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
        self.serve(Listener::Unix(listener, operators), shutdown).await;
    }

    /// Serves the network until `shutdown`, then lets what is under way come to its end, within limits.
    pub async fn serve_tcp(
        &self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        shutdown: impl Future<Output = ()>,
    ) {
        self.serve(Listener::Tcp(listener, tls), shutdown).await;
    }

    async fn serve(&self, listener: Listener, shutdown: impl Future<Output = ()>) {
        let most = self.inner.limits.connections;
        let (places, refusals) = (Arc::new(Semaphore::new(most)), Arc::new(Semaphore::new(MAX_REFUSALS)));
        let (ending, _) = watch::channel(false);
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => accepted,
            };
            let accepted = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, mostly. The client stays in the backlog; one that ends makes room for it.
                    log::warn!("cannot accept a connection to the API: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (service, open) = (self.clone(), accepted.open());
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                let ending = ending.subscribe();
                tokio::spawn(async move {
                    match timeout(service.inner.limits.head, open).await {
                        Ok(Ok((stream, peer))) => {
                            service.serve_connection(stream, peer, ending, Some(place)).await
                        }
                        Ok(Err(error)) => log::debug!("a connection to the API did not come about: {error}"),
                        Err(_) => log::debug!("a connection to the API did not come about in time"),
                    }
                });
            } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
                let telling = async move { refuse(open.await?.0, most, place).await };
                tokio::spawn(timeout(REFUSAL_TIMEOUT, telling));
            }
        }
        ending.send_replace(true);
        // All places free: nobody is connected any more.
        let all = places.acquire_many(u32::try_from(most).unwrap_or(u32::MAX));
        let _ = timeout(self.inner.limits.grace, all).await;
    }

    /// Serves one connection until it ends, or `ending` says that all is to end. `place` is given back then.
    pub async fn serve_connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        &self,
        stream: S,
        peer: Peer,
        ending: watch::Receiver<bool>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        // A console keeps it beyond the request.
        let place = Arc::new(place);
        let service = service_fn(|request| {
            let (inner, ending, place) = (Arc::clone(&self.inner), ending.clone(), Arc::clone(&place));
            async move { Ok::<_, Infallible>(answer_measured(&inner, request, peer, ending, place).await) }
        });
        let limits = &self.inner.limits;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(TokioIo::new(Patient::new(stream, limits.stall)), service)
            .with_upgrades();
        tokio::pin!(connection);
        let result = tokio::select! {
            result = &mut connection => result,
            () = ended(ending.clone()) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            log::debug!("a connection to the API ended: {error}");
        }
    }
}

/// Where connections come from.
enum Listener {
    Unix(UnixListener, Operators),
    Tcp(TcpListener, Option<TlsAcceptor>),
}

/// A connection that is accepted and not looked at yet.
enum Accepted {
    Unix(UnixStream, Operators),
    Tcp(TcpStream, SocketAddr, Option<TlsAcceptor>),
}

impl Listener {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener, operators) => Ok(Accepted::Unix(listener.accept().await?.0, *operators)),
            Self::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, address, tls.clone()))
            }
        }
    }
}

impl Accepted {
    /// Sees who it is, and agrees on TLS.
    async fn open(self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Unix(stream, operators) => {
                let who = stream.peer_cred()?;
                let peer = tokio::task::spawn_blocking(move || peer(who.uid(), who.gid(), operators)).await;
                Ok((Box::new(stream), peer.map_err(io::Error::other)?))
            }
            Self::Tcp(stream, address, tls) => {
                // Answers are written whole: there is nothing to wait for.
                stream.set_nodelay(true)?;
                let peer = Peer::Network { address, encrypted: tls.is_some() };
                match tls {
                    Some(tls) => Ok((Box::new(tls.accept(stream).await?), peer)),
                    None => Ok((Box::new(stream), peer)),
                }
            }
        }
    }
}

/// A stream of whatever kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What keeps a connection's place taken.
pub type Place = Arc<Option<OwnedSemaphorePermit>>;

/// Who this user is. Looks into the user database, which may take its time.
fn peer(uid: u32, gid: u32, operators: Operators) -> Peer {
    if uid == 0 || uid == nix::unistd::geteuid().as_raw() {
        return Peer::Operator;
    }
    let is_member = |wanted: u32| {
        let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
        let name = user.and_then(|user| std::ffi::CString::new(user.name).ok());
        let groups = name.and_then(|name| nix::unistd::getgrouplist(&name, gid.into()).ok());
        groups.is_some_and(|groups| groups.contains(&wanted.into()))
    };
    match operators.gid {
        Some(wanted) if gid == wanted || is_member(wanted) => Peer::Operator,
        Some(_) | None => Peer::Stranger { uid },
    }
}

/// Tells a client that there are too many. Its request is read first: an answer to what was not asked yet confuses
/// clients.
async fn refuse<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    most: usize,
    _place: OwnedSemaphorePermit,
) -> io::Result<()> {
    let service = service_fn(|_| async move {
        let error = ErrorCode::TooManyRequests.body(
            format!("{most} clients are connected"),
            "close connections that are not needed, or try again",
        );
        let mut answer = answer::error(&error);
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        Ok::<_, Infallible>(answer)
    });
    let connection =
        http1::Builder::new().max_buf_size(MAX_BUFFER_BYTES).serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(io::Error::other)
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
            drain(request, inner.limits.body);
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
    // What is behind a body that was not read whole would be taken for the next request.
    if !input.is_read() {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
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

fn drain(request: Request<Incoming>, limit: Duration) {
    super::request::drain(request.into_body(), limit);
}

/// Whether the store answers, for whoever asks how the daemon is.
pub async fn revision(inner: &Inner) -> Result<compute::store::Revision, ErrorBody> {
    // Nothing has such a key; the page still tells as of when that is so.
    Ok(inner.compute.store().range("health/", None, 1).await.or_refuse()?.revision)
}
