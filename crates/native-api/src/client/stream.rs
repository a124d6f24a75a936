//! Answers that are streams: the console, a connection to an instance, and events.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Client, ClientError, encode, read};
use crate::{
    CONNECT_PROTOCOL, CONSOLE_OFFSET_HEADER, CONSOLE_PROTOCOL, ConnectQuery, ConsoleQuery, Event, EventQuery,
    InstanceId, MAX_CONSOLE_BYTES, Operation,
};

/// Longest line of the event stream.
const MAX_LINE_BYTES: usize = 64 << 10;

/// A stretch of a console's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleHistory {
    /// Bytes of output before the first one here, since the console began. Later than asked for if the oldest are gone.
    pub offset: u64,
    /// The output.
    pub bytes: Vec<u8>,
}

impl Client {
    /// What the guest printed, at most `MAX_CONSOLE_BYTES` of it.
    pub async fn console(
        &self,
        id: &InstanceId,
        query: &ConsoleQuery,
    ) -> Result<ConsoleHistory, ClientError> {
        let answer =
            self.send(Operation::GetConsole, &[id.as_str()], &encode(Some(query))?, None, None).await?;
        let offset =
            answer.headers().get(CONSOLE_OFFSET_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let offset =
            offset.ok_or_else(|| ClientError::Protocol(format!("no header {CONSOLE_OFFSET_HEADER}")))?;
        Ok(ConsoleHistory { offset, bytes: read(answer).await?.into() })
    }

    /// All that is kept of what the guest printed.
    pub async fn whole_console(&self, id: &InstanceId) -> Result<ConsoleHistory, ClientError> {
        let mut history = self.console(id, &ConsoleQuery::default()).await?;
        let mut last = history.bytes.len();
        while last == MAX_CONSOLE_BYTES {
            let end = history.offset + history.bytes.len() as u64;
            let offset = end
                .try_into()
                .map_err(|error: crate::NumberError| ClientError::Protocol(error.to_string()))?;
            let more = self.console(id, &ConsoleQuery { offset: Some(offset), wait_ms: None }).await?;
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

    /// Attaches to the console in both directions, with the output from `query.offset` on or from now on.
    pub async fn attach_console(
        &self,
        id: &InstanceId,
        query: &ConsoleQuery,
    ) -> Result<ByteStream, ClientError> {
        self.upgrade(Operation::GetConsole, id, &encode(Some(query))?, CONSOLE_PROTOCOL).await
    }

    /// Connects to a port of an instance.
    pub async fn connect_to_instance(
        &self,
        id: &InstanceId,
        query: &ConnectQuery,
    ) -> Result<ByteStream, ClientError> {
        self.upgrade(Operation::ConnectToInstance, id, &encode(Some(query))?, CONNECT_PROTOCOL).await
    }

    async fn upgrade(
        &self,
        operation: Operation,
        id: &InstanceId,
        query: &str,
        protocol: &'static str,
    ) -> Result<ByteStream, ClientError> {
        let answer = self.send(operation, &[id.as_str()], query, None, Some(protocol)).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ClientError::Protocol(format!("status {} instead of a stream", answer.status())));
        }
        Ok(ByteStream(TokioIo::new(hyper::upgrade::on(answer).await?)))
    }

    /// Follows what happens.
    pub async fn events(&self, query: &EventQuery) -> Result<EventStream, ClientError> {
        let answer = self.send(Operation::StreamEvents, &[], &encode(Some(query))?, None, None).await?;
        Ok(EventStream { body: answer.into_body(), buffer: Vec::new() })
    }

    /// Counters as Prometheus text.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let body = read(self.send(Operation::GetMetrics, &[], "", None, None).await?).await?;
        String::from_utf8(body.into()).map_err(|error| ClientError::Protocol(error.to_string()))
    }
}

/// Events as they happen.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    buffer: Vec<u8>,
}

impl EventStream {
    /// The next event; `None` when the stream has ended.
    ///
    /// # Errors
    /// The connection broke, or a line is no event.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                // An empty line keeps a connection from being taken for dead.
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let event = serde_json::from_slice(&line);
                return event.map(Some).map_err(|error| ClientError::Protocol(error.to_string()));
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(ClientError::Protocol("an event without an end".into()));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(bytes) = frame?.into_data() {
                        self.buffer.extend_from_slice(&bytes);
                    }
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(ClientError::Protocol("the stream of events broke off".into())),
            }
        }
    }
}

/// Bytes both ways, as they are: a console, of which reading gives what the guest prints and writing types, or a connection to
/// an instance.
#[derive(Debug)]
pub struct ByteStream(TokioIo<Upgraded>);

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for ByteStream {
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
