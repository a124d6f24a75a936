//! Connections from a network's router to the guests in it: how somebody who has no way into the network talks to a guest.
//!
//! Called by the daemon for whoever it knows may do this. Security groups have no say here: they are about what is forwarded
//! to a guest, and this is sent by the namespace of its network itself, as whatever the host sends to the guests of its own.

use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::{ConnectError, HostError, Network};

// A guest that went without a word has its connections for as long as it takes to ask it this often, in seconds; and for as
// long as the kernel sends again (net.ipv4.tcp_retries2, a quarter of an hour) what it was sent and never acknowledged. Less
// for that (TCP_USER_TIMEOUT) would end connections to guests that only take their time to read.
const ASK_AFTER_S: u32 = 30;
const ASK_EVERY_S: u32 = 10;
const ASK_TIMES: u32 = 3;

impl Network {
    /// Opens a TCP connection to the guest on a tap, from its router's address. It goes by that tap or not at all, so that it
    /// never is to another guest that has the address meanwhile. The connection is the caller's, in whatever namespace that
    /// is, and ends a while after the tap is gone.
    ///
    /// # Errors
    ///
    /// The guest is not there, refuses, or does not answer within `limit`; or the host does not do its part.
    pub async fn connect(
        &self,
        tap: &str,
        to: SocketAddrV4,
        limit: Duration,
    ) -> Result<TcpStream, ConnectError> {
        if !self.is_ours(tap) {
            return Err(ConnectError::NoGuest(tap.to_owned()));
        }
        let failed = |source| ConnectError::Host { to, source };
        // A socket is for good of the namespace that it was made in; all else can be done from anywhere.
        let made = self.namespace.run(TcpSocket::new_v4).await.map_err(failed)?;
        let socket = made.map_err(|source| failed(HostError::new("make a socket", source)))?;
        match socket.bind_device(Some(tap.as_bytes())) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {
                return Err(ConnectError::NoGuest(tap.to_owned()));
            }
            bound => bound.map_err(|source| failed(HostError::new("bind a socket to the tap", source)))?,
        }
        keep_alive(&socket).map_err(|source| failed(HostError::new("prepare a socket", source)))?;
        match timeout(limit, socket.connect(to.into())).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                    ConnectError::Refused(to)
                }
                // Also what a firewall of the guest's own says.
                io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::TimedOut => ConnectError::Silent(to),
                _ => failed(HostError::new("connect a socket", error)),
            }),
            Err(_) => Err(ConnectError::Silent(to)),
        }
    }
}

/// Finds out when the guest is gone. What is typed is sent at once.
fn keep_alive(socket: &TcpSocket) -> io::Result<()> {
    socket.set_keepalive(true)?;
    socket.set_nodelay(true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &ASK_AFTER_S)?;
    setsockopt(socket, sockopt::TcpKeepInterval, &ASK_EVERY_S)?;
    Ok(setsockopt(socket, sockopt::TcpKeepCount, &ASK_TIMES)?)
}
