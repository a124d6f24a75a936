//! Sockets for what guests are served on their routers. They belong to the network's namespace, whoever uses them from
//! whatever thread.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::sockopt::{IpFreebind, Ipv4PacketInfo, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
};

use crate::network::router;
use crate::{BindServiceError, HostError, Network};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;

impl Network {
    /// A socket for what guests send by UDP to this port of their routers; it tells to which of them (IP_PKTINFO), as an
    /// answer has to come from there. What may be sent to it is for the rules: see [`Config::services`](crate::Config).
    ///
    /// A VPC is alone in its namespace, and its socket is for all routers that it has or will have. In the host's own it is
    /// for the network's router only, since others serve other addresses there; it may be bound before there is a guest, and
    /// so before the host has that address. Who reaches that address from elsewhere than a guest's tap is not a guest, and
    /// has an address that is not of the network: whoever serves has to look.
    ///
    /// # Errors
    ///
    /// Somebody has the port, or the host does not do its part.
    pub async fn bind_udp(&self, port: u16) -> Result<UdpSocket, BindServiceError> {
        self.bound(SockType::Datagram, port, |socket| setsockopt(socket, Ipv4PacketInfo, &true))
            .await
            .map(Into::into)
    }

    /// The same by TCP, listening. Its connections tell by themselves to which router they are.
    ///
    /// # Errors
    ///
    /// As for UDP.
    pub async fn listen_tcp(&self, port: u16) -> Result<TcpListener, BindServiceError> {
        // Connections of a daemon before this one may not have ended yet.
        let prepare = |socket: &OwnedFd| setsockopt(socket, ReuseAddr, &true);
        let socket = self.bound(SockType::Stream, port, prepare).await?;
        let failed = |source: nix::Error| self.unbound(port, source);
        listen(&socket, Backlog::new(BACKLOG).map_err(failed)?).map_err(failed)?;
        Ok(socket.into())
    }

    async fn bound(
        &self,
        kind: SockType,
        port: u16,
        prepare: impl FnOnce(&OwnedFd) -> nix::Result<()> + Send + 'static,
    ) -> Result<OwnedFd, BindServiceError> {
        let address = self.serving();
        let open = move || {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = socket(AddressFamily::Inet, kind, flags, None)?;
            setsockopt(&socket, IpFreebind, &true)?;
            prepare(&socket)?;
            bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, port)))?;
            Ok(socket)
        };
        let opened: nix::Result<OwnedFd> =
            self.namespace.run(open).await.map_err(|source| BindServiceError { address, port, source })?;
        opened.map_err(|source| self.unbound(port, source))
    }

    /// Under which address services are bound.
    fn serving(&self) -> Ipv4Addr {
        match self.namespace() {
            Some(_) => Ipv4Addr::UNSPECIFIED,
            None => router(self.cidr()),
        }
    }

    fn unbound(&self, port: u16, source: nix::Error) -> BindServiceError {
        let source = HostError::new("bind a socket", source.into());
        BindServiceError { address: self.serving(), port, source }
    }
}
