//! Who signed a SOAP request: WS-Security with an X.509 certificate of the account's. Both the body and the timestamp must be
//! signed, and the request be no older than five minutes; within them it is answered once. The certificate is nobody's but the
//! account's that it was registered with: no chain of trust is looked at, and no date in it.
//!
//! A signature says which elements it is of by their ids. So whatever lets two elements bear one id, or a signed one stand
//! where it is not read, is refused: the elements that were verified must be the very body and timestamp that are read.
//!
//! <https://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0.pdf>

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bergshamra_dsig::verify::verify_document;
use bergshamra_dsig::{DsigContext, VerifyResult};
use bergshamra_keys::{KeysManager, loader};
use compute::identity::Who;
use jiff::{SignedDuration, Timestamp};

use super::super::auth::Caller;
use super::super::errors::Refusal;
use super::super::{Inner, time};
use super::document::{Document, Element};
use super::envelope::{Envelope, SECURITY};

const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
const X509: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const SIGNED_BY: &[&str] =
    &["http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"];
const HASHED_BY: &[&str] =
    &["http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2001/04/xmlenc#sha256"];
/// What attributes are called by which elements are found.
const IDS: &[&str] = &["Id", "ID", "id", "AssertionID"];

/// How long a request is good.
const LIFE: SignedDuration = SignedDuration::from_mins(5);
/// Most elements that a signature may be of: some clients sign their token, too.
const MAX_REFERENCES: usize = 8;
/// Most bytes of a certificate.
const MAX_CERTIFICATE: usize = 16 << 10;

/// What a request says of who signed it.
pub struct Claim<'d> {
    /// The certificate, in DER.
    pub certificate: Vec<u8>,
    /// The signature itself, by which one request is told from another.
    signature: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is not good, if it says that itself.
    pub expires: Option<Timestamp>,
    /// The element that says when.
    timestamp: Element<'d>,
}

fn refused(why: impl Into<String>) -> Refusal {
    Refusal::new(401, "AuthFailure", why)
}

/// Who sent a request. Once it is answered, it is not again.
///
/// # Errors
///
/// Nobody that is known signed all of it, or not now.
pub async fn authenticate(
    inner: &Inner,
    document: &Document<'_>,
    envelope: &Envelope<'_>,
) -> Result<Caller, Refusal> {
    let now = inner.compute.clock().now();
    let claim = Claim::of(envelope)?;
    if now.duration_since(claim.created).abs() > LIFE || claim.expires.is_some_and(|end| now > end) {
        return Err(Refusal::expired());
    }
    let known = inner.identity.find_certificate(&claim.certificate).await?;
    let known = known.ok_or_else(|| refused("The certificate is registered with no account"))?;
    claim.verify(document, envelope)?;
    let caller = Who::Root { account: known.account };
    let access = inner.identity.caller(&caller).await?;
    // After all else: what is refused may be sent again, once it is right.
    let end = claim.created.checked_add(LIFE).unwrap_or(Timestamp::MAX);
    let signature = BASE64_STANDARD.encode(&claim.signature);
    inner.nonces.note(&known.fingerprint.to_string(), &signature, end).await?;
    Ok(Caller { access, who: caller })
}

impl<'d> Claim<'d> {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not signed, or otherwise than is understood.
    pub fn of(envelope: &Envelope<'d>) -> Result<Self, Refusal> {
        let security = envelope.security.ok_or_else(|| refused("The request is not signed"))?;
        let timestamp = security.only(UTILITY, "Timestamp");
        let timestamp = timestamp.ok_or_else(|| refused("The request has not one timestamp"))?;
        let token = security.only(SECURITY, "BinarySecurityToken");
        let token = token.ok_or_else(|| refused("The request has not one certificate"))?;
        if token.attribute("ValueType").is_some_and(|kind| kind != X509) {
            return Err(refused("The security token is no X.509 certificate"));
        }
        let certificate = decode(&token.text()).filter(|der| der.len() <= MAX_CERTIFICATE);
        let certificate = certificate.ok_or_else(|| refused("The certificate cannot be read"))?;
        let signature = security.only(SIGNATURE, "Signature");
        let signature = signature.ok_or_else(|| refused("The request has not one signature"))?;
        let value = signature.only(SIGNATURE, "SignatureValue").and_then(|value| decode(&value.text()));
        let value = value.ok_or_else(|| refused("The signature cannot be read"))?;
        check_algorithms(signature)?;
        check_key(signature, token)?;
        let created = moment(timestamp, "Created")?;
        let created = created.ok_or_else(|| refused("The timestamp does not say when it was made"))?;
        let expires = moment(timestamp, "Expires")?;
        Ok(Self { certificate, signature: value, created, expires, timestamp })
    }

    /// Sees to it that the certificate signed the message's body and its timestamp, just as they are read.
    ///
    /// # Errors
    ///
    /// It did not.
    pub fn verify(&self, document: &Document<'_>, envelope: &Envelope<'_>) -> Result<(), Refusal> {
        check_ids(envelope.root)?;
        check_signature(document, envelope, self.timestamp, &self.certificate)
    }
}

/// A moment that a timestamp says.
fn moment(timestamp: Element<'_>, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let mut found = timestamp.children().filter(|child| child.is(UTILITY, name));
    let Some(element) = found.next() else { return Ok(None) };
    let read = time::read(element.text().trim()).filter(|_| found.next().is_none());
    read.map(Some).ok_or_else(|| refused(format!("The timestamp's {name} cannot be read")))
}

