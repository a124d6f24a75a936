//! Who calls: a signature of any kind, made not long ago. The caller is the core's, by its access key or by the temporary one of
//! a role with its token. A request may be sent twice while it is fresh: this API has no nonces.

use std::collections::BTreeMap;

use compute::access;
use compute::identity::{Credentials, Who};
use compute::secrets::Secret;
use hyper::http::request::Parts;
use jiff::{SignedDuration, Timestamp};

use super::Inner;
use super::errors::Refusal;
use super::parameters::Parameters;
use super::query::{Asked, header};
use super::signature::parameters::{self as by_parameters, Method};
use super::signature::v4::{self, ALGORITHM, Scope};
use super::time;
use crate::signing::sha256_hex;

/// How far a client's clock may be off.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// Longest time for which a signed URL is good, in seconds.
const MAX_EXPIRES_S: i64 = 7 * 24 * 3600;

/// Who calls.
pub struct Caller {
    /// As the policy engine knows them.
    pub access: access::Caller,
    /// As the signature told.
    pub who: Who,
}

/// What a request says of who signed it, whichever kind the signature is of.
pub struct Claim {
    /// The version of the signature.
    pub version: u8,
    /// The id of the key.
    pub key: String,
    token: Option<String>,
    /// From when to when it is good.
    pub good: (Timestamp, Timestamp),
    signature: String,
    /// What it may be of.
    strings: Vec<String>,
    kind: Kind,
}

enum Kind {
    Parameters(Method),
    V4(Scope),
}

/// Who sent a request.
///
/// # Errors
///
/// Nobody that is known, or not now.
pub async fn authenticate(
    inner: &Inner,
    parts: &Parts,
    asked: &Asked,
    body: &[u8],
) -> Result<Caller, Refusal> {
    let now = inner.compute.clock().now();
    let claim = Claim::of(parts, asked, body)?;
    if now < claim.good.0 || now > claim.good.1 {
        return Err(Refusal::expired());
    }
    let Credentials { secret, who } =
        inner.identity.find_key(&claim.key, claim.token.as_deref(), now).await?;
    if !claim.is_right(&secret) {
        return Err(Refusal::wrong_signature());
    }
    let access = inner.identity.caller(&who).await?;
    Ok(Caller { access, who })
}

impl Claim {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not signed, or otherwise than is understood.
    pub fn of(parts: &Parts, asked: &Asked, body: &[u8]) -> Result<Self, Refusal> {
        let authorization = header(&parts.headers, "authorization");
        match authorization.and_then(|text| text.split_once(' ')) {
            Some((ALGORITHM, fields)) => v4_by_header(parts, asked, fields, body),
            Some(_) | None if asked.query.get("X-Amz-Algorithm").is_some() => v4_by_query(parts, asked, body),
            Some(_) | None => by_parameters(parts, asked),
        }
    }

    /// Whether it was signed with this secret.
    pub fn is_right(&self, secret: &Secret) -> bool {
        match &self.kind {
            Kind::Parameters(method) => {
                by_parameters::is_right(*method, secret, &self.strings, &self.signature)
            }
            Kind::V4(scope) => v4::is_right(secret, scope, &self.strings, &self.signature),
        }
    }
}

fn incomplete(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        400,
        "IncompleteSignature",
        format!("The request signature does not conform to AWS standards: {what}."),
    )
}

/// From when to when a signature is good that was made at this moment.
fn around(at: Timestamp) -> (Timestamp, Timestamp) {
    let from = at.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
    (from, at.checked_add(WINDOW).unwrap_or(Timestamp::MAX))
}

/// Versions 0, 1 and 2.
fn by_parameters(parts: &Parts, asked: &Asked) -> Result<Claim, Refusal> {
    let parameters = &asked.parameters;
    let key = parameters.required("AWSAccessKeyId")?.to_owned();
    let signature = parameters.required("Signature")?.to_owned();
    let moment = |name: &str| -> Result<Timestamp, Refusal> {
        time::read(parameters.required(name)?).ok_or_else(|| parameters.invalid(name))
    };
    let good = match (parameters.get("Timestamp"), parameters.get("Expires")) {
        (Some(_), None) => around(moment("Timestamp")?),
        (None, Some(_)) => (Timestamp::MIN, moment("Expires")?),
        (Some(_), Some(_)) => {
            let why = "The request must contain only one of the parameters Timestamp and Expires.";
            return Err(Refusal::new(400, "InvalidParameterCombination", why));
        }
        (None, None) => return Err(parameters.missing("Timestamp or Expires")),
    };
    let at = parameters.get("Timestamp").or(parameters.get("Expires")).unwrap_or_default();
    let method = match parameters.get("SignatureMethod") {
        Some(name) => Method::of(name).ok_or_else(|| parameters.invalid("SignatureMethod"))?,
        None => Method::HmacSha1,
    };
    let host = header(&parts.headers, "host").unwrap_or_default();
    let v2 = || by_parameters::v2_strings(parts.method.as_str(), host, parts.uri.path(), parameters);
    let (version, strings, method) = match parameters.get("SignatureVersion").unwrap_or("0") {
        "0" => (0, vec![by_parameters::v0_string(&asked.action, at)], Method::HmacSha1),
        "1" => (1, vec![by_parameters::v1_string(parameters)], Method::HmacSha1),
        "2" => (2, v2(), method),
        _ => return Err(parameters.invalid("SignatureVersion")),
    };
    let token = parameters.get("SecurityToken").map(str::to_owned);
    Ok(Claim { version, key, token, good, signature, strings, kind: Kind::Parameters(method) })
}

