//! UDP with the address that was asked: a socket for all routers of a VPC has to answer as the router that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A socket that tells to which address a datagram is (IP_PKTINFO).
pub struct Datagrams(UdpSocket);

/// Between whom a datagram is.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The guest.
    pub from: SocketAddrV4,
    /// The router's address.
    pub to: Ipv4Addr,
}

impl Datagrams {
    /// On a socket that does not block and has IP_PKTINFO set. Needs a tokio runtime with I/O.
    pub fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        UdpSocket::from_std(socket).map(Self)
    }

    /// The next datagram, cut to the length of `bytes`. May be dropped while it waits.
    pub async fn receive(&self, bytes: &mut [u8]) -> io::Result<(usize, Ends)> {
        self.0.async_io(Interest::READABLE, || receive(&self.0, bytes)).await
    }

    /// Answers, unless there is no room for it: whoever does not hear asks again.
    pub fn answer(&self, bytes: &[u8], ends: Ends) {
        let info = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(ends.to.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let send = || {
            let (socket, parts, to) =
                (self.0.as_raw_fd(), [IoSlice::new(bytes)], SockaddrIn::from(ends.from));
            let info = [ControlMessage::Ipv4PacketInfo(&info)];
            Ok(sendmsg(socket, &parts, &info, MsgFlags::empty(), Some(&to))?)
        };
        if let Err(error) = self.0.try_io(Interest::WRITABLE, send) {
            log::debug!("cannot answer {}: {error}", ends.from);
        }
    }
}

fn receive(socket: &UdpSocket, bytes: &mut [u8]) -> io::Result<(usize, Ends)> {
    let mut control = cmsg_space!(in_pktinfo);
    let mut parts = [IoSliceMut::new(bytes)];
    let received =
        recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let to = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
        }
        _ => None,
    });
    match (received.address, to) {
        (Some(from), Some(to)) => Ok((received.bytes, Ends { from: from.into(), to })),
        _ => Err(io::Error::other("a datagram without addresses: is IP_PKTINFO set?")),
    }
}
