//! Ethernet, IPv4 and UDP around a DHCP message (RFC 894, 791, 768): taken off a guest's request, put around an answer.
//! Knows nothing of what is in the message.

use std::net::Ipv4Addr;

use virtio_bindings::virtio_net::{VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_NONE};

use super::super::HEADER_BYTES;
use super::super::frame::{
    ETHERNET_BYTES, ETHERTYPE_IPV4, Frame, IPV4_BYTES, Ipv4, PROTOCOL_UDP, Packet, address, checksum,
    header_bytes,
};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

const UDP_BYTES: usize = 8;

/// The longest request that is looked at, with its virtio header: an Ethernet frame of the usual size. Clients send some
/// hundred bytes.
pub(super) const MAX_REQUEST_BYTES: usize = HEADER_BYTES + ETHERNET_BYTES + 1500;

/// Who sends a message to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) source_mac: [u8; 6],
    pub(super) source: Ipv4Addr,
    pub(super) destination_mac: [u8; 6],
    pub(super) destination: Ipv4Addr,
}

/// Whether a packet goes to a DHCP server, as far as its first bytes say: only the first fragment has ports.
pub(in super::super) fn is_to_server(packet: &Ipv4) -> bool {
    packet.protocol == PROTOCOL_UDP && packet.ports.is_some_and(|(_, port)| port == SERVER_PORT)
}

/// Whether it is what a client without an address sends.
pub(in super::super) fn is_from_nobody(packet: &Ipv4) -> bool {
    is_to_server(packet)
        && packet.source.is_unspecified()
        && packet.destination.is_broadcast()
        && !packet.is_fragment
        && packet.ports.is_some_and(|(port, _)| port == CLIENT_PORT)
}

/// Takes a frame with its virtio header apart. `None` if it is no whole, sound UDP packet to a DHCP server.
pub(super) fn parse(packet: &[u8]) -> Option<(Addresses, &[u8])> {
    let (header, frame) = packet.split_first_chunk::<HEADER_BYTES>()?;
    let Packet::Ipv4(view) = Frame::parse(frame)?.packet else { return None };
    if u32::from(header[1]) != VIRTIO_NET_HDR_GSO_NONE || !is_to_server(&view) || view.is_fragment {
        return None;
    }
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_BYTES>()?;
    let (fixed, _) = packet.split_first_chunk::<IPV4_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    // Behind the packet an Ethernet frame may be filled up.
    let (ip, datagram) = packet.get(..length)?.split_at_checked(header_bytes(fixed[0]))?;
    if checksum(&[ip]) != 0 {
        return None;
    }
    let (udp, _) = datagram.split_first_chunk::<UDP_BYTES>()?;
    let datagram = datagram.get(..usize::from(u16::from_be_bytes([udp[4], udp[5]])))?;
    let message = datagram.get(UDP_BYTES..)?;
    let addresses = Addresses {
        destination_mac: ethernet[..6].try_into().ok()?,
        source_mac: ethernet[6..12].try_into().ok()?,
        source: address(&fixed[12..16])?,
        destination: address(&fixed[16..20])?,
    };
    // The guest may have left the sum to its network card, which we are; 0 is for none.
    let unfinished = u32::from(header[0]) & VIRTIO_NET_HDR_F_NEEDS_CSUM != 0;
    if unfinished || udp[6..8] == [0, 0] || udp_checksum(&addresses, datagram) == 0 {
        return Some((addresses, message));
    }
    None
}

/// A frame from server to client with a virtio header that leaves nothing to be done. `None` if the message is too long
/// for a packet, which none of ours is.
pub(super) fn build(addresses: &Addresses, message: &[u8]) -> Option<Vec<u8>> {
    let udp_length = u16::try_from(UDP_BYTES + message.len()).ok()?;
    let ip_length = udp_length.checked_add(IPV4_BYTES as u16)?;
    let mut frame = Vec::with_capacity(HEADER_BYTES + ETHERNET_BYTES + usize::from(ip_length));
    frame.extend_from_slice(&[0; HEADER_BYTES]);
    frame.extend_from_slice(&addresses.destination_mac);
    frame.extend_from_slice(&addresses.source_mac);
    frame.extend_from_slice(&ETHERTYPE_IPV4);

    let ip = frame.len();
    // Version and length, no type of service.
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&ip_length.to_be_bytes());
    // No identification, not to be fragmented, 64 hops, and a checksum still to come.
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, PROTOCOL_UDP, 0, 0]);
    frame.extend_from_slice(&addresses.source.octets());
    frame.extend_from_slice(&addresses.destination.octets());
    let sum = checksum(&[&frame[ip..]]);
    frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());

    let udp = frame.len();
    frame.extend_from_slice(&SERVER_PORT.to_be_bytes());
    frame.extend_from_slice(&CLIENT_PORT.to_be_bytes());
    frame.extend_from_slice(&udp_length.to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(message);
    // A sum of 0 is sent as its other form: 0 is for none (RFC 768).
    let sum = match udp_checksum(addresses, &frame[udp..]) {
        0 => u16::MAX,
        sum => sum,
    };
    frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
    Some(frame)
}

/// The checksum over a UDP packet and its pseudo header (RFC 768); 0 if the packet has its right one.
fn udp_checksum(addresses: &Addresses, datagram: &[u8]) -> u16 {
    // Cannot be cut off: it comes out of a 16-bit field, or goes into one.
    let [.., high, low] = datagram.len().to_be_bytes();
    let tail = [0, PROTOCOL_UDP, high, low];
    checksum(&[&addresses.source.octets(), &addresses.destination.octets(), &tail, datagram])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_sound_and_all_else_refused() {
        let addresses = Addresses {
            source_mac: [2, 0, 0, 0, 0, 1],
            source: Ipv4Addr::new(10, 0, 0, 5),
            destination_mac: [0xff; 6],
            destination: Ipv4Addr::BROADCAST,
        };
        let mut packet = build(&addresses, b"an odd message").unwrap();
        // An answer goes to the client's port; a request to the server's, and the sum is the same.
        packet.swap(HEADER_BYTES + 35, HEADER_BYTES + 37);
        assert_eq!(parse(&packet), Some((addresses, &b"an odd message"[..])));
        let mut padded = packet.clone();
        padded.extend_from_slice(&[0; 9]);
        assert_eq!(parse(&padded), parse(&packet));

        for length in 0..packet.len() {
            assert_eq!(parse(&packet[..length]), None, "cut to {length}");
        }
        // The addresses of the frame are under no checksum; all else is, or has to be what it is.
        for at in HEADER_BYTES + 12..packet.len() {
            let mut changed = packet.clone();
            changed[at] ^= 0x14;
            assert_eq!(parse(&changed), None, "byte {at} changed");
        }
        let mut unfinished = packet.clone();
        unfinished[0] = 1;
        unfinished[HEADER_BYTES + 40] ^= 1;
        assert!(parse(&unfinished).is_some(), "the guest left the checksum to us");
        unfinished[1] = 5;
        assert_eq!(parse(&unfinished), None, "to be cut up");
    }
}
