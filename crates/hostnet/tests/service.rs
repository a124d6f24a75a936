//! What guests are served on their routers, on a real kernel, in a network namespace for each test. Without the right to make
//! one it says so and tests nothing.
#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod namespace;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostnet::{Attachment, Config, Network, Service, TIME_PORT, Vpcs, VpcsConfig, serve_time};
use namespace::{DEADLINE, HOST, WORLD, Wire, in_namespace, uplink};
use tokio::time::timeout;

const PORT: u16 = 53;
const SERVICES: [Service; 3] = [Service::Udp(PORT), Service::Tcp(PORT), Service::Udp(TIME_PORT)];

async fn plain() -> Network {
    Network::open(Config { services: SERVICES.to_vec(), ..Config::default() }).await.unwrap()
}

fn waits(socket: &UdpSocket) {
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
}

fn heard(socket: &UdpSocket) -> String {
    let mut bytes = [0; 64];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn the_host_serves_its_router_and_nothing_else_of_its_own() {
    in_namespace(async || {
        let _world = uplink();
        let network = plain().await;
        // Of somebody else's, before and after.
        let local = UdpSocket::bind((Ipv4Addr::LOCALHOST, PORT)).unwrap();
        let outside = UdpSocket::bind((HOST, PORT)).unwrap();
        let (udp, tcp) = (network.bind_udp(PORT).await.unwrap(), network.listen_tcp(PORT).await.unwrap());
        let own = UdpSocket::bind(("127.0.0.53", PORT)).unwrap();
        waits(&udp);
        // The host gets its router's address with the first guest.
        let guest = Wire::guest(&network, 5).await;
        for to in [HOST, Ipv4Addr::LOCALHOST, network.router()] {
            guest.send_udp(1000, (to, PORT), format!("to {to}").as_bytes());
        }
        assert_eq!(heard(&udp), format!("to {}", network.router()));
        for socket in [&local, &outside, &own] {
            socket.set_nonblocking(true).unwrap();
            assert_eq!(socket.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock);
        }

        // Taken once, it is nobody else's; given back, it is.
        let error = network.bind_udp(PORT).await.unwrap_err();
        assert_eq!((error.address, error.port), (network.router(), PORT));
        assert!(network.listen_tcp(PORT).await.is_err());
        drop((udp, tcp));
        network.detach(&network.tap_name(5)).await.unwrap();
        network.bind_udp(PORT).await.unwrap();
        network.listen_tcp(PORT).await.unwrap();
        network.close().await.unwrap();
    });
}

#[test]
fn a_vpc_serves_all_its_routers_and_nobody_outside() {
    in_namespace(async || {
        let world = uplink();
        let folder = tempfile::tempdir().unwrap();
        let config = VpcsConfig {
            folder: folder.path().join("netns"),
            services: SERVICES.to_vec(),
            ..VpcsConfig::default()
        };
        let vpcs = Vpcs::open(config).await.unwrap();
        let one = vpcs.make(1, "10.0.0.0/16".parse().unwrap()).await.unwrap();
        let two = vpcs.make(2, "10.0.0.0/16".parse().unwrap()).await.unwrap();
        let (of_one, of_two) = (one.bind_udp(PORT).await.unwrap(), two.bind_udp(PORT).await.unwrap());
        waits(&of_one);
        waits(&of_two);
        let place = |network: &Network, subnet: u8| Attachment {
            tap: network.tap_name(subnet.into()),
            owner: None,
            mac: [0x52, 0x54, 0, 0, subnet, 5],
            address: Ipv4Addr::new(10, 0, subnet, 5),
            router: Ipv4Addr::new(10, 0, subnet, 1),
        };
        let first = Wire::attached(&one, &place(&one, 0)).await;
        let second = Wire::attached(&one, &place(&one, 7)).await;
        let other = Wire::attached(&two, &place(&two, 0)).await;
        let router = |subnet: u8| Ipv4Addr::new(10, 0, subnet, 1);
        first.send_udp(1, (router(0), PORT), b"own router");
        assert_eq!(heard(&of_one), "own router");
        second.send_udp(1, (router(0), PORT), b"another router");
        assert_eq!(heard(&of_one), "another router");
        other.send_udp(1, (router(0), PORT), b"the other VPC's");
        assert_eq!(heard(&of_two), "the other VPC's");

        // By its address on the link, neither from inside nor from the host, nor from the other VPC.
        let link = Ipv4Addr::new(100, 126, 0, 2);
        first.send_udp(1, (link, PORT), b"by the link");
        other.send_udp(1, (link, PORT), b"by the link");
        let host = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        host.send_to(b"by the link", (link, PORT)).unwrap();
        other.send_udp(1, (WORLD, 7), b"after that");
        assert_eq!(world.hears(), "after that");
        first.send_udp(1, (router(0), PORT), b"the next to arrive");
        assert_eq!(heard(&of_one), "the next to arrive");
        vpcs.close().await.unwrap();
    });
}

#[test]
fn one_guest_does_not_keep_the_others_from_asking() {
    in_namespace(async || {
        let network = plain().await;
        let socket = network.bind_udp(PORT).await.unwrap();
        let (greedy, modest) = (Wire::guest(&network, 5).await, Wire::guest(&network, 6).await);
        let (mut from_greedy, mut from_modest) = (0, 0);
        let count = |greedy_count: &mut usize, modest_count: &mut usize| {
            while let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                let counted =
                    if from.ip() == greedy.address { &mut *greedy_count } else { &mut *modest_count };
                *counted += 1;
            }
        };
        const SENT: usize = 20_000;
        let began = std::time::Instant::now();
        for number in 0..SENT {
            greedy.send_udp(1000 + number as u16 % 7, (network.router(), PORT), b"?");
            if number % 1000 == 0 {
                modest.send_udp(1000, (network.router(), PORT), b"?");
            }
            count(&mut from_greedy, &mut from_modest);
        }
        let took = began.elapsed();
        count(&mut from_greedy, &mut from_modest);
        assert_eq!(from_modest, SENT / 1000);
        // What it may send in a second at once, and then in each.
        let most = 1024 * (2 + took.as_secs() as usize);
        assert!((1024..=most).contains(&from_greedy), "{from_greedy} in {took:?}");
        // It is as good as any other a while later.
        let start = std::time::Instant::now();
        while from_greedy <= most {
            assert!(start.elapsed() < DEADLINE, "it is never heard again");
            greedy.send_udp(1, (network.router(), PORT), b"?");
            count(&mut from_greedy, &mut from_modest);
            std::thread::sleep(Duration::from_millis(5));
        }
        network.close().await.unwrap();
    });
}

