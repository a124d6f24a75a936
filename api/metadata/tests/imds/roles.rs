//! What a role gives to the guests that have it, in each cloud's form.

use std::time::Duration;

use compute::compute::InstanceChange;
use compute::resource::{Cloud, Instance};
use jiff::Timestamp;

use super::http::{Guest, Reply};
use super::world::{Host, TRUST};

const EC2: &str = "/latest/meta-data/iam/security-credentials/";
const ALIBABA: &str = "/latest/meta-data/ram/security-credentials/";
const HUAWEI: &str = "/openstack/latest/securitykey";
const ROLE: &str = "EcsRamRoleTest";

/// Id, secret and token of a document, as each cloud calls them.
fn credentials(reply: &Reply) -> [String; 3] {
    let document = reply.json();
    let names = [
        ["AccessKeyId", "SecretAccessKey", "Token"],
        ["AccessKeyId", "AccessKeySecret", "SecurityToken"],
        ["access", "secret", "securitytoken"],
    ];
    let inner = document.get("credential").unwrap_or(&document);
    let names = names.iter().find(|names| names.iter().all(|name| inner.get(name).is_some()));
    names.unwrap_or_else(|| panic!("{document}")).map(|name| inner[name].as_str().unwrap().to_owned())
}

/// What is given to a guest signs requests.
async fn assert_good(host: &Host, [id, secret, token]: &[String; 3]) {
    let found = host.identity.find_key(id, Some(token), host.compute.clock().now()).await.unwrap();
    assert_eq!(found.secret.expose(), secret);
}

async fn set_role(host: &Host, instance: &Instance, role: Option<&str>) {
    let change = InstanceChange { role: Some(role.map(str::to_owned)), ..InstanceChange::default() };
    host.compute.change_instance(&instance.account, instance.id, &change).await.unwrap();
}

async fn documents(host: &Host) -> Vec<(Instance, Guest, String)> {
    let mut all = Vec::new();
    for (cloud, path) in [
        (Cloud::Ec2, format!("{EC2}{ROLE}")),
        (Cloud::Alibaba, format!("{ALIBABA}{ROLE}")),
        (Cloud::Huawei, HUAWEI.to_owned()),
    ] {
        let request =
            compute::compute::InstanceRequest { role: Some(ROLE.to_owned()), ..host.bare_request(cloud) };
        let (instance, guest) = host.guest(request).await;
        all.push((instance, guest, path));
    }
    all
}

