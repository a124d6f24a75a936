//! A client that says exactly what a test wants said, and holds each answer against the contract: a refusal's code is one
//! that its operation documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use native_api::{ErrorBody, ErrorCode, Page};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[derive(Clone)]
enum Way {
    Unix(PathBuf),
    Tcp(std::net::SocketAddr),
    Tls(std::net::SocketAddr, Arc<rustls::ClientConfig>),
}

#[derive(Clone)]
pub struct Client {
    way: Way,
    headers: Vec<(&'static str, String)>,
}

/// An answer, read whole.
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub bytes: Bytes,
    what: String,
}

impl Answer {
    /// The body of an answer with this status.
    #[track_caller]
    pub fn status(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, String::from_utf8_lossy(&self.bytes));
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    /// A refusal with this code.
    #[track_caller]
    pub fn refused(self, code: ErrorCode) -> ErrorBody {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let error: ErrorBody =
            serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}: {text}", self.what));
        assert_eq!(error.code, code, "{}: {text}", self.what);
        assert_eq!(self.status, code.status(), "{}", self.what);
        assert!(!error.message.is_empty() && !error.hint.is_empty());
        error
    }

    /// A body of this type.
    #[track_caller]
    pub fn read<T: serde::de::DeserializeOwned>(self) -> T {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        assert!(self.status < 300, "{}: {text}", self.what);
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{}: {error}: {text}", self.what))
    }
}

impl Client {
    pub fn unix(path: &Path) -> Self {
        Self { way: Way::Unix(path.to_owned()), headers: Vec::new() }
    }

    pub fn tcp(address: std::net::SocketAddr) -> Self {
        Self { way: Way::Tcp(address), headers: Vec::new() }
    }

    pub fn tls(address: std::net::SocketAddr, config: Arc<rustls::ClientConfig>) -> Self {
        Self { way: Way::Tls(address, config), headers: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With an access key.
    pub fn key(self, id: &str, secret: &str) -> Self {
        let basic = BASE64_STANDARD.encode(format!("{id}:{secret}"));
        self.with("authorization", format!("Basic {basic}"))
    }

    pub async fn connect(&self) -> Box<dyn Stream> {
        match &self.way {
            Way::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
            Way::Tcp(address) => Box::new(TcpStream::connect(address).await.unwrap()),
            Way::Tls(address, config) => {
                let stream = TcpStream::connect(address).await.unwrap();
                let name = "localhost".try_into().unwrap();
                Box::new(TlsConnector::from(config.clone()).connect(name, stream).await.unwrap())
            }
        }
    }

    /// Sends a request as it is.
    pub async fn send(&self, mut request: Request<Full<Bytes>>) -> Response<Incoming> {
        let headers = request.headers_mut();
        headers.insert("host", "bothy".parse().unwrap());
        for (name, value) in &self.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.unwrap()
    }

    pub async fn call(&self, method: &str, path: &str, kind: Option<&str>, body: impl Into<Bytes>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = self.send(request.body(Full::new(body.into())).unwrap()).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let answer = Answer { status, headers, bytes, what: format!("{method} {path}") };
        answer.check(method, path);
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None, "").await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None, "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body).await
    }

    pub async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.call(method, path, Some("application/json"), serde_json::to_vec(body).unwrap()).await
    }

    /// Asks for something whose path takes neither query nor body.
    pub async fn bare(&self, method: &str, path: &str) -> Answer {
        self.call(method, path, None, "").await
    }

    /// Asks until what is at `pointer` is `wanted`.
    pub async fn until(&self, path: &str, pointer: &str, wanted: &str) -> Value {
        let look = async {
            loop {
                let seen = self.get(path).await.status(200);
                if seen.pointer(pointer).is_some_and(|value| value == wanted) {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), look).await;
        waited.unwrap_or_else(|_| panic!("{path}: {pointer} never became {wanted}"))
    }

    /// Every item of a list.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut token = String::new();
        loop {
            let and = if path.contains('?') { '&' } else { '?' };
            let page: Page<Value> = self.get(&format!("{path}{token}")).await.read();
            items.extend(page.items);
            match page.next_page_token {
                Some(next) => token = format!("{and}page_token={next}"),
                None => return items,
            }
        }
    }
}

impl Answer {
    /// That the contract has what was answered.
    #[track_caller]
    fn check(&self, method: &str, path: &str) {
        let path = path.split('?').next().unwrap();
        let Ok(found) = native_api::find(method, path) else {
            return assert!([401, 404, 405].contains(&self.status), "{}: {}", self.what, self.status);
        };
        if self.status < 300 {
            let known = found.route.successes.iter().any(|success| success.status == self.status);
            return assert!(known, "{}: {} is not in the contract", self.what, self.status);
        }
        let error: ErrorBody = serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{}: {}", self.what, String::from_utf8_lossy(&self.bytes)));
        let known = found.route.codes().contains(&error.code);
        assert!(known, "{}: {error} is not in the contract", self.what);
    }
}
