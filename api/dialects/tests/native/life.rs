//! The whole life of every kind of resource, each answer read as the contract's type.

use compute::outside::SeedPlan;
use native_api::{self as api, ErrorCode};
use serde_json::{Value, json};

use super::client::Client;
use super::world::Node;

fn str<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// Launches one and waits until it runs.
pub async fn launch(client: &Client, image: &str, more: Value) -> String {
    let mut body = json!({ "image": image, "instance_type": "tiny" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let launched: api::Launched = client.post("/v1/instances", &body).await.read();
    let id = launched.instances[0].id.to_string();
    client.until(&format!("/v1/instances/{id}"), "/state", "running").await;
    id
}

#[tokio::test]
async fn instances() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let key: api::NewKeyPair = client.post("/v1/key-pairs", &json!({ "name": "laptop" })).await.read();
    assert!(key.private_key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));

    let body = json!({
        "image": image, "instance_type": "m1.small", "count": { "min": 1, "max": 2 }, "key_pair": "laptop", "name": "web",
        "user_data": "I2Nsb3VkLWNvbmZpZwo=", "data_disks": [{ "content": "blank", "size_gib": 3 }], "public_address": true,
        "tags": { "team": "storage" }, "client_token": "t1", "rules": { "on_power_off": "terminate" },
        "charge": { "pay_as_you_go": { "release_at": "2026-11-24T02:00:30Z" } },
    });
    let mut dry = body.clone();
    dry["dry_run"] = json!(true);
    let preview: api::LaunchPreview = client.post("/v1/instances", &dry).await.read();
    assert_eq!(preview.count.get(), 2);
    assert_eq!(client.get("/v1/instances").await.status(200)["items"], json!([]));
    let launched: api::Launched = client.post("/v1/instances", &body).await.read();
    assert_eq!(launched.instances.len(), 2);
    let again: api::Launched = client.post("/v1/instances", &body).await.read();
    assert_eq!(again.reservation, launched.reservation);
    let mut other = body.clone();
    other["name"] = json!("other");
    client.post("/v1/instances", &other).await.refused(ErrorCode::ClientTokenMismatch);

    let id = launched.instances[0].id.to_string();
    let path = format!("/v1/instances/{id}");
    client.until(&path, "/state", "running").await;
    let seen: api::Instance = client.get(&path).await.read();
    assert_eq!(seen.disks.iter().map(|disk| disk.device.as_str()).collect::<Vec<_>>(), ["vda", "vdb"]);
    assert_eq!(seen.disks.iter().map(|disk| disk.size_gib.get()).collect::<Vec<_>>(), [2, 3]);
    assert!(seen.public_address.is_some() && seen.network_interfaces[0].address.is_none());
    assert_eq!(seen.key_pair.unwrap().as_str(), "laptop");
    assert_eq!(
        serde_json::to_value(&seen.charge).unwrap()["pay_as_you_go"]["release_at"],
        "2026-11-24T02:00:00Z"
    );
    assert_eq!(
        client.get(&format!("{path}/user-data")).await.status(200)["user_data"],
        "I2Nsb3VkLWNvbmZpZwo="
    );
    let metrics: api::InstanceMetrics = client.get(&format!("{path}/metrics")).await.read();
    assert_eq!((metrics.cpu_ms, metrics.net_send_packets), (7, 9));

    let list = |query: &str| {
        let (client, path) = (client.clone(), format!("/v1/instances?{query}"));
        async move { client.all(&path).await.len() }
    };
    assert_eq!(list("name=web&state=running&state=starting&tag=team&tag=team%3Dstorage").await, 2);
    assert_eq!(list("tag=team%3Dnet").await, 0);
    assert_eq!(list(&format!("id={id}&id=i-00000000")).await, 1);
    assert_eq!(client.all("/v1/usage").await.len(), 2);

    let changed = json!({ "name": "db", "rules": { "start": false }, "release_at": null });
    let seen: api::Instance = client.json("PATCH", &path, &changed).await.read();
    assert_eq!(seen.name.unwrap().as_str(), "db");
    assert_eq!(seen.charge, api::ChargeState::PayAsYouGo(api::PayAsYouGo::default()));
    client.json("PATCH", &path, &json!({ "host_name": "db" })).await.refused(ErrorCode::WrongState);
    client
        .json("PATCH", &path, &json!({ "auto_renew": { "weeks": 1 } }))
        .await
        .refused(ErrorCode::InvalidParameter);
    client
        .post(&format!("{path}/renew"), &json!({ "period": { "weeks": 1 } }))
        .await
        .refused(ErrorCode::InvalidParameter);
    client.json("PUT", &format!("{path}/tags"), &json!({ "tags": {} })).await.status(200);
    client.post(&format!("{path}/reboot"), &json!({ "force": true })).await.status(202);
    client.until(&path, "/state", "running").await;
    client.post(&format!("{path}/stop"), &json!({})).await.status(202);
    client.until(&path, "/state", "stopped").await;
    client.post(&format!("{path}/stop"), &json!({})).await.status(202);
    client.get(&format!("{path}/metrics")).await.refused(ErrorCode::WrongState);
    let changed = json!({ "host_name": "db", "user_data": "", "instance_type": "small" });
    let seen: api::Instance = client.json("PATCH", &path, &changed).await.read();
    assert_eq!((seen.host_name.as_str(), seen.memory_mib.get()), ("db", 1024));
    client
        .json("PATCH", &path, &json!({ "instance_type": "none" }))
        .await
        .refused(ErrorCode::InvalidParameter);
    client.bare("POST", &format!("{path}/start")).await.status(202);
    client.until(&path, "/state", "running").await;
    client.bare("POST", &format!("{path}/start")).await.status(202);
    client.delete(&path).await.status(202);
    client.until(&path, "/state", "terminated").await;
    client.delete(&path).await.status(202);
    client.bare("POST", &format!("{path}/start")).await.refused(ErrorCode::WrongState);
    let reservation = format!("/v1/reservations/{}", launched.reservation);
    let seen: api::Reservation = client.get(&reservation).await.read();
    assert_eq!(seen.instances.len(), 2);
    assert_eq!(client.all("/v1/reservations").await.len(), 1);
    // The address that came with it went with it.
    assert_eq!(client.all("/v1/addresses").await.len(), 1);

    let subscribed = json!({ "charge": { "subscription": { "period": { "months": 1 } } } });
    let id = launch(&client, &image, subscribed).await;
    let path = format!("/v1/instances/{id}");
    let renewed =
        client.post(&format!("{path}/renew"), &json!({ "period": { "months": 1 } })).await.status(200);
    assert_eq!(str(&renewed, "/charge/subscription/expires_at"), "2027-01-24T00:00:00Z");
    let changed = client.json("PATCH", &path, &json!({ "auto_renew": { "weeks": 2 } })).await.status(200);
    assert_eq!(changed["charge"]["subscription"]["auto_renew"], json!({ "weeks": 2 }));
}

