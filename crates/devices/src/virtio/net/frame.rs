//! The beginning of a guest's packet, as far as it decides where the packet goes: copied once (`Head`), since the guest
//! may change its memory at any time, and read into a plain value (`Packet`). And what frames of ours are made with.
//!
//! Called by `services` for each packet that a guest with services sends, so nothing here allocates.

use std::net::Ipv4Addr;

use super::HEADER_BYTES;

pub(super) const ETHERNET_BYTES: usize = 14;
pub(super) const IPV4_BYTES: usize = 20;

/// Longest IPv4 header, with all options.
const MAX_IPV4_BYTES: usize = 60;
/// What is looked at behind it: the ports.
const PORTS_BYTES: usize = 4;
/// An ARP message about IPv4 over Ethernet (RFC 826).
const ARP_BYTES: usize = 28;

/// Bytes of a packet that are copied, its virtio header among them.
pub(super) const HEAD_BYTES: usize = HEADER_BYTES + ETHERNET_BYTES + MAX_IPV4_BYTES + PORTS_BYTES;

pub(super) const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
pub(super) const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];

pub(super) const PROTOCOL_TCP: u8 = 6;
pub(super) const PROTOCOL_UDP: u8 = 17;

const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;

/// Where what we say ourselves comes from on the wire when the guest does not know better: a locally administered address
/// ("bothy"), the one that our host networking gives the router.
pub(super) const SERVICE_MAC: [u8; 6] = [0x02, 0x62, 0x6f, 0x74, 0x68, 0x79];

/// A frame of the guest, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) source_mac: [u8; 6],
    pub(super) packet: Packet,
}

/// What is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Ipv4(Ipv4),
    Arp(Arp),
    Ipv6,
    /// Of another protocol, which may be a VLAN tag.
    Other,
    /// Says that it is IPv4 or ARP, and is too short for it or contradicts itself.
    Malformed,
}

/// An IPv4 packet, or a fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ipv4 {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) protocol: u8,
    /// Other fragments come before or after it.
    pub(super) is_fragment: bool,
    /// Source and destination port, if it is TCP or UDP and they are in it: not in later fragments.
    pub(super) ports: Option<(u16, u16)>,
}

/// An ARP message about IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arp {
    pub(super) is_request: bool,
    pub(super) sender_mac: [u8; 6],
    pub(super) sender: Ipv4Addr,
    pub(super) target: Ipv4Addr,
}

impl Frame {
    /// Reads the first bytes of a frame, which need not be all of it. `None` if it is no Ethernet frame.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let (ethernet, content) = frame.split_first_chunk::<ETHERNET_BYTES>()?;
        let [_, _, _, _, _, _, a, b, c, d, e, f, kind @ ..] = *ethernet;
        let packet = match kind {
            ETHERTYPE_IPV4 => ipv4(content).map_or(Packet::Malformed, Packet::Ipv4),
            ETHERTYPE_ARP => arp(content).map_or(Packet::Malformed, Packet::Arp),
            ETHERTYPE_IPV6 => Packet::Ipv6,
            _ => Packet::Other,
        };
        Some(Self { source_mac: [a, b, c, d, e, f], packet })
    }
}

fn ipv4(packet: &[u8]) -> Option<Ipv4> {
    let (fixed, _) = packet.split_first_chunk::<IPV4_BYTES>()?;
    let header_bytes = header_bytes(fixed[0]);
    if fixed[0] >> 4 != 4 || header_bytes < IPV4_BYTES {
        return None;
    }
    // Without the flag that forbids fragments: more of them follow, or this one is not the first.
    let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff;
    let is_first = fragment & 0x1fff == 0;
    let protocol = fixed[9];
    let has_ports = is_first && matches!(protocol, PROTOCOL_TCP | PROTOCOL_UDP);
    let ports = packet.get(header_bytes..).and_then(<[u8]>::first_chunk::<PORTS_BYTES>);
    Some(Ipv4 {
        source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
        destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
        protocol,
        is_fragment: fragment != 0,
        ports: ports
            .filter(|_| has_ports)
            .map(|&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
    })
}

fn arp(message: &[u8]) -> Option<Arp> {
    let (fixed, _) = message.split_first_chunk::<ARP_BYTES>()?;
    // Hardware Ethernet with 6 bytes, protocol IPv4 with 4.
    let [0, 1, 8, 0, 6, 4, high, low, ..] = *fixed else { return None };
    let operation = u16::from_be_bytes([high, low]);
    if !matches!(operation, ARP_REQUEST | ARP_REPLY) {
        return None;
    }
    Some(Arp {
        is_request: operation == ARP_REQUEST,
        sender_mac: *fixed[8..].first_chunk()?,
        sender: address(&fixed[14..])?,
        target: address(&fixed[24..])?,
    })
}

/// The address that `bytes` begin with.
pub(super) fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    bytes.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
}

/// Length of an IPv4 header by its first byte.
pub(super) fn header_bytes(version_and_length: u8) -> usize {
    usize::from(version_and_length & 0xf) * 4
}

