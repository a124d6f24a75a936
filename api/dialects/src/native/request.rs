//! Requests: their path's ids, their query and their body, within limits of size and time. What is not exactly as the
//! contract says is refused, with the place where it is not.

use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use native_api::{DEFAULT_PAGE_SIZE, ErrorBody, ErrorCode, MAX_BODY_BYTES, PageSize, PageToken, Route};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::server::{BodyError, drain, read_body};

/// A request whose route is found, with what its handler takes out of it.
pub struct Input {
    route: &'static Route,
    ids: Vec<String>,
    request: Request<Incoming>,
    body_timeout: Duration,
}

impl Input {
    /// A request of this route; `ids` are the values of its path's parameters.
    pub fn new(
        route: &'static Route,
        ids: Vec<String>,
        request: Request<Incoming>,
        body_timeout: Duration,
    ) -> Self {
        Self { route, ids, request, body_timeout }
    }

    /// The value of the path's parameter at this place, as it came.
    pub fn word(&self, index: usize) -> &str {
        self.ids.get(index).map(String::as_str).unwrap_or_default()
    }

    /// The id at that place. What has not the form of one is the id of nothing.
    pub fn id<T: FromStr>(&self) -> Result<T, ErrorBody> {
        self.word(0).parse().map_err(|_| {
            let shown: String = self.word(0).chars().take(64).collect();
            ErrorCode::NotFound.body(format!("there is none with the id {shown:?}"), "list what there is")
        })
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The request itself, for whoever upgrades its connection.
    pub fn request_mut(&mut self) -> &mut Request<Incoming> {
        &mut self.request
    }

    /// Refuses a query and a body where the route takes none.
    pub async fn check(&mut self) -> Result<(), ErrorBody> {
        if self.route.query.is_none() && self.request.uri().query().is_some_and(|query| !query.is_empty()) {
            return Err(malformed("this takes no query", "ask without one"));
        }
        if self.route.body.is_none() && !self.request.body().is_end_stream() && !self.read().await?.is_empty()
        {
            return Err(malformed("this takes no body", "ask without one"));
        }
        Ok(())
    }

    /// The query.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, ErrorBody> {
        let query = self.request.uri().query().unwrap_or_default();
        let parsed =
            serde_path_to_error::deserialize(serde_html_form::Deserializer::from_bytes(query.as_bytes()));
        parsed.map_err(|error: serde_path_to_error::Error<_>| {
            let place = error.path().to_string();
            let place = if place == "." { String::new() } else { format!(" at {place:?}") };
            let error: serde_html_form::de::Error = error.into_inner();
            malformed(
                format!("the query is not what is expected{place}: {error}"),
                "see the OpenAPI document for what it takes",
            )
        })
    }

    /// The body.
    pub async fn body<T: DeserializeOwned + Serialize>(&mut self) -> Result<T, ErrorBody> {
        let bytes = self.read().await?;
        if bytes.is_empty() {
            return Err(malformed(
                "the request has no body",
                "send the JSON that the operation takes, {} at least",
            ));
        }
        let kind = self.request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(ErrorCode::UnsupportedMediaType.body(
                format!("the body is {kind:?}, not JSON"),
                "send JSON, with Content-Type: application/json",
            ));
        }
        // Names the field too, where serde_json alone gives line and column.
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string());
        // Only white space may follow.
        let parsed = parsed.and_then(|value| json.end().map(|()| value).map_err(|error| error.to_string()));
        let value = parsed.map_err(|error| not_expected(error.trim_start_matches(".: ")))?;
        if bytes.contains(&b'[') {
            check_lists(&bytes, &value)?;
        }
        Ok(value)
    }

    /// The whole body, at most `MAX_BODY_BYTES`.
    async fn read(&mut self) -> Result<Vec<u8>, ErrorBody> {
        let read = read_body(self.request.body_mut(), MAX_BODY_BYTES, self.body_timeout).await;
        read.map_err(|error| {
            let message = error.to_string();
            match error {
                BodyError::TooLarge { .. } => {
                    ErrorCode::BodyTooLarge.body(message, "send only what the request needs")
                }
                BodyError::BrokeOff(_) => malformed(message, "send it again"),
                BodyError::TooSlow { .. } => {
                    ErrorCode::RequestTimeout.body(message, "send the whole body at once")
                }
            }
        })
    }

    /// Whether the whole body was read.
    pub fn is_read(&self) -> bool {
        self.request.body().is_end_stream()
    }

    /// Reads and throws away what is left of the body.
    pub fn drain(self) {
        drain(self.request.into_body(), self.body_timeout);
    }
}

