//! An envelope of SOAP 1.1: where its header and its body are, and what is asked. What is not where it belongs is refused, as
//! whoever looks elsewhere would read what nobody signed.
//!
//! <https://www.w3.org/TR/2000/NOTE-SOAP-20000508/>

use super::super::errors::Refusal;
use super::document::{Document, Element, ReadError};

/// The name space of envelopes.
pub const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// That of the header with signatures.
pub const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";

/// The parts of an envelope.
pub struct Envelope<'d> {
    /// All of it.
    pub root: Element<'d>,
    /// The header with the signature, if there is one.
    pub security: Option<Element<'d>>,
    /// The body.
    pub body: Element<'d>,
    /// The one element in it.
    pub operation: Element<'d>,
}

/// What is no envelope of this version.
pub fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "MalformedSOAPMessage", why)
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        malformed(format!("The message cannot be read: {error}"))
    }
}

/// The envelope in a document.
///
/// # Errors
///
/// It has none, or another than is understood.
pub fn of<'d>(document: &'d Document<'_>) -> Result<Envelope<'d>, Refusal> {
    let root = document.root();
    if root.name() != "Envelope" {
        return Err(malformed("The message is no SOAP envelope"));
    }
    if root.namespace() != ENVELOPE {
        return Err(Refusal::new(500, "VersionMismatch", "The envelope is none of SOAP 1.1"));
    }
    let mut parts = root.children();
    let mut next = parts.next();
    let header = next.filter(|part| part.is(ENVELOPE, "Header"));
    if header.is_some() {
        next = parts.next();
    }
    let body = next.filter(|part| part.is(ENVELOPE, "Body"));
    let body = body.ok_or_else(|| malformed("The envelope has no body where it belongs"))?;
    if parts.next().is_some() {
        return Err(malformed("There is something behind the envelope's body"));
    }
    let mut operations = body.children();
    let operation = operations.next().ok_or_else(|| malformed("The envelope's body is empty"))?;
    if operations.next().is_some() {
        return Err(malformed("There is more than one element in the envelope's body"));
    }
    let security = match header {
        Some(header) => security(header)?,
        None => None,
    };
    Ok(Envelope { root, security, body, operation })
}

/// The header with the signature; any other may be there that need not be understood.
fn security(header: Element<'_>) -> Result<Option<Element<'_>>, Refusal> {
    let mut found = None;
    for entry in header.children() {
        if entry.is(SECURITY, "Security") {
            if found.replace(entry).is_some() {
                return Err(malformed("There are several headers with signatures"));
            }
        } else if entry.attribute_of(ENVELOPE, "mustUnderstand") == Some("1") {
            let why =
                format!("The header {} is not understood", entry.name().chars().take(64).collect::<String>());
            return Err(Refusal::new(500, "MustUnderstand", why));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let document = Document::read(text).unwrap();
        of(&document)
            .map_or_else(|refusal| refusal.code.into_owned(), |envelope| envelope.operation.name().to_owned())
    }

    #[test]
    fn an_envelope_has_its_parts_where_they_belong() {
        let envelope =
            |inside: &str| code(&format!("<e:Envelope xmlns:e=\"{ENVELOPE}\">{inside}</e:Envelope>"));
        for (inside, code) in [
            ("<e:Body><Ask/></e:Body>", "Ask"),
            ("<e:Header/><e:Body><Ask/></e:Body>", "Ask"),
            ("<e:Header><x/></e:Header><e:Body><Ask/></e:Body>", "Ask"),
            ("<e:Header><x e:mustUnderstand=\"1\"/></e:Header><e:Body><Ask/></e:Body>", "MustUnderstand"),
            ("", "MalformedSOAPMessage"),
            ("<e:Body/>", "MalformedSOAPMessage"),
            ("<e:Body><Ask/><Ask/></e:Body>", "MalformedSOAPMessage"),
            ("<e:Body><Ask/></e:Body><e:Body><Ask/></e:Body>", "MalformedSOAPMessage"),
            ("<x/><e:Body><Ask/></e:Body>", "MalformedSOAPMessage"),
            ("<e:Body><Ask/></e:Body><e:Header/>", "MalformedSOAPMessage"),
            ("<Body><Ask/></Body>", "MalformedSOAPMessage"),
        ] {
            assert_eq!(envelope(inside), code, "{inside}");
        }
        assert_eq!(code("<Envelope/>"), "VersionMismatch");
        assert_eq!(
            code("<e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\"/>"),
            "VersionMismatch"
        );
        assert_eq!(code("<a/>"), "MalformedSOAPMessage");
    }
}
