//! Events as a stream (server-sent events, WHATWG HTML 9.2): for whoever would rather listen than ask again.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::time::timeout;

use super::Client;
use super::answer::{Answer, json_bytes};

/// A comment is sent this often when nothing happens, which finds out whether the client is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Whether the client asks for a stream.
pub fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accept
        .split(',')
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

/// The number of the last event a client that comes back has seen.
pub fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// All events after number `since`, and those to come.
pub fn stream(client: Client, since: u64) -> Answer {
    let next = Box::pin(piece(client.clone(), since));
    let mut answer = Response::new(Stream { client, next }.boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The body: one piece is made when the client has room for it, and the wait for the next goes with the connection.
struct Stream {
    client: Client,
    next: Pin<Box<dyn Future<Output = Option<Piece>> + Send>>,
}

/// Text to send, and the number of the last event that the client then has.
type Piece = (Vec<u8>, u64);

async fn piece(client: Client, since: u64) -> Option<Piece> {
    let log = client.machine.events();
    let waited = tokio::select! {
        waited = timeout(KEEP_ALIVE, log.wait(since)) => waited,
        () = client.ending() => return None,
    };
    if waited.is_err() {
        return Some((b": nothing new\n\n".to_vec(), since));
    }
    let page = log.page(since);
    let mut text = Vec::new();
    for event in &page.events {
        text.extend(format!("id: {}\ndata: ", event.seq).into_bytes());
        text.extend(json_bytes(event));
        text.extend(b"\n\n");
    }
    Some((text, page.next))
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some((text, since)) = ready!(self.next.as_mut().poll(context)) else { return Poll::Ready(None) };
        self.next = Box::pin(piece(self.client.clone(), since));
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}
