//! What a network card does for its guest, and what it does not let pass: decided for each packet on its way to the tap,
//! on the transmitting worker, by its first bytes. Guard first (`guard`), then DHCP (`dhcp`), ARP for and TCP to the
//! metadata service (`relay`); all else goes on.
//!
//! The first bytes are copied once, and what goes to the tap begins with that copy: a guest that changes its packet
//! meanwhile sends what was looked at all the same.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use super::HEADER_BYTES;
use super::answers::Answers;
use super::dhcp::{self, DhcpConfig, DhcpCounts, DhcpServer};
use super::frame::{Frame, HEAD_BYTES, Ipv4, PROTOCOL_TCP, Packet, arp_reply};
use super::guard::{Guard, GuardConfig, GuardCounts, Refusal};
use super::relay::{Metadata, MetadataConfig, MetadataCounts, Relay};
use crate::virtio::metrics::QueueMetrics;
use crate::virtio::queue::Chain;

/// The longest IP packet that the relay sends, where the guest was not told of a shorter one.
const USUAL_MTU: u16 = 1500;

/// What a card was told to do.
#[derive(Clone, Debug, Default)]
pub struct ServiceConfig {
    /// The lease that the guest gets when it asks by DHCP; without, its requests go to the tap like all else.
    pub dhcp: Option<DhcpConfig>,
    /// The metadata service; without, its addresses are like all others.
    pub metadata: Option<MetadataConfig>,
    /// Whose packets the guest may send; without, anybody's.
    pub guard: Option<GuardConfig>,
}

impl ServiceConfig {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.dhcp.is_none() && self.metadata.is_none() && self.guard.is_none()
    }
}

/// What is counted of a card's services, and what may be changed of them while it runs. `None` for those it has not.
#[derive(Clone, Debug, Default)]
pub struct ServiceHandles {
    /// Of its DHCP server.
    pub dhcp: Option<Arc<DhcpCounts>>,
    /// Of its metadata service.
    pub metadata: Option<Arc<Metadata>>,
    /// Of its guard.
    pub guard: Option<Arc<GuardCounts>>,
}

/// The services of a card, over the lives of its queues.
pub(super) struct Services {
    config: ServiceConfig,
    mac: [u8; 6],
    mtu: usize,
    pub(super) answers: Arc<Answers>,
    pub(super) handles: ServiceHandles,
    relay: Option<Arc<Relay>>,
}

impl Services {
    /// `None` if there are none.
    pub(super) fn new(
        config: ServiceConfig,
        mac: [u8; 6],
        mtu: Option<u16>,
    ) -> std::io::Result<Option<Self>> {
        if config.is_empty() {
            return Ok(None);
        }
        let handles = ServiceHandles {
            dhcp: config.dhcp.as_ref().map(|_| Arc::default()),
            metadata: config.metadata.as_ref().map(|metadata| {
                let hop_limit = AtomicU8::new(metadata.hop_limit);
                Arc::new(Metadata { hop_limit, counts: MetadataCounts::default() })
            }),
            guard: config.guard.as_ref().map(|_| Arc::default()),
        };
        let told = config.dhcp.as_ref().and_then(|dhcp| dhcp.mtu);
        let mtu = [mtu, told].into_iter().flatten().fold(USUAL_MTU, u16::min).into();
        Ok(Some(Self { config, mac, mtu, answers: Arc::new(Answers::new()?), handles, relay: None }))
    }

    /// Forgets what was for an earlier driver.
    pub(super) fn reset(&self) {
        if let Some(relay) = &self.relay {
            relay.reset();
        }
        self.answers.clear();
    }

