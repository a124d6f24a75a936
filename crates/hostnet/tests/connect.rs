//! Connections from the router to guests that have a network stack of their own, in the host's network and in a VPC. Without
//! the right to make network namespaces it says so and tests nothing.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod namespace;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use hostnet::{
    Attachment, Bandwidth, Config, ConnectError, Group, Member, Network, Outside, Policy, Rule, Vpcs,
    VpcsConfig,
};
use namespace::guest::Guest;
use namespace::{DEADLINE, WORLD, Wire, in_namespace, uplink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PORT: u16 = 22;

/// How long a guest is waited for that does not answer.
const SHORT: Duration = Duration::from_millis(300);

fn place(network: &Network, number: u8, subnet: [u8; 3]) -> Attachment {
    let [a, b, c] = subnet;
    Attachment {
        tap: network.tap_name(number.into()),
        owner: None,
        mac: [0x52, 0x54, 0, 0, 0, number],
        address: Ipv4Addr::new(a, b, c, number),
        router: Ipv4Addr::new(a, b, c, 1),
    }
}

/// Lets nothing in, and out within the network only.
fn shut(place: &Attachment) -> Policy {
    let member = Member {
        tap: place.tap.clone(),
        address: place.address,
        groups: vec!["shut".to_owned()],
        outside: Outside::Nothing,
        bandwidth: Bandwidth::default(),
    };
    Policy { members: vec![member], groups: vec![Group { name: "shut".to_owned(), rules: vec![] }] }
}

/// A guest that keeps all to itself is connected to, by this address of its router's, and by nobody else.
async fn talks(network: &Network, place: &Attachment) {
    let wire = Wire::attached(network, place).await;
    network.apply(&shut(place)).await.unwrap();
    let guest = Guest::new(wire.into_file(), place.mac, place.address, place.router);
    let address = place.address;
    let listener = guest.run(move || TcpListener::bind((address, PORT)).unwrap());
    let router = place.router;
    let serving = guest.spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), router);
        let mut asked = String::new();
        stream.read_to_string(&mut asked).unwrap();
        // What it says after it heard all arrives too.
        stream.write_all(asked.to_uppercase().as_bytes()).unwrap();
    });
    let to = |port| SocketAddrV4::new(place.address, port);
    let mut stream = network.connect(&place.tap, to(PORT), DEADLINE).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HELLO");
    serving.join().unwrap();

    let refused = network.connect(&place.tap, to(PORT + 1), DEADLINE).await;
    assert!(matches!(refused, Err(ConnectError::Refused(at)) if at == to(PORT + 1)), "{refused:?}");
    // By its tap or not at all: another's address is nowhere on it.
    let elsewhere = SocketAddrV4::new(place.router, PORT);
    let error = network.connect(&place.tap, elsewhere, SHORT).await.unwrap_err();
    assert!(!matches!(error, ConnectError::NoGuest(_)), "{error}");

    network.detach(&place.tap).await.unwrap();
    let gone = network.connect(&place.tap, to(PORT), DEADLINE).await;
    assert!(matches!(gone, Err(ConnectError::NoGuest(tap)) if tap == place.tap));
}

#[test]
fn a_guest_of_the_host_is_connected_to_whatever_its_groups_say() {
    in_namespace(async || {
        let network = Network::open(Config::default()).await.unwrap();
        talks(&network, &place(&network, 5, [10, 98, 0])).await;
        for tap in ["lo", "uplink", "bothy-1", "../bothy-00000005"] {
            let error = network.connect(tap, SocketAddrV4::new(WORLD, 80), DEADLINE).await.unwrap_err();
            assert!(matches!(error, ConnectError::NoGuest(_)), "{tap}: {error}");
        }
        network.close().await.unwrap();
    });
}

#[test]
fn guests_of_vpcs_with_the_same_address_are_told_apart() {
    in_namespace(async || {
        let folder = tempfile::tempdir().unwrap();
        let config = VpcsConfig { folder: folder.path().join("netns"), ..VpcsConfig::default() };
        let vpcs = Vpcs::open(config).await.unwrap();
        let cidr = "10.0.0.0/16".parse().unwrap();
        let (one, two) = (vpcs.make(1, cidr).await.unwrap(), vpcs.make(2, cidr).await.unwrap());
        // The other one has no network stack: it says nothing.
        let silent = place(&two, 5, [10, 0, 7]);
        let _wire = Wire::attached(&two, &silent).await;
        talks(&one, &place(&one, 5, [10, 0, 7])).await;
        let start = Instant::now();
        let to = SocketAddrV4::new(silent.address, PORT);
        let error = two.connect(&silent.tap, to, SHORT).await.unwrap_err();
        assert!(matches!(error, ConnectError::Silent(at) if at == to), "{error}");
        assert!(start.elapsed() >= SHORT);
        vpcs.close().await.unwrap();
    });
}

#[test]
fn a_guest_without_a_way_outside_is_connected_to_all_the_same() {
    in_namespace(async || {
        let world = uplink();
        let network = Network::open(Config::default()).await.unwrap();
        let place = place(&network, 5, [10, 98, 0]);
        let wire = Wire::attached(&network, &place).await;
        let mut policy = shut(&place);
        policy.groups[0].rules = vec![Rule::ALL_OUT];
        network.apply(&policy).await.unwrap();
        let guest = Guest::new(wire.into_file(), place.mac, place.address, place.router);
        let address = place.address;
        let _listener = guest.run(move || TcpListener::bind((address, PORT)).unwrap());
        let say = |payload: &'static [u8]| {
            guest.run(move || UdpSocket::bind((address, 1000)).unwrap().send_to(payload, (WORLD, 7)).unwrap())
        };
        say(b"never");
        let to = SocketAddrV4::new(place.address, PORT);
        network.connect(&place.tap, to, DEADLINE).await.unwrap();
        policy.members[0].outside = Outside::Shared;
        network.apply(&policy).await.unwrap();
        say(b"once it has one");
        assert_eq!(world.hears(), "once it has one", "the first to arrive");
        network.close().await.unwrap();
    });
}
