//! Requests over a connection that stays open, to a unix socket or an address. Answers are read and not looked into, so that it is the
//! server's time that is measured.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// What the server is called.
pub const HOST: &str = "bothy";

/// A connection.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Connects.
    pub async fn open(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).await;
        let stream = stream.with_context(|| format!("connecting to {}", socket.display()))?;
        Self::over(stream).await
    }

    /// Connects to an address.
    pub async fn open_at(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("connecting")?;
        Self::over(stream).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> anyhow::Result<Self> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.context("connecting")?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Asks, and gives the answer's body; a refusal is an error.
    pub async fn ask(&mut self, request: Builder) -> anyhow::Result<Bytes> {
        self.send(request, Bytes::new()).await
    }

    /// Asks with a body.
    pub async fn send(&mut self, request: Builder, body: Bytes) -> anyhow::Result<Bytes> {
        let request = request.header("host", HOST).body(Full::new(body));
        self.0.ready().await.context("waiting for the connection")?;
        let answer = self.0.send_request(request.context("asking")?).await.context("asking")?;
        let status = answer.status();
        let body = answer.into_body().collect().await.context("reading an answer")?.to_bytes();
        ensure!(status.is_success(), "refused: {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}
