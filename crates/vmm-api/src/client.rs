//! A client of the control socket. One connection per request: they are cheap on a unix socket, and no request waits for
//! another. A request has no time limit of its own (reading a large disk's boot files takes as long as it takes);
//! dropping its future gives it up, though what was asked for may still be done.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::{
    CONSOLE_OFFSET_HEADER, CONSOLE_PROTOCOL, ConsoleHistory, ErrorBody, EventPage, MAX_CONSOLE_BYTES,
    NicUpdate, VmConfig, VmInfo,
};

/// Largest answer read. Console output comes in pieces below it; everything else is smaller by far.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Longest that one request for events or output waits on the VMM's side.
const LONGEST_POLL: Duration = Duration::from_secs(30);

/// Why the VMM did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It refused; nothing changed.
    #[error(transparent)]
    Refused(#[from] ErrorBody),
    /// Nobody listens on the socket.
    #[error("cannot connect to {}: is bothy-vmm running?", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke before the answer was there. What was asked for may have been done.
    #[error("the control socket's connection broke")]
    Broken(#[from] hyper::Error),
    /// The answer is not what this client knows.
    #[error("the control socket answered with something else than expected: {0}")]
    Protocol(String),
    /// What was waited for did not come in time.
    #[error("{0} did not come within {1:?}")]
    Timeout(&'static str, Duration),
}

/// A client of one VM's control socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// A client of the socket at `path`; connects when something is asked.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// A client of a VMM that was just started: waits until it answers.
    ///
    /// # Errors
    /// `Timeout`, if it does not answer within `limit`.
    pub async fn connect_when_ready(path: impl Into<PathBuf>, limit: Duration) -> Result<Self, ClientError> {
        /// A VMM takes a few milliseconds to listen, and nothing tells of it.
        const RETRY: Duration = Duration::from_millis(5);
        let client = Self::new(path);
        let answers = async {
            loop {
                match client.info().await {
                    Ok(_) => return Ok(()),
                    // Not yet there, or the socket of the one before it.
                    Err(ClientError::Connect { .. } | ClientError::Broken(_)) => sleep(RETRY).await,
                    Err(error) => return Err(error),
                }
            }
        };
        timeout(limit, answers).await.unwrap_or(Err(ClientError::Timeout("an answer of the VMM", limit)))?;
        Ok(client)
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The VM as it is now.
    pub async fn info(&self) -> Result<VmInfo, ClientError> {
        self.json(Method::GET, "/v1/vm", Bytes::new()).await
    }

    /// Gives it a configuration.
    pub async fn configure(&self, config: &VmConfig) -> Result<VmInfo, ClientError> {
        let body = serde_json::to_vec(config).map_err(|error| ClientError::Protocol(error.to_string()))?;
        self.json(Method::PUT, "/v1/vm", body.into()).await
    }

    /// Changes what may be changed of network interface `index` while the machine runs.
    pub async fn update_nic(&self, index: usize, update: &NicUpdate) -> Result<VmInfo, ClientError> {
        let body = serde_json::to_vec(update).map_err(|error| ClientError::Protocol(error.to_string()))?;
        self.json(Method::PATCH, &format!("/v1/vm/nics/{index}"), body.into()).await
    }

    /// Boots it.
    pub async fn boot(&self) -> Result<VmInfo, ClientError> {
        self.act("/v1/vm/boot").await
    }

    /// Stops vCPUs and queues.
    pub async fn pause(&self) -> Result<VmInfo, ClientError> {
        self.act("/v1/vm/pause").await
    }

    /// Lets them go on.
    pub async fn resume(&self) -> Result<VmInfo, ClientError> {
        self.act("/v1/vm/resume").await
    }

    /// Presses the power button; what follows is the guest's business.
    pub async fn power_button(&self) -> Result<VmInfo, ClientError> {
        self.act("/v1/vm/power-button").await
    }

    /// Resets the machine.
    pub async fn reset(&self) -> Result<VmInfo, ClientError> {
        self.act("/v1/vm/reset").await
    }

    /// Ends the machine at once. The process stays and can be configured again.
    pub async fn kill(&self) -> Result<VmInfo, ClientError> {
        self.act("/v1/vm/kill").await
    }

    async fn act(&self, path: &str) -> Result<VmInfo, ClientError> {
        self.json(Method::POST, path, Bytes::new()).await
    }

    /// Events after number `since`; waits at most `wait` (up to a minute) for the first of them.
    pub async fn events(&self, since: u64, wait: Duration) -> Result<EventPage, ClientError> {
        let path = format!("/v1/vm/events?since={since}&wait_ms={}", wait.as_millis());
        self.json(Method::GET, &path, Bytes::new()).await
    }

    /// Waits until `wanted` is true of the VM. Looks again at each event.
    ///
    /// # Errors
    /// `Timeout`, if that does not happen within `limit`.
    pub async fn wait_for(
        &self,
        mut wanted: impl FnMut(&VmInfo) -> bool,
        limit: Duration,
    ) -> Result<VmInfo, ClientError> {
        let happens = async {
            loop {
                let info = self.info().await?;
                if wanted(&info) {
                    return Ok(info);
                }
                self.events(info.last_event, LONGEST_POLL).await?;
            }
        };
        timeout(limit, happens).await.unwrap_or(Err(ClientError::Timeout("the state waited for", limit)))
    }

    /// What the guest printed from `offset` on, or all that is kept.
    pub async fn console(&self, offset: Option<u64>) -> Result<ConsoleHistory, ClientError> {
        let query = offset.map_or(String::new(), |offset| format!("?offset={offset}"));
        let mut history = self.history(&format!("/v1/vm/console{query}")).await?;
        let mut last = history.bytes.len();
        while last == MAX_CONSOLE_BYTES {
            let end = history.offset + history.bytes.len() as u64;
            let more = self.history(&format!("/v1/vm/console?offset={end}")).await?;
            last = more.bytes.len();
            if more.offset == end {
                history.bytes.extend(more.bytes);
            } else {
                // The guest printed so much meanwhile that what came next is gone already.
                history = more;
            }
        }
        Ok(history)
    }

    /// What the guest printed from `offset` on, at most `MAX_CONSOLE_BYTES` of it. Waits at most `wait` (up to a minute)
    /// until there is something.
    pub async fn wait_console(&self, offset: u64, wait: Duration) -> Result<ConsoleHistory, ClientError> {
        self.history(&format!("/v1/vm/console?offset={offset}&wait_ms={}", wait.as_millis())).await
    }

    async fn history(&self, path: &str) -> Result<ConsoleHistory, ClientError> {
        let answer = self.send(Method::GET, path, Bytes::new(), false).await?;
        let offset =
            answer.headers().get(CONSOLE_OFFSET_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let offset =
            offset.ok_or_else(|| ClientError::Protocol(format!("no header {CONSOLE_OFFSET_HEADER}")))?;
        Ok(ConsoleHistory { offset, bytes: read(answer).await?.into() })
    }

    /// Attaches to the console in both directions, with the output from `offset` on or from now on.
    pub async fn attach_console(&self, offset: Option<u64>) -> Result<ConsoleStream, ClientError> {
        let query = offset.map_or(String::new(), |offset| format!("?offset={offset}"));
        let answer = self.send(Method::GET, &format!("/v1/vm/console{query}"), Bytes::new(), true).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ClientError::Protocol(format!("status {} instead of a stream", answer.status())));
        }
        Ok(ConsoleStream(TokioIo::new(hyper::upgrade::on(answer).await?)))
    }

    /// Counters as Prometheus text.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let body = read(self.send(Method::GET, "/v1/metrics", Bytes::new(), false).await?).await?;
        String::from_utf8(body.into()).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let body = read(self.send(method, path, body, false).await?).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    /// Sends a request; anything but a success becomes an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        upgrade: bool,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.path).await;
        let stream = stream.map_err(|source| ClientError::Connect { path: self.path.clone(), source })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer's body, or goes on under an upgraded stream.
        tokio::spawn(connection.with_upgrades());

        // A name has to be there; on a unix socket it means nothing.
        let mut request = Request::builder().method(method).uri(path).header(HOST, "vm");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if upgrade {
            request = request.header(CONNECTION, "upgrade").header(UPGRADE, CONSOLE_PROTOCOL);
        }
        let request =
            request.body(Full::new(body)).map_err(|error| ClientError::Protocol(error.to_string()))?;
        let answer = sender.send_request(request).await?;
        if answer.status().is_success() || answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let status = answer.status();
        let body = read(answer).await?;
        let error: ErrorBody = serde_json::from_slice(&body).map_err(|_| {
            ClientError::Protocol(format!("status {status}: {}", String::from_utf8_lossy(&body)))
        })?;
        Err(ClientError::Refused(error))
    }
}

async fn read(answer: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| ClientError::Protocol(error.to_string()))
}

/// The guest's console: reading gives what it prints, writing types.
pub struct ConsoleStream(TokioIo<Upgraded>);

impl AsyncRead for ConsoleStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for ConsoleStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
