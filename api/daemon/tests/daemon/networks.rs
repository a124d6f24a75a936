//! What callers get of networks on a real host: connections to guests that have a network stack of their own, what security
//! groups counted of what these send each other, and subnets that nothing leaves.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use native_api::InstanceState::Stopped;
use native_api::{Client, ClientError, ConnectQuery, ErrorCode, InstanceId, Operation, SecurityGroupCounts};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::node::{self, LOOK, PATIENCE, in_namespace};
use crate::story::{Story, of};

/// How long something is waited for that does not come.
const SHORT_MS: u64 = 300;

/// Somebody outside, behind a link of the host's.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

fn query(port: u16, wait_ms: u64) -> ConnectQuery {
    ConnectQuery { port: of(json!(port)), wait_ms: of(json!(wait_ms)) }
}

async fn refused(client: &Client, id: &InstanceId, query: &ConnectQuery) -> ErrorCode {
    match client.connect_to_instance(id, query).await {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn guests_are_connected_to_wherever_they_are() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        story.start().await;
        let image = story.import_disk("disk").await;
        let vpc = json!({"name": "own", "cidr": "10.0.0.0/16"});
        let vpc = story.create_once("vpc", Operation::CreateVpc, vpc).await;
        let subnet = json!({"name": "own", "vpc": vpc, "cidr": "10.0.1.0/24", "private": true});
        let subnet = story.create_once("subnet", Operation::CreateSubnet, subnet).await;
        // It lets nothing through, and the others' default group nothing in.
        let group = json!({"name": "shut", "vpc": vpc});
        let group = story.create_once("group", Operation::CreateSecurityGroup, group).await;
        let inside =
            json!({"image": image, "instance_type": "tiny", "subnet": subnet, "security_groups": [group]});
        let inside = story.launch(inside).await.remove(0);
        let count = json!({"min": 2, "max": 2});
        let others = json!({"image": image, "instance_type": "tiny", "count": count});
        let others = story.launch(others).await;
        let [other, silent] = &others[..] else { panic!("{others:?}") };
        for id in [&inside, other, silent] {
            story.runs(id).await;
        }
        let client = story.node.client();
        for id in [&inside, other] {
            let guest = story.play(id).await;
            let address = guest.address;
            let listener = guest.run(move || TcpListener::bind((address, 22)).unwrap());
            let serving = guest.spawn(move || {
                let (mut stream, peer) = listener.accept().unwrap();
                let mut heard = String::new();
                stream.read_to_string(&mut heard).unwrap();
                // What it says after it heard all arrives too.
                stream.write_all(format!("{}: {}", peer.ip(), heard.to_uppercase()).as_bytes()).unwrap();
            });
            let mut stream = client.connect_to_instance(id, &ConnectQuery::default()).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let [a, b, c, _] = address.octets();
            let router = if id == other { Ipv4Addr::new(10, 98, 0, 1) } else { Ipv4Addr::new(a, b, c, 1) };
            assert_eq!(answer, format!("{router}: HELLO"));
            serving.join().unwrap();
            assert_eq!(refused(&client, id, &query(23, 10_000)).await, ErrorCode::ConnectionRefused);
        }
        assert_eq!(refused(&client, silent, &query(22, SHORT_MS)).await, ErrorCode::ConnectionTimeout);
        story.act(&inside, Operation::StopInstance, true, Stopped).await;
        assert_eq!(refused(&client, &inside, &query(22, 10_000)).await, ErrorCode::WrongState);
        story.end().await;
    });
}

