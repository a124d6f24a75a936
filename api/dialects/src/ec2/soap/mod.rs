//! The SOAP side of 2007: which requests are SOAP, and how they are answered.

use hyper::Method;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;

use super::Inner;
use super::errors::Refusal;
use super::query::{self, header};
use crate::server::{Answer, Peer};

/// Whether a request is SOAP: its body is XML, or it names an action of SOAP's.
pub fn is_soap(parts: &Parts) -> bool {
    let is_xml = header(&parts.headers, CONTENT_TYPE.as_str()).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/xml") || kind.eq_ignore_ascii_case("application/soap+xml")
    });
    parts.method == Method::POST && (is_xml || parts.headers.contains_key("soapaction"))
}

/// Answers a SOAP request; tells the action too, for the log.
pub async fn answer(
    _inner: &Inner,
    request_id: &str,
    _parts: &Parts,
    body: Result<Vec<u8>, Refusal>,
    _peer: Peer,
) -> (&'static str, Answer) {
    let refusal = body
        .err()
        .unwrap_or_else(|| Refusal::new(400, "UnsupportedProtocol", "SOAP is not supported. Use Query."));
    ("none", query::refused(request_id, None, &refusal))
}

/// The document that a request asks for, if there is one at its path: `/doc/…`.
pub fn document(_parts: &Parts) -> Option<Answer> {
    None
}
