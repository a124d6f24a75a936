//! Consoles and events.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use native_api::{self as api, Change, ErrorCode, Event, EventKind};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::client::Client;
use super::life::launch;
use super::world::{Node, limits};

#[tokio::test]
async fn what_was_printed() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let id = launch(&client, &image, json!({})).await;
    let path = format!("/v1/instances/{id}/console");
    let answer = client.get(&path).await;
    assert_eq!(
        (answer.headers[api::CONSOLE_OFFSET_HEADER].as_bytes(), &*answer.bytes),
        (b"0".as_slice(), b"login: ".as_slice())
    );
    let answer = client.get(&format!("{path}?offset=3")).await;
    assert_eq!(
        (answer.headers[api::CONSOLE_OFFSET_HEADER].as_bytes(), &*answer.bytes),
        (b"3".as_slice(), b"in: ".as_slice())
    );
    assert_eq!(client.get(&format!("{path}?offset=7&wait_ms=10")).await.bytes.len(), 0);
    let waiting = tokio::spawn({
        let (client, path) = (client.clone(), path.clone());
        async move { client.get(&format!("{path}?offset=7&wait_ms=60000")).await }
    });
    let metrics = "bothy_api_requests_total{operation=\"GetConsole\"";
    assert!(String::from_utf8_lossy(&client.get("/v1/metrics").await.bytes).contains(metrics));
    node.world.print(id.parse().unwrap(), b"hello");
    let answer = timeout(Duration::from_secs(10), waiting).await.expect("it was told").unwrap();
    assert_eq!(&*answer.bytes, b"hello");
    client.get(&format!("{path}?wait_ms=60001")).await.refused(ErrorCode::MalformedRequest);
}

async fn attach(client: &Client, path: &str, protocol: &str) -> hyper::Response<Incoming> {
    let request = Request::get(path).header("connection", "Upgrade").header("upgrade", protocol);
    client.send(request.body(Default::default()).unwrap()).await
}

#[tokio::test]
async fn the_console_itself() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let id = launch(&client, &image, json!({})).await;
    let path = format!("/v1/instances/{id}/console?offset=5");
    assert_eq!(attach(&client, &path, "websocket").await.status(), 400);
    let answer = attach(&client, &path, api::CONSOLE_PROTOCOL).await;
    assert_eq!(answer.status(), 101);
    let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    let mut line = [0; 13];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"from Some(5)\n");
    stream.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"HELLO");
    // The end of the daemon ends it too.
    node.ending.send_replace(true);
    let mut left = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut left)).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn no_console_of_what_does_not_run() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let launched = client
        .post(
            "/v1/instances",
            &json!({ "image": image, "instance_type": "tiny", "rules": { "start": false } }),
        )
        .await;
    let id = launched.status(202)["instances"][0]["id"].as_str().unwrap().to_owned();
    client.until(&format!("/v1/instances/{id}"), "/state", "created").await;
    let path = format!("/v1/instances/{id}/console");
    assert_eq!(client.get(&path).await.bytes.len(), 0);
    assert_eq!(attach(&client, &path, api::CONSOLE_PROTOCOL).await.status(), 409);
}

/// Events as they come.
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    pub async fn open(client: &Client, query: &str) -> Self {
        let request = Request::get(format!("/v1/events{query}")).body(Default::default()).unwrap();
        let answer = client.send(request).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        Self { body: answer.into_body(), buffer: Vec::new() }
    }

    /// The next one; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if line.len() > 1 {
                    return Some(serde_json::from_slice(&line).unwrap());
                }
                continue;
            }
            let frame = timeout(Duration::from_secs(10), self.body.frame()).await.expect("something happens");
            self.buffer.extend_from_slice(frame?.unwrap().data_ref().unwrap());
        }
    }

    /// The next one of this resource.
    pub async fn of(&mut self, kind: EventKind, resource: &str) -> (Change, Option<String>) {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.kind == kind && event.resource == resource {
                return (event.change, event.state);
            }
        }
    }
}

