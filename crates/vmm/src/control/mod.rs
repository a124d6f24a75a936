//! The control socket's server: HTTP/1.1 on a unix socket, in front of `machine::Handle`. What can be asked is the table
//! in `routes`; this holds what keeps one client from hurting the others: how many there may be, and how long each may
//! take to say what it wants and to take its answer.
//!
//! Callers are trusted as far as the socket's mode goes (0600), and not to behave. What is no HTTP at all gets hyper's own
//! bare 400, and a head that does not come in time the end of its connection; every other refusal is an `ErrorBody`.

mod answer;
mod console;
mod events;
mod patience;
mod request;
mod routes;
mod socket;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use vmm_api::ErrorCode;

use crate::machine::Handle;
use patience::Patient;
pub use routes::{ROUTES, Route};
pub use socket::{BindError, ControlSocket};

/// Most clients at once; more are told to come back.
const MAX_CONNECTIONS: usize = 64;

/// Most clients at once that are being told so; beyond that, connections are closed without a word.
const MAX_REFUSALS: usize = 64;

/// Longest time that telling it takes.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest time for a request's head, and for a connection to stand idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest head of a request, and most that is held of an answer which the client has not taken.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// Longest time in which a client may take nothing of its answer.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// After shutdown, answers that are on their way get this long.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until `shutdown`, then lets what is under way come to its end, within limits. Must run in a runtime.
pub async fn serve(socket: &ControlSocket, machine: &Handle, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let (ending, _) = watch::channel(false);
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = socket.listener().accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, mostly. The client stays in the backlog; one that ends makes room for it.
                log::warn!("cannot accept a connection on the control socket: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let client =
                Client { machine: machine.clone(), ending: ending.subscribe(), _place: Arc::new(place) };
            tokio::spawn(serve_connection(stream, client));
        } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
            tokio::spawn(refuse(stream, place));
        }
    }
    ending.send_replace(true);
    // All places free: nobody is connected any more.
    let all = places.acquire_many(MAX_CONNECTIONS as u32);
    let _ = timeout(GRACE, all).await;
}

/// What serving one client needs. The last clone gives its place among `MAX_CONNECTIONS` free; a console stream keeps
/// one beyond the request.
#[derive(Clone)]
struct Client {
    machine: Handle,
    ending: watch::Receiver<bool>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl Client {
    /// Returns when the server is to end. Whoever only waits for something to happen stops then.
    async fn ending(&self) {
        // Fails when the sender is gone: then the server has ended.
        let _ = self.ending.clone().wait_for(|ending| *ending).await;
    }
}

async fn serve_connection(stream: UnixStream, client: Client) {
    let service = service_fn(|request| {
        let client = client.clone();
        async move { Ok::<_, Infallible>(routes::answer(request, client).await) }
    });
    let io = TokioIo::new(Patient::new(stream, STALL_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(io, service)
        .with_upgrades();
    tokio::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = client.ending() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        log::debug!("a connection of the control socket ended: {error}");
    }
}

/// Tells a client that there are too many. Its request is read first: an answer to what was not asked yet confuses
/// clients.
async fn refuse(stream: UnixStream, _place: OwnedSemaphorePermit) {
    let service = service_fn(|_| async {
        let error = ErrorCode::TooManyConnections.body(
            format!("{MAX_CONNECTIONS} clients are connected"),
            "close connections that are not needed, or try again",
        );
        let mut answer = answer::error(&error);
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        Ok::<_, Infallible>(answer)
    });
    let connection =
        http1::Builder::new().max_buf_size(MAX_BUFFER_BYTES).serve_connection(TokioIo::new(stream), service);
    let _ = timeout(REFUSAL_TIMEOUT, connection).await;
}
