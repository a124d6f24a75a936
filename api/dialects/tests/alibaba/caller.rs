//! A client that signs as the vendor's old SDKs do, written apart from what it tests. And a host to send to, with an account,
//! its key and an image.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::capacity::Amounts;
use compute::id::ImageId;
use compute::identity::{AccountId, Identity, KeyOwner};
use dialects::alibaba::Service;
use dialects::server::Limits;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::world::Node;

/// Longest time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Parameters.
pub type Pairs<'a> = &'a [(&'a str, &'a str)];

static NONCE: AtomicU64 = AtomicU64::new(0);

/// A host that serves this API.
pub struct Host {
    pub node: Node,
    pub identity: Arc<Identity>,
    pub address: SocketAddr,
    pub image: String,
    /// What can be imported.
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
    pub token: Option<String>,
    pub time: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub text: String,
}

pub const ECS: &str = "2014-05-26";
pub const RAM: &str = "2015-05-01";
pub const STS: &str = "2015-04-01";

impl Host {
    pub async fn start() -> Self {
        let node = Node::start().await;
        let limits = Limits { body: Duration::from_millis(500), ..Limits::default() };
        let identity = Identity::new(node.compute.store().clone(), node.compute.keys().clone());
        let identity = Arc::new(identity);
        let images = tempfile::tempdir().unwrap();
        std::fs::create_dir(images.path().join("bucket")).unwrap();
        std::fs::write(images.path().join("bucket/disk.raw"), vec![0; 4096]).unwrap();
        let folder = Some(images.path().to_owned());
        let service = Service::open(node.compute.clone(), identity.clone(), limits, folder).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ending, mut end) = watch::channel(false);
        tokio::spawn(async move {
            let ended = async move {
                let _ = end.wait_for(|end| *end).await;
            };
            service.serve_tcp(listener, None, ended).await;
        });
        let image = node.image(&node.operator(), "ubuntu1404_64_40G_cloudinit_20160727.raw").await;
        Self { node, identity, address, image, images, _ending: ending }
    }

    /// The account that the operator acts for, which has the image, by a key of its own.
    pub async fn root(&self) -> Caller {
        let account = self.identity.account_by_name(dialects::native::DEFAULT_ACCOUNT).await.unwrap().id;
        self.key(account, &KeyOwner::Root).await
    }

    /// Another account.
    pub async fn stranger(&self) -> Caller {
        let made = self.identity.create_account("other", Amounts::UNLIMITED, self.node.compute.clock().now());
        self.key(made.await.unwrap().id, &KeyOwner::Root).await
    }

    pub async fn key(&self, account: AccountId, owner: &KeyOwner) -> Caller {
        let now = self.node.compute.clock().now();
        let made = self.identity.create_access_key(account, owner, now).await.unwrap();
        let (id, secret) = (made.key.id.to_string(), made.secret.expose().to_owned());
        Caller { address: self.address, account, id, secret, token: None, time: now.to_string() }
    }

    /// The image's id, as this API writes it.
    pub fn image(&self) -> String {
        self.image.parse::<ImageId>().unwrap().with_prefix("m")
    }
}

fn encoded(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

impl Caller {
    /// All parameters of a request, but for its signature.
    pub fn parameters(&self, version: &str, action: &str, more: Pairs<'_>) -> BTreeMap<String, String> {
        let nonce = format!("nonce-{}", NONCE.fetch_add(1, Ordering::Relaxed));
        let mut all: BTreeMap<String, String> = [
            ("Action", action),
            ("Version", version),
            ("Format", "JSON"),
            ("AccessKeyId", &self.id),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureType", ""),
            ("SignatureNonce", &nonce),
            ("Timestamp", &self.time),
        ]
        .into_iter()
        .chain(more.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        all.extend(self.token.clone().map(|token| ("SecurityToken".to_owned(), token)));
        all
    }

    /// `a=1&b=2`, with the signature at the end.
    pub fn signed(&self, method: &str, parameters: &BTreeMap<String, String>) -> String {
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let query = pairs.join("&");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, format!("{}&", self.secret).as_bytes());
        let string = format!("{method}&%2F&{}", encoded(&query));
        let signature = BASE64_STANDARD.encode(hmac::sign(&key, string.as_bytes()));
        format!("{query}&Signature={}", encoded(&signature))
    }

    pub async fn call(&self, version: &str, action: &str, more: Pairs<'_>) -> Answered {
        send(self.address, &self.request(version, action, more)).await
    }

    /// What is sent to ask for this.
    pub fn request(&self, version: &str, action: &str, more: Pairs<'_>) -> String {
        let query = self.signed("GET", &self.parameters(version, action, more));
        format!("GET /?{query} HTTP/1.1\r\nhost: ecs.local\r\nconnection: close\r\n\r\n")
    }

    /// What ECS answers, if it does.
    pub async fn ecs(&self, action: &str, more: Pairs<'_>) -> Value {
        self.call(ECS, action, more).await.ok()
    }

    /// What RAM answers, if it does.
    pub async fn ram(&self, action: &str, more: Pairs<'_>) -> Value {
        self.call(RAM, action, more).await.ok()
    }

    /// Waits until an instance has this status.
    pub async fn until(&self, instance: &str, status: &str) -> Value {
        let ids = format!("[\"{instance}\"]");
        let seen = async {
            loop {
                let answer = self.ecs("DescribeInstances", &[("InstanceIds", &ids)]).await;
                let found = &answer["Instances"]["Instance"][0];
                if found["Status"] == status {
                    return found.clone();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        seen.unwrap_or_else(|_| panic!("{instance} does not become {status}"))
    }
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        let value = self.json();
        let id = value["RequestId"].as_str().unwrap();
        assert!(id.len() == 36 && id.to_uppercase() == id, "{id}");
        value
    }

    pub fn refused(&self, status: u16, code: &str) -> Value {
        let value = self.json();
        assert_eq!((self.status, value["Code"].as_str().unwrap()), (status, code), "{}", self.text);
        assert!(value["RequestId"].is_string() && value["HostId"] == "ecs.local", "{}", self.text);
        value
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
