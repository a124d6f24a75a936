//! Answers: JSON, bytes and streams, and errors with their code's status.

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use native_api::{ErrorBody, ErrorCode};
use serde::Serialize;

pub use crate::server::Answer;

/// What most answers have room in.
const USUAL_BYTES: usize = 1 << 10;

/// 200 with a value as JSON.
pub fn ok(value: &impl Serialize) -> Result<Answer, ErrorBody> {
    json(StatusCode::OK, value)
}

/// 201 with what was made.
pub fn created(value: &impl Serialize) -> Result<Answer, ErrorBody> {
    json(StatusCode::CREATED, value)
}

/// 202 with what begins.
pub fn accepted(value: &impl Serialize) -> Result<Answer, ErrorBody> {
    json(StatusCode::ACCEPTED, value)
}

/// 204: it is done, and there is nothing to say.
pub fn done() -> Result<Answer, ErrorBody> {
    let mut answer = Response::new(Empty::new().boxed_unsync());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

/// 200 with bytes.
pub fn bytes(content_type: &'static str, bytes: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(bytes.into()).boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Some have a secret in them, and all are only true when they are sent.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A refusal.
pub fn error(error: &ErrorBody) -> Answer {
    let mut answer = bytes("application/json", json_bytes(error));
    *answer.status_mut() = status(error.code);
    if error.code == ErrorCode::Unauthenticated {
        let basic = HeaderValue::from_static("Basic realm=\"bothy\", charset=\"UTF-8\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, basic);
    }
    answer
}

/// A value that is surely JSON: texts, numbers and lists of them.
pub fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, value).expect("the contract's types are JSON");
    bytes
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Answer, ErrorBody> {
    let mut answer = bytes("application/json", json_bytes(value));
    *answer.status_mut() = status;
    Ok(answer)
}

fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).expect("the table of codes has valid statuses")
}
