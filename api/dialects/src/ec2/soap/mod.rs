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
use super::reading::Signed;
use super::service::perform;
use super::version::Version;
use super::xml::Tree;
use super::y2007::{shapes, wsdl};
use super::{Inner, Protocol};
use crate::server::{Answer, Peer};
use document::Document;
use envelope::Envelope;
use security::Claim;

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
        Err(refusal) => (action, refused(request_id, refusal)),
    }
}

/// A fault, in the words of 2007.
pub fn refused(request_id: &str, refusal: Refusal) -> Answer {
    fault::refused(request_id, &refusal.in_2007())
}

async fn answered(
    inner: &Inner,
    request_id: &str,
    body: Result<Vec<u8>, Refusal>,
    peer: Peer,
    action: &mut &'static str,
) -> Result<String, Refusal> {
    let body = body?;
    let document = document_in(&body)?;
    let Message { envelope, version, row } = Message::of(&document)?;
    *action = row.name;
    let caller = security::authenticate(inner, &document, &envelope).await?;
    let parameters = body::parameters(envelope.operation, shapes::of(row.name))?;
    let tree = perform(inner, &caller, row, &parameters, peer, Protocol::Soap).await?;
    Ok(written(request_id, &version, row, &tree, envelope.operation.namespace()))
}

/// The document that a request's bytes are.
fn document_in(body: &[u8]) -> Result<Document<'_>, Refusal> {
    let text = str::from_utf8(body).map_err(|_| envelope::malformed("The message is not in UTF-8"))?;
    Ok(Document::read(text)?)
}

/// What is asked, of whoever it comes.
struct Message<'d> {
    envelope: Envelope<'d>,
    version: Version,
    row: &'static Row,
}

impl<'d> Message<'d> {
    fn of(document: &'d Document<'_>) -> Result<Self, Refusal> {
        let envelope = envelope::of(document)?;
        let version = body::version(envelope.operation)?;
        let row = actions::find(version.api, envelope.operation.name())?;
        Ok(Self { envelope, version, row })
    }
}

/// What a message asks that its certificate signed, whosever that is.
pub fn signed(bytes: &[u8]) -> Result<Signed, Refusal> {
    let document = document_in(bytes)?;
    let Message { envelope, row, .. } = Message::of(&document)?;
    // Whatever it says, it is both read and verified: neither is to hide from fuzzing behind the other.
    let parameters = body::parameters(envelope.operation, shapes::of(row.name));
    let claim = Claim::of(&envelope)?;
    claim.verify(&document, &envelope)?;
    let moments = [Some(claim.created), claim.expires];
    Ok(Signed::new(row.name, &parameters?, claim.certificate, moments))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the tools of then sent it, with room for a certificate.
    const MESSAGE: &str = r##"<?xml version="1.0"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header>
<wsse:Security xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">
<wsse:BinarySecurityToken xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
 ValueType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
 wsu:Id="CertId-1">CERTIFICATE</wsse:BinarySecurityToken>
<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<ds:SignatureMethod Algorithm="http://www.w3.org/2000/09/xmldsig#rsa-sha1"/>
<ds:Reference URI="#id-17984263"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">
<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="wsse"/></ds:Transform>
</ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"/>
<ds:DigestValue>0pjZ1+TvgPf6uG7o+Yp3l2YdGZ4=</ds:DigestValue></ds:Reference>
<ds:Reference URI="#id-15778003"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
</ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2000/09/xmldsig#sha1"/>
<ds:DigestValue>HhRbxBBmc2OO348f8nLNZyo4AOM=</ds:DigestValue></ds:Reference></ds:SignedInfo>
<ds:SignatureValue>bmVpdGhlciB0aGlzIG5vciB0aGF0</ds:SignatureValue><ds:KeyInfo Id="KeyId-1">
<wsse:SecurityTokenReference><wsse:Reference URI="#CertId-1"/></wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature>
<wsu:Timestamp xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
 wsu:Id="id-17984263"><wsu:Created>2006-06-09T10:57:35Z</wsu:Created><wsu:Expires>2006-06-09T11:02:35Z</wsu:Expires>
</wsu:Timestamp></wsse:Security></SOAP-ENV:Header>
<SOAP-ENV:Body xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
 wsu:Id="id-15778003"><RunInstances xmlns="http://ec2.amazonaws.com/doc/2007-03-01/"><instancesSet><item>
<imageId>ami-60a54009</imageId><minCount>1</minCount><maxCount>3</maxCount></item></instancesSet><groupSet/>
</RunInstances></SOAP-ENV:Body></SOAP-ENV:Envelope>"##;

    /// What is done with a message before anybody is known; how far it came.
    fn read(text: &str) -> Result<Signed, Refusal> {
        signed(text.as_bytes())
    }

    fn message() -> String {
        use base64::Engine;

        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let made = rcgen::CertificateParams::new(["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        MESSAGE.replace("CERTIFICATE", &base64::prelude::BASE64_STANDARD.encode(made.der()))
    }

    #[test]
    fn whatever_is_sent_is_answered() {
        let message = message();
        let refusal = read(&message).unwrap_err();
        assert_eq!(refusal.code, "SignatureDoesNotMatch", "its certificate has not signed it");
        // Xorshift: the same messages at each run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |end: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % end as u64).unwrap()
        };
        let mut came_far = 0;
        for _ in 0..3000 {
            let mut bytes = message.clone().into_bytes();
            for _ in 0..=below(3) {
                if bytes.is_empty() {
                    break;
                }
                let (at, from) = (below(bytes.len()), below(bytes.len()));
                let length = below(40).min(bytes.len() - from);
                let piece = bytes[from..from + length].to_vec();
                match below(4) {
                    0 => bytes[at] = b"<>&\"'/=:;#! ax0\xe2"[below(16)],
                    1 => drop(bytes.drain(from..from + length)),
                    2 => drop(bytes.splice(at..at, piece)),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            let refusal = read(&text).expect_err("none of them is signed");
            came_far += u32::from(refusal.code == "SignatureDoesNotMatch");
        }
        assert!(came_far > 100, "only {came_far} came as far as their signatures");
    }
}
