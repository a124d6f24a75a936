//! Clients that do not behave, and many at once.

use std::time::Duration;

use native_api::ErrorCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use compute::capacity::Amounts;
use dialects::native::Limits;

use super::client::Client;
use super::world::{Node, limits};

const ROOMY: Amounts = Amounts { instances: 1000, vcpus: 1000, memory_mib: 1 << 20, disk_gib: 1 << 20 };

async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    read.expect("the connection is closed").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn slow_heads_and_bodies_are_given_up() {
    let node = Node::start().await;
    let client = node.operator();
    let mut head = client.connect().await;
    head.write_all(b"GET /v1/health HTTP/1.1\r\nho").await.unwrap();
    let answer = rest(&mut head).await;
    assert!(!answer.contains("200"), "{answer}");
    let mut body = client.connect().await;
    let request = "POST /v1/volumes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    body.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(&mut body).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    let mut idle = client.connect().await;
    idle.write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200"));
    let mut garbage = client.connect().await;
    garbage.write_all(b"\x16\x03\x01 what is this\r\n\r\n").await.unwrap();
    assert!(rest(&mut garbage).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn too_many_are_told_so() {
    let node =
        Node::start_with(Limits { connections: 2, head: Duration::from_secs(60), ..limits() }, ROOMY).await;
    let client = node.operator();
    let (first, second) = (client.connect().await, client.connect().await);
    let busy = async {
        loop {
            let answer = client.get("/v1/health").await;
            if answer.status == 429 {
                return answer.refused(ErrorCode::TooManyRequests);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), busy).await.expect("two are as many as there may be");
    drop((first, second));
    let free = async {
        while client.get("/v1/health").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), free).await.expect("there is room again");
}

#[tokio::test]
async fn streams_of_an_account_have_a_limit() {
    let node = Node::start_with(Limits { streams: 1, ..limits() }, ROOMY).await;
    let client = node.operator();
    let open = || hyper::Request::get("/v1/events").body(Default::default()).unwrap();
    let stream = client.send(open()).await;
    assert_eq!(stream.status(), 200);
    client.get("/v1/events").await.refused(ErrorCode::TooManyRequests);
    drop(stream);
    let free = async {
        while client.send(open()).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), free).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..40 {
        let (client, image) = (client.clone(), image.clone());
        tasks.spawn(async move {
            // The same token twice, at once: one launch.
            let body =
                json!({ "image": image, "instance_type": "tiny", "client_token": format!("t{}", index / 2) });
            let launched = client.post("/v1/instances", &body).await.status(202);
            client.get("/v1/instances?page_size=10").await.status(200);
            client.post("/v1/volumes", &json!({ "size_gib": 1 })).await.status(201);
            launched["reservation"].as_str().unwrap().to_owned()
        });
    }
    let reservations: std::collections::BTreeSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!(reservations.len(), 20);
    let instances = client.all("/v1/instances").await;
    let addresses: std::collections::BTreeSet<String> =
        instances.iter().map(|it| it["private_address"].to_string()).collect();
    assert_eq!((instances.len(), addresses.len()), (20, 20));
    assert_eq!(client.all("/v1/volumes?name=x").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_end_lets_answers_come_to_their_end() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let id = super::life::launch(&client, &image, json!({})).await;
    let path = format!("/v1/instances/{id}/console?offset=7&wait_ms=60000");
    let waiting = tokio::spawn({
        let client: Client = client.clone();
        async move { client.get(&path).await }
    });
    let events = client.send(hyper::Request::get("/v1/events").body(Default::default()).unwrap()).await;
    let metric = "bothy_api_requests_total{operation=\"StreamEvents\",status=\"200\"} 1";
    let text = client.get("/v1/metrics").await;
    assert!(String::from_utf8_lossy(&text.bytes).contains(metric));
    node.ending.send_replace(true);
    let answer = timeout(Duration::from_secs(10), waiting).await.expect("nobody waits any more").unwrap();
    assert_eq!((answer.status, answer.bytes.len()), (200, 0));
    use http_body_util::BodyExt;
    let rest = timeout(Duration::from_secs(10), events.into_body().collect()).await;
    assert!(rest.expect("the stream ends").unwrap().to_bytes().is_empty());
}
