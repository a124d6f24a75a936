//! A network namespace of a test's own, and guests in it that are played by the test: frames go in and out through the
//! taps' descriptors. Frames are made and read by `etherparse`.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod guest;

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use hostnet::{Attachment, Network, ROUTER_MAC};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};

/// Longer than anything takes on the slowest machine; only a failing test waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The header of virtio-net as a tap has it when nobody asks for another.
const HEADER: usize = 10;

/// Runs a test on a thread with its own network namespace, or says why not.
pub fn in_namespace<T: Future<Output = ()>>(test: impl FnOnce() -> T + Send + 'static) {
    std::thread::spawn(move || {
        if let Err(why) = enter() {
            // Also where the output of tests that pass is not shown.
            let _ = writeln!(io::stderr(), "SKIPPED: {why}");
            return;
        }
        ip("link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    })
    .join()
    .unwrap();
}

fn enter() -> Result<(), String> {
    // Of mounts too: those of VPCs are for the test only.
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .map_err(|error| format!("may not make a network namespace: {error}"))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|error| format!("may not keep mounts apart: {error}"))?;
    File::open("/dev/net/tun").map_err(|error| format!("may not make a tap: {error}"))?;
    for (program, argument, package) in [("nft", "list tables", "nftables"), ("ip", "link", "iproute2")] {
        let output = Command::new(program).args(argument.split(' ')).output();
        let output = output.map_err(|error| format!("the package {package} is not there: {error}"))?;
        if !output.status.success() {
            return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(())
}

/// Runs `ip`.
pub fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// Runs `nft`.
pub fn nft(arguments: &str) -> String {
    run("nft", arguments)
}

/// Runs a program.
pub fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// All of the namespace that can be seen: links, addresses, neighbours, routes and rules.
pub fn everything() -> String {
    [
        ip("-o link"),
        ip("-o address"),
        ip("neighbour show nud permanent"),
        ip("route show table all"),
        nft("list ruleset"),
    ]
    .concat()
}

/// The guest with this number.
pub fn place(network: &Network, number: u8) -> Attachment {
    Attachment {
        tap: network.tap_name(number.into()),
        owner: None,
        mac: [0x52, 0x54, 0, 0, 0, number],
        address: Ipv4Addr::new(10, 98, 0, number),
        router: network.router(),
    }
}

/// A wire's end in the test's hands.
pub struct Wire {
    file: File,
    pub mac: [u8; 6],
    pub address: Ipv4Addr,
}

/// A UDP packet that arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Datagram {
    pub to_mac: [u8; 6],
    pub from: (Ipv4Addr, u16),
    pub to: (Ipv4Addr, u16),
    pub payload: Vec<u8>,
}

impl Wire {
    /// Opens a tap as one with these addresses.
    pub fn open(tap: &str, mac: [u8; 6], address: Ipv4Addr) -> Self {
        let start = Instant::now();
        let file = loop {
            match hostnet::open_tap(tap) {
                Ok(file) => break file.into(),
                // A program that another thread is about to start has the descriptor that made it, until it starts.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && start.elapsed() < DEADLINE => {}
                Err(error) => panic!("{tap}: {error}"),
            }
        };
        // The kernel notices a while later that somebody is there, and drops what goes there before.
        let is_ready = |link: &str| link.contains("state UP") && !link.contains("qdisc noop ");
        while !is_ready(&ip(&format!("-o link show {tap}"))) {
            assert!(start.elapsed() < DEADLINE, "{tap} does not come up");
        }
        Self { file, mac, address }
    }

    /// Attaches a guest to a network in whatever namespace, and plays it.
    pub async fn attached(network: &Network, place: &Attachment) -> Self {
        network.attach(place).await.unwrap();
        let inside = match network.namespace() {
            Some(path) => format!("--net={}", path.display()),
            None => "--no-fork".to_owned(),
        };
        let start = Instant::now();
        let file = loop {
            match network.open_tap(&place.tap).await {
                Ok(file) => break file.into(),
                Err(error) => assert!(start.elapsed() < DEADLINE, "{error:?}"),
            }
        };
        let is_ready = |link: &str| link.contains("state UP") && !link.contains("qdisc noop ");
        while !is_ready(&run("nsenter", &format!("{inside} ip -o link show {}", place.tap))) {
            assert!(start.elapsed() < DEADLINE, "{} does not come up", place.tap);
        }
        Self { file, mac: place.mac, address: place.address }
    }

    /// Its descriptor, for somebody else to play it.
    pub fn into_file(self) -> File {
        self.file
    }

    /// The same tap, by one with another address.
    pub fn open_again(other: &Self, address: Ipv4Addr) -> Self {
        Self { file: other.file.try_clone().unwrap(), mac: other.mac, address }
    }

    /// Attaches a guest and plays it.
    pub async fn guest(network: &Network, number: u8) -> Self {
        let place = place(network, number);
        network.attach(&place).await.unwrap();
        Self::open(&place.tap, place.mac, place.address)
    }

    /// Sends and sees what arrives at another first, of two payloads of which the first is not to arrive.
    pub fn sends_only(&self, to: &Self, refused: u16, allowed: u16) {
        self.send_udp(1000, (to.address, refused), b"refused");
        self.send_udp(1000, (to.address, allowed), b"allowed");
        let arrived = to.receive_udp();
        assert_eq!((arrived.to.1, &arrived.payload[..]), (allowed, &b"allowed"[..]));
    }

    /// The payload of the next UDP packet, as text.
    pub fn hears(&self) -> String {
        String::from_utf8(self.receive_udp().payload).unwrap()
    }

    /// How many UDP packets have arrived.
    pub fn count_udp(&self) -> usize {
        let mut packet = [0; 4096];
        let mut count = 0;
        loop {
            match (&self.file).read(&mut packet) {
                Ok(length) => count += usize::from(datagram(&packet[HEADER..length]).is_some()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return count,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub fn send(&self, frame: &[u8]) {
        let packet = [&[0; HEADER], frame].concat();
        assert_eq!((&self.file).write(&packet).unwrap(), packet.len());
    }

    /// Sends a UDP packet to the router, to be taken further.
    pub fn send_udp(&self, from: u16, to: (Ipv4Addr, u16), payload: &[u8]) {
        self.send(&udp(self.mac, (self.address, from), to, payload));
    }

    /// The next frame for which `read` finds something.
    pub fn receive<T>(&self, what: &str, mut read: impl FnMut(&[u8]) -> Option<T>) -> T {
        let start = Instant::now();
        let mut packet = [0; 4096];
        while start.elapsed() < DEADLINE {
            match (&self.file).read(&mut packet) {
                Ok(length) => {
                    if let Some(found) = read(&packet[HEADER..length]) {
                        return found;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut waited = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
                    poll(&mut waited, PollTimeout::try_from(DEADLINE).unwrap()).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no {what} arrived");
    }

    /// The next UDP packet of IPv4.
    pub fn receive_udp(&self) -> Datagram {
        self.receive("datagram", datagram)
    }

    /// Asks by ARP who has an address.
    pub fn ask(&self, address: Ipv4Addr) {
        let mut frame = [&[0xff; 6][..], &self.mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
        frame.extend_from_slice(&self.mac);
        frame.extend_from_slice(&self.address.octets());
        frame.extend_from_slice(&[0; 6]);
        frame.extend_from_slice(&address.octets());
        self.send(&frame);
    }

    /// Sends a UDP packet to a host whose MAC address is found by ARP.
    pub fn send_udp_on_wire(&self, from: u16, to: (Ipv4Addr, u16), payload: &[u8]) {
        self.ask(to.0);
        let mac = loop {
            let (address, mac) = self.answer();
            if address == to.0 {
                break mac;
            }
        };
        self.send_udp_by(mac, (self.address, from), to, payload);
    }

    /// Sends a UDP packet to be taken further by whom has a MAC address.
    pub fn send_udp_by(&self, by: [u8; 6], from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) {
        let mut frame = udp(self.mac, from, to, payload);
        frame[..6].copy_from_slice(&by);
        self.send(&frame);
    }

    /// The next answer to that: an address, and who has it.
    pub fn answer(&self) -> (Ipv4Addr, [u8; 6]) {
        self.receive("answer to ARP", |frame| {
            let is_answer = frame.get(12..14) == Some(&[8, 6]) && frame.get(20..22) == Some(&[0, 2]);
            let bytes = |at: std::ops::Range<usize>| frame.get(at);
            is_answer.then(|| {
                let address: [u8; 4] = bytes(28..32).unwrap().try_into().unwrap();
                (address.into(), bytes(22..28).unwrap().try_into().unwrap())
            })
        })
    }
}

/// A frame to the router with a UDP packet in it.
pub fn udp(mac: [u8; 6], from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let packet =
        PacketBuilder::ethernet2(mac, ROUTER_MAC).ipv4(from.0.octets(), to.0.octets(), 64).udp(from.1, to.1);
    let mut frame = Vec::new();
    packet.write(&mut frame, payload).unwrap();
    frame
}

/// The UDP packet in a frame, if it has one.
pub fn datagram(frame: &[u8]) -> Option<Datagram> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (&sliced.net, &sliced.transport) else {
        return None;
    };
    let header = ip.header();
    Some(Datagram {
        to_mac: frame[..6].try_into().unwrap(),
        from: (header.source_addr(), udp.source_port()),
        to: (header.destination_addr(), udp.destination_port()),
        payload: udp.payload().to_vec(),
    })
}

/// This host, on a network with a neighbour who is the way to the world.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 254];
pub const WORLD: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// Gives the host a way to the world, whose other end is the test's.
pub fn uplink() -> Wire {
    ip("tuntap add uplink mode tap vnet_hdr");
    // Addresses of IPv6 change a while later, when nobody else is found to have them.
    ip("link set uplink addrgenmode none");
    ip("address add 192.0.2.1/24 dev uplink");
    ip("link set uplink up");
    ip("neighbour add 192.0.2.254 lladdr 02:00:00:00:00:fe dev uplink nud permanent");
    ip("route add default via 192.0.2.254");
    Wire::open("uplink", GATEWAY_MAC, GATEWAY)
}

/// The MAC address of the host on that wire.
pub fn host_mac() -> [u8; 6] {
    let line = ip("-o link show uplink");
    let text = line.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    let bytes: Vec<u8> = text.split(':').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}
