//! A client that signs as boto does (version 2), written apart from what it tests. And a host to send to, with an account and its
//! key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::capacity::Amounts;
use compute::identity::{AccountId, Identity, KeyOwner};
use compute::image_url::UrlPrefix;
use dialects::ec2::{Images, Service};
use dialects::server::Limits;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::Reader;
use quick_xml::events::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::world::Node;

/// Longest time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Below this, images can be registered by a URL.
pub const IMAGE_URLS: &str = "https://images.example.org/pub/";

/// Parameters.
pub type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A host that serves this API.
pub struct Host {
    pub node: Node,
    pub identity: Arc<Identity>,
    pub address: SocketAddr,
    /// What can be registered.
    pub images: tempfile::TempDir,
    _ending: watch::Sender<bool>,
}

/// Who calls, with a key.
#[derive(Clone)]
pub struct Caller {
    pub address: SocketAddr,
    pub account: AccountId,
    pub id: String,
    pub secret: String,
    pub time: String,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub text: String,
}

impl Host {
    pub async fn start() -> Self {
        Self::of(Node::start().await).await
    }

    /// One that may promise no more than this, with plenty of public addresses.
    pub async fn with(capacity: Amounts) -> Self {
        Self::of(Node::start_among(super::world::limits(), capacity, "203.0.113.0/24").await).await
    }

    /// One that serves within these limits.
    pub async fn limited(limits: Limits) -> Self {
        Self::serving(Node::start().await, limits).await
    }

    async fn of(node: Node) -> Self {
        Self::serving(node, Limits { body: Duration::from_millis(500), ..Limits::default() }).await
    }

    async fn serving(node: Node, limits: Limits) -> Self {
        let identity = Identity::new(node.compute.store().clone(), node.compute.keys().clone());
        let identity = Arc::new(identity);
        let images = tempfile::tempdir().unwrap();
        let urls = vec![UrlPrefix::parse(IMAGE_URLS).unwrap()];
        let where_from = Images { folder: Some(images.path().to_owned()), urls };
        let service =
            Service::open(node.compute.clone(), identity.clone(), limits, where_from).await.unwrap();
        let (address, ending) = serve(service).await;
        Self { node, identity, address, images, _ending: ending }
    }

    /// The address of the API as the next daemon serves it, for as long as what else is given is kept.
    pub async fn again(&self) -> (SocketAddr, watch::Sender<bool>) {
        let (compute, identity) = (self.node.compute.clone(), self.identity.clone());
        serve(Service::open(compute, identity, Limits::default(), Images::default()).await.unwrap()).await
    }

    /// An account, by its own key.
    pub async fn root(&self) -> Caller {
        self.account("first").await
    }

    /// The account that the operator acts for, once that has made something.
    pub async fn default_account(&self) -> Caller {
        let account = self.identity.account_by_name(dialects::native::DEFAULT_ACCOUNT).await.unwrap().id;
        self.key(account, &KeyOwner::Root).await
    }

    /// Another account.
    pub async fn stranger(&self) -> Caller {
        self.account("other").await
    }

    async fn account(&self, name: &str) -> Caller {
        let made = self.identity.create_account(name, Amounts::UNLIMITED, self.node.compute.clock().now());
        self.key(made.await.unwrap().id, &KeyOwner::Root).await
    }

    pub async fn key(&self, account: AccountId, owner: &KeyOwner) -> Caller {
        let now = self.node.compute.clock().now();
        let made = self.identity.create_access_key(account, owner, now).await.unwrap();
        let (id, secret) = (made.key.id.to_string(), made.secret.expose().to_owned());
        let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Caller { address: self.address, account, id, secret, time }
    }
}

/// Serves this API until the sender is dropped, and says where.
pub async fn serve(service: Service) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ending, mut end) = watch::channel(false);
    tokio::spawn(async move {
        let ended = async move {
            let _ = end.wait_for(|end| *end).await;
        };
        service.serve_tcp(listener, None, ended).await;
    });
    (address, ending)
}

pub fn encoded(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

impl Caller {
    /// What today's EC2 answers.
    pub async fn ec2(&self, action: &str, more: Pairs<'_>) -> Answered {
        self.asks("2016-11-15", action, more).await
    }

    /// What a version of EC2 answers.
    pub async fn asks(&self, version: &str, action: &str, more: Pairs<'_>) -> Answered {
        send(self.address, &self.request(version, action, more)).await
    }

    /// What is sent to ask for this.
    pub fn request(&self, version: &str, action: &str, more: Pairs<'_>) -> String {
        let all: BTreeMap<&str, &str> = [
            ("Action", action),
            ("Version", version),
            ("AWSAccessKeyId", &self.id),
            ("SignatureMethod", "HmacSHA256"),
            ("SignatureVersion", "2"),
            ("Timestamp", &self.time),
        ]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
        let pairs: Vec<String> =
            all.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let query = pairs.join("&");
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = hmac::sign(&key, format!("POST\nec2.local\n/\n{query}").as_bytes());
        let body = format!("{query}&Signature={}", encoded(&BASE64_STANDARD.encode(signature)));
        let head = format!(
            "POST / HTTP/1.1\r\nhost: ec2.local\r\nconnection: close\r\ncontent-length: {}",
            body.len()
        );
        let form = "content-type: application/x-www-form-urlencoded";
        format!("{head}\r\n{form}\r\n\r\n{body}")
    }
}

impl Answered {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text);
        self
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_deref()), (status, Some(code)), "{}", self.text);
    }

    /// The value of a header, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).unwrap_or_default()
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<String> {
        let fault = || Some(self.all("faultcode").pop()?.split_once('.')?.1.to_owned());
        self.all("Code").pop().or_else(fault)
    }

    /// The texts of all elements of this name, wherever they are.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.found(|path| path.last().is_some_and(|last| last == name))
    }

    /// The texts of elements of this name that the items of this list have themselves.
    pub fn within(&self, list: &str, name: &str) -> Vec<String> {
        self.found(|path| path.len() == 4 && path[1] == list && path[3] == name)
    }

    fn found(&self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let (mut reader, mut path, mut found, mut text) =
            (Reader::from_str(&self.text), Vec::new(), Vec::new(), String::new());
        reader.config_mut().expand_empty_elements = true;
        loop {
            match reader.read_event().unwrap_or_else(|error| panic!("{error}: {}", self.text)) {
                Event::Start(start) => {
                    path.push(start.name().as_ref().to_owned());
                    text.clear();
                }
                Event::Text(more) => text.push_str(&more),
                Event::GeneralRef(_) => text.push('?'),
                Event::End(_) => {
                    if wanted(&path) {
                        found.push(std::mem::take(&mut text));
                    }
                    text.clear();
                    path.pop();
                }
                Event::Eof => return found,
                _ => {}
            }
        }
    }
}

/// Sends a whole request, whose answer ends with the connection.
pub async fn send(address: SocketAddr, request: &str) -> Answered {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answered { status, head: head.to_owned(), text: text.to_owned() }
}
