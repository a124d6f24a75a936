//! The console as a stream: the connection is upgraded, and from then on carries what the guest prints one way and what
//! is typed the other. Any number of clients may be attached; each sees all output, and what they type is mixed.

use std::io;

use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use vmm_api::{CONSOLE_PROTOCOL, ErrorBody, MAX_CONSOLE_BYTES};

use super::answer::Answer;
use super::request::no_body;
use super::{Client, STALL_TIMEOUT};
use crate::console::{Console, History};

/// The protocol that a client asks for. Without the word in `Connection` it asks for none (RFC 9110, 7.8).
pub fn wanted_protocol(headers: &HeaderMap) -> Option<&HeaderValue> {
    let connection = headers.get(CONNECTION)?.to_str().ok()?;
    let upgrades = connection.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| upgrades)
}

/// Upgrades the connection. Output starts at `offset`, or with what comes now. The stream ends when the client closes
/// its side or takes nothing for too long, or when the guest takes nothing of what it types.
pub async fn attach(
    mut request: Request<Incoming>,
    client: Client,
    offset: Option<u64>,
) -> Result<Answer, ErrorBody> {
    let offset = offset.unwrap_or_else(|| client.machine.console().end());
    let upgraded = hyper::upgrade::on(&mut request);
    no_body(request).await?;
    tokio::spawn(async move {
        let console = client.machine.console();
        match upgraded.await {
            Ok(upgraded) => {
                let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
                tokio::select! {
                    result = print(console, offset, writer) => log::debug!("a console stream ended: {result:?}"),
                    result = type_in(console, reader) => log::debug!("a console stream was closed: {result:?}"),
                    () = client.ending() => {}
                }
            }
            Err(error) => log::debug!("a console stream did not come about: {error}"),
        }
    });
    let mut answer = Response::new(Empty::new().boxed_unsync());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static(CONSOLE_PROTOCOL));
    Ok(answer)
}

/// Output from `offset` on, not more than a slow client may hold.
pub fn piece(console: &Console, offset: Option<u64>) -> History {
    console.history(offset, MAX_CONSOLE_BYTES)
}

async fn print(console: &Console, mut offset: u64, mut client: impl AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        console.wait_output(offset).await;
        let news = piece(console, Some(offset));
        offset = news.offset + news.bytes.len() as u64;
        client.write_all(&news.bytes).await?;
        client.flush().await?;
    }
}

async fn type_in(console: &Console, mut client: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            // That the client is gone is only seen by reading, which stands still here; hence the limit.
            timeout(STALL_TIMEOUT, console.wait_input_room()).await?;
            rest = &rest[console.send_input(rest)..];
        }
    }
}
