//! Whether a guest speaks in its own name: source addresses of Ethernet, IPv4 and ARP against what the network card was
//! given. Asked by `services` on the transmitting worker, before anything reaches the tap; what is refused is dropped and
//! counted. Looks at no destination and no port: that is for the host's rules.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ipnet::Ipv4Net;

use super::dhcp;
use super::frame::{Frame, Packet};

/// Whose packets a guest may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardConfig {
    /// Its addresses, and networks behind it.
    pub addresses: Vec<Ipv4Net>,
    /// IPv6 may pass, from whatever address.
    pub ipv6: bool,
}

/// Packets that were dropped, by why.
#[derive(Debug, Default)]
pub struct GuardCounts {
    /// From another MAC address.
    pub mac: AtomicU64,
    /// From another IPv4 address.
    pub ipv4: AtomicU64,
    /// ARP in the name of another address.
    pub arp: AtomicU64,
    /// IPv6 where it may not pass.
    pub ipv6: AtomicU64,
    /// Neither IPv4 nor ARP nor IPv6, as a frame with a VLAN tag.
    pub other: AtomicU64,
    /// Too short for what it says to be, or contradicting itself.
    pub malformed: AtomicU64,
}

/// Why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Mac,
    Ipv4,
    Arp,
    Ipv6,
    Other,
    Malformed,
}

pub(super) struct Guard {
    mac: [u8; 6],
    /// Addresses with their masks, as numbers.
    networks: Vec<(u32, u32)>,
    ipv6: bool,
    counts: Arc<GuardCounts>,
}

impl Guard {
    pub(super) fn new(config: &GuardConfig, mac: [u8; 6], counts: Arc<GuardCounts>) -> Self {
        let networks = config.addresses.iter();
        let networks = networks.map(|network| (network.network().into(), network.netmask().into())).collect();
        Self { mac, networks, ipv6: config.ipv6, counts }
    }

    /// Whether a frame comes from this card. All that the guest sends has to, whoever it is for.
    pub(super) fn check_frame(&self, frame: &Frame) -> Result<(), Refusal> {
        if frame.source_mac == self.mac { Ok(()) } else { Err(Refusal::Mac) }
    }

    /// Whether what is in it may go to the network.
    pub(super) fn check_packet(&self, packet: &Packet) -> Result<(), Refusal> {
        let fine = |is_fine, refusal| if is_fine { Ok(()) } else { Err(refusal) };
        match packet {
            Packet::Ipv4(ip) => fine(self.is_own(ip.source) || dhcp::is_from_nobody(ip), Refusal::Ipv4),
            // A probe names no sender, so that nobody learns anything from it (RFC 5227).
            Packet::Arp(arp) => fine(
                arp.sender_mac == self.mac
                    && (self.is_own(arp.sender) || arp.is_request && arp.sender.is_unspecified()),
                Refusal::Arp,
            ),
            Packet::Ipv6 => fine(self.ipv6, Refusal::Ipv6),
            Packet::Other => Err(Refusal::Other),
            Packet::Malformed => Err(Refusal::Malformed),
        }
    }

    fn is_own(&self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        self.networks.iter().any(|(network, mask)| address & mask == *network)
    }

