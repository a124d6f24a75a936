//! Guests that flood, stall, send garbage or never read harm nobody, and themselves not for long.

use std::time::{Duration, Instant};

use compute::resource::Cloud;
use metadata::{Limits, Whose};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::http::{Guest, PATIENCE, parse};
use super::world::Host;

const ID: &str = "/latest/meta-data/instance-id";
const GET: &[u8] = b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n\r\n";

fn short() -> Limits {
    Limits {
        connections: 4,
        head: Duration::from_millis(300),
        connection: Duration::from_secs(2),
        grace: Duration::from_millis(500),
        ..Limits::default()
    }
}

#[tokio::test]
async fn heads_have_bounds() {
    let host = Host::start().await;
    let (instance, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let long = "x".repeat(64 << 10);
    assert_eq!(guest.ask("GET", ID, &[("X-Long", &long)]).await.status, 431);
    assert!([414, 431].contains(&guest.get(&format!("/{long}")).await.status));
    let names: Vec<String> = (0..200).map(|number| format!("X-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(guest.ask("GET", ID, &many).await.status, 431);
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(guest.send(garbage).await.status, 400, "{garbage:?}");
    }
    assert_eq!(guest.get(ID).await.ok(), instance.id.to_string());
}

#[tokio::test]
async fn a_body_is_not_waited_for() {
    let host = Host::start().await;
    let (_, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let began = Instant::now();
    let head = "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\
                X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n";
    let reply = guest.send(head.as_bytes()).await;
    assert_eq!((reply.status, &*reply.headers["connection"]), (200, "close"));
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_hundred_read_at_once_beside_one_that_is_slow() {
    let host = Host::start().await;
    let (instance, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let mut slow = guest.connect().await;
    slow.write_all(b"GET /latest/meta-").await.unwrap();
    let readers = (0..100).map(|_| {
        let guest = guest.clone();
        tokio::spawn(async move { guest.get(ID).await.ok().to_owned() })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.unwrap(), instance.id.to_string());
    }
    slow.write_all(b"data/instance-id HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut all)).await.expect("an answer in time").unwrap();
    assert_eq!(parse(&all).ok(), instance.id.to_string());
}

#[tokio::test]
async fn who_holds_every_connection_waits_for_the_first_to_end() {
    let host = Host::start_with(short()).await;
    let (instance, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let (other, theirs) = host.guest(host.bare_request(Cloud::Ec2)).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(guest.connect().await);
    }
    // Another guest does not notice.
    assert_eq!(theirs.get(ID).await.ok(), other.id.to_string());
    // They never say anything, so they end.
    assert_eq!(guest.get(ID).await.ok(), instance.id.to_string());
    for mut silent in held {
        let mut rest = Vec::new();
        timeout(PATIENCE, silent.read_to_end(&mut rest)).await.expect("its end in time").unwrap();
    }
}

#[tokio::test]
async fn who_never_reads_is_cut_off() {
    let host = Host::start_with(short()).await;
    let (instance, guest) = host.guest(host.request(Cloud::Ec2)).await;
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut stream = guest.connect().await;
        // Until nothing more goes in: the service waits for its answers to be taken.
        while let Ok(Ok(())) = timeout(Duration::from_millis(200), stream.write_all(&GET.repeat(100))).await {
        }
        deaf.push(stream);
    }
    assert_eq!(guest.get(ID).await.ok(), instance.id.to_string());
    drop(deaf);
}

#[tokio::test]
async fn a_connection_is_used_again_until_the_daemon_ends() {
    let host = Host::start().await;
    let instance = host.launch(host.request(Cloud::Ec2)).await;
    let socket = host.folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let (ending, mut end) = watch::channel(false);
    let (service, whose) =
        (host.service.clone(), Whose { instance: instance.id, interface: instance.interfaces[0] });
    let serving = tokio::spawn(async move {
        let shutdown = async move {
            let _ = end.wait_for(|ended| *ended).await;
        };
        service.serve(listener, whose, shutdown).await;
    });
    let mut stream = Guest::new(&socket).connect().await;
    for _ in 0..3 {
        stream.write_all(GET).await.unwrap();
        let mut bytes = vec![0; 4096];
        let count = timeout(PATIENCE, stream.read(&mut bytes)).await.expect("an answer in time").unwrap();
        assert_eq!(parse(&bytes[..count]).ok(), instance.id.to_string());
    }
    ending.send_replace(true);
    timeout(PATIENCE, serving).await.expect("the end in time").unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}