#[tokio::test]
async fn metadata_options() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let id = launch(&client, &image, json!({ "metadata_options": { "tokens": "required" } })).await;
    let path = format!("/v1/instances/{id}");
    let of = |answer: Value| answer["metadata_options"].clone();
    let first = json!({ "enabled": true, "tokens": "required", "hop_limit": 1, "tags": false });
    assert_eq!(of(client.get(&path).await.status(200)), first);
    // The whole of it, as rules are.
    let change = json!({ "metadata_options": { "enabled": false, "hop_limit": 64 } });
    let second = json!({ "enabled": false, "tokens": "optional", "hop_limit": 64, "tags": false });
    assert_eq!(of(client.json("PATCH", &path, &change).await.status(200)), second);
    for hop_limit in [0, 65] {
        let change = json!({ "name": "other", "metadata_options": { "hop_limit": hop_limit } });
        client.json("PATCH", &path, &change).await.refused(ErrorCode::MalformedRequest);
    }
    let seen = client.json("PATCH", &path, &json!({ "name": "third" })).await.status(200);
    assert_eq!((of(seen.clone()), &seen["name"]), (second, &json!("third")));
}

#[tokio::test]
async fn guests_believe_to_be_in_a_cloud() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    // What is asked, and then the cloud, the config drive, and the SMBIOS strings for product and chassis.
    let cases = [
        (json!({}), "native", false, "bothy instance", ""),
        (json!({ "cloud": "ec2" }), "ec2", false, "tiny", "Amazon EC2"),
        (json!({ "cloud": "alibaba", "config_drive": false }), "alibaba", false, "Alibaba Cloud ECS", ""),
        (json!({ "cloud": "huawei", "config_drive": true }), "huawei", true, "OpenStack Nova", "HUAWEICLOUD"),
    ];
    for (asked, cloud, config_drive, product, asset_tag) in cases {
        let id = launch(&client, &image, asked.clone()).await;
        let seen = client.get(&format!("/v1/instances/{id}")).await.status(200);
        assert_eq!((&seen["cloud"], &seen["config_drive"]), (&json!(cloud), &json!(config_drive)), "{asked}");
        let plan = node.world.real().plans[&id.parse().unwrap()].clone();
        assert_eq!((plan.smbios.product.as_str(), plan.smbios.asset_tag.as_str()), (product, asset_tag));
        match (plan.seed, config_drive, cloud == "native") {
            (SeedPlan::ConfigDrive, true, _) | (SeedPlan::None, false, false) => {}
            (SeedPlan::NoCloud(files), false, true) => assert_eq!(files.len(), 2),
            (seed, ..) => panic!("{asked}: {seed:?}"),
        }
    }
    let body = json!({ "image": image, "instance_type": "tiny", "cloud": "azure" });
    client.post("/v1/instances", &body).await.refused(ErrorCode::MalformedRequest);
    // What was asked before there was a choice is the same request as what asks for the default.
    let body = json!({ "image": image, "instance_type": "tiny", "client_token": "one" });
    let first: api::Launched = client.post("/v1/instances", &body).await.read();
    let mut same = body.clone();
    (same["cloud"], same["config_drive"]) = (json!("native"), json!(false));
    let again: api::Launched = client.post("/v1/instances", &same).await.read();
    assert_eq!(again.reservation, first.reservation);
    same["cloud"] = json!("ec2");
    client.post("/v1/instances", &same).await.refused(ErrorCode::ClientTokenMismatch);
}

