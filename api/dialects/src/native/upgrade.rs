//! Upgrades of a connection to another protocol (RFC 9110, 7.8): whether one is asked for, and the answer.

use http_body_util::{BodyExt, Empty};
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use hyper::{Response, StatusCode};
use native_api::ErrorBody;

use super::answer::Answer;
use super::request::malformed;

/// Whether a client asks for this protocol; one that asks for another is refused, as it would take the answer for something
/// else.
pub fn is_wanted(headers: &HeaderMap, protocol: &'static str) -> Result<bool, ErrorBody> {
    match wanted(headers) {
        None => Ok(false),
        Some(wanted) if wanted.as_bytes().eq_ignore_ascii_case(protocol.as_bytes()) => Ok(true),
        Some(wanted) => {
            let message = format!("{wanted:?} is no protocol of this path");
            Err(malformed(message, format!("ask for {protocol}, or for no upgrade")))
        }
    }
}

/// The protocol that a client asks for. Without the word in `Connection` it asks for none.
fn wanted(headers: &HeaderMap) -> Option<&HeaderValue> {
    let connection = headers.get(CONNECTION)?.to_str().ok()?;
    let upgrades = connection.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| upgrades)
}

/// 101: from here on the connection is what was asked for.
pub fn switching(protocol: &'static str) -> Answer {
    let mut answer = Response::new(Empty::new().boxed_unsync());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static(protocol));
    answer
}
