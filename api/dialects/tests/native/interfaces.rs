//! Launches with network interfaces of their own list: new ones and ones that are there.

use native_api::{self as api, ErrorCode};
use serde_json::json;

use super::client::Client;
use super::life::launch;
use super::world::Node;

async fn subnets(client: &Client) -> [String; 2] {
    let vpc: api::Vpc = client.post("/v1/vpcs", &json!({ "cidr": "10.1.0.0/16" })).await.read();
    let mut all = Vec::new();
    for cidr in ["10.1.1.0/24", "10.1.2.0/24"] {
        let subnet: api::Subnet =
            client.post("/v1/subnets", &json!({ "vpc": vpc.id, "cidr": cidr })).await.read();
        all.push(subnet.id.to_string());
    }
    all.try_into().unwrap()
}

#[tokio::test]
async fn an_instance_has_the_interfaces_that_its_launch_lists() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let [front, back] = subnets(&client).await;
    let made: api::NetworkInterface =
        client.post("/v1/network-interfaces", &json!({ "subnet": back })).await.read();
    let interfaces = json!([
        { "new": { "subnet": front, "private_address": "10.1.1.9" } },
        { "existing": { "id": made.id } },
        { "new": { "subnet": back, "delete_with_instance": false } },
    ]);
    let id = launch(&client, &image, json!({ "network_interfaces": interfaces })).await;
    let seen: api::Instance = client.get(&format!("/v1/instances/{id}")).await.read();
    let seen = seen.network_interfaces;
    assert_eq!(seen.iter().map(|one| one.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((seen[0].private_address.to_string().as_str(), &seen[1].id), ("10.1.1.9", &made.id));
    let mut goes = Vec::new();
    for one in &seen {
        let shown: api::NetworkInterface =
            client.get(&format!("/v1/network-interfaces/{}", one.id)).await.read();
        goes.push(shown.delete_with_instance);
    }
    assert_eq!(goes, [true, false, false]);

    let body = |more: serde_json::Value| {
        let mut body = json!({ "image": image, "instance_type": "tiny" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let used = json!([{ "existing": { "id": made.id } }]);
    for (more, code) in [
        (json!({ "network_interfaces": used }), ErrorCode::InUse),
        (json!({ "network_interfaces": interfaces, "subnet": front }), ErrorCode::InvalidParameter),
        (
            json!({ "network_interfaces": interfaces, "count": { "min": 1, "max": 2 } }),
            ErrorCode::InvalidParameter,
        ),
        (
            json!({ "network_interfaces": [{ "new": { "subnet": front } }, { "new": {} }] }),
            ErrorCode::InvalidParameter,
        ),
        (json!({ "network_interfaces": used, "public_address": true }), ErrorCode::InvalidParameter),
        (json!({ "network_interfaces": [{ "existing": { "id": "eni-00000000" } }] }), ErrorCode::NotFound),
        (json!({ "network_interfaces": [{ "old": {} }] }), ErrorCode::MalformedRequest),
        (json!({ "network_interfaces": vec![json!({ "new": {} }); 17] }), ErrorCode::MalformedRequest),
    ] {
        let refused = client.post("/v1/instances", &body(more.clone())).await.refused(code);
        assert!(!refused.message.is_empty(), "{more}");
    }
    assert_eq!(client.all("/v1/network-interfaces").await.len(), 3);

    client.delete(&format!("/v1/instances/{id}")).await.status(202);
    client.until(&format!("/v1/instances/{id}"), "/state", "terminated").await;
    let left = client.all("/v1/network-interfaces").await;
    assert!(left.len() == 2 && left.iter().all(|one| one.get("instance").is_none()), "{left:?}");
}
