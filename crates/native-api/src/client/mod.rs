//! A client of the API. One connection per request: they are cheap on a unix socket, and no request waits for another. A
//! request has no time limit of its own; dropping its future gives it up, though what was asked for may still be done.
//!
//! A method for each operation is in the modules below; `Client::call` is what they have in common.

mod access;
mod compute;
mod connect;
mod network;
mod node;
mod stream;

use std::fmt;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    ACCOUNT_HEADER, AccessKeyId, AccountId, ErrorBody, Operation, Page, PageToken, SECURITY_TOKEN_HEADER,
};
use connect::Connector;

pub use connect::{Endpoint, EndpointError};
pub use stream::{ByteStream, ConsoleHistory, EventStream};

/// Largest answer read. Console output comes in pieces below it; everything else is smaller by far.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// How often a state is looked at that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It refused; nothing changed.
    #[error(transparent)]
    Refused(#[from] ErrorBody),
    /// Nobody listens there, or it is not who it should be.
    #[error("cannot connect to {endpoint}: {source}")]
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// The connection broke before the answer was there. What was asked for may have been done.
    #[error("the connection to the daemon broke")]
    Broken(#[from] hyper::Error),
    /// The answer is not what this client knows.
    #[error("the daemon answered with something else than expected: {0}")]
    Protocol(String),
    /// What was waited for did not come in time.
    #[error("{what} did not come within {seconds} s", seconds = limit.as_secs())]
    Timeout {
        /// What.
        what: String,
        /// How long was waited.
        limit: Duration,
    },
}

/// An access key with its secret, and the token of a temporary one.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key's id.
    pub access_key: AccessKeyId,
    /// Its secret.
    pub secret: String,
    /// The token of a session.
    pub security_token: Option<String>,
}

/// Says nothing of the secret: what is printed for debugging ends up in logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// What a client says of itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who calls. On the unix socket it is the operator, who needs none.
    pub credentials: Option<Credentials>,
    /// The account that the operator acts for. Default: the daemon's default account.
    pub account: Option<AccountId>,
    /// Whom to believe that a server is who it says, as PEM, instead of whom the host trusts.
    pub ca_pem: Option<Vec<u8>>,
}

/// A client of one daemon.
#[derive(Clone)]
pub struct Client {
    connector: Connector,
    credentials: Option<Credentials>,
    account: Option<AccountId>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.connector.endpoint()).finish_non_exhaustive()
    }
}

/// No query, and no body.
pub(crate) const NOTHING: Option<&()> = None;

impl Client {
    /// A client of the daemon at `endpoint`; connects when something is asked.
    ///
    /// # Errors
    /// There is no usable certificate authority for an `https` endpoint.
    pub fn new(endpoint: Endpoint, options: Options) -> Result<Self, EndpointError> {
        let connector = Connector::new(endpoint, options.ca_pem.as_deref())?;
        Ok(Self { connector, credentials: options.credentials, account: options.account })
    }

    /// Where the daemon is.
    pub fn endpoint(&self) -> &Endpoint {
        self.connector.endpoint()
    }

    /// Asks for `operation`, with the values of its path's parameters, and reads the answer as JSON. An answer without a
    /// body reads as `()`.
    ///
    /// # Errors
    /// It was refused, or there was no answer; see `ClientError`.
    pub async fn call<Q: Serialize, B: Serialize, T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
        query: Option<&Q>,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        let body = match body {
            Some(body) => {
                Some(serde_json::to_vec(body).map_err(|error| ClientError::Protocol(error.to_string()))?)
            }
            None => None,
        };
        let answer = self.send(operation, path, &encode(query)?, body, None).await?;
        let bytes = if answer.status() == StatusCode::NO_CONTENT {
            Bytes::from_static(b"null")
        } else {
            read(answer).await?
        };
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As of `call`.
    pub async fn all<Q: Serialize, T: DeserializeOwned>(
        &self,
        operation: Operation,
        query: &Q,
    ) -> Result<Vec<T>, ClientError> {
        let query = encode(Some(query))?;
        let mut items = Vec::new();
        let mut token: Option<PageToken> = None;
        loop {
            let mut query = query.clone();
            if let Some(token) = &token {
                let and = if query.is_empty() { "" } else { "&" };
                query += &format!("{and}page_token={token}");
            }
            let bytes = read(self.send(operation, &[], &query, None, None).await?).await?;
            let page: Page<T> =
                serde_json::from_slice(&bytes).map_err(|error| ClientError::Protocol(error.to_string()))?;
            items.extend(page.items);
            match page.next_page_token {
                Some(next) if token.as_ref() == Some(&next) => {
                    return Err(ClientError::Protocol("a list that goes on where it was".into()));
                }
                Some(next) => token = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// Asks `look` until what it gives is `wanted`.
    ///
    /// # Errors
    /// `Timeout`, naming `what`, if that does not happen within `limit`; or those of `look`.
    pub async fn wait_until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut() -> Result<T, ClientError>,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Result<T, ClientError> {
        let happens = async {
            loop {
                let seen = look().await?;
                if wanted(&seen) {
                    return Ok(seen);
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let timeout = |_| Err(ClientError::Timeout { what: what.to_owned(), limit });
        tokio::time::timeout(limit, happens).await.unwrap_or_else(timeout)
    }

    /// Sends a request; anything but a success becomes an error. With the name of a protocol, it asks for that from there on.
    async fn send(
        &self,
        operation: Operation,
        path: &[&str],
        query: &str,
        body: Option<Vec<u8>>,
        upgrade: Option<&'static str>,
    ) -> Result<Response<Incoming>, ClientError> {
        let route = operation.route();
        let mut target = route.path_with(path);
        if !query.is_empty() {
            target = format!("{target}?{query}");
        }
        let mut request = Request::builder()
            .method(route.method.as_str())
            .uri(target)
            .header(HOST, self.endpoint().host_header());
        request = request.header(ACCEPT, "*/*");
        if let Some(account) = &self.account {
            request = request.header(ACCOUNT_HEADER, account.as_str());
        }
        if let Some(credentials) = &self.credentials {
            let basic = STANDARD.encode(format!("{}:{}", credentials.access_key, credentials.secret));
            request = request.header(AUTHORIZATION, format!("Basic {basic}"));
            if let Some(token) = &credentials.security_token {
                request = request.header(SECURITY_TOKEN_HEADER, token);
            }
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(protocol) = upgrade {
            request = request.header(CONNECTION, "upgrade").header(UPGRADE, protocol);
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| ClientError::Protocol(error.to_string()))?;

        let stream = self.connector.connect().await;
        let stream =
            stream.map_err(|source| ClientError::Connect { endpoint: self.endpoint().clone(), source })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer's body, or goes on under an upgraded stream.
        tokio::spawn(connection.with_upgrades());
        let answer = sender.send_request(request).await?;
        if answer.status().is_success() || answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let status = answer.status();
        let body = read(answer).await?;
        let error: ErrorBody = serde_json::from_slice(&body).map_err(|_| {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            ClientError::Protocol(format!("status {status}: {text}"))
        })?;
        Err(ClientError::Refused(error))
    }
}

fn encode<Q: Serialize>(query: Option<&Q>) -> Result<String, ClientError> {
    let Some(query) = query else { return Ok(String::new()) };
    serde_html_form::to_string(query).map_err(|error| ClientError::Protocol(error.to_string()))
}

async fn read(answer: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| ClientError::Protocol(error.to_string()))
}
