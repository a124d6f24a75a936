//! Connections of one network interface: as many as there may be, each served until it ends, has lasted too long, or the
//! daemon ends. A guest that holds all of them waits for itself.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use compute::compute::{Compute, ComputeError};
use compute::id::{InstanceId, InterfaceId};
use compute::identity::Identity;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::answer::{Answer, answer, refuse};
use crate::config_drive::{self, ConfigFile};
use crate::token::Tokens;

/// Longest head of a request, and most that is held of an answer which the guest has not taken.
const MAX_BUFFER_BYTES: usize = 16 << 10;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;

/// What is chosen for a host.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where guests are told to get packages, as `http://mirror.example`.
    pub package_mirror: Option<String>,
    /// What keeps one guest from hurting the others.
    pub limits: Limits,
}

/// What keeps one guest from hurting the others.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections of one interface; more wait.
    pub connections: usize,
    /// Longest time for a request's head, and for a connection to stand idle.
    pub head: Duration,
    /// Longest time for an answer to be found.
    pub answer: Duration,
    /// Longest time for a connection, whatever happens on it; one whose guest never reads ends by it, too.
    pub connection: Duration,
    /// When a connection or the daemon is to end, answers that are on their way get this long.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: 128,
            head: seconds(10),
            answer: seconds(10),
            connection: seconds(120),
            grace: seconds(2),
        }
    }
}

/// Whose a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The instance.
    pub instance: InstanceId,
    /// Its network interface. Nothing is told on the socket of one that the instance does not have any more.
    pub interface: InterfaceId,
}

/// The metadata service of a host.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

/// What every request needs.
pub struct Inner {
    pub compute: Arc<Compute>,
    pub identity: Arc<Identity>,
    pub config: Arc<Config>,
    pub tokens: Tokens,
    pub complaints: Complaints,
}

/// Tells of what fails at the host, though not at the pace at which guests ask.
#[derive(Default)]
pub struct Complaints(Mutex<Option<Instant>>);

/// Shortest time between two of them.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(1);

impl Complaints {
    /// Logs it, unless something was logged just before.
    pub fn tell(&self, what: std::fmt::Arguments<'_>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= COMPLAINT_PERIOD) {
            *last = Some(Instant::now());
            log::error!("{what}");
        }
    }
}

impl Service {
    /// In front of this core, which has recovered. Tokens are good for this service only.
    pub fn new(compute: Arc<Compute>, identity: Arc<Identity>, config: Config) -> Self {
        let (config, tokens, complaints) = (Arc::new(config), Tokens::new(), Complaints::default());
        Self { inner: Arc::new(Inner { compute, identity, config, tokens, complaints }) }
    }

    /// What the config drive of an instance has on it now: what OpenStack's dialect would answer, whether the instance's
    /// metadata service is enabled or not.
    ///
    /// # Errors
    ///
    /// There is no such instance, or the record store does not do its part.
    pub async fn config_drive(&self, instance: InstanceId) -> Result<Vec<ConfigFile>, ComputeError> {
        config_drive::files(&self.inner, instance).await
    }

    /// Serves the socket of one network interface until `shutdown`, then lets what is under way come to its end, within
    /// limits. Who can connect to the socket is believed to be that interface.
    pub async fn serve(&self, listener: UnixListener, whose: Whose, shutdown: impl Future<Output = ()>) {
        let limits = self.inner.config.limits;
        let places = Arc::new(Semaphore::new(limits.connections));
        let (ending, _) = watch::channel(false);
        tokio::pin!(shutdown);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                () = &mut shutdown => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (service, ending) = (self.clone(), ending.subscribe());
                    tokio::spawn(async move {
                        service.serve_connection(stream, whose, ending).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of descriptors, mostly. The guest waits; a connection that ends makes room.
                    log::warn!("cannot accept a connection of {}: {error}", whose.interface);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        ending.send_replace(true);
        // All places free: nobody is connected any more.
        let all = places.acquire_many(u32::try_from(limits.connections).unwrap_or(u32::MAX));
        let _ = timeout(limits.grace, all).await;
    }

    async fn serve_connection(&self, stream: UnixStream, whose: Whose, ending: watch::Receiver<bool>) {
        let limits = self.inner.config.limits;
        let service = service_fn(|request| async move {
            Ok::<_, Infallible>(answer_in_time(&self.inner, whose, &request).await)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(MAX_BUFFER_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let result = tokio::select! {
            result = &mut connection => result,
            // What is being answered is answered yet, but not waited for if the guest does not take it.
            () = ended_or_late(ending, limits.connection) => {
                connection.as_mut().graceful_shutdown();
                match timeout(limits.grace, connection).await {
                    Ok(result) => result,
                    Err(_) => return log::debug!("a connection of {} was cut off", whose.interface),
                }
            }
        };
        if let Err(error) = result {
            log::debug!("a connection of {} ended: {error}", whose.interface);
        }
    }
}

/// Returns when the server is to end, or after that time.
async fn ended_or_late(mut ending: watch::Receiver<bool>, limit: Duration) {
    // Fails when the sender is gone, which is the end, too; and when it takes too long.
    let _ = timeout(limit, ending.wait_for(|ending| *ending)).await;
}

/// Answers a request, and notes how that went. Nothing of what was sent is logged.
async fn answer_in_time(inner: &Inner, whose: Whose, request: &Request<Incoming>) -> Answer {
    let began = Instant::now();
    let answer = timeout(inner.config.limits.answer, answer(inner, whose, request)).await;
    let answer = answer.unwrap_or_else(|_| {
        inner.complaints.tell(format_args!("no answer to {} about its metadata in time", whose.instance));
        refuse(StatusCode::SERVICE_UNAVAILABLE, "the host is busy: try again")
    });
    log::debug!("{} about its metadata: {} in {:?}", whose.instance, answer.status(), began.elapsed());
    answer
}