/// Version 4, by the header `Authorization`.
fn v4_by_header(parts: &Parts, asked: &Asked, fields: &str, body: &[u8]) -> Result<Claim, Refusal> {
    let pairs = fields.split(',').filter_map(|pair| pair.trim().split_once('='));
    let fields: BTreeMap<&str, &str> = pairs.collect();
    let field = |name: &str| {
        let missing = || incomplete(format_args!("Authorization header requires '{name}' parameter"));
        fields.get(name).copied().ok_or_else(missing)
    };
    let date = header(&parts.headers, "x-amz-date");
    let date =
        date.ok_or_else(|| incomplete("Authorization header requires existence of a 'X-Amz-Date' header"))?;
    let token = header(&parts.headers, "x-amz-security-token");
    let made = V4 {
        credential: field("Credential")?,
        headers: field("SignedHeaders")?,
        signature: field("Signature")?,
        date,
        token,
        needed: if token.is_some() {
            &["host", "x-amz-date", "x-amz-security-token"]
        } else {
            &["host", "x-amz-date"]
        },
    };
    made.signed(parts, &asked.query, body, around(moment(date)?))
}

/// Version 4, by parameters of the query: a URL that somebody signed for somebody else.
fn v4_by_query(parts: &Parts, asked: &Asked, body: &[u8]) -> Result<Claim, Refusal> {
    let query = &asked.query;
    let given = |name: &str| query.get(name).ok_or_else(|| incomplete(format_args!("there is no {name}")));
    if given("X-Amz-Algorithm")? != ALGORITHM {
        return Err(incomplete("X-Amz-Algorithm is not AWS4-HMAC-SHA256"));
    }
    let date = given("X-Amz-Date")?;
    let seconds = query.parsed::<i64>("X-Amz-Expires")?.unwrap_or(WINDOW.as_secs());
    if !(1..=MAX_EXPIRES_S).contains(&seconds) {
        return Err(query.invalid("X-Amz-Expires"));
    }
    let (from, _) = around(moment(date)?);
    let end = moment(date)?.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    let made = V4 {
        credential: given("X-Amz-Credential")?,
        headers: given("X-Amz-SignedHeaders")?,
        signature: given("X-Amz-Signature")?,
        date,
        token: query.get("X-Amz-Security-Token"),
        needed: &["host"],
    };
    made.signed(parts, query, body, (from, end))
}

/// A moment as version 4 writes it, `20070301T120000Z`.
fn moment(text: &str) -> Result<Timestamp, Refusal> {
    let wrong = || incomplete("Date must be in ISO-8601 'basic format'");
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).map_err(|_| wrong())?;
    if text.len() != "20070301T120000Z".len() {
        return Err(wrong());
    }
    at.to_zoned(jiff::tz::TimeZone::UTC).map(|at| at.timestamp()).map_err(|_| wrong())
}

/// What a signature of version 4 consists of, wherever it stands.
struct V4<'a> {
    credential: &'a str,
    headers: &'a str,
    signature: &'a str,
    date: &'a str,
    token: Option<&'a str>,
    /// Headers that must be signed.
    needed: &'a [&'a str],
}

impl V4<'_> {
    fn signed(
        self,
        parts: &Parts,
        query: &Parameters,
        body: &[u8],
        good: (Timestamp, Timestamp),
    ) -> Result<Claim, Refusal> {
        let (key, scope) = Scope::read(self.credential).ok_or_else(|| {
            incomplete("Credential must be a key's id with the scope DATE/REGION/SERVICE/aws4_request")
        })?;
        // What clients take for region and service is up to them; some guess it from the host's name.
        if !self.date.starts_with(&scope.day) || scope.day.len() != 8 {
            return Err(incomplete(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date",
            ));
        }
        let names: Vec<&str> = self.headers.split(';').map(str::trim).collect();
        if let Some(name) = self.needed.iter().find(|name| !names.contains(name)) {
            return Err(incomplete(format_args!("'{name}' must be a 'SignedHeader'")));
        }
        let mut headers = Vec::with_capacity(names.len());
        for name in names {
            headers.push((name, value(parts, name)?));
        }
        let (path, body_sha256) = (parts.uri.path(), sha256_hex(body));
        let request = v4::Request {
            method: parts.method.as_str(),
            path,
            query,
            headers,
            body_sha256: &body_sha256,
            date: self.date,
            scope: &scope,
        };
        Ok(Claim {
            version: 4,
            key: key.to_owned(),
            token: self.token.map(str::to_owned),
            good,
            signature: self.signature.to_owned(),
            strings: request.strings(),
            kind: Kind::V4(scope),
        })
    }
}

/// The value of a header as it is signed: all that there are, each without blanks around it and with single ones within.
fn value(parts: &Parts, name: &str) -> Result<String, Refusal> {
    let mut values = Vec::new();
    for value in parts.headers.get_all(name) {
        let text = value.to_str().map_err(|_| incomplete(format_args!("the header {name} is no text")))?;
        values.push(text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
    }
    Ok(values.join(","))
}
