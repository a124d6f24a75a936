//! Who calls: a signature of either kind, made not long ago, and never seen before. The caller is the core's, by its access
//! key or by the temporary one of a role with its token.

use std::collections::BTreeMap;

use compute::access;
use compute::identity::{Credentials, Who};
use hyper::http::request::Parts;
use jiff::{SignedDuration, Timestamp};

use super::Inner;
use super::codec::{Asked, Scheme, header};
use super::errors::Refusal;
use super::parameters::Parameters;
use super::signature::{Acs3, Method, is_acs3_signature, is_rpc_signature, rpc_string};
use super::time;

/// How far a client's clock may be off, and how long its nonces are remembered.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// Longest nonce, in bytes.
const MAX_NONCE: usize = 128;

/// Headers that a signature of version 3 must be of.
const SIGNED: &[&str] =
    &["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"];

/// Who calls.
pub struct Caller {
    /// As the policy engine knows them.
    pub access: access::Caller,
    /// As the signature told.
    pub who: Who,
}

/// What a signature says of itself, whichever kind it is of.
struct Signed {
    key: String,
    token: Option<String>,
    at: Timestamp,
    nonce: String,
    signature: String,
    string: String,
    kind: Kind,
}

enum Kind {
    Rpc(Method),
    Acs3,
}

/// Who sent a request.
///
/// # Errors
///
/// Nobody that is known, or not now.
pub async fn authenticate(inner: &Inner, parts: &Parts, asked: &Asked) -> Result<Caller, Refusal> {
    let signed = match &asked.scheme {
        Scheme::Rpc => rpc(parts, &asked.parameters)?,
        Scheme::Acs3 { authorization, body_sha256 } => acs3(parts, &asked.query, authorization, body_sha256)?,
    };
    let now = inner.compute.clock().now();
    if signed.at.duration_since(now).abs() > WINDOW {
        return Err(Refusal::new(
            400,
            "InvalidTimeStamp.Expired",
            "Specified time stamp or date value is expired.",
        ));
    }
    let Credentials { secret, who } =
        inner.identity.find_key(&signed.key, signed.token.as_deref(), now).await?;
    let is_right = match signed.kind {
        Kind::Rpc(method) => is_rpc_signature(method, &secret, &signed.string, &signed.signature),
        Kind::Acs3 => is_acs3_signature(&secret, &signed.string, &signed.signature),
    };
    if !is_right {
        // Clients compare what is behind the first colon with their own.
        let why = "Specified signature is not matched with our calculation. server string to sign is:";
        return Err(Refusal::new(400, "SignatureDoesNotMatch", format!("{why}{}", signed.string)));
    }
    // Only now: whoever has not the secret could use up the nonces of others.
    inner
        .nonces
        .note(&signed.key, &signed.nonce, signed.at.saturating_add(WINDOW).unwrap_or(Timestamp::MAX))
        .await?;
    let access = inner.identity.caller(&who).await?;
    Ok(Caller { access, who })
}

fn incomplete(what: &str) -> Refusal {
    Refusal::new(400, "IncompleteSignature", format!("The request signature does not conform: {what}."))
}

fn moment(text: &str) -> Result<Timestamp, Refusal> {
    time::read_seconds(text).ok_or_else(|| {
        Refusal::new(
            400,
            "InvalidTimeStamp.Format",
            "Specified time stamp or date value is not well formatted.",
        )
    })
}

fn nonce(text: &str) -> Result<String, Refusal> {
    if text.len() > MAX_NONCE { Err(incomplete("the nonce is too long")) } else { Ok(text.to_owned()) }
}

fn rpc(parts: &Parts, parameters: &Parameters) -> Result<Signed, Refusal> {
    let given = |name: &str| parameters.get(name).ok_or_else(|| incomplete(&format!("there is no {name}")));
    let signature = given("Signature")?.to_owned();
    let method = Method::of(given("SignatureMethod")?).ok_or_else(|| {
        Refusal::new(400, "InvalidSignatureMethod", "Specified signature method is not valid.")
    })?;
    if given("SignatureVersion")? != "1.0" {
        return Err(Refusal::new(
            400,
            "InvalidSignatureVersion",
            "Specified signature version is not valid.",
        ));
    }
    Ok(Signed {
        key: given("AccessKeyId")?.to_owned(),
        token: parameters.get("SecurityToken").map(str::to_owned),
        at: moment(given("Timestamp")?)?,
        nonce: nonce(given("SignatureNonce")?)?,
        signature,
        string: rpc_string(parts.method.as_str(), parameters),
        kind: Kind::Rpc(method),
    })
}

fn acs3(
    parts: &Parts,
    query: &Parameters,
    authorization: &str,
    body_sha256: &str,
) -> Result<Signed, Refusal> {
    let pairs = authorization.split(',').filter_map(|pair| pair.trim().split_once('='));
    let fields: BTreeMap<&str, &str> = pairs.collect();
    let field =
        |name: &str| fields.get(name).copied().ok_or_else(|| incomplete(&format!("there is no {name}")));
    let names: Vec<&str> = field("SignedHeaders")?.split(';').collect();
    let token = header(&parts.headers, "x-acs-security-token");
    let needed = SIGNED.iter().copied().chain(token.map(|_| "x-acs-security-token"));
    for name in needed {
        if !names.contains(&name) {
            return Err(incomplete(&format!("the header {name} is not signed")));
        }
    }
    let mut headers = Vec::with_capacity(names.len());
    for name in names {
        let mut values = Vec::new();
        for value in parts.headers.get_all(name) {
            values.push(
                value.to_str().map_err(|_| incomplete(&format!("the header {name} is no text")))?.trim(),
            );
        }
        headers.push((name, values.join(",")));
    }
    let given = |name: &str| {
        header(&parts.headers, name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| incomplete(&format!("there is no header {name}")))
    };
    // The body is what the client says it is, or the signature is of another.
    if !given("x-acs-content-sha256")?.eq_ignore_ascii_case(body_sha256) {
        return Err(incomplete("x-acs-content-sha256 is not the body's"));
    }
    let string = Acs3 { method: parts.method.as_str(), query, headers, body_sha256 }.string();
    Ok(Signed {
        key: field("Credential")?.to_owned(),
        token: token.map(str::to_owned),
        at: moment(given("x-acs-date")?)?,
        nonce: nonce(given("x-acs-signature-nonce")?)?,
        signature: field("Signature")?.to_owned(),
        string,
        kind: Kind::Acs3,
    })
}
