//! Tokens, and what else is chosen of how a guest gets at its metadata.

use std::time::Duration;

use compute::compute::ComputeError;
use compute::lifecycle::State;
use compute::resource::{Cloud, Instance, MetadataChange, MetadataOptions, MetadataTokens};
use tokio::time::timeout;

use super::http::PATIENCE;
use super::world::Host;

const EC2_TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const EC2_TOKEN: &str = "X-aws-ec2-metadata-token";
const ID: &str = "/latest/meta-data/instance-id";

/// Waits until an instance that is not to be started is there.
pub async fn until_made(host: &Host, instance: &Instance) {
    let made = async {
        while host.compute.instance(&instance.account, instance.id).await.unwrap().state() != State::Created {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, made).await.expect("the instance is made in time");
}

async fn set(host: &Host, instance: &Instance, change: MetadataChange) {
    host.compute.set_metadata_options(&instance.account, instance.id, change).await.unwrap();
}

#[tokio::test]
async fn tokens_are_given_for_a_time_that_is_asked_for() {
    let host = Host::start().await;
    let (_, guest) = host.guest(host.request(Cloud::Ec2)).await;
    for (ttl, status) in [
        ("1", 200),
        ("21600", 200),
        ("0", 400),
        ("21601", 400),
        ("-1", 400),
        ("+1", 400),
        ("many", 400),
        ("", 400),
        ("99999999999999999999", 400),
    ] {
        let reply = guest.ask("PUT", "/latest/api/token", &[(EC2_TTL, ttl)]).await;
        assert_eq!(reply.status, status, "{ttl:?}");
        if status == 200 {
            assert_eq!(reply.headers[&EC2_TTL.to_lowercase()], ttl);
            assert_eq!(reply.headers["content-type"], "text/plain");
            assert!(reply.text().bytes().all(|byte| byte.is_ascii_graphic()), "{reply:?}");
        }
    }
    assert_eq!(guest.ask("PUT", "/latest/api/token", &[]).await.status, 400);
    let forwarded = [(EC2_TTL, "60"), ("X-Forwarded-For", "10.0.0.1")];
    assert_eq!(guest.ask("PUT", "/latest/api/token", &forwarded).await.status, 403);
    for method in ["GET", "HEAD", "POST", "DELETE"] {
        let reply = guest.ask(method, "/latest/api/token", &[(EC2_TTL, "60")]).await;
        assert_eq!((reply.status, &*reply.headers["allow"]), (405, "PUT"), "{method}");
    }
}

#[tokio::test]
async fn a_token_is_good_until_it_ends() {
    let host = Host::start().await;
    let (instance, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let token = guest.token("60").await;
    let shown = [(EC2_TOKEN, &*token)];
    for tokens in [MetadataTokens::Optional, MetadataTokens::Required] {
        set(&host, &instance, MetadataChange { tokens: Some(tokens), ..Default::default() }).await;
        let required = tokens == MetadataTokens::Required;
        assert_eq!(guest.ask("GET", ID, &shown).await.ok(), instance.id.to_string());
        assert_eq!(guest.ask("HEAD", ID, &shown).await.status, 200);
        let without = guest.get(ID).await.status;
        assert_eq!(without, if required { 401 } else { 200 });
        // One that is none is refused in any case, and so is nothing that could be there.
        for wrong in ["x", "", &token[1..], &token.replace('A', "B")] {
            assert_eq!(guest.ask("GET", ID, &[(EC2_TOKEN, wrong)]).await.status, 401, "{wrong}");
        }
        let both = [(EC2_TOKEN, &*token), (EC2_TOKEN, "x")];
        assert_eq!(guest.ask("GET", ID, &both).await.status, 401);
        if required {
            for path in ["/", "/latest/", "/latest/user-data", "/nothing"] {
                assert_eq!(guest.get(path).await.status, 401, "{path}");
            }
        }
        // Another dialect's header shows nothing here.
        let other = [("X-aliyun-ecs-metadata-token", &*token)];
        assert_eq!(guest.ask("GET", ID, &other).await.status, if required { 401 } else { 200 });
    }
    host.clock.advance(Duration::from_secs(59));
    guest.ask("GET", ID, &shown).await.ok();
    host.clock.advance(Duration::from_secs(1));
    assert_eq!(guest.ask("GET", ID, &shown).await.status, 401);
    let next = guest.token("60").await;
    guest.ask("GET", ID, &[(EC2_TOKEN, &next)]).await.ok();
}

#[tokio::test]
async fn each_dialect_has_its_tokens() {
    let host = Host::start().await;
    let alibaba = ("/latest/api/token", "X-aliyun-ecs-metadata-token");
    let huawei = ("/meta-data/latest/api/token", "X-Metadata-Token");
    let ec2 = ("/latest/api/token", "X-aws-ec2-metadata-token");
    for (cloud, forms, without) in [
        (Cloud::Ec2, vec![ec2], 401),
        (Cloud::Alibaba, vec![alibaba], 403),
        (Cloud::Huawei, vec![huawei], 401),
        (Cloud::Native, vec![ec2, alibaba, huawei], 401),
    ] {
        let mut request = host.bare_request(cloud);
        request.metadata_options.tokens = MetadataTokens::Required;
        let (_, guest) = host.guest(request).await;
        let path = if cloud == Cloud::Huawei { "/openstack" } else { "/" };
        assert_eq!(guest.get(path).await.status, without, "{cloud:?}");
        for (place, header) in &forms {
            let token = guest.ask("PUT", place, &[(&format!("{header}-TTL-Seconds"), "21600")]).await;
            assert_eq!(
                guest.ask("GET", path, &[(header, token.ok())]).await.status,
                200,
                "{cloud:?} {header}"
            );
            assert_eq!(guest.ask("GET", path, &[(header, "x")]).await.status, 401, "{cloud:?} {header}");
        }
        for (place, header) in [ec2, alibaba, huawei].iter().filter(|form| !forms.contains(form)) {
            let refused = guest.ask("PUT", place, &[(&format!("{header}-ttl-seconds"), "60")]).await.status;
            assert!([400, 405].contains(&refused), "{cloud:?} {header}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_disabled_service_answers_nothing_until_it_is_enabled() {
    let host = Host::start().await;
    let mut request = host.request(Cloud::Ec2);
    request.metadata_options.enabled = false;
    let (instance, guest) = host.guest(request).await;
    for (method, path) in
        [("GET", ID), ("GET", "/"), ("PUT", "/latest/api/token"), ("POST", ID), ("GET", "/x")]
    {
        assert_eq!(guest.ask(method, path, &[(EC2_TTL, "60")]).await.status, 403, "{method} {path}");
    }
    set(&host, &instance, MetadataChange { enabled: Some(true), ..Default::default() }).await;
    guest.get(ID).await.ok();
    set(&host, &instance, MetadataChange { enabled: Some(false), ..Default::default() }).await;
    assert_eq!(guest.get(ID).await.status, 403);
}

#[tokio::test]
async fn options_are_changed_one_by_one_and_within_bounds() {
    let host = Host::start().await;
    let instance = host.launch(host.request(Cloud::Ec2)).await;
    assert_eq!(instance.metadata_options, MetadataOptions::default());
    set(&host, &instance, MetadataChange { hop_limit: Some(64), ..Default::default() }).await;
    set(&host, &instance, MetadataChange { tags: Some(true), ..Default::default() }).await;
    let now = host.compute.instance(&instance.account, instance.id).await.unwrap().metadata_options;
    assert_eq!(now, MetadataOptions { hop_limit: 64, tags: true, ..MetadataOptions::default() });
    for hop_limit in [0, 65] {
        let change =
            MetadataChange { hop_limit: Some(hop_limit), enabled: Some(false), ..Default::default() };
        let refused = host.compute.set_metadata_options(&instance.account, instance.id, change).await;
        assert!(matches!(refused, Err(ComputeError::Invalid { parameter: "metadata_options", .. })));
        let after = host.compute.instance(&instance.account, instance.id).await.unwrap().metadata_options;
        assert_eq!(after, now, "what is refused changes nothing");
    }
}

#[tokio::test]
async fn nothing_but_reading_is_allowed() {
    let host = Host::start().await;
    let (instance, guest) = host.guest(host.request(Cloud::Native)).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        for path in [ID, "/openstack/latest/password", "/nothing"] {
            let reply = guest.ask(method, path, &[]).await;
            assert_eq!((reply.status, &*reply.headers["allow"]), (405, "GET, HEAD"), "{method} {path}");
        }
    }
    let head = guest.ask("HEAD", ID, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], instance.id.to_string().len().to_string());
    assert_eq!(guest.ask("HEAD", "/nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn a_record_of_before_there_were_options_has_the_default() {
    let host = Host::start().await;
    let instance = host.launch(host.request(Cloud::Ec2)).await;
    let mut record = serde_json::to_value(&instance).unwrap();
    assert!(record.as_object_mut().unwrap().remove("metadata_options").is_some());
    assert_eq!(serde_json::from_value::<Instance>(record).unwrap(), instance);
}
