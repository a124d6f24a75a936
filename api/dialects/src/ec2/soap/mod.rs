//! The SOAP side of 2007: which requests are SOAP, and how they are answered. A request is read (`document`, `envelope`), its
//! signature verified (`security`), its body made the parameters that Query would have (`body`); from there its way is
//! Query's. Nothing but the envelope is different in the answer.

mod body;
pub mod document;
mod envelope;
mod fault;
mod security;

use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::actions::{self, Row};
use super::errors::Refusal;
use super::query::{self, header};
use super::service::perform;
use super::version::Version;
use super::xml::Tree;
use super::y2007::{shapes, wsdl};
use super::{Inner, Protocol};
use crate::server::{Answer, Peer};
use document::Document;

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
    inner: &Inner,
    request_id: &str,
    body: Result<Vec<u8>, Refusal>,
    peer: Peer,
) -> (&'static str, Answer) {
    let mut action = "none";
    match answered(inner, request_id, body, peer, &mut action).await {
        Ok(element) => (action, fault::answered(request_id, &element)),
        Err(refusal) => (action, fault::refused(request_id, &refusal.in_2007())),
    }
}

async fn answered(
    inner: &Inner,
    request_id: &str,
    body: Result<Vec<u8>, Refusal>,
    peer: Peer,
    action: &mut &'static str,
) -> Result<String, Refusal> {
    let text = String::from_utf8(body?).map_err(|_| envelope::malformed("The message is not in UTF-8"))?;
    let document = Document::read(&text)?;
    let envelope = envelope::of(&document)?;
    let version = body::version(envelope.operation)?;
    let row = actions::find(version.api, envelope.operation.name())?;
    *action = row.name;
    let caller = security::authenticate(inner, &document, &envelope).await?;
    let parameters = body::parameters(envelope.operation, shapes::of(row.name))?;
    let tree = perform(inner, &caller, row, &parameters, peer, Protocol::Soap).await?;
    Ok(written(request_id, &version, row, &tree, envelope.operation.namespace()))
}

/// What an action answered, in the name space that it was asked in.
fn written(request_id: &str, version: &Version, row: &Row, tree: &Tree, namespace: &str) -> String {
    match namespace.ends_with('/') {
        true => query::element(request_id, version, row.name, tree),
        false => tree.element(&format!("{}Response", row.name), Some(namespace)),
    }
}

/// The document that a request asks for, if there is one at its path: the WSDL, under its version and as the newest.
pub fn document(parts: &Parts, peer: Peer) -> Option<Answer> {
    let is_there = matches!(parts.uri.path(), "/doc/2007-03-01/AmazonEC2.wsdl" | "/doc/AmazonEC2.wsdl");
    if !is_there || (parts.method != Method::GET && parts.method != Method::HEAD) {
        return None;
    }
    let host = header(&parts.headers, "host").unwrap_or("ec2.amazonaws.com");
    let scheme = if matches!(peer, Peer::Network { encrypted: true, .. }) { "https" } else { "http" };
    let wsdl = wsdl::written(&format!("{scheme}://{host}/"));
    Some(query::respond(&query::request_id(), StatusCode::OK, &wsdl))
}
