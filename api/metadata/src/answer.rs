//! A request and its answer. In this order: is it an instance, does it answer at all, is it a token that is asked for, is a
//! token shown where one has to be, what is there.

use std::sync::Arc;

use compute::compute::ComputeError;
use compute::resource::{Instance, MetadataTokens};
use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::cloud::{Speech, TokenForm, speech};
use crate::path;
use crate::service::{Inner, Whose};
use crate::token::{MAX_TTL_S, ttl_s};
use crate::tree::{self, Found, Place, TEXT};
use crate::view::{Part, View};

/// What is sent back.
pub type Answer = Response<Full<Bytes>>;

/// By which a proxy shows that it is one: whoever has one in front of it asks for somebody else.
const FORWARDED: &str = "x-forwarded-for";

/// Answers a request on the socket of this interface. Its body is not read, as nothing asked here has one.
pub async fn answer<B: Body>(inner: &Inner, whose: Whose, request: &Request<B>) -> Answer {
    let mut answer = match found(inner, whose, request).await {
        Ok(answer) => answer,
        Err(error) => {
            let instance = whose.instance;
            inner.complaints.tell(format_args!("cannot answer {instance} about its metadata: {error}"));
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "the host failed: try again")
        }
    };
    if !request.body().is_end_stream() {
        // It would be taken for the next request.
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn found<B>(inner: &Inner, whose: Whose, request: &Request<B>) -> Result<Answer, ComputeError> {
    let Some(instance) = asker(inner, whose).await? else {
        return Ok(refuse(StatusCode::NOT_FOUND, "there is no such instance"));
    };
    let (speech, options) = (speech(instance.cloud), instance.metadata_options);
    if !options.enabled {
        return Ok(refuse(StatusCode::FORBIDDEN, "the metadata service of this instance is disabled"));
    }
    let Some(path) = path::words(request.uri()) else { return Ok(nothing()) };
    let forms: Vec<&TokenForm> = speech.tokens.iter().filter(|form| path == form.path).collect();
    if !forms.is_empty() {
        return Ok(match *request.method() {
            Method::PUT => token(inner, &instance, &forms, request),
            _ => not_allowed("PUT"),
        });
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(not_allowed("GET, HEAD"));
    }
    if let Some(refusal) = check_token(inner, &instance, speech, request) {
        return Ok(refusal);
    }
    look(inner, speech, instance, &path).await
}

/// The instance that has the interface now.
async fn asker(inner: &Inner, whose: Whose) -> Result<Option<Instance>, ComputeError> {
    let Some(account) = inner.compute.account_of(whose.instance) else { return Ok(None) };
    match inner.compute.instance(&account, whose.instance).await {
        Ok(instance) => Ok(Some(instance).filter(|instance| instance.interfaces.contains(&whose.interface))),
        Err(ComputeError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives a token.
fn token<B>(inner: &Inner, instance: &Instance, forms: &[&TokenForm], request: &Request<B>) -> Answer {
    let headers = request.headers();
    if headers.contains_key(FORWARDED) {
        return refuse(StatusCode::FORBIDDEN, "tokens are not given through proxies");
    }
    let asked = forms.iter().find_map(|form| Some((form, ttl_s(headers.get(form.ttl)?.as_bytes())?)));
    let Some((form, ttl)) = asked else {
        let header = forms.first().map_or("", |form| form.ttl);
        return refuse(StatusCode::BAD_REQUEST, &format!("{header}: 1 to {MAX_TTL_S}"));
    };
    let token = inner.tokens.give(instance.id, ttl, inner.compute.clock().now());
    let mut answer = value(StatusCode::OK, TEXT, token.into_bytes());
    answer.headers_mut().insert(HeaderName::from_static(form.ttl), HeaderValue::from(ttl));
    answer
}

/// Looks at the tokens that are shown; `None` if it may go on. One that is no good is refused even where none is required.
fn check_token<B>(
    inner: &Inner,
    instance: &Instance,
    speech: &Speech,
    request: &Request<B>,
) -> Option<Answer> {
    let now = inner.compute.clock().now();
    let shown = speech.tokens.iter().flat_map(|form| request.headers().get_all(form.token));
    let mut is_shown = false;
    for token in shown {
        if !inner.tokens.is_good(token.as_bytes(), instance.id, now) {
            return Some(refuse(StatusCode::UNAUTHORIZED, "this token is not good: ask for another"));
        }
        is_shown = true;
    }
    match instance.metadata_options.tokens {
        MetadataTokens::Required if !is_shown => {
            Some(refuse(speech.without_token, "show a token: this instance requires one"))
        }
        MetadataTokens::Required | MetadataTokens::Optional => None,
    }
}

/// What is at a path.
async fn look(
    inner: &Inner,
    speech: &Speech,
    instance: Instance,
    path: &[String],
) -> Result<Answer, ComputeError> {
    let (rows, below) = match tree::place(speech.mounts, path) {
        None => return Ok(nothing()),
        Some(Place::Versions(versions)) => {
            return Ok(value(StatusCode::OK, TEXT, versions.join("\n").into_bytes()));
        }
        Some(Place::Rows(rows, below)) => (rows, below),
    };
    let parts: Vec<Part> = rows.iter().flat_map(|(row, _)| row.needs).copied().collect();
    let config = Arc::clone(&inner.config);
    let view = View::load(&inner.compute, &inner.identity, config, instance, &parts).await?;
    Ok(match tree::find(&view, &rows, below) {
        Found::Nothing => nothing(),
        Found::Value(content_type, bytes) => value(StatusCode::OK, content_type, bytes),
        Found::Role(document) => {
            match document.write(&inner.compute, &inner.identity, &view.instance).await {
                Ok((status, content_type, text)) => value(status, content_type, text.into_bytes()),
                Err(error) => {
                    let instance = view.instance.id;
                    inner
                        .complaints
                        .tell(format_args!("cannot give {instance} its role's credentials: {error}"));
                    refuse(StatusCode::INTERNAL_SERVER_ERROR, "the host failed: try again")
                }
            }
        }
    })
}

fn value(status: StatusCode, content_type: &'static str, bytes: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(bytes)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Much of it is secret, and all of it may be another at the next request.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A refusal, in a line for whoever looks.
pub fn refuse(status: StatusCode, why: &str) -> Answer {
    value(status, TEXT, why.as_bytes().to_vec())
}

fn nothing() -> Answer {
    refuse(StatusCode::NOT_FOUND, "there is no such item")
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = refuse(StatusCode::METHOD_NOT_ALLOWED, "this is not how to ask");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