fn not_expected(error: &str) -> ErrorBody {
    malformed(format!("the body is not what is expected: {error}"), "see the OpenAPI document for its shape")
}

/// Refuses lists in place of objects, which serde takes for the object's fields in their order.
fn check_lists(bytes: &[u8], read: &impl Serialize) -> Result<(), ErrorBody> {
    let sent = serde_json::from_slice(bytes).map_err(|error| not_expected(&error.to_string()))?;
    let read = serde_json::to_value(read).expect("the contract's types are JSON");
    match misread(&sent, &read) {
        None => Ok(()),
        Some(place) => {
            Err(not_expected(format!("{place}: is a list, not an object").trim_start_matches(": ")))
        }
    }
}

/// Where a list was read as an object.
fn misread(sent: &Value, read: &Value) -> Option<String> {
    let behind = |place: &str, rest: String| {
        let dot = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
        format!("{place}{dot}{rest}")
    };
    match (sent, read) {
        (Value::Array(_), Value::Object(_)) => Some(String::new()),
        (Value::Array(sent), Value::Array(read)) => {
            let mut pairs = sent.iter().zip(read).enumerate();
            pairs.find_map(|(index, (sent, read))| Some(behind(&format!("[{index}]"), misread(sent, read)?)))
        }
        (Value::Object(sent), Value::Object(read)) => {
            sent.iter().find_map(|(key, sent)| Some(behind(key, misread(sent, read.get(key)?)?)))
        }
        _ => None,
    }
}

/// A request that has not the shape of what it should be.
pub fn malformed(message: impl Into<String>, hint: impl Into<String>) -> ErrorBody {
    ErrorCode::MalformedRequest.body(message, hint)
}

/// How many items a page has.
pub fn page_size(size: Option<PageSize>) -> usize {
    size.map_or(DEFAULT_PAGE_SIZE, PageSize::get) as usize
}

/// Where a list goes on, in the words of whoever gave it.
pub fn after(token: Option<&PageToken>) -> Result<Option<String>, ErrorBody> {
    let Some(token) = token else { return Ok(None) };
    let text = URL_SAFE_NO_PAD.decode(token.as_str()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Some).ok_or_else(no_token)
}

/// What has the form of a token, and is none that this list gave.
pub fn no_token() -> ErrorBody {
    ErrorCode::InvalidParameter
        .body("page_token is none that this list gave", "begin the list anew without it")
}

/// The token that says where a list goes on.
pub fn token(next: Option<&str>) -> Option<PageToken> {
    let token: Option<PageToken> =
        next.map(|next| URL_SAFE_NO_PAD.encode(next)).and_then(|text| text.parse().ok());
    debug_assert_eq!(token.is_some(), next.is_some(), "no list gives more than a token takes");
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written() {
        let given = token(Some("i-1a2b3c4d/é"));
        assert_eq!(after(given.as_ref()), Ok(Some("i-1a2b3c4d/é".to_owned())));
        assert_eq!(after(None), Ok(None));
        let bad: PageToken = "_w".parse().unwrap();
        assert_eq!(after(Some(&bad)).unwrap_err().code, ErrorCode::InvalidParameter);
    }
}