#[test]
fn the_time_is_told_to_guests() {
    in_namespace(async || {
        let _world = uplink();
        let network = plain().await;
        let socket = network.bind_udp(TIME_PORT).await.unwrap();
        let cidr = network.cidr();
        let serving = tokio::spawn(serve_time(socket, cidr));
        let guest = Wire::guest(&network, 5).await;
        // From an address of the host's that is no guest's.
        let stranger = UdpSocket::bind((HOST, 0)).unwrap();
        let mut asked = [0; 48];
        asked[0] = 0x23;
        asked[40..].copy_from_slice(b"the time");
        stranger.send_to(&asked, (network.router(), TIME_PORT)).unwrap();
        guest.send_udp(1000, (network.router(), TIME_PORT), &asked);
        let told = tokio::task::spawn_blocking(move || guest.receive_udp());
        let told = timeout(DEADLINE, told).await.expect("an answer in time").unwrap();
        assert_eq!((told.from, told.to.1), ((network.router(), TIME_PORT), 1000));
        assert_eq!((told.payload.len(), &told.payload[24..32]), (48, &b"the time"[..]));
        let seconds = u32::from_be_bytes(told.payload[40..44].try_into().unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 2_208_988_800;
        assert!((now as u32).wrapping_sub(seconds) < 60, "{seconds} at {now}");
        let is_kept = hostnet::clock_is_kept();
        assert_eq!(told.payload[0], if is_kept { 0x24 } else { 0xe4 });
        stranger.set_nonblocking(true).unwrap();
        assert!(stranger.recv(&mut [0; 64]).is_err());
        serving.abort();
        let _ = serving.await;
        network.close().await.unwrap();
    });
}
