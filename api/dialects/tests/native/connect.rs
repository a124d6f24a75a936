//! Connections to instances; what security groups counted; subnets without a way outside.

use std::time::Duration;

use compute::outside::MemberPlan;
use hyper::Request;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use native_api::{self as api, ErrorCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::auth::{account, over_tls};
use super::client::Client;
use super::life::launch;
use super::world::{Node, limits};

/// Longer than anything takes on the slowest machine; only a failing test waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

async fn ask(client: &Client, path: &str, protocol: &str) -> hyper::Response<Incoming> {
    let request = Request::post(path).header("connection", "Upgrade").header("upgrade", protocol);
    client.send(request.body(Default::default()).unwrap()).await
}

async fn connect(client: &Client, path: &str) -> TokioIo<Upgraded> {
    let answer = ask(client, path, api::CONNECT_PROTOCOL).await;
    assert_eq!(answer.status(), 101);
    TokioIo::new(hyper::upgrade::on(answer).await.unwrap())
}

#[tokio::test]
async fn each_way_to_its_own_end() {
    let node = Node::start().await;
    let way = over_tls(&node).await;
    let (id, client) = account(&node, "acme", &way).await;
    let named = node.operator().with(api::ACCOUNT_HEADER, id);
    let image = node.image(&named, "one").await;
    let instance = launch(&named, &image, json!({})).await;
    let address: api::Instance = named.get(&format!("/v1/instances/{instance}")).await.read();
    let address = address.private_address.unwrap();
    let path = format!("/v1/instances/{instance}/connect");
    for (client, path) in [(&named, path.clone()), (&client, format!("{path}?port=22"))] {
        let mut stream = connect(client, &path).await;
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("it ends").unwrap();
        assert_eq!(answer, format!("{address}:22: HELLO"));
    }
    // The end of the daemon ends what would go on.
    let mut stream = connect(&named, &path).await;
    node.ending.send_replace(true);
    timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn what_the_guest_does_not_take_is_told() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let id = launch(&client, &image, json!({})).await;
    let path = format!("/v1/instances/{id}/connect");
    assert_eq!(client.bare("POST", &path).await.status(204), Value::Null, "it is only seen whether it does");
    let refused = client.bare("POST", &format!("{path}?port=80")).await.refused(ErrorCode::ConnectionRefused);
    assert!(refused.message.contains(&id) && refused.message.contains("port 80"), "{refused}");
    let silent = client.bare("POST", &format!("{path}?port=7&wait_ms=20")).await;
    let silent = silent.refused(ErrorCode::ConnectionTimeout);
    assert!(silent.message.contains("port 7 within 20 ms"), "{silent}");
    for query in ["port=0", "port=65536", "port=ssh", "wait_ms=60001", "tap=lo"] {
        client.bare("POST", &format!("{path}?{query}")).await.refused(ErrorCode::MalformedRequest);
    }
    client.post(&path, &json!({})).await.refused(ErrorCode::MalformedRequest);
    assert_eq!(ask(&client, &path, api::CONSOLE_PROTOCOL).await.status(), 400);
    // A refusal comes also to whoever asks for an upgrade.
    assert_eq!(ask(&client, &format!("{path}?port=80"), api::CONNECT_PROTOCOL).await.status(), 409);
    client.bare("POST", "/v1/instances/i-00000000/connect").await.refused(ErrorCode::NotFound);

    client.post(&format!("/v1/instances/{id}/stop"), &json!({ "force": true })).await.status(202);
    client.until(&format!("/v1/instances/{id}"), "/state", "stopped").await;
    let stopped = client.bare("POST", &path).await.refused(ErrorCode::WrongState);
    assert!(stopped.message.contains("is stopped: it must be running"), "{stopped}");
}

#[tokio::test]
async fn who_may_look_may_not_connect() {
    let node = Node::start().await;
    let tcp = Client::tcp(node.serve_tcp(None).await);
    let (id, root) = account(&node, "acme", &tcp).await;
    let image = node.image(&node.operator().with(api::ACCOUNT_HEADER, id), "one").await;
    let instance = launch(&root, &image, json!({})).await;
    let path = format!("/v1/instances/{instance}/connect");
    root.post("/v1/users", &json!({ "name": "ann" })).await.status(201);
    let key: api::NewAccessKey = root.post("/v1/access-keys", &json!({ "user": "ann" })).await.read();
    let ann = tcp.clone().key(key.access_key.id.as_str(), &key.secret);
    for (name, action) in [("look", "bothy:Get*"), ("in", "bothy:ConnectToInstance")] {
        ann.bare("POST", &path).await.refused(ErrorCode::AccessDenied);
        let document = json!({ "Version": "1", "Statement": [{ "Effect": "Allow", "Action": action,
            "Resource": format!("bothy:*:*:instance/{instance}") }] });
        let policy = json!({ "name": name, "document": document.to_string() });
        root.post("/v1/policies", &policy).await.status(201);
        root.bare("PUT", &format!("/v1/users/ann/policies/{name}")).await.status(200);
    }
    ann.bare("POST", &path).await.status(204);
    // Nobody gets to another account's.
    let (_, other) = account(&node, "other", &tcp).await;
    other.bare("POST", &path).await.refused(ErrorCode::NotFound);
}

#[tokio::test]
async fn an_account_has_so_many_connections() {
    let capacity = compute::capacity::Amounts::UNLIMITED;
    let node = Node::start_with(dialects::native::Limits { streams: 1, ..limits() }, capacity).await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let path = format!("/v1/instances/{}/connect", launch(&client, &image, json!({})).await);
    let stream = connect(&client, &path).await;
    client.bare("POST", &path).await.refused(ErrorCode::TooManyRequests);
    drop(stream);
    let free = async {
        while client.bare("POST", &path).await.status != 204 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, free).await.expect("there is room again");
}

#[tokio::test]
async fn counts_are_of_where_members_are() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let rules = [("tcp", 22), ("udp", 53)].map(|(protocol, port)| {
        json!({ "direction": "ingress", "protocol": protocol, "ports": { "from": port, "to": port },
            "peer": { "cidr": "0.0.0.0/0" } })
    });
    let group = json!({ "name": "g", "rules": rules });
    let group: api::SecurityGroup = client.post("/v1/security-groups", &group).await.read();
    let path = format!("/v1/security-groups/{}/counts", group.id);
    let counts = async || -> api::SecurityGroupCounts { client.get(&path).await.read() };
    let packets = |counts: &api::SecurityGroupCounts| -> Vec<u64> {
        counts.rules.iter().map(|count| count.passed.packets).collect()
    };
    let nobody = counts().await;
    assert_eq!((packets(&nobody), nobody.dropped_ingress), (vec![0, 0], api::Traffic::default()));

    launch(&client, &image, json!({ "security_groups": [group.id] })).await;
    let one = counts().await;
    assert_eq!(one.rules.iter().map(|count| count.rule.clone()).collect::<Vec<_>>(), group.rules);
    assert_eq!((packets(&one), one.rules[1].passed.bytes), (vec![1, 2], 20));
    assert_eq!((one.dropped_ingress.packets, one.dropped_egress.packets), (100, 200));
    client.get("/v1/security-groups/sg-00000000/counts").await.refused(ErrorCode::NotFound);
}