#[test]
fn a_private_subnet_is_left_by_public_addresses_only_and_groups_count() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        let config = fs::read_to_string(story.node.config()).unwrap();
        let pool = "[network]\npublic_addresses = ['198.51.100.0/28']\n";
        fs::write(story.node.config(), config + pool).unwrap();
        story.start().await;
        let image = story.import_disk("disk").await;
        let vpc = json!({"name": "own", "cidr": "10.0.0.0/16"});
        let vpc = story.create_once("vpc", Operation::CreateVpc, vpc).await;
        let subnet = json!({"name": "own", "vpc": vpc, "cidr": "10.0.1.0/24", "private": true});
        let subnet = story.create_once("subnet", Operation::CreateSubnet, subnet).await;
        let ssh = json!({"direction": "ingress", "protocol": "tcp", "ports": {"from": 22, "to": 22}, "peer": {"cidr": "10.0.1.0/24"}});
        let all_out = json!({"direction": "egress", "protocol": "all", "peer": {"cidr": "0.0.0.0/0"}});
        let group = json!({"name": "own", "vpc": vpc, "rules": [ssh, all_out]});
        let group = story.create_once("group", Operation::CreateSecurityGroup, group).await;
        let two = story
            .launch(json!({
                "image": image, "instance_type": "tiny", "count": {"min": 2, "max": 2}, "subnet": subnet,
                "security_groups": [group],
            }))
            .await;
        for id in &two {
            story.runs(id).await;
        }
        let (server, other) = (story.play(&two[0]).await, story.play(&two[1]).await);
        let (server_address, other_address) = (server.address, other.address);

        // One connection is let in and one is not.
        let _listener = server.run(move || TcpListener::bind((server_address, 22)).unwrap());
        let connect = |port: u16, limit: Duration| {
            other.run(move || {
                TcpStream::connect_timeout(&SocketAddr::from((server_address, port)), limit).map(drop)
            })
        };
        connect(22, PATIENCE).unwrap();
        connect(23, Duration::from_millis(SHORT_MS)).unwrap_err();
        let counts: SecurityGroupCounts =
            story.call(Operation::GetSecurityGroupCounts, &[&group], Value::Null).await.unwrap();
        let passed: Vec<u64> = counts.rules.iter().map(|count| count.passed.packets).collect();
        let [ingress, egress] = passed[..] else { panic!("{counts:?}") };
        let dropped = counts.dropped_ingress;
        assert!(
            ingress == 1 && egress == 1 + dropped.packets,
            "each that nothing was answered to: {counts:?}"
        );
        assert!(dropped.packets > 0 && dropped.bytes >= 40 * dropped.packets, "{counts:?}");
        assert_eq!(counts.dropped_egress.packets, 0);

        // Nothing gets outside, until there is a public address.
        run("ip tuntap add outside mode tap");
        run("ip address add 203.0.113.1/24 dev outside");
        run("ip link set outside up");
        run("nft add table inet seen");
        run("nft add chain inet seen leaving { type filter hook postrouting priority 300 ; }");
        run("nft add rule inet seen leaving ip daddr 203.0.113.9 counter");
        let seen = || run("nft list chain inet seen leaving");
        let say = || {
            other.run(move || {
                let socket = UdpSocket::bind((other_address, 1000)).unwrap();
                socket.send_to(b"out", (OUTSIDE, 7)).unwrap();
            });
        };
        say();
        let address: Value = story.call(Operation::AllocateAddress, &[], json!({})).await.unwrap();
        let id = address["id"].as_str().unwrap();
        let target = json!({"target": {"instance": two[1]}});
        story.call::<Value>(Operation::AssociateAddress, &[id], target).await.unwrap();
        say();
        let deadline = std::time::Instant::now() + PATIENCE;
        while seen().contains("packets 0 ") {
            assert!(std::time::Instant::now() < deadline, "nothing ever gets outside\n{}", story.node.log());
            tokio::time::sleep(LOOK).await;
        }
        assert!(seen().contains("packets 1 "), "{}", seen());
        run("nft delete table inet seen");
        run("ip link delete outside");
        story.call::<Value>(Operation::DisassociateAddress, &[id], Value::Null).await.unwrap();
        story.end().await;
    });
}

fn run(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    node::run(words[0], &words[1..])
}