#[tokio::test]
async fn images_of_servers() {
    let node = Node::start().await;
    let client = node.operator();
    let url = "https://images.example.org/debian.qcow2?signature=secret";
    node.world.real().served.insert(url.to_owned(), vec![0; 4096]);
    let body =
        |url: &str| json!({ "name": "deb", "client_token": url, "source": { "disk": { "url": url } } });
    let job: api::Job = client.post("/v1/image-imports", &body(url)).await.read();
    client.until(&format!("/v1/jobs/{}", job.id), "/state", "succeeded").await;
    let again: api::Job = client.post("/v1/image-imports", &body(url)).await.read();
    assert_eq!((job.id, job.image), (again.id, again.image));
    let missing = json!({ "name": "missing", "source": { "file_system": {
        "url": "http://images.example.org/root.img", "kernel": "/i/vmlinuz" } } });
    let job: api::Job = client.post("/v1/image-imports", &missing).await.read();
    let failed = client.until(&format!("/v1/jobs/{}", job.id), "/state", "failed").await;
    assert_eq!(failed["error"]["code"], "invalid_parameter");
    assert!(failed["error"]["message"].as_str().unwrap().contains("404"), "{failed}");
    for disk in
        [json!({}), json!({ "path": "/i/x", "url": url }), json!({ "url": "https://me:word@a.example/" })]
    {
        let body = json!({ "name": "bad", "source": { "disk": disk } });
        client.post("/v1/image-imports", &body).await.refused(ErrorCode::InvalidParameter);
    }
}

#[tokio::test]
async fn images_and_jobs() {
    let node = Node::start().await;
    let client = node.operator();
    let body = json!({ "name": "deb", "client_token": "t", "source": { "file_system": {
        "path": "/i/root.ext4", "kernel": "/i/vmlinuz", "initrd": "/i/initrd" } } });
    let job: api::Job = client.post("/v1/image-imports", &body).await.read();
    let again: api::Job = client.post("/v1/image-imports", &body).await.read();
    assert_eq!((job.id.clone(), job.image.clone()), (again.id, again.image));
    let done = client.until(&format!("/v1/jobs/{}", job.id), "/state", "succeeded").await;
    assert_eq!(done["total_bytes"], 2_u64 << 30);
    let id = job.image.unwrap().to_string();
    let path = format!("/v1/images/{id}");
    let image: api::Image = client.get(&path).await.read();
    assert_eq!((image.boot, image.bytes, image.job), (api::BootKind::Kernel, Some(2 << 30), Some(job.id)));
    let taken = json!({ "name": "deb", "source": { "disk": { "path": "/i/x" } } });
    client.post("/v1/image-imports", &taken).await.refused(ErrorCode::AlreadyExists);
    let broken =
        json!({ "name": "broken", "client_token": "b", "source": { "disk": { "path": "/i/broken.qcow2" } } });
    let job: api::Job = client.post("/v1/image-imports", &broken).await.read();
    let failed = client.until(&format!("/v1/jobs/{}", job.id), "/state", "failed").await;
    assert_eq!(failed["error"]["code"], "invalid_parameter");
    // Asked again, it is the same job, though there is no image any more.
    let again = client.post("/v1/image-imports", &broken).await.status(202);
    assert_eq!(again, failed);
    client.get(&format!("/v1/images/{}", job.image.unwrap())).await.refused(ErrorCode::NotFound);
    assert_eq!(client.all("/v1/jobs").await.len(), 2);
    let other = json!({ "name": "other", "source": { "disk": { "path": "/i/other" } } });
    let other: api::Job = client.post("/v1/image-imports", &other).await.read();
    client.json("PATCH", &path, &json!({ "name": "other" })).await.refused(ErrorCode::AlreadyExists);
    client.until(&format!("/v1/jobs/{}", other.id), "/state", "succeeded").await;

    let changed = json!({ "name": "debian", "description": "x", "public": true, "launch_permissions": ["123456789012"],
        "product_codes": ["774F4FF8"] });
    let image: api::Image = client.json("PATCH", &path, &changed).await.read();
    assert_eq!((image.public, image.launch_permissions.unwrap().len()), (true, 1));
    client.json("PATCH", &path, &json!({ "product_codes": [] })).await.refused(ErrorCode::InvalidParameter);
    client.json("PUT", &format!("{path}/tags"), &json!({ "tags": { "a": "b" } })).await.status(200);
    assert_eq!(client.all("/v1/images?name=debian&tag=a").await.len(), 1);
    assert_eq!(client.all("/v1/images?owner=000000000001").await.len(), 0);

    let instance = launch(&client, &id, json!({})).await;
    let disk = client.get(&format!("/v1/instances/{instance}")).await.status(200);
    let snapshot =
        client.post("/v1/snapshots", &json!({ "volume": str(&disk, "/disks/0/volume") })).await.status(201);
    client.until(&format!("/v1/snapshots/{}", str(&snapshot, "/id")), "/state", "available").await;
    let body = json!({ "name": "golden", "snapshot": str(&snapshot, "/id"), "client_token": "t" });
    let job: api::Job = client.post("/v1/images", &body).await.read();
    assert_eq!(job.kind, api::JobKind::CreateImage);
    let made = format!("/v1/images/{}", job.image.unwrap());
    client.until(&made, "/state", "available").await;
    assert_eq!(client.get(&made).await.status(200)["boot"], "kernel");
    client.delete(&made).await.status(204);
    client.get(&made).await.refused(ErrorCode::NotFound);
    client.delete(&made).await.refused(ErrorCode::NotFound);
    assert_eq!(client.all("/v1/images").await.len(), 2);
}