#[tokio::test]
async fn each_cloud_writes_credentials_its_own_way() {
    let host = Host::start().await;
    host.role(TRUST).await;
    let all = documents(&host).await;
    let (_, ec2, path) = &all[0];
    assert_eq!(ec2.get(EC2).await.ok(), ROLE);
    let reply = ec2.get(path).await;
    assert_eq!(reply.headers["content-type"], "text/plain");
    assert!(
        reply.ok().starts_with("{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2026-11-24T00:00:00Z\",")
    );
    assert!(reply.text().ends_with("  \"Expiration\" : \"2026-11-24T06:00:00Z\"\n}"), "{reply:?}");
    let info = ec2.get("/latest/meta-data/iam/info").await.json();
    let arn = format!("arn:aws:iam::{}:instance-profile/{ROLE}", host.account);
    assert_eq!((&info["Code"], &info["InstanceProfileArn"]), (&"Success".into(), &arn.into()));
    assert_eq!(ec2.get("/latest/meta-data/iam/").await.ok(), "info\nsecurity-credentials/");

    let (_, alibaba, path) = &all[1];
    for folder in [ALIBABA, ALIBABA.trim_end_matches('/'), "/latest/meta-data/Ram/security-credentials/"] {
        assert_eq!(alibaba.get(folder).await.ok(), ROLE, "{folder}");
    }
    let reply = alibaba.get(path).await;
    let keys: Vec<&str> = reply.ok().lines().filter_map(|line| line.split('"').nth(1)).collect();
    let order = ["AccessKeyId", "AccessKeySecret", "Expiration", "SecurityToken", "LastUpdated", "Code"];
    assert_eq!(keys, order);
    assert_eq!(alibaba.get(&path.replace("/ram/", "/Ram/")).await.body, reply.body, "as ossutil writes it");
    assert!(credentials(&reply)[0].starts_with("STS."));

    let (_, huawei, path) = &all[2];
    let reply = huawei.get(path).await;
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.json()["credential"]["expires_at"], "2026-11-24T06:00:00.000000Z");

    for (_, guest, path) in &all {
        assert_good(&host, &credentials(&guest.get(path).await)).await;
    }
    // Names are compared with their case, and only the instance's own is there.
    for (guest, path) in [(ec2, format!("{EC2}ecsramroletest")), (alibaba, format!("{ALIBABA}other"))] {
        assert_eq!(guest.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn credentials_are_new_before_the_old_ones_end() {
    let host = Host::start().await;
    host.role(TRUST).await;
    for (_, guest, path) in documents(&host).await {
        let began: Timestamp = host.compute.clock().now();
        let first = credentials(&guest.get(&path).await);
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        host.clock.advance(hours(3));
        assert_eq!(
            credentials(&guest.get(&path).await),
            first,
            "{path}: the same, while they last long enough"
        );
        host.clock.advance(hours(2));
        let second = credentials(&guest.get(&path).await);
        assert_ne!(first, second, "{path}: an hour before the end there are new ones");
        assert_good(&host, &first).await;
        assert_good(&host, &second).await;
        host.clock.advance(hours(1));
        let now = host.compute.clock().now();
        assert_eq!(now.duration_since(began).as_hours(), 6);
        assert!(
            host.identity.find_key(&first[0], Some(&first[2]), now).await.is_err(),
            "{path}: they have ended"
        );
    }
}

#[tokio::test]
async fn a_role_that_is_taken_away_gives_nothing_from_then_on() {
    let host = Host::start().await;
    host.role(TRUST).await;
    for (instance, guest, path) in documents(&host).await {
        let first = credentials(&guest.get(&path).await);
        set_role(&host, &instance, None).await;
        let gone = guest.get(&path).await;
        if path == HUAWEI {
            assert_eq!((gone.status, gone.text()), (401, "Please configure Cloud Service Agency first"));
        } else {
            let folder = path.strip_suffix(ROLE).unwrap();
            assert_eq!((gone.status, guest.get(folder).await.status), (404, 404), "{path}");
        }
        set_role(&host, &instance, Some(ROLE)).await;
        assert_good(&host, &credentials(&guest.get(&path).await)).await;
        assert_good(&host, &first).await;
    }
}

#[tokio::test]
async fn a_role_that_gives_nothing_says_why() {
    let host = Host::start().await;
    // EC2's role in EC2's words: an instance of Alibaba's gets nothing from it.
    let only_ec2 = TRUST.replace("\"ecs.aliyuncs.com\",", "").replace(",\"op_svc_ecs\"", "");
    host.role(&only_ec2).await;
    let all = documents(&host).await;
    credentials(&all[0].1.get(&all[0].2).await);
    let refused = all[1].1.get(&all[1].2).await;
    assert_eq!((refused.status, &refused.json()["Code"]), (200, &"NoPermission".into()));
    assert!(refused.json().get("AccessKeyId").is_none());
    assert_eq!(all[2].1.get(HUAWEI).await.status, 401);

    host.identity.delete_role(host.account, ROLE).await.unwrap();
    let gone = all[0].1.get(&all[0].2).await.json();
    assert_eq!(gone["Code"], "InstanceProfileNotFound");
    assert_eq!(all[0].1.get("/latest/meta-data/iam/info").await.json()["Code"], "InstanceProfileNotFound");
    assert_eq!(all[1].1.get(&all[1].2).await.json()["Code"], "EntityNotExist.Role");
}

#[tokio::test]
async fn an_instance_of_our_own_api_has_a_role_that_trusts_any_cloud() {
    let host = Host::start().await;
    let only_alibaba = TRUST.replace(",\"ec2.amazonaws.com\",\"op_svc_ecs\"", "");
    host.role(&only_alibaba).await;
    let (_, guest) = host.guest(host.request(Cloud::Native)).await;
    for path in [format!("{EC2}{ROLE}"), format!("{ALIBABA}{ROLE}"), HUAWEI.to_owned()] {
        assert_good(&host, &credentials(&guest.get(&path).await)).await;
    }
}