#[tokio::test]
async fn a_private_subnet_has_no_way_outside_but_by_public_addresses() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let vpc: api::Vpc = client.post("/v1/vpcs", &json!({ "cidr": "10.0.0.0/16" })).await.read();
    let mut instances = Vec::new();
    for (cidr, private) in [("10.0.1.0/24", true), ("10.0.2.0/24", false)] {
        let body = json!({ "vpc": vpc.id, "cidr": cidr, "private": private });
        let subnet: api::Subnet = client.post("/v1/subnets", &body).await.read();
        let seen: api::Subnet = client.get(&format!("/v1/subnets/{}", subnet.id)).await.read();
        assert_eq!((subnet.private, seen.private), (private, private));
        instances.push(launch(&client, &image, json!({ "subnet": subnet.id })).await);
    }
    let plan = || -> Vec<MemberPlan> {
        let real = node.world.real();
        let mut members = real.guards.last().unwrap().1.members.clone();
        members.sort_unstable_by_key(|member| member.address);
        members
    };
    let privates: Vec<bool> = plan().iter().map(|member| member.private).collect();
    assert_eq!(privates, [true, false]);
    let address: api::Address = client.post("/v1/addresses", &json!({})).await.read();
    let target = json!({ "target": { "instance": instances[0] } });
    client.post(&format!("/v1/addresses/{}/associate", address.id), &target).await.status(200);
    assert_eq!((plan()[0].public, plan()[0].private), (Some(address.public_address), true));
}