/// Base64 with line breaks or without, and as PEM has it.
fn decode(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("-----"));
    let text: String = lines.flat_map(str::chars).filter(|letter| !letter.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())
}

/// The signature must be of the request's own elements alone, made canonical in the one way, and by algorithms of then or
/// better. Whatever else XML signatures can say, as what to fetch or to compute, is not looked at any further.
fn check_algorithms(signature: Element<'_>) -> Result<(), Refusal> {
    let unsupported = |what: &str| refused(format!("The signature's {what} is not supported"));
    let algorithm = |element: Option<Element<'_>>, allowed: &[&str]| {
        element.and_then(|element| element.attribute("Algorithm")).is_some_and(|name| allowed.contains(&name))
    };
    let info = signature.only(SIGNATURE, "SignedInfo").ok_or_else(|| unsupported("form"))?;
    if !algorithm(info.only(SIGNATURE, "CanonicalizationMethod"), &[EXCLUSIVE]) {
        return Err(unsupported("canonicalization"));
    }
    if !algorithm(info.only(SIGNATURE, "SignatureMethod"), SIGNED_BY) {
        return Err(unsupported("algorithm"));
    }
    let references: Vec<_> = info.children().filter(|child| child.is(SIGNATURE, "Reference")).collect();
    if references.is_empty() || references.len() > MAX_REFERENCES {
        return Err(unsupported("number of elements"));
    }
    for reference in references {
        let is_local = reference
            .attribute("URI")
            .is_some_and(|uri| uri.strip_prefix('#').is_some_and(|id| !id.is_empty() && !id.contains('(')));
        let transforms = reference.only(SIGNATURE, "Transforms").ok_or_else(|| unsupported("transform"))?;
        let is_canonical = transforms.children().count() == 1
            && algorithm(transforms.only(SIGNATURE, "Transform"), &[EXCLUSIVE]);
        if !is_local || !is_canonical {
            return Err(unsupported("transform"));
        }
        if !algorithm(reference.only(SIGNATURE, "DigestMethod"), HASHED_BY) {
            return Err(unsupported("digest"));
        }
    }
    Ok(())
}

/// The key must be said to be the token's, where it is said at all.
fn check_key(signature: Element<'_>, token: Element<'_>) -> Result<(), Refusal> {
    let Some(info) = signature.child("KeyInfo") else { return Ok(()) };
    let reference = info.only(SECURITY, "SecurityTokenReference");
    let Some(reference) = reference.and_then(|reference| reference.only(SECURITY, "Reference")) else {
        // Something else names the certificate; it is the one that is in the request, or the signature is wrong.
        return Ok(());
    };
    let uri = reference.attribute("URI").and_then(|uri| uri.strip_prefix('#'));
    let is_it = uri.is_some_and(|id| token.attributes_called(IDS).any(|own| own == id));
    match is_it {
        true => Ok(()),
        false => Err(refused("The signature is by another key than the request's certificate")),
    }
}

/// No two elements may be found by the same id, nor one by two.
fn check_ids(root: Element<'_>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for element in root.all() {
        let mut ids = element.attributes_called(IDS);
        let Some(id) = ids.next() else { continue };
        if ids.next().is_some() || !seen.insert(id) {
            return Err(refused("An id is there twice"));
        }
    }
    Ok(())
}

fn check_signature(
    document: &Document<'_>,
    envelope: &Envelope<'_>,
    timestamp: Element<'_>,
    certificate: &[u8],
) -> Result<(), Refusal> {
    // The verifier takes the first signature that it finds.
    let signatures = envelope.root.all().into_iter().filter(|element| element.is(SIGNATURE, "Signature"));
    if signatures.count() != 1 {
        return Err(refused("The request has not one signature"));
    }
    let key =
        loader::load_x509_cert_der(certificate).map_err(|_| refused("The certificate cannot be read"))?;
    let mut keys = KeysManager::new();
    keys.add_key(key);
    // Its own rule of where signed elements stand is not WS-Security's, which is below.
    let context = DsigContext::new(keys)
        .with_trusted_keys_only(true)
        .with_verify_keys(false)
        .with_skip_time_checks(true)
        .with_require_reference_digests(true)
        .with_strict_verification(false);
    let wrong = || {
        let why = "The signature is not of this request, or by another key than the certificate's";
        Refusal::new(403, "SignatureDoesNotMatch", why)
    };
    let verified = verify_document(&context, document.tree()).map_err(|error| {
        log::debug!("a signature cannot be verified: {error}");
        wrong()
    })?;
    let references = match verified {
        VerifyResult::Valid { references, .. } => references,
        VerifyResult::Invalid { reason } => {
            log::debug!("a signature is wrong: {reason}");
            return Err(wrong());
        }
    };
    let is_signed = |element: Element<'_>| {
        let mut all = references.iter();
        all.any(|reference| reference.digest_verified && reference.resolved_node == Some(element.node))
    };
    if !is_signed(envelope.body) {
        return Err(refused("The body is not signed"));
    }
    if !is_signed(timestamp) {
        return Err(refused("The timestamp is not signed"));
    }
    Ok(())
}