#[tokio::test]
async fn volumes_and_snapshots() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let body = json!({ "size_gib": 5, "name": "data", "tags": { "a": "" }, "client_token": "t" });
    let volume: api::Volume = client.post("/v1/volumes", &body).await.read();
    assert_eq!(client.post("/v1/volumes", &body).await.read::<api::Volume>().id, volume.id);
    let path = format!("/v1/volumes/{}", volume.id);
    client.until(&path, "/state", "available").await;
    client.json("PATCH", &path, &json!({ "size_gib": 4 })).await.refused(ErrorCode::InvalidParameter);
    client
        .json("PATCH", &path, &json!({ "delete_with_instance": true }))
        .await
        .refused(ErrorCode::WrongState);
    let changed: api::Volume =
        client.json("PATCH", &path, &json!({ "size_gib": 6, "name": "more" })).await.read();
    assert_eq!((changed.size_gib.get(), changed.name.unwrap().as_str()), (6, "more"));
    client.json("PUT", &format!("{path}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    client.post(&format!("{path}/detach"), &json!({})).await.refused(ErrorCode::WrongState);

    let instance = launch(&client, &image, json!({})).await;
    let attach = json!({ "instance": instance, "device": "vdc" });
    client.post(&format!("{path}/attach"), &attach).await.refused(ErrorCode::WrongState);
    client.post(&format!("/v1/instances/{instance}/stop"), &json!({ "force": true })).await.status(202);
    client.until(&format!("/v1/instances/{instance}"), "/state", "stopped").await;
    let attached: api::Volume = client.post(&format!("{path}/attach"), &attach).await.read();
    assert_eq!(attached.attachment.unwrap().device, "vdc");
    let changed = client.json("PATCH", &path, &json!({ "delete_with_instance": true })).await.status(200);
    assert_eq!(changed["attachment"]["delete_with_instance"], true);
    assert_eq!(
        client.all(&format!("/v1/volumes?instance={instance}&state=in_use&name=more&tag=k")).await.len(),
        1
    );
    client.delete(&path).await.refused(ErrorCode::WrongState);

    let body = json!({ "volume": volume.id, "name": "before", "client_token": "t" });
    let snapshot: api::Snapshot = client.post("/v1/snapshots", &body).await.read();
    assert_eq!(client.post("/v1/snapshots", &body).await.read::<api::Snapshot>().id, snapshot.id);
    let kept = format!("/v1/snapshots/{}", snapshot.id);
    client.until(&kept, "/state", "available").await;
    let changed = client.json("PATCH", &kept, &json!({ "name": "b", "description": "d" })).await.status(200);
    assert_eq!((str(&changed, "/name"), str(&changed, "/description")), ("b", "d"));
    client.json("PUT", &format!("{kept}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    assert_eq!(client.all(&format!("/v1/snapshots?volume={}&name=b&tag=k", volume.id)).await.len(), 1);
    let copy: api::Volume = client.post("/v1/volumes", &json!({ "snapshot": snapshot.id })).await.read();
    assert_eq!((copy.size_gib.get(), copy.snapshot), (6, Some(snapshot.id.clone())));
    let copy = format!("/v1/volumes/{}", copy.id);
    client.until(&copy, "/state", "available").await;
    client.delete(&kept).await.status(204);
    client.delete(&copy).await.status(204);
    client.post(&format!("{path}/detach"), &json!({})).await.status(200);
    client.delete(&path).await.status(204);

    node.world.real().trouble = Some(compute::outside::HostError::Exhausted("no room".to_owned()));
    let failed: api::Volume = client.post("/v1/volumes", &json!({ "size_gib": 1 })).await.read();
    let failed = client.until(&format!("/v1/volumes/{}", failed.id), "/state", "failed").await;
    assert_eq!(str(&failed, "/state_reason"), "no room");
}

#[tokio::test]
async fn key_pairs() {
    let node = Node::start().await;
    let client = node.operator();
    let made: api::NewKeyPair =
        client.post("/v1/key-pairs", &json!({ "name": "a", "algorithm": "rsa" })).await.read();
    assert!(made.key_pair.fingerprints.private_sha1.is_some());
    client.post("/v1/key-pairs", &json!({ "name": "a" })).await.refused(ErrorCode::AlreadyExists);
    let imported = json!({ "name": "b", "public_key": made.key_pair.public_key });
    let imported: api::KeyPair = client.post("/v1/key-pair-imports", &imported).await.read();
    assert_eq!(imported.fingerprints.sha256, made.key_pair.fingerprints.sha256);
    let bad = json!({ "name": "c", "public_key": "ssh-rsa no key at all" });
    client.post("/v1/key-pair-imports", &bad).await.refused(ErrorCode::InvalidParameter);
    let path = format!("/v1/key-pairs/{}", imported.id);
    let tagged =
        client.json("PUT", &format!("{path}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    assert_eq!(tagged, client.get(&path).await.status(200));
    assert_eq!(client.all("/v1/key-pairs?page_size=1").await.len(), 2);
    client.delete(&path).await.status(204);
    client.get(&path).await.refused(ErrorCode::NotFound);
}

#[tokio::test]
async fn networks() {
    let node = Node::start().await;
    let client = node.operator();
    let image = node.image(&client, "one").await;
    let vpc: api::Vpc = client.post("/v1/vpcs", &json!({ "cidr": "10.0.0.0/16", "name": "v" })).await.read();
    let path = format!("/v1/vpcs/{}", vpc.id);
    client.post("/v1/vpcs", &json!({ "cidr": "8.0.0.0/16" })).await.refused(ErrorCode::InvalidParameter);
    client.json("PATCH", &path, &json!({ "description": "d" })).await.status(200);
    client.json("PUT", &format!("{path}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    let seen: api::Vpc = client.get(&path).await.read();
    assert_eq!((seen.name.unwrap().as_str(), seen.description.unwrap().as_str()), ("v", "d"));
    assert_eq!(client.all("/v1/vpcs").await.len(), 2);

    let body = json!({ "vpc": vpc.id, "cidr": "10.0.1.0/24" });
    let subnet: api::Subnet = client.post("/v1/subnets", &body).await.read();
    assert_eq!((subnet.free_addresses, subnet.private), (251, false));
    client.post("/v1/subnets", &body).await.refused(ErrorCode::AlreadyExists);
    let kept = format!("/v1/subnets/{}", subnet.id);
    client.json("PATCH", &kept, &json!({ "name": "s" })).await.status(200);
    client.json("PUT", &format!("{kept}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    assert_eq!(client.all(&format!("/v1/subnets?vpc={}&name=s&tag=k", vpc.id)).await.len(), 1);
    client.delete(&path).await.refused(ErrorCode::InUse);
    let inside = launch(&client, &image, json!({ "subnet": subnet.id })).await;
    client.delete(&format!("/v1/instances/{inside}")).await.status(202);
    client.until(&format!("/v1/instances/{inside}"), "/state", "terminated").await;

    let rule = json!({ "direction": "ingress", "protocol": "tcp", "ports": { "from": 22, "to": 22 },
        "peer": { "cidr": "0.0.0.0/0" }, "description": "ssh" });
    let body = json!({ "vpc": vpc.id, "name": "g", "rules": [rule] });
    let group: api::SecurityGroup = client.post("/v1/security-groups", &body).await.read();
    assert_eq!(serde_json::to_value(&group.rules[0]).unwrap()["ports"], json!({ "from": 22, "to": 22 }));
    client.post("/v1/security-groups", &body).await.refused(ErrorCode::AlreadyExists);
    let groups = format!("/v1/security-groups/{}", group.id);
    let ping = json!({ "direction": "ingress", "protocol": "icmp", "ports": { "from": 8, "to": 65535 },
        "peer": { "security_group": group.id } });
    let change = json!({ "add": [rule, ping], "remove": [] });
    let changed: api::SecurityGroup = client.json("PATCH", &format!("{groups}/rules"), &change).await.read();
    assert_eq!(changed.rules.len(), 2);
    let changed = client
        .json("PATCH", &format!("{groups}/rules"), &json!({ "remove": [rule, rule] }))
        .await
        .status(200);
    assert_eq!(changed["rules"].as_array().unwrap().len(), 1);
    let drop = json!({ "add": [{ "direction": "ingress", "protocol": "all", "peer": { "cidr": "0.0.0.0/0" }, "verdict": "drop" }] });
    client.json("PATCH", &format!("{groups}/rules"), &drop).await.refused(ErrorCode::InvalidParameter);
    client.json("PATCH", &groups, &json!({ "name": "h" })).await.status(200);
    client.json("PATCH", &groups, &json!({ "name": "default" })).await.refused(ErrorCode::AlreadyExists);
    client.json("PUT", &format!("{groups}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    assert_eq!(client.all(&format!("/v1/security-groups?vpc={}&name=h&tag=k", vpc.id)).await.len(), 1);

    let body = json!({ "subnet": subnet.id, "private_address": "10.0.1.9", "name": "nic" });
    let nic: api::NetworkInterface = client.post("/v1/network-interfaces", &body).await.read();
    client.post("/v1/network-interfaces", &body).await.refused(ErrorCode::InUse);
    client.delete(&kept).await.refused(ErrorCode::InUse);
    let nics = format!("/v1/network-interfaces/{}", nic.id);
    client.json("PATCH", &nics, &json!({ "security_groups": [] })).await.refused(ErrorCode::InvalidParameter);
    let changed: api::NetworkInterface =
        client.json("PATCH", &nics, &json!({ "security_groups": [group.id], "name": "eth" })).await.read();
    assert_eq!((changed.security_groups, changed.name.unwrap().as_str()), (vec![group.id.clone()], "eth"));
    client.json("PUT", &format!("{nics}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    assert_eq!(client.all(&format!("/v1/network-interfaces?vpc={}&name=eth&tag=k", vpc.id)).await.len(), 1);
    client.delete(&groups).await.refused(ErrorCode::InUse);

    let (far, attach_far) = (nics.clone(), format!("{nics}/attach"));
    let subnets = client.all("/v1/subnets").await;
    let default =
        subnets.iter().find(|subnet| subnet["is_default"] == true).expect("there is a default subnet");
    let body = json!({ "subnet": default["id"] });
    let nic: api::NetworkInterface = client.post("/v1/network-interfaces", &body).await.read();
    let nics = format!("/v1/network-interfaces/{}", nic.id);
    let instance = launch(&client, &image, json!({ "rules": { "on_failure": "report" } })).await;
    client
        .post(&format!("{nics}/attach"), &json!({ "instance": instance }))
        .await
        .refused(ErrorCode::WrongState);
    client.post(&format!("/v1/instances/{instance}/stop"), &json!({ "force": true })).await.status(202);
    client.until(&format!("/v1/instances/{instance}"), "/state", "stopped").await;
    client.post(&attach_far, &json!({ "instance": instance })).await.refused(ErrorCode::InvalidParameter);
    let attached = client.post(&format!("{nics}/attach"), &json!({ "instance": instance })).await.status(200);
    assert_eq!((str(&attached, "/instance"), attached["index"].as_u64()), (instance.as_str(), Some(1)));
    client.post(&format!("{nics}/attach"), &json!({ "instance": instance })).await.refused(ErrorCode::InUse);
    let seen: api::Instance = client.get(&format!("/v1/instances/{instance}")).await.read();
    assert_eq!(seen.network_interfaces[1].id, nic.id);
    let first = format!("/v1/network-interfaces/{}/detach", seen.network_interfaces[0].id);
    client.post(&first, &json!({})).await.refused(ErrorCode::InvalidParameter);

    let address: api::Address = client.post("/v1/addresses", &json!({ "name": "front" })).await.read();
    let other: api::Address = client.post("/v1/addresses", &json!({})).await.read();
    let addresses = format!("/v1/addresses/{}", address.id);
    let target = json!({ "target": { "instance": instance } });
    let led = client.post(&format!("{addresses}/associate"), &target).await.status(200);
    assert_eq!(str(&led, "/instance"), instance);
    let elsewhere = json!({ "target": { "network_interface": nic.id } });
    client.post(&format!("{addresses}/associate"), &elsewhere).await.refused(ErrorCode::InUse);
    let taken = json!({ "target": { "network_interface": nic.id }, "reassociate": true });
    client.post(&format!("{addresses}/associate"), &taken).await.status(200);
    client.post(&format!("/v1/addresses/{}/associate", other.id), &elsewhere).await.refused(ErrorCode::InUse);
    assert_eq!(
        str(&client.get(&nics).await.status(200), "/public_address"),
        address.public_address.to_string()
    );
    client.delete(&addresses).await.refused(ErrorCode::InUse);
    client.bare("POST", &format!("{addresses}/disassociate")).await.status(200);
    client.bare("POST", &format!("{addresses}/disassociate")).await.status(200);
    client.json("PUT", &format!("{addresses}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    assert_eq!(client.all("/v1/addresses").await.len(), 2);
    client.delete(&addresses).await.status(204);

    // What was attached to it outlives it, unless it was said otherwise.
    client.delete(&format!("/v1/instances/{instance}")).await.status(202);
    client.until(&format!("/v1/instances/{instance}"), "/state", "terminated").await;
    let left: api::NetworkInterface = client.get(&nics).await.read();
    assert_eq!((left.instance, left.index), (None, None));
    client.delete(&nics).await.status(204);
    client.delete(&far).await.status(204);
    client.delete(&groups).await.status(204);
    client.delete(&kept).await.status(204);
    client.delete(&path).await.status(204);
}

#[tokio::test]
async fn identities() {
    let node = Node::start().await;
    let operator = node.operator();
    let quotas = json!({ "name": "acme", "quotas": { "instances": 1 } });
    let account: api::Account = operator.post("/v1/accounts", &quotas).await.read();
    operator.post("/v1/accounts", &quotas).await.refused(ErrorCode::AlreadyExists);
    operator.post("/v1/accounts", &json!({ "name": "a b" })).await.refused(ErrorCode::MalformedRequest);
    let path = format!("/v1/accounts/{}", account.id);
    let changed: api::Account =
        operator.json("PATCH", &path, &json!({ "name": "Acme", "quotas": {} })).await.read();
    assert_eq!((changed.name.as_str(), changed.quotas), ("Acme", api::Quotas::default()));
    let default = operator.get("/v1/caller").await.status(200);
    let default = format!("/v1/accounts/{}", str(&default, "/account"));
    operator.delete(&default).await.refused(ErrorCode::InvalidParameter);
    operator.json("PATCH", &default, &json!({ "enabled": false })).await.refused(ErrorCode::InvalidParameter);
    assert_eq!(operator.all("/v1/accounts").await.len(), 2);

    let client = operator.clone().with(api::ACCOUNT_HEADER, account.id.to_string());
    let caller: api::Caller = client.get("/v1/caller").await.read();
    assert_eq!((caller.account, caller.principal), (account.id.clone(), api::Principal::Operator));
    let user: api::User =
        client.post("/v1/users", &json!({ "name": "ann", "description": "a" })).await.read();
    assert!(user.policies.is_empty());
    client.post("/v1/users", &json!({ "name": "ann" })).await.refused(ErrorCode::AlreadyExists);
    let document = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"bothy:List*","Resource":"bothy:local:*:instance/*"}]}"#;
    let policy: api::Policy =
        client.post("/v1/policies", &json!({ "name": "look", "document": document })).await.read();
    assert_eq!(policy.document.as_str(), document);
    client
        .post("/v1/policies", &json!({ "name": "administratoraccess", "document": document }))
        .await
        .refused(ErrorCode::AlreadyExists);
    client
        .post("/v1/policies", &json!({ "name": "bad", "document": "{\"a\":1}" }))
        .await
        .refused(ErrorCode::InvalidParameter);
    let changed = client.json("PATCH", "/v1/policies/look", &json!({ "description": "d" })).await.status(200);
    assert_eq!((str(&changed, "/description"), str(&changed, "/document")), ("d", document));
    client
        .json("PATCH", "/v1/policies/AdministratorAccess", &json!({}))
        .await
        .refused(ErrorCode::InvalidParameter);
    client.delete("/v1/policies/AdministratorAccess").await.refused(ErrorCode::InvalidParameter);
    client.get("/v1/policies/AdministratorAccess").await.status(200);
    let names =
        |all: Vec<Value>| all.iter().map(|policy| str(policy, "/name").to_lowercase()).collect::<Vec<_>>();
    let all = names(client.all("/v1/policies?page_size=2").await);
    assert!(
        all.len() == compute::access::BUILT_IN.len() + 1
            && all.is_sorted()
            && all.contains(&"look".to_owned()),
        "{all:?}"
    );
    for _ in 0..2 {
        let user: api::User = client.bare("PUT", "/v1/users/ann/policies/look").await.read();
        assert_eq!(user.policies[0].as_str(), "look");
    }
    client.bare("PUT", "/v1/users/ann/policies/AdministratorAccess").await.status(200);
    client.bare("PUT", "/v1/users/ann/policies/none").await.refused(ErrorCode::NotFound);
    client.delete("/v1/policies/look").await.refused(ErrorCode::InUse);

    let key: api::NewAccessKey = client.post("/v1/access-keys", &json!({ "user": "ann" })).await.read();
    client.post("/v1/access-keys", &json!({ "user": "bob" })).await.refused(ErrorCode::NotFound);
    for _ in 0..5 {
        client.post("/v1/access-keys", &json!({})).await.status(201);
    }
    client.post("/v1/access-keys", &json!({})).await.refused(ErrorCode::LimitExceeded);
    assert_eq!(client.all("/v1/access-keys?page_size=4").await.len(), 6);
    assert_eq!(client.all("/v1/access-keys?page_size=1").await.len(), 6);
    assert_eq!(client.all("/v1/access-keys?user=ann").await.len(), 1);
    let keys = format!("/v1/access-keys/{}", key.access_key.id);
    assert_eq!(client.json("PATCH", &keys, &json!({ "active": false })).await.status(200)["active"], false);
    client.delete(&keys).await.status(204);
    client.delete(&keys).await.refused(ErrorCode::NotFound);

    let trust = json!({ "Version": "1", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "RAM": [format!("acs:ram::{}:root", account.id)], "Service": ["bothy"] } }] });
    let role = json!({ "name": "boss", "trust_policy": trust.to_string() });
    let role: api::Role = client.post("/v1/roles", &role).await.read();
    assert_eq!(role.max_session_seconds.get(), 3600);
    client
        .json("PATCH", "/v1/roles/boss", &json!({ "max_session_seconds": 900 }))
        .await
        .refused(ErrorCode::InvalidParameter);
    client.json("PATCH", "/v1/roles/boss", &json!({ "max_session_seconds": 7200 })).await.status(200);
    client.bare("PUT", "/v1/roles/boss/policies/look").await.status(200);
    let assume = json!({ "role": "boss", "session_name": "s1", "duration_seconds": 7200 });
    let session: api::Session = client.post("/v1/sessions", &assume).await.read();
    assert!(session.expires_at.to_string().starts_with("2026-11-24T02:00:00"));
    client
        .post("/v1/sessions", &json!({ "role": "none", "session_name": "s1" }))
        .await
        .refused(ErrorCode::NotFound);
    client
        .post("/v1/sessions", &json!({ "role": "boss", "session_name": "s" }))
        .await
        .refused(ErrorCode::MalformedRequest);
    let image = node.image(&client, "one").await;
    let instance = launch(&client, &image, json!({ "role": "boss" })).await;
    client.delete("/v1/roles/boss").await.refused(ErrorCode::InUse);
    client.json("PATCH", &format!("/v1/instances/{instance}"), &json!({ "role": null })).await.status(200);
    client.delete("/v1/roles/boss").await.refused(ErrorCode::InUse);
    client.delete("/v1/roles/boss/policies/look").await.status(200);
    client.delete("/v1/roles/boss").await.status(204);
    client.delete("/v1/users/ann/policies/AdministratorAccess").await.status(200);
    client.delete("/v1/users/ann/policies/AdministratorAccess").await.refused(ErrorCode::NotFound);

    operator.delete(&path).await.refused(ErrorCode::InUse);
    client.delete(&format!("/v1/instances/{instance}")).await.status(202);
    client.until(&format!("/v1/instances/{instance}"), "/state", "terminated").await;
    operator.delete(&path).await.refused(ErrorCode::InUse);
    client.delete(&format!("/v1/images/{image}")).await.status(204);
    let gone = async {
        while operator.delete(&path).await.status != 204 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("its image is removed");
    operator.get(&path).await.refused(ErrorCode::NotFound);
    client.get("/v1/caller").await.refused(ErrorCode::AccessDenied);
    operator.post("/v1/accounts", &json!({ "name": "ACME" })).await.status(201);
}

#[tokio::test]
async fn the_node() {
    let node = Node::start().await;
    let client = node.operator();
    assert_eq!(client.all("/v1/regions").await.len(), 1);
    assert_eq!(client.all("/v1/zones").await.len(), 1);
    let types = client.all("/v1/instance-types?page_size=7").await;
    assert_eq!(types.len(), client.all("/v1/instance-types").await.len());
    assert_eq!(types[0]["name"], "tiny");
    let kind: api::InstanceType = client.get("/v1/instance-types/m1.small").await.read();
    assert_eq!(kind.ephemeral_gib, 147);
    client.get("/v1/instance-types/none").await.refused(ErrorCode::NotFound);
    let health: api::Health = client.get("/v1/health").await.read();
    assert_eq!(health.version, "1.2.3");
    let image = node.image(&client, "one").await;
    launch(&client, &image, json!({})).await;
    let host: api::Host = client.get("/v1/host").await.read();
    assert_eq!((host.used.vcpus, host.used.disk_gib, host.disk_free_bytes), (1, 2, 1 << 40));
    let metrics = client.get("/v1/metrics").await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(metrics.bytes.to_vec()).unwrap();
    for line in [
        "bothy_instances{state=\"running\"} 1",
        "bothy_node_used{of=\"vcpus\"} 1",
        "bothy_api_requests_total{operation=\"LaunchInstances\",status=\"202\"} 1",
        "bothy_api_requests_total{operation=\"GetInstanceType\",status=\"404\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
}