#[tokio::test]
async fn what_happens() {
    let node = Node::start().await;
    let client = node.operator();
    let other = client.post("/v1/accounts", &json!({ "name": "other" })).await.status(201);
    let other = client.clone().with(api::ACCOUNT_HEADER, other["id"].as_str().unwrap());
    let mut events = Events::open(&client, "").await;
    let mut elsewhere = Events::open(&other, "").await;
    let start: api::Health = client.get("/v1/health").await.read();

    let image = node.image(&client, "one").await;
    assert_eq!(events.of(EventKind::Image, &image).await, (Change::Created, Some("creating".into())));
    assert_eq!(events.of(EventKind::Image, &image).await, (Change::Changed, Some("available".into())));
    let id = launch(&client, &image, json!({})).await;
    assert_eq!(events.of(EventKind::Instance, &id).await.1, Some("creating".into()));
    while events.of(EventKind::Instance, &id).await.1.as_deref() != Some("running") {}
    let key = client.post("/v1/key-pairs", &json!({ "name": "a" })).await.status(201);
    let key = key["key_pair"]["id"].as_str().unwrap().to_owned();
    assert_eq!(events.of(EventKind::KeyPair, &key).await, (Change::Created, None));
    client.delete(&format!("/v1/key-pairs/{key}")).await.status(204);
    // Of what is gone only its name is known.
    assert_eq!(events.of(EventKind::KeyPair, "a").await, (Change::Deleted, None));
    client.post("/v1/users", &json!({ "name": "Ann" })).await.status(201);
    assert_eq!(events.of(EventKind::User, "Ann").await, (Change::Created, None));
    let access = client.post("/v1/access-keys", &json!({ "user": "Ann" })).await.status(201);
    let access = access["access_key"]["id"].as_str().unwrap().to_owned();
    assert_eq!(events.of(EventKind::AccessKey, &access).await.0, Change::Created);
    client.delete(&format!("/v1/access-keys/{access}")).await.status(204);
    assert_eq!(events.of(EventKind::AccessKey, &access).await.0, Change::Deleted);
    client.delete(&format!("/v1/images/{image}")).await.status(204);
    assert_eq!(events.of(EventKind::Image, &image).await, (Change::Deleted, None));
    let broken = json!({ "name": "b", "source": { "disk": { "path": "/i/broken.qcow2" } } });
    let broken =
        client.post("/v1/image-imports", &broken).await.status(202)["image"].as_str().unwrap().to_owned();
    assert_eq!(events.of(EventKind::Image, &broken).await.0, Change::Created);
    assert_eq!(events.of(EventKind::Image, &broken).await.0, Change::Deleted);

    // The other account saw nothing of all that.
    other.post("/v1/volumes", &json!({ "size_gib": 1, "name": "mine" })).await.status(201);
    let first = elsewhere.next().await.unwrap();
    assert_eq!((first.kind, first.state.as_deref()), (EventKind::Volume, Some("creating")));

    // All of it once more, from where it began; then nothing for a while.
    let mut again = Events::open(&client, &format!("?since={}&wait_ms=100", start.revision)).await;
    assert_eq!(again.of(EventKind::Image, &image).await.1, Some("creating".into()));
    let mut last = start.revision;
    while let Some(event) = again.next().await {
        assert!(event.revision >= last, "revisions only grow");
        assert_ne!(event.kind, EventKind::Gap);
        last = event.revision;
    }
}

#[tokio::test]
async fn what_is_forgotten_is_a_gap() {
    let node = Node::start().await;
    let client = node.operator();
    let start: api::Health = client.get("/v1/health").await.read();
    let account = client.get("/v1/caller").await.status(200)["account"].as_str().unwrap().to_owned();
    // More than the store remembers.
    let id = compute::identity::AccountId::new(account.parse().unwrap());
    for index in 0..10_001 {
        let write = compute::store::put("x/y".parse().unwrap(), &(index, id));
        let transaction = compute::store::Transaction { conditions: vec![], writes: vec![write] };
        node.compute.store().commit(transaction).await.unwrap();
    }
    for since in [start.revision.get(), 9_000_000_000_000_000] {
        let mut events = Events::open(&client, &format!("?since={since}")).await;
        let gap = events.next().await.unwrap();
        assert_eq!((gap.kind, gap.resource.as_str()), (EventKind::Gap, ""));
        let group =
            client.post("/v1/security-groups", &json!({ "name": format!("g{since}") })).await.status(201);
        events.of(EventKind::SecurityGroup, group["id"].as_str().unwrap()).await;
    }
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_is_there() {
    let quiet = dialects::native::Limits { keep_alive: Duration::from_millis(20), ..limits() };
    let node = Node::start_with(quiet, compute::capacity::Amounts::UNLIMITED).await;
    let mut events = Events::open(&node.operator(), "").await;
    let frame = timeout(Duration::from_secs(10), events.body.frame()).await.expect("it says something");
    assert_eq!(frame.unwrap().unwrap().data_ref().unwrap().as_ref(), b"\n");
}
