//! The walls that every API stands behind: connections are accepted within limits, with or without TLS, each served until it
//! ends or the daemon does. What is asked and answered on them is the API's business, which is told who is at the other end.
//! What is no HTTP at all gets hyper's own bare 400, and a head that does not come in time the end of its connection.

mod below;
mod body;
mod nonces;
mod patience;
mod peer;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub(crate) use below::{BelowError, below};
pub use body::{BodyError, drain, read_body};
pub(crate) use nonces::{Nonces, NoteError};
pub use peer::{Operators, Peer};

use patience::Patient;
use peer::peer;

/// Most clients at once that are being told that there are too many; beyond that, connections are closed without a word.
const MAX_REFUSALS: usize = 64;

/// Longest time that telling it takes.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest head of a request, and most that is held of an answer which the client has not taken.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// What is answered to a request.
pub type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What keeps a connection's place taken.
pub type Place = Arc<Option<OwnedSemaphorePermit>>;

/// What keeps one client from hurting the others.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections of one listener; more are told to come back.
    pub connections: usize,
    /// Longest time for a TLS handshake, for a request's head, and for a connection to stand idle.
    pub head: Duration,
    /// Longest time for a request's body.
    pub body: Duration,
    /// Longest time in which a client may take nothing of its answer.
    pub stall: Duration,
    /// After shutdown, answers that are on their way get this long.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: 1024,
            head: seconds(10),
            body: seconds(30),
            stall: seconds(60),
            grace: seconds(5),
        }
    }
}

/// An API behind the walls.
pub trait Api: Clone + Send + Sync + 'static {
    /// Its limits.
    fn limits(&self) -> Limits;

    /// Answers a request. Whoever keeps `place` beyond it keeps the connection's place taken.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        ending: watch::Receiver<bool>,
        place: Place,
    ) -> impl Future<Output = Answer> + Send;

    /// Tells a client, whatever it asked, that as many are connected as may be.
    fn too_many(&self, asked: &Parts, most: usize) -> Answer;
}

/// Where connections come from.
pub enum Listener {
    /// Of this host.
    Unix(UnixListener, Operators),
    /// The network.
    Tcp(TcpListener, Option<TlsAcceptor>),
}

/// Serves whoever comes until `shutdown`, then lets what is under way come to its end, within limits.
pub async fn serve(api: impl Api, listener: Listener, shutdown: impl Future<Output = ()>) {
    let limits = api.limits();
    let most = limits.connections;
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
        let (api, open) = (api.clone(), accepted.open());
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let ending = ending.subscribe();
            tokio::spawn(async move {
                match timeout(limits.head, open).await {
                    Ok(Ok((stream, peer))) => serve_connection(&api, stream, peer, ending, Some(place)).await,
                    Ok(Err(error)) => log::debug!("a connection to the API did not come about: {error}"),
                    Err(_) => log::debug!("a connection to the API did not come about in time"),
                }
            });
        } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
            let telling = async move { refuse(&api, open.await?.0, most, place).await };
            tokio::spawn(timeout(REFUSAL_TIMEOUT, telling));
        }
    }
    ending.send_replace(true);
    // All places free: nobody is connected any more.
    let all = places.acquire_many(u32::try_from(most).unwrap_or(u32::MAX));
    let _ = timeout(limits.grace, all).await;
}

/// Serves one connection until it ends, or `ending` says that all is to end. `place` is given back then.
pub async fn serve_connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    api: &impl Api,
    stream: S,
    peer: Peer,
    ending: watch::Receiver<bool>,
    place: Option<OwnedSemaphorePermit>,
) {
    // What a connection is upgraded to keeps it beyond the request.
    let place = Arc::new(place);
    let service = service_fn(|request| {
        let (ending, place) = (ending.clone(), Arc::clone(&place));
        async move { Ok::<_, Infallible>(api.answer(request, peer, ending, place).await) }
    });
    let limits = api.limits();
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

/// Returns when the server is to end. Whoever only waits for something to happen stops then.
pub async fn ended(mut ending: watch::Receiver<bool>) {
    // Fails when the sender is gone: then the server has ended.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// Says of an answer that its connection ends with it: what is behind a body that was not read whole would be taken for the
/// next request.
pub fn close_after(answer: &mut Answer) {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Tells a client that there are too many. Its request is read first: an answer to what was not asked yet confuses
/// clients.
async fn refuse<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    api: &impl Api,
    stream: S,
    most: usize,
    _place: OwnedSemaphorePermit,
) -> io::Result<()> {
    let service = service_fn(|request: Request<Incoming>| async move {
        let mut answer = api.too_many(&request.into_parts().0, most);
        close_after(&mut answer);
        Ok::<_, Infallible>(answer)
    });
    let connection =
        http1::Builder::new().max_buf_size(MAX_BUFFER_BYTES).serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(io::Error::other)
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
