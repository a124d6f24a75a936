//! Answers in envelopes: what an action answered, and faults.

use hyper::StatusCode;

use super::super::errors::Refusal;
use super::super::query::respond;
use super::super::xml::escaped;
use super::envelope::ENVELOPE;
use crate::server::Answer;

/// The name space in which faults say which request they are of.
const FAULT: &str = "http://webservices.amazon.com/AWSFault/2005-15-09";

/// Faults that are SOAP's own, whatever is served by it.
const OF_SOAP: &[&str] = &["MustUnderstand", "VersionMismatch"];

/// An element in an envelope.
fn envelope(body: &str) -> String {
    format!(
        "<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{ENVELOPE}\"><SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
}

/// What an action answered.
pub fn answered(request_id: &str, element: &str) -> Answer {
    respond(request_id, StatusCode::OK, &envelope(element))
}

/// A fault. SOAP has but one status for them.
pub fn refused(request_id: &str, refusal: &Refusal) -> Answer {
    let Refusal { status, code, message } = refusal;
    let code = match *status {
        _ if OF_SOAP.contains(&code.as_ref()) => format!("SOAP-ENV:{code}"),
        500.. => format!("SOAP-ENV:Server.{code}"),
        _ => format!("SOAP-ENV:Client.{code}"),
    };
    let (code, message, id) = (escaped(&code), escaped(message), escaped(request_id));
    let fault = format!(
        "<SOAP-ENV:Fault><faultcode>{code}</faultcode><faultstring>{message}</faultstring><detail><aws:RequestId \
         xmlns:aws=\"{FAULT}\">{id}</aws:RequestId></detail></SOAP-ENV:Fault>"
    );
    respond(request_id, StatusCode::INTERNAL_SERVER_ERROR, &envelope(&fault))
}
