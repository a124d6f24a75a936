//! Each code of the contract, provoked; and that what is refused says where it is wrong.

use compute::capacity::Amounts;
use native_api::{ErrorCode, MAX_BODY_BYTES};
use serde_json::json;

use super::world::store::{INNER_DETAIL, Trouble};
use super::world::{Node, limits};

#[tokio::test]
async fn what_is_not_of_the_contracts_shape_is_refused() {
    let node = Node::start().await;
    let client = node.operator();
    let malformed = async |body: &str, told: &str| {
        let answer = client
            .call("POST", "/v1/volumes", Some("application/json; charset=utf-8"), body.to_owned())
            .await;
        let error = answer.refused(ErrorCode::MalformedRequest);
        assert!(error.message.contains(told), "{error}");
    };
    malformed("", "no body").await;
    malformed("{", "EOF").await;
    malformed("[]", "is a list").await;
    malformed("null", "").await;
    malformed("{} {}", "trailing").await;
    malformed(r#"{"size": 1}"#, "size").await;
    malformed(r#"{"size_gib": "1"}"#, "size_gib").await;
    malformed(r#"{"size_gib": 0}"#, "1 to 32768").await;
    malformed(r#"{"size_gib": 1, "size_gib": 2}"#, "duplicate").await;
    malformed(r#"{"size_gib": 1, "tags": {"a": 1}}"#, "tags").await;
    malformed(r#"{"size_gib": 1, "snapshot": "vol-00000000"}"#, "snapshot: ").await;
    malformed(&format!(r#"{{"tags": {}"#, "[".repeat(100_000)), "").await;
    let lists = json!({ "image": "ami-00000000", "instance_type": "tiny", "data_disks": [{ "content": "blank", "size_gib": 1 }],
        "rules": [true, "stop", "report", "start"] });
    let lists = client.post("/v1/instances", &lists).await.refused(ErrorCode::MalformedRequest);
    assert!(lists.message.contains("rules: is a list"), "{lists}");
    let lists = json!({ "image": "ami-00000000", "instance_type": "tiny", "data_disks": [["blank", 1, true, "local"]] });
    let lists = client.post("/v1/instances", &lists).await.refused(ErrorCode::MalformedRequest);
    assert!(lists.message.contains("data_disks[0]: is a list"), "{lists}");
    let deep = client
        .post(
            "/v1/instances",
            &json!({ "image": "ami-00000000", "instance_type": "tiny",
        "data_disks": [{ "content": "blank" }, { "content": { "snapshot": 7 } }] }),
        )
        .await;
    let deep = deep.refused(ErrorCode::MalformedRequest);
    assert!(deep.message.contains("data_disks[1].content"), "{deep}");
    for kind in [None, Some("text/plain"), Some("application/jsonx"), Some("")] {
        client.call("POST", "/v1/volumes", kind, "{}").await.refused(ErrorCode::UnsupportedMediaType);
    }
    client
        .call("GET", "/v1/volumes", Some("application/json"), "{}")
        .await
        .refused(ErrorCode::MalformedRequest);
    for query in ["x=1", "name=a&name=b", "state=none", "state", "tag=%3D", "id=i-1", "name=%00"] {
        let error = client.get(&format!("/v1/instances?{query}")).await.refused(ErrorCode::MalformedRequest);
        assert!(error.message.contains("query"), "{error}");
    }
    client.get("/v1/health?x").await.refused(ErrorCode::MalformedRequest);
    client.get("/v1/none").await.refused(ErrorCode::NotFound);
    client.get("/v1/volumes/x%2Fy").await.refused(ErrorCode::NotFound);
    client.get("/v1/users/..%2F..").await.refused(ErrorCode::NotFound);
    let wrong = client.call("PUT", "/v1/volumes", None, "").await;
    assert_eq!(wrong.headers["allow"], "POST, GET");
    wrong.refused(ErrorCode::MethodNotAllowed);
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let node = Node::start().await;
    let client = node.operator();
    let name = |length: usize| format!(r#"{{"name": "{}"}}"#, "x".repeat(length)).into_bytes();
    let send =
        async |body: Vec<u8>| client.call("POST", "/v1/key-pairs", Some("application/json"), body).await;
    send(name(MAX_BODY_BYTES)).await.refused(ErrorCode::BodyTooLarge);
    send(name(MAX_BODY_BYTES - 12)).await.refused(ErrorCode::MalformedRequest);
    // In chunks nobody says before how much there is.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let stream = client.connect().await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let head = "POST /v1/key-pairs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let write = async move {
        writer.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..40 {
            let chunk = format!("{:x}\r\n{}\r\n", 64 << 10, " ".repeat(64 << 10));
            if writer.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
        }
        let _ = writer.write_all(b"0\r\n\r\n").await;
    };
    let read = async {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let ((), answer) = tokio::join!(write, read);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn what_there_is_not_room_for_is_told_apart() {
    let room = Amounts { instances: 10, vcpus: 2, memory_mib: 4096, disk_gib: 10 };
    let node = Node::start_with(limits(), room).await;
    let operator = node.operator();
    let quotas = json!({ "name": "small", "quotas": { "vcpus": 1, "disk_gib": 4 } });
    let account = operator.post("/v1/accounts", &quotas).await.status(201)["id"].as_str().unwrap().to_owned();
    let client = operator.clone().with(native_api::ACCOUNT_HEADER, account);
    let image = node.image(&client, "one").await;
    let launch = |count: u32, kind: &str| json!({ "image": image, "instance_type": kind, "count": { "min": count, "max": count } });
    client.post("/v1/instances", &launch(2, "tiny")).await.refused(ErrorCode::LimitExceeded);
    client.post("/v1/volumes", &json!({ "size_gib": 5 })).await.refused(ErrorCode::LimitExceeded);
    operator.post("/v1/volumes", &json!({ "size_gib": 11 })).await.refused(ErrorCode::StorageFull);
    let image = node.image(&operator, "two").await;
    let launch = |count: u32, kind: &str| json!({ "image": image, "instance_type": kind, "count": { "min": count, "max": count } });
    operator.post("/v1/instances", &launch(1, "xlarge")).await.refused(ErrorCode::InsufficientCapacity);
    let launched = client.get("/v1/instances").await.status(200);
    assert_eq!(launched["items"], json!([]));
    let mut body = launch(1, "tiny");
    body["private_address"] = json!("10.98.0.9");
    operator.post("/v1/instances", &body).await.status(202);
    operator.post("/v1/instances", &body).await.refused(ErrorCode::InUse);
    body["private_address"] = json!("10.99.0.9");
    operator.post("/v1/instances", &body).await.refused(ErrorCode::InvalidParameter);
    body["count"] = json!({ "min": 2, "max": 1 });
    operator.post("/v1/instances", &body).await.refused(ErrorCode::InvalidParameter);
    for _ in 0..6 {
        operator.post("/v1/addresses", &json!({})).await.status(201);
    }
    operator.post("/v1/addresses", &json!({})).await.refused(ErrorCode::InsufficientCapacity);
    let mut body = launch(1, "tiny");
    body["public_address"] = json!(true);
    operator.post("/v1/instances", &body).await.refused(ErrorCode::InsufficientCapacity);
    body = launch(1, "tiny");
    body["key_pair"] = json!("none");
    operator.post("/v1/instances", &body).await.refused(ErrorCode::NotFound);

    node.world.real().trouble = Some(compute::outside::HostError::Failed("the disk is on fire".to_owned()));
    let error = operator.get("/v1/host").await.refused(ErrorCode::Internal);
    assert_eq!(error.message, "the disk is on fire");
    node.world.real().trouble = Some(compute::outside::HostError::Exhausted("not now".to_owned()));
    operator.get("/v1/host").await.refused(ErrorCode::Unavailable);
}

#[tokio::test]
async fn a_store_that_fails_is_told_by_what_it_does() {
    let node = Node::start().await;
    let operator = node.operator();
    operator.post("/v1/key-pairs", &json!({ "name": "one" })).await.status(201);
    for (trouble, reads, writes) in [
        (Trouble::Damaged, Some(ErrorCode::Internal), ErrorCode::Internal),
        (Trouble::Silent, Some(ErrorCode::Unavailable), ErrorCode::Unavailable),
        (Trouble::Full, None, ErrorCode::Unavailable),
    ] {
        node.store.fail("key-pair/", trouble);
        let read = operator.get("/v1/key-pairs").await;
        match reads {
            Some(code) => assert!(!read.refused(code).message.contains(INNER_DETAIL)),
            None => drop(read.status(200)),
        }
        let written = operator.post("/v1/key-pairs", &json!({ "name": "two" })).await.refused(writes);
        assert!(!written.message.contains(INNER_DETAIL), "{written}");
    }
}