/// The frame, with a virtio header that leaves nothing to be done, that says that the target of `request` is us.
pub(super) fn arp_reply(request: &Arp, to: [u8; 6]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + ETHERNET_BYTES + ARP_BYTES);
    frame.extend_from_slice(&[0; HEADER_BYTES]);
    frame.extend_from_slice(&to);
    frame.extend_from_slice(&SERVICE_MAC);
    frame.extend_from_slice(&ETHERTYPE_ARP);
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4]);
    frame.extend_from_slice(&ARP_REPLY.to_be_bytes());
    frame.extend_from_slice(&SERVICE_MAC);
    frame.extend_from_slice(&request.target.octets());
    frame.extend_from_slice(&request.sender_mac);
    frame.extend_from_slice(&request.sender.octets());
    frame
}

/// The Internet checksum (RFC 1071) over parts, of which only the last may have an odd length.
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};

    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
    const HERE: [u8; 4] = [10, 0, 0, 5];
    const THERE: [u8; 4] = [169, 254, 169, 254];

    fn packet(frame: &[u8]) -> Packet {
        let frame = Frame::parse(frame).unwrap();
        assert_eq!(frame.source_mac, MAC);
        frame.packet
    }

    #[test]
    fn checksums_of_the_book() {
        // The example of RFC 1071, 3.
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(checksum(&[&[0x00, 0x01], &[0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(checksum(&[&[0x12]]), !0x1200);
    }

    #[test]
    fn ipv4_with_and_without_options_and_ports() {
        for options in [0, 4, 40] {
            let mut header =
                etherparse::Ipv4Header::new(8, 64, etherparse::IpNumber::TCP, HERE, THERE).unwrap();
            header.options = vec![1u8; options].as_slice().try_into().unwrap();
            let mut frame = [&[0xff; 6][..], &MAC, &[8, 0]].concat();
            header.write(&mut frame).unwrap();
            frame.extend_from_slice(&[0x12, 0x34, 0, 80, 0, 0, 0, 0]);
            let expected = Ipv4 {
                source: HERE.into(),
                destination: THERE.into(),
                protocol: PROTOCOL_TCP,
                is_fragment: false,
                ports: Some((0x1234, 80)),
            };
            assert_eq!(packet(&frame[..frame.len().min(HEAD_BYTES - HEADER_BYTES)]), Packet::Ipv4(expected));
            assert_eq!(packet(&frame[..34 + options + 3]), Packet::Ipv4(Ipv4 { ports: None, ..expected }));
            let changed = |at: usize, byte: u8| {
                let mut frame = frame.clone();
                frame[at] = byte;
                packet(&frame)
            };
            assert_eq!(changed(14, 0x65), Packet::Malformed, "another version");
            assert_eq!(changed(14, 0x44), Packet::Malformed, "a header shorter than any");
            assert_eq!(changed(20, 0x40), Packet::Ipv4(expected), "not to be fragmented");
            assert_eq!(changed(20, 0x20), Packet::Ipv4(Ipv4 { is_fragment: true, ..expected }));
            let later = Ipv4 { is_fragment: true, ports: None, ..expected };
            assert_eq!(changed(21, 1), Packet::Ipv4(later));
            assert_eq!(changed(23, 1), Packet::Ipv4(Ipv4 { protocol: 1, ports: None, ..expected }));
            for length in 14..34 {
                assert_eq!(packet(&frame[..length]), Packet::Malformed);
            }
        }
        for length in 0..14 {
            assert_eq!(Frame::parse(&[0; 14][..length]), None);
        }
    }

    #[test]
    fn arp_is_of_one_kind_only() {
        let message = ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            ArpOperation::REQUEST,
            &MAC,
            &HERE,
            &[0; 6],
            &THERE,
        )
        .unwrap();
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(MAC, [0xff; 6]).arp(message).write(&mut frame).unwrap();
        let request = Arp { is_request: true, sender_mac: MAC, sender: HERE.into(), target: THERE.into() };
        assert_eq!(packet(&frame), Packet::Arp(request));
        for at in (14..20).chain([20, 21]) {
            let mut changed = frame.clone();
            changed[at] ^= 0x40;
            assert_eq!(packet(&changed), Packet::Malformed, "byte {at}");
        }
        for length in 14..42 {
            assert_eq!(packet(&frame[..length]), Packet::Malformed);
        }
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        assert_eq!(packet(&frame), Packet::Ipv6);
        frame[12..14].copy_from_slice(&[0x81, 0]);
        assert_eq!(packet(&frame), Packet::Other);

        let reply = arp_reply(&request, MAC);
        assert_eq!(reply[..HEADER_BYTES], [0; HEADER_BYTES]);
        let sliced = etherparse::SlicedPacket::from_ethernet(&reply[HEADER_BYTES..]).unwrap();
        let Some(etherparse::NetSlice::Arp(reply)) = sliced.net else { panic!("no ARP") };
        assert_eq!(reply.operation(), ArpOperation::REPLY);
        assert_eq!((reply.sender_hw_addr(), reply.sender_protocol_addr()), (&SERVICE_MAC[..], &THERE[..]));
        assert_eq!((reply.target_hw_addr(), reply.target_protocol_addr()), (&MAC[..], &HERE[..]));
    }
}
