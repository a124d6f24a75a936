//! The TCP that guests talk to: smoltcp's, with a socket for each connection, made when the guest asks for one. Everything
//! here happens in `step`, on whatever thread calls it, so that tests and fuzzing need no other.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketSet};
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpProtocol, Ipv4Packet, TcpPacket};

use super::connection::{self, Connection, Ends, Fate, Reset};
use super::link::Link;
use super::{MAX_METADATA_ADDRESSES, Metadata};
use crate::virtio::metrics::QueueMetrics;

/// Most connections of one network card. With their buffers they take 1 MiB.
pub(super) const MAX_CONNECTIONS: usize = 32;

/// The port of the service.
const PORT: u16 = 80;

/// Connects to the service, without waiting.
pub(super) type Connect = Box<dyn FnMut() -> io::Result<UnixStream> + Send>;

/// The service's end of all connections of one guest.
pub(super) struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    link: Link,
    connections: Vec<Connection>,
    connect: Connect,
    metadata: Arc<Metadata>,
}

impl Stack {
    pub(super) fn new(
        mut link: Link,
        addresses: &[Ipv4Addr],
        connect: Connect,
        seed: u64,
        metadata: Arc<Metadata>,
    ) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut link, Instant::ZERO);
        interface.update_ip_addrs(|own| {
            for address in addresses.iter().take(MAX_METADATA_ADDRESSES) {
                own.push(IpCidr::new(IpAddress::Ipv4(*address), 32)).expect("the stack is built for as many");
            }
        });
        // Whoever asks is at the other end of the wire; the address of the router is looked up nowhere.
        let all = interface.routes_mut().add_default_ipv4_route(Ipv4Addr::UNSPECIFIED);
        all.expect("a stack has room for a route");
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            link,
            connections: Vec::new(),
            connect,
            metadata,
        }
    }

    /// Takes packets of the guest, each with its virtio header; they are dealt with in the next step.
    pub(super) fn give(&mut self, packets: &mut VecDeque<Vec<u8>>) {
        self.link.packets.append(packets);
    }

    /// Whether all that was given has been dealt with. If not, there is no room for answers.
    pub(super) fn has_taken_all(&self) -> bool {
        self.link.packets.is_empty()
    }

    /// Does all that can be done: `now` is the time since an arbitrary moment.
    pub(super) fn step(&mut self, now: Instant) {
        self.link.is_blocked = false;
        self.interface.poll_maintenance(now);
        loop {
            let new = self.welcome(now);
            let result = self.interface.poll_ingress_single(now, &mut self.link, &mut self.sockets);
            match new {
                // The stack did not like it.
                Some(new) if self.sockets.get::<Socket<'_>>(new.handle).state() == State::Listen => {
                    self.sockets.remove(new.handle);
                }
                Some(new) => {
                    self.connections.push(new);
                    QueueMetrics::count(&self.metadata.counts.opened);
                }
                None => {}
            }
            if matches!(result, PollIngressSingleResult::None) {
                break;
            }
        }
        for connection in &mut self.connections {
            let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle);
            connection.pump(socket, now, &mut *self.connect);
        }
        // Ends: each turn sends a packet at least, and there is room for some only.
        while self.interface.poll_egress(now, &mut self.link, &mut self.sockets) != PollResult::None {}
        self.bury(now);
    }

    /// Makes a socket for a guest that asks for a connection with the next packet; or drops it, if there are too many.
    /// Drops, too, what became something else than TCP since it was first looked at.
    fn welcome(&mut self, now: Instant) -> Option<Connection> {
        loop {
            let Some(segment) = segment(self.link.next()?) else {
                self.link.packets.pop_front();
                QueueMetrics::count(&self.metadata.counts.malformed);
                continue;
            };
            let Segment { ends, asks: true } = segment else { return None };
            if self.connections.iter().any(|connection| connection.ends == ends) {
                return None;
            }
            if self.connections.len() < MAX_CONNECTIONS {
                let mut socket = connection::socket();
                // The address is one of ours, the port is not 0, and the socket new.
                socket.listen(ends.service).ok()?;
                return Some(Connection::new(ends, self.sockets.add(socket), now));
            }
            // Without an answer the guest asks again, when one of its others may have ended.
            self.link.packets.pop_front();
            QueueMetrics::count(&self.metadata.counts.too_many);
        }
    }

    /// Lets go of connections that are over.
    fn bury(&mut self, now: Instant) {
        let (sockets, is_blocked) = (&mut self.sockets, self.link.is_blocked);
        let counts = &self.metadata.counts;
        self.connections.retain(|connection| {
            let socket = sockets.get::<Socket<'_>>(connection.handle);
            if connection.fate(socket, now, is_blocked) == Fate::Lives {
                return true;
            }
            match connection.reset {
                Some(Reset::Refused) => QueueMetrics::count(&counts.refused),
                Some(Reset::TimedOut) => QueueMetrics::count(&counts.timed_out),
                Some(Reset::Broken) | None => {}
            }
            sockets.remove(connection.handle);
            false
        });
        counts.open.store(self.connections.len() as u64, Relaxed);
    }

    /// Forgets all connections and packets.
    pub(super) fn reset(&mut self) {
        self.link.packets.clear();
        for connection in self.connections.drain(..) {
            self.sockets.remove(connection.handle);
        }
        self.metadata.counts.open.store(0, Relaxed);
    }

    /// What is waited for on the service's side: each connection that may get on, and how (poll(2)).
    pub(super) fn wishes<'a>(&'a self, mut wish: impl FnMut(&'a UnixStream, i16)) {
        for connection in &self.connections {
            if let Some((stream, events)) = connection.wish(self.sockets.get(connection.handle)) {
                wish(stream, events);
            }
        }
    }

    /// How long nothing has to be done, if nothing happens. `None`: for ever.
    pub(super) fn patience(&mut self, now: Instant) -> Option<Duration> {
        // While there is no room nothing can be sent, however late it is.
        let stack = if self.link.is_blocked { None } else { self.interface.poll_at(now, &self.sockets) };
        let deadlines = self.connections.iter().map(Connection::deadline);
        let next = deadlines.chain(stack).min()?;
        Some(if next > now { next - now } else { Duration::ZERO })
    }
}

/// A TCP segment, as far as it matters before the stack has seen it.
struct Segment {
    ends: Ends,
    /// It asks for a connection to the service.
    asks: bool,
}

/// Reads an IP packet with smoltcp's views, which check lengths. `None` if it is no TCP.
fn segment(packet: &[u8]) -> Option<Segment> {
    let ip = Ipv4Packet::new_checked(packet).ok()?;
    if ip.version() != 4 || ip.next_header() != IpProtocol::Tcp {
        return None;
    }
    let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
    let is_first = tcp.syn() && !tcp.ack() && !tcp.rst() && !tcp.fin();
    let ends = Ends {
        guest: IpEndpoint::new(IpAddress::Ipv4(ip.src_addr()), tcp.src_port()),
        service: IpEndpoint::new(IpAddress::Ipv4(ip.dst_addr()), tcp.dst_port()),
    };
    Some(Segment { ends, asks: is_first && tcp.dst_port() == PORT })
}
