//! Requests over a connection that stays open, to a unix socket. Answers are read and not looked into, so that it is the
//! server's time that is measured.

use std::path::Path;

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// A connection.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Connects.
    pub async fn open(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).await;
        let stream = stream.with_context(|| format!("connecting to {}", socket.display()))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.context("connecting")?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Asks, and gives the answer's body; a refusal is an error.
    pub async fn ask(&mut self, request: Builder) -> anyhow::Result<Bytes> {
        let request = request.header("host", "bothy").body(Full::default());
        self.0.ready().await.context("waiting for the connection")?;
        let answer = self.0.send_request(request.context("asking")?).await.context("asking")?;
        ensure!(answer.status().is_success(), "refused: {}", answer.status());
        Ok(answer.into_body().collect().await.context("reading an answer")?.to_bytes())
    }
}
