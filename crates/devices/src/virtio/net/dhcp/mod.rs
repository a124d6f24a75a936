//! The DHCP server of one network card (RFC 2131), for the one guest behind it. Called by `services` on the
//! transmitting worker for packets to port 67, which go no further; its answers reach the guest through `Answers`.
//!
//! `frame` knows Ethernet, IPv4 and UDP, `lease` the protocol. Answers no DHCPv6, and keeps no leases.

mod frame;
mod lease;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ipnet::Ipv4Net;

use self::frame::MAX_REQUEST_BYTES;
pub(super) use self::frame::{is_from_nobody, is_to_server};
use self::lease::Outcome;
use super::answers::Answers;
use crate::virtio::queue::Chain;

/// The lease of a network card. Checked by whoever makes it: names must be short enough for an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpConfig {
    /// The guest's address.
    pub address: Ipv4Addr,
    /// Bits of the subnet's mask, 1 to 32.
    pub prefix_len: u8,
    /// The router, under whose address the server answers.
    pub router: Ipv4Addr,
    /// Name servers, at most 8.
    pub dns: Vec<Ipv4Addr>,
    /// Time servers, at most 8. Left out for clients that take only the shortest messages.
    pub ntp: Vec<Ipv4Addr>,
    /// The guest's name, at most 63 bytes.
    pub host_name: Option<String>,
    /// Its domain, at most 253 bytes. Left out for clients that take only the shortest messages.
    pub domain: Option<String>,
    /// The MTU, in bytes.
    pub mtu: Option<u16>,
    /// How long a lease lasts, in seconds.
    pub lease_seconds: u32,
    /// Routes besides the one to the router, with their next hops, at most 8: 0.0.0.0 for one on the link itself.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
}

impl DhcpConfig {
    fn mask(&self) -> Ipv4Addr {
        let host_bits = 32 - u32::from(self.prefix_len.min(32));
        Ipv4Addr::from(u32::MAX.checked_shl(host_bits).unwrap_or(0))
    }

    fn subnet_broadcast(&self) -> Ipv4Addr {
        self.address | !self.mask()
    }
}

/// What became of the guest's DHCP messages. None of them reached the tap.
#[derive(Debug, Default)]
pub struct DhcpCounts {
    /// OFFERs and ACKs.
    pub answered: AtomicU64,
    /// NAKs: the guest asked for an address that is not its own.
    pub refused: AtomicU64,
    /// Messages that want no answer, or none of ours.
    pub ignored: AtomicU64,
    /// Messages that say that another machine has the guest's address.
    pub declined: AtomicU64,
    /// Packets to port 67 that are no DHCP messages.
    pub malformed: AtomicU64,
    /// Answers that the guest was too slow to take.
    pub dropped: AtomicU64,
}

/// What the transmitting worker has of the server.
pub(super) struct DhcpServer {
    config: Arc<DhcpConfig>,
    mac: [u8; 6],
    answers: Arc<Answers>,
    counts: Arc<DhcpCounts>,
    /// Room for one request, off the worker's small stack.
    request: Box<[u8; MAX_REQUEST_BYTES]>,
}

impl DhcpServer {
    pub(super) fn new(
        config: Arc<DhcpConfig>,
        mac: [u8; 6],
        answers: Arc<Answers>,
        counts: Arc<DhcpCounts>,
    ) -> Self {
        Self { config, mac, answers, counts, request: Box::new([0; MAX_REQUEST_BYTES]) }
    }

    /// Serves a packet that `is_to_server`, or was when it was looked at: the guest may have changed it since.
    pub(super) fn serve(&mut self, chain: &mut Chain) {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Relaxed);
        let length = usize::try_from(chain.readable_len()).unwrap_or(usize::MAX);
        let Some(request) = self.request.get_mut(..length) else {
            count(&self.counts.malformed);
            return;
        };
        chain.read(request);
        let (outcome, answer) = answer(&self.config, self.mac, request);
        match outcome {
            Counted::Answered => count(&self.counts.answered),
            Counted::Refused => count(&self.counts.refused),
            Counted::Ignored => count(&self.counts.ignored),
            Counted::Malformed => count(&self.counts.malformed),
            Counted::Declined => {
                if count(&self.counts.declined) == 0 {
                    log::warn!("the guest says that another machine has its address {}", self.config.address);
                }
                0
            }
        };
        if let Some(frame) = answer
            && !self.answers.push(frame)
        {
            count(&self.counts.dropped);
        }
    }
}

/// Under what a message is counted.
enum Counted {
    Answered,
    Refused,
    Ignored,
    Malformed,
    Declined,
}

/// A packet of the guest with its virtio header, which may be anything, and the frame it gets back.
fn answer(config: &DhcpConfig, mac: [u8; 6], packet: &[u8]) -> (Counted, Option<Vec<u8>>) {
    let Some((addresses, message)) = frame::parse(packet) else { return (Counted::Malformed, None) };
    match lease::answer(config, mac, &addresses, message) {
        Outcome::Answer(to, message) => (Counted::Answered, frame::build(&to, &message)),
        Outcome::Refusal(to, message) => (Counted::Refused, frame::build(&to, &message)),
        Outcome::Nothing => (Counted::Ignored, None),
        Outcome::Declined => (Counted::Declined, None),
        Outcome::Malformed => (Counted::Malformed, None),
    }
}

/// The frame that answers a packet, with virtio headers both. For fuzzing.
#[doc(hidden)]
pub fn dhcp_answer(config: &DhcpConfig, mac: [u8; 6], packet: &[u8]) -> Option<Vec<u8>> {
    answer(config, mac, packet).1
}
