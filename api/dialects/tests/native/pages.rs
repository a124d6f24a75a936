//! Lists in pages: all of it, in order, each once, whatever the size of a page, and while the list changes.

use native_api::{ErrorCode, Page};
use serde_json::{Value, json};

use super::world::Node;

#[tokio::test]
async fn instances_page_by_page() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    for _ in 0..25 {
        let body = json!({ "image": image, "instance_type": "tiny", "count": { "min": 10, "max": 10 } });
        client.post("/v1/instances", &body).await.status(202);
    }
    let ids = |all: &[Value]| all.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let all = ids(&client.all("/v1/instances").await);
    assert_eq!(all.len(), 250);
    assert!(all.is_sorted_by(|one, other| one < other));
    for size in [7, 50, 99] {
        assert_eq!(ids(&client.all(&format!("/v1/instances?page_size={size}")).await), all, "{size}");
    }
    let first: Page<Value> = client.get("/v1/instances").await.read();
    assert_eq!(first.items.len(), 100);
    // Whole pages, and nothing behind them.
    let exact: Page<Value> = client.get("/v1/instances?page_size=50").await.read();
    let token = exact.next_page_token.unwrap();
    let wanted = all[..9].iter().map(|id| format!("id={id}")).collect::<Vec<_>>().join("&");
    assert_eq!(ids(&client.all(&format!("/v1/instances?page_size=2&{wanted}")).await), all[..9]);
    assert_eq!(client.all("/v1/instances?page_size=1&name=none").await.len(), 0);
    // One that is gone from the list does not make it go on elsewhere.
    let last = &all[49];
    client.delete(&format!("/v1/instances/{last}")).await.status(202);
    let second: Page<Value> =
        client.get(&format!("/v1/instances?page_size=50&page_token={token}")).await.read();
    assert_eq!(ids(&second.items), all[50..100]);
    assert_eq!(client.all("/v1/network-interfaces?page_size=30").await.len(), 249);
    assert_eq!(client.all("/v1/reservations?page_size=4").await.len(), 25);
}

#[tokio::test]
async fn usage_goes_from_what_ended_to_what_runs() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(super::life::launch(&client, &image, json!({})).await);
    }
    node.clock.advance(std::time::Duration::from_secs(5400));
    for id in &ids[..2] {
        client.post(&format!("/v1/instances/{id}/stop"), &json!({ "force": true })).await.status(202);
        client.until(&format!("/v1/instances/{id}"), "/state", "stopped").await;
    }
    for size in 1..=5 {
        let all = client.all(&format!("/v1/usage?page_size={size}")).await;
        assert_eq!(all.len(), 4, "{size}");
        assert!(all.iter().all(|record| record["hours"] == 2));
        assert_eq!(all.iter().filter(|record| record["until"].is_null()).count(), 2);
        assert!(all[..2].iter().all(|record| !record["until"].is_null()));
    }
    assert_eq!(client.all(&format!("/v1/usage?instance={}", ids[0])).await.len(), 1);
    assert_eq!(
        client.all("/v1/usage?from=2026-11-24T01:00:00Z&to=2026-11-24T01:10:00Z").await[0]["hours"],
        1
    );
    assert_eq!(client.all("/v1/usage?to=2026-11-23T00:00:00Z").await.len(), 0);
    assert_eq!(client.all("/v1/usage?product_code=x").await.len(), 0);
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let node = Node::start().await;
    let client = node.operator();
    for list in ["instances", "volumes", "usage", "access-keys", "certificates", "regions", "instance-types"]
    {
        for token in ["", "%00", "a.b"] {
            let path = format!("/v1/{list}?page_token={token}");
            client.get(&path).await.refused(ErrorCode::MalformedRequest);
        }
        // These have the form of one.
        for token in ["_w", "ICAg"] {
            let path = format!("/v1/{list}?page_token={token}");
            client.get(&path).await.refused(ErrorCode::InvalidParameter);
        }
    }
    for size in ["0", "101", "-1", "x", "1&page_size=2"] {
        client.get(&format!("/v1/instances?page_size={size}")).await.refused(ErrorCode::MalformedRequest);
    }
}
