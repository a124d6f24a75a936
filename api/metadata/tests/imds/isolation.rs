//! Whose metadata is told is settled by the socket, and by nothing that a guest can write.

use compute::compute::NewInterface;
use compute::id::{InstanceId, InterfaceId};
use compute::resource::{Cloud, Instance};
use metadata::Whose;
use tokio::net::UnixListener;

use super::http::Guest;
use super::options::until_made;
use super::world::{Host, TRUST};

#[tokio::test]
async fn no_request_reaches_another_instance() {
    let host = Host::start().await;
    host.role(TRUST).await;
    for cloud in [Cloud::Ec2, Cloud::Alibaba, Cloud::Huawei, Cloud::Native] {
        let mut mine = host.bare_request(cloud);
        (mine.role, mine.user_data) = (Some("EcsRamRoleTest".to_owned()), b"of A".to_vec());
        let mut other = host.bare_request(cloud);
        other.user_data = b"of B".to_vec();
        let (a, guest) = host.guest(mine).await;
        let (b, theirs) = host.guest(other).await;
        let address = b.private_address.unwrap();
        let [one, two, three, four] = b.interfaces[0].number().to_be_bytes();
        let mac = format!("02:b0:{one:02x}:{two:02x}:{three:02x}:{four:02x}");
        let paths = [
            "/latest/user-data".to_owned(),
            format!("http://{address}/latest/user-data"),
            format!("http://{}/latest/meta-data/instance-id", b.id),
            format!("//{address}/latest/user-data"),
            format!("/../{}/latest/user-data", b.id),
            format!("/{}/latest/user-data", b.id),
            "/latest/meta-data/../../../user-data".to_owned(),
            "/latest/%2e%2e/latest/user-data".to_owned(),
            "/latest/..%2f..%2fuser-data".to_owned(),
            format!("/latest/user-data?instance={}", b.id),
            format!("/latest/user-data;{}", b.id),
            format!("/latest/meta-data/network/interfaces/macs/{mac}/interface-id"),
            format!("/latest/meta-data/network/interfaces/macs/{mac}/"),
            "/latest/meta-data/instance-id".to_owned(),
            "/openstack/latest/user_data".to_owned(),
            "/openstack/latest/meta_data.json".to_owned(),
            format!("/latest/meta-data/{}", b.id),
        ];
        let host_header = address.to_string();
        let id = b.id.to_string();
        let sets: [&[(&str, &str)]; 5] = [
            &[],
            &[("Host", &host_header)],
            &[("X-Forwarded-For", &host_header), ("Forwarded", "for=10.98.0.5"), ("X-Real-IP", &host_header)],
            &[("X-Instance-ID", &id), ("X-Instance-ID-Signature", "0"), ("X-Tenant-ID", "x")],
            &[("X-Original-URL", "/latest/user-data"), ("Via", "1.1 other")],
        ];
        for path in &paths {
            for headers in sets {
                let reply = guest.ask("GET", path, headers).await;
                assert!([200, 400, 404].contains(&reply.status), "{path}: {reply:?}");
                let text = String::from_utf8_lossy(&reply.body).into_owned();
                for secret in ["of B", &id, &mac, &compute::compute::uuid_of(b.id).to_string()] {
                    assert!(!text.contains(secret), "{cloud:?} {path} {headers:?}: {text}");
                }
            }
        }
        assert_eq!(guest.get("/latest/user-data").await.text(), "of A");
        assert_eq!(theirs.get("/latest/user-data").await.text(), "of B");
        assert_ne!(a.id, b.id);
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_own_instance() {
    let host = Host::start().await;
    let (_, a) = host.guest(host.bare_request(Cloud::Ec2)).await;
    let (_, b) = host.guest(host.bare_request(Cloud::Ec2)).await;
    let (of_a, of_b) = (a.token("60").await, b.token("60").await);
    for (guest, token, status) in [(&a, &of_a, 200), (&b, &of_b, 200), (&a, &of_b, 401), (&b, &of_a, 401)] {
        let shown = [("X-aws-ec2-metadata-token", token.as_str())];
        assert_eq!(guest.ask("GET", "/latest/meta-data/instance-id", &shown).await.status, status);
    }
}

#[tokio::test]
async fn a_second_request_in_a_body_is_not_answered() {
    let host = Host::start().await;
    let (_, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let inner = "GET /latest/meta-data/ami-id HTTP/1.1\r\nHost: x\r\n\r\n";
    for length in [format!("Content-Length: {}", inner.len()), "Transfer-Encoding: chunked".to_owned()] {
        let bytes =
            format!("GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n{inner}");
        let reply = guest.send(bytes.as_bytes()).await;
        let answers = String::from_utf8_lossy(&reply.body).matches("HTTP/1.1").count();
        assert_eq!(answers, 0, "{length}: only one answer: {reply:?}");
    }
}

async fn loose(host: &Host, request: compute::compute::InstanceRequest) -> Instance {
    let mut request = request;
    request.rules.start_when_created = false;
    let instance = host.launch(request).await;
    until_made(host, &instance).await;
    instance
}

#[tokio::test]
async fn an_interface_that_moved_tells_nothing_of_its_old_instance() {
    let host = Host::start().await;
    let account = host.account.to_string();
    let a = loose(&host, host.request(Cloud::Ec2)).await;
    let b = loose(&host, host.bare_request(Cloud::Ec2)).await;
    let new = NewInterface {
        subnet: host.compute.default_subnet(&account).await.unwrap().id,
        address: None,
        security_groups: vec![],
        name: String::new(),
        description: String::new(),
        tags: Default::default(),
        token: None,
    };
    let moving = host.compute.create_interface(&account, &new).await.unwrap().id;
    host.compute.attach_interface(&account, moving, a.id, false).await.unwrap();
    let guest = host.bind(&a, moving);
    assert_eq!(guest.get("/latest/meta-data/instance-id").await.ok(), a.id.to_string());
    host.compute.detach_interface(&account, moving).await.unwrap();
    assert_eq!(guest.get("/latest/meta-data/instance-id").await.status, 404);
    host.compute.attach_interface(&account, moving, b.id, false).await.unwrap();
    for path in ["/latest/meta-data/instance-id", "/latest/user-data", "/"] {
        assert_eq!(guest.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_socket_of_nobody_tells_nothing() {
    let host = Host::start().await;
    let (a, _) = host.guest(host.request(Cloud::Ec2)).await;
    let (b, _) = host.guest(host.bare_request(Cloud::Ec2)).await;
    let strange = [
        Whose { instance: InstanceId::new(1), interface: a.interfaces[0] },
        Whose { instance: a.id, interface: InterfaceId::new(1) },
        Whose { instance: a.id, interface: b.interfaces[0] },
    ];
    for (number, whose) in strange.into_iter().enumerate() {
        let socket = host.folder.path().join(format!("strange-{number}"));
        let listener = UnixListener::bind(&socket).unwrap();
        let service = host.service.clone();
        tokio::spawn(async move { service.serve(listener, whose, std::future::pending()).await });
        let guest = Guest::new(&socket);
        for (method, path) in
            [("GET", "/latest/meta-data/instance-id"), ("GET", "/"), ("PUT", "/latest/api/token")]
        {
            let reply = guest.ask(method, path, &[("X-aws-ec2-metadata-token-ttl-seconds", "60")]).await;
            assert_eq!(reply.status, 404, "{whose:?} {method} {path}");
        }
    }
}