    /// Counts a refusal, and logs the first of its kind, the second, the fourth and so on: a guest that goes on and on
    /// fills no log.
    pub(super) fn refuse(&self, refusal: Refusal, frame: Option<&Frame>) {
        let (counter, what) = match refusal {
            Refusal::Mac => (&self.counts.mac, "from another MAC address"),
            Refusal::Ipv4 => (&self.counts.ipv4, "from another IPv4 address"),
            Refusal::Arp => (&self.counts.arp, "of ARP in another's name"),
            Refusal::Ipv6 => (&self.counts.ipv6, "of IPv6"),
            Refusal::Other => (&self.counts.other, "of other protocols"),
            Refusal::Malformed => (&self.counts.malformed, "that are malformed"),
        };
        let count = counter.fetch_add(1, Relaxed) + 1;
        if count.is_power_of_two() {
            log::warn!("dropped {count} packets of the guest {what}, the last one: {frame:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Arp, Ipv4};
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
    const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 6);
    const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

    fn guard(ipv6: bool) -> Guard {
        let addresses = ["10.0.0.5/32", "172.16.4.77/30"].map(|network| network.parse().unwrap()).to_vec();
        Guard::new(&GuardConfig { addresses, ipv6 }, MAC, Arc::default())
    }

    fn udp(source: Ipv4Addr, destination: Ipv4Addr, ports: (u16, u16)) -> Packet {
        Packet::Ipv4(Ipv4 { source, destination, protocol: 17, is_fragment: false, ports: Some(ports) })
    }

    fn arp(is_request: bool, sender_mac: [u8; 6], sender: Ipv4Addr) -> Packet {
        Packet::Arp(Arp { is_request, sender_mac, sender, target: OTHER })
    }

    #[test]
    fn who_may_send_what() {
        let all = Ipv4Addr::BROADCAST;
        let other_mac = [2, 0, 0, 0, 0, 6];
        for (packet, expected) in [
            (udp(OWN, OTHER, (1, 2)), Ok(())),
            (udp(OTHER, OWN, (1, 2)), Err(Refusal::Ipv4)),
            (udp(Ipv4Addr::new(172, 16, 4, 76), OTHER, (1, 2)), Ok(())),
            (udp(Ipv4Addr::new(172, 16, 4, 79), OTHER, (1, 2)), Ok(())),
            (udp(Ipv4Addr::new(172, 16, 4, 80), OTHER, (1, 2)), Err(Refusal::Ipv4)),
            (udp(NOBODY, all, (68, 67)), Ok(())),
            (udp(NOBODY, OTHER, (68, 67)), Err(Refusal::Ipv4)),
            (udp(NOBODY, all, (67, 68)), Err(Refusal::Ipv4)),
            (udp(NOBODY, all, (53, 67)), Err(Refusal::Ipv4)),
            (arp(true, MAC, OWN), Ok(())),
            (arp(false, MAC, OWN), Ok(())),
            (arp(true, MAC, NOBODY), Ok(())),
            (arp(false, MAC, NOBODY), Err(Refusal::Arp)),
            (arp(true, MAC, OTHER), Err(Refusal::Arp)),
            (arp(true, other_mac, OWN), Err(Refusal::Arp)),
            (Packet::Ipv6, Err(Refusal::Ipv6)),
            (Packet::Other, Err(Refusal::Other)),
            (Packet::Malformed, Err(Refusal::Malformed)),
        ] {
            assert_eq!(guard(false).check_packet(&packet), expected, "{packet:?}");
        }
        assert_eq!(guard(true).check_packet(&Packet::Ipv6), Ok(()));
        let frame = |source_mac| Frame { source_mac, packet: Packet::Ipv6 };
        assert_eq!(guard(false).check_frame(&frame(MAC)), Ok(()));
        assert_eq!(guard(false).check_frame(&frame(other_mac)), Err(Refusal::Mac));
    }

    #[test]
    fn each_refusal_has_its_counter() {
        let guard = guard(false);
        for (times, refusal) in
            [Refusal::Mac, Refusal::Ipv4, Refusal::Arp, Refusal::Ipv6, Refusal::Other, Refusal::Malformed]
                .into_iter()
                .enumerate()
        {
            for _ in 0..times {
                guard.refuse(refusal, None);
            }
        }
        let counts = &guard.counts;
        let counted =
            [&counts.mac, &counts.ipv4, &counts.arp, &counts.ipv6, &counts.other, &counts.malformed];
        assert_eq!(counted.map(|counter| counter.load(Relaxed)), [0, 1, 2, 3, 4, 5]);
    }
}