    /// What the transmitting worker asks. `name` is its own, as in `net0-tx`.
    pub(super) fn gate(&mut self, name: &str) -> std::io::Result<Gate> {
        let guard = self.config.guard.as_ref().zip(self.handles.guard.as_ref());
        let dhcp = self.config.dhcp.as_ref().zip(self.handles.dhcp.as_ref());
        let mut metadata = None;
        if let Some((config, handle)) = self.config.metadata.as_ref().zip(self.handles.metadata.as_ref()) {
            let relay = match &self.relay {
                Some(relay) => Arc::clone(relay),
                None => {
                    let name = format!("{}-md", name.trim_end_matches("-tx"));
                    let answers = Arc::clone(&self.answers);
                    let handle = Arc::clone(handle);
                    let relay = Relay::start(&name, config, self.mac, self.mtu, answers, handle)?;
                    Arc::clone(self.relay.insert(Arc::new(relay)))
                }
            };
            let addresses = config.addresses.clone();
            metadata = Some(MetadataGate { addresses, relay, metadata: Arc::clone(handle) });
        }
        Ok(Gate {
            mac: self.mac,
            guard: guard.map(|(config, counts)| Guard::new(config, self.mac, Arc::clone(counts))),
            dhcp: dhcp.map(|(config, counts)| {
                let (answers, counts) = (Arc::clone(&self.answers), Arc::clone(counts));
                DhcpServer::new(Arc::new(config.clone()), self.mac, answers, counts)
            }),
            metadata,
            answers: Arc::clone(&self.answers),
            head: [0; HEAD_BYTES],
            iovecs: Vec::new(),
        })
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the tap: what `Gate::pass` gives.
    Out,
    /// To one of the services, which has taken it.
    In,
    /// Nowhere.
    Nowhere,
}

/// What the transmitting worker has of the services.
pub(super) struct Gate {
    mac: [u8; 6],
    guard: Option<Guard>,
    dhcp: Option<DhcpServer>,
    metadata: Option<MetadataGate>,
    answers: Arc<Answers>,
    /// The first bytes of the packet that is looked at.
    head: [u8; HEAD_BYTES],
    /// The same, and what comes after them.
    iovecs: Vec<libc::iovec>,
}

struct MetadataGate {
    addresses: Vec<Ipv4Addr>,
    relay: Arc<Relay>,
    metadata: Arc<Metadata>,
}

// SAFETY: `iovecs` holds pointers, but is filled and used for one packet only, on one thread.
unsafe impl Send for Gate {}

impl Gate {
    /// Decides where a packet with its virtio header goes, and gives it to the service that it is for.
    pub(super) fn look(&mut self, chain: &mut Chain) -> Way {
        let length = chain.peek(&mut self.head);
        let frame = self.head[..length].get(HEADER_BYTES..).and_then(Frame::parse);
        if let Some(guard) = &self.guard
            && let Err(refusal) =
                frame.as_ref().ok_or(Refusal::Malformed).and_then(|frame| guard.check_frame(frame))
        {
            guard.refuse(refusal, frame.as_ref());
            return Way::Nowhere;
        }
        let Some(frame) = frame else { return self.go_out(chain, length) };
        match &frame.packet {
            Packet::Ipv4(ip) => {
                if let Some(dhcp) = &mut self.dhcp
                    && dhcp::is_to_server(ip)
                {
                    dhcp.serve(chain);
                    return Way::In;
                }
                if let Some(metadata) = &self.metadata
                    && metadata.addresses.contains(&ip.destination)
                {
                    return metadata.take(ip, chain);
                }
            }
            Packet::Arp(arp) => {
                // A guest that says that such an address is its own is not contradicted, and not heard either.
                if let Some(metadata) = &self.metadata
                    && (metadata.addresses.contains(&arp.target) || metadata.addresses.contains(&arp.sender))
                {
                    if arp.is_request && arp.sender != arp.target {
                        QueueMetrics::count(&metadata.metadata.counts.arp);
                        self.answers.push(arp_reply(arp, self.mac));
                    }
                    return Way::In;
                }
            }
            Packet::Ipv6 | Packet::Other | Packet::Malformed => {}
        }
        if let Some(guard) = &self.guard
            && let Err(refusal) = guard.check_packet(&frame.packet)
        {
            guard.refuse(refusal, Some(&frame));
            return Way::Nowhere;
        }
        self.go_out(chain, length)
    }

    /// Puts the copy of the first bytes before the rest.
    fn go_out(&mut self, chain: &mut Chain, length: usize) -> Way {
        chain.consume_readable(length as u64);
        self.iovecs.clear();
        self.iovecs.push(libc::iovec { iov_base: self.head.as_mut_ptr().cast(), iov_len: length });
        self.iovecs.extend_from_slice(chain.readable());
        Way::Out
    }

    /// The packet that was just looked at, whose way is `Out`, with its virtio header.
    pub(super) fn packet(&self) -> &[libc::iovec] {
        &self.iovecs
    }
}

impl MetadataGate {
    fn take(&self, ip: &Ipv4, chain: &mut Chain) -> Way {
        let counts = &self.metadata.counts;
        if ip.protocol != PROTOCOL_TCP {
            QueueMetrics::count(&counts.not_tcp);
        } else if ip.is_fragment {
            QueueMetrics::count(&counts.malformed);
        } else {
            self.relay.push(chain, counts);
        }
        Way::In
    }
}
