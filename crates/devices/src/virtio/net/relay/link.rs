//! The wire between the stack and the guest, as smoltcp wants it: IP packets. The Ethernet around them is ours, and so is
//! the TTL, which may change under a connection. There is only one neighbour, so there is nothing to be learned by ARP.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use super::super::HEADER_BYTES;
use super::super::answers::Answers;
use super::super::frame::{ETHERNET_BYTES, ETHERTYPE_IPV4, IPV4_BYTES, SERVICE_MAC, checksum};
use super::Metadata;

/// Bytes before an IP packet.
const BEFORE_BYTES: usize = HEADER_BYTES + ETHERNET_BYTES;

/// Where the TTL and the checksum are in an IPv4 header.
const TTL: usize = 8;
const CHECKSUM: usize = 10;

pub(super) struct Link {
    mac: [u8; 6],
    mtu: usize,
    answers: Arc<Answers>,
    metadata: Arc<Metadata>,
    /// The guest's packets with their virtio headers, which the stack has not seen yet.
    pub(super) packets: VecDeque<Vec<u8>>,
    /// The stack had something to say, and there was no room for it.
    pub(super) is_blocked: bool,
}

impl Link {
    pub(super) fn new(mac: [u8; 6], mtu: usize, answers: Arc<Answers>, metadata: Arc<Metadata>) -> Self {
        Self { mac, mtu, answers, metadata, packets: VecDeque::new(), is_blocked: false }
    }

    /// The IP packet that the stack sees next, if it can be answered.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if self.packets.is_empty() || !self.has_room() {
            return None;
        }
        self.packets.front().map(|packet| packet.get(BEFORE_BYTES..).unwrap_or_default())
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.answers.has_room();
        self.is_blocked |= !has_room;
        has_room
    }

    fn token(&self) -> Token<'_> {
        Token { link: self }
    }
}

impl Device for Link {
    type RxToken<'a> = Received;
    type TxToken<'a> = Token<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Token<'_>)> {
        // Also what the answer to it needs.
        self.next()?;
        let packet = self.packets.pop_front()?;
        Some((Received(packet), self.token()))
    }

    fn transmit(&mut self, _: Instant) -> Option<Token<'_>> {
        self.has_room().then(|| self.token())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // The guest may have left the sum of its TCP to its network card, which we are.
        capabilities.checksum.tcp = Checksum::Tx;
        // Written after the TTL, below.
        capabilities.checksum.ipv4 = Checksum::Rx;
        capabilities
    }
}

/// A packet of the guest.
pub(super) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0.get(BEFORE_BYTES..).unwrap_or_default())
    }
}

/// The right to send one packet to the guest.
pub(super) struct Token<'a> {
    link: &'a Link,
}

impl TxToken for Token<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; BEFORE_BYTES + length];
        let (before, packet) = frame.split_at_mut(BEFORE_BYTES);
        let result = f(packet);
        // The virtio header stays zero: nothing is left to be done.
        before[HEADER_BYTES..][..6].copy_from_slice(&self.link.mac);
        before[HEADER_BYTES + 6..][..6].copy_from_slice(&SERVICE_MAC);
        before[HEADER_BYTES + 12..].copy_from_slice(&ETHERTYPE_IPV4);
        if let Some(header) = packet.first_chunk_mut::<IPV4_BYTES>() {
            header[TTL] = self.link.metadata.hop_limit.load(Relaxed);
            header[CHECKSUM..][..2].fill(0);
            let sum = checksum(&[&header[..]]);
            header[CHECKSUM..][..2].copy_from_slice(&sum.to_be_bytes());
        }
        self.link.answers.push_relayed(frame);
        result
    }
}
