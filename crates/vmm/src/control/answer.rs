//! Answers: JSON, text and streams, and errors with their code's status.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use vmm_api::{ErrorBody, ErrorCode};

/// What a handler gives back.
pub type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// 200 with a value as JSON.
pub fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(json) => bytes("application/json", json),
        // Paths given on the command line may be no UTF-8.
        Err(cause) => error(&ErrorCode::HostFailure.body(
            format!("the answer cannot be written as JSON: {cause}"),
            "start the machine with paths that are UTF-8",
        )),
    }
}

/// A refusal.
pub fn error(error: &ErrorBody) -> Answer {
    let mut answer = bytes("application/json", json_bytes(error));
    *answer.status_mut() =
        StatusCode::from_u16(error.code.status()).expect("the table of codes has valid statuses");
    answer
}

/// 200 with bytes.
pub fn bytes(content_type: &'static str, bytes: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(bytes.into()).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An error or an event as JSON.
pub fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("they are made of strings and numbers alone")
}
