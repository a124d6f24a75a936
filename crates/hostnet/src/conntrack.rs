//! Forgetting connections: by them packets pass that no rule allows, so those of a guest must not outlive it, or the next one
//! with its address has them. One message of ctnetlink (linux/netfilter/nfnetlink_conntrack.h), which no crate that is used
//! here knows.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::HostError;

/// IPCTNL_MSG_CT_DELETE of NFNL_SUBSYS_CTNETLINK.
const DELETE: u16 = 0x0102;

/// NLM_F_REQUEST and NLM_F_ACK.
const ACKNOWLEDGED: u16 = 5;

const NESTED: u16 = 0x8000;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;

/// That the source is to be looked at.
const CTA_FILTER_F_CTA_IP_SRC: u32 = 1;

/// An answer of the kernel takes no time; this is for one that does not come.
const PATIENCE_SECONDS: i64 = 10;

/// Forgets all connections of a guest, those that it began and those that it answered, in the namespace of the calling
/// thread.
pub(crate) fn forget(address: Ipv4Addr) -> Result<(), HostError> {
    let failed = |source| HostError::new(format!("forget the connections of {address}"), source);
    let family = AddressFamily::Netlink;
    let protocol = SockProtocol::NetlinkNetFilter;
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
        .map_err(|error| failed(error.into()))?;
    let patience = TimeVal::seconds(PATIENCE_SECONDS);
    setsockopt(&socket, sockopt::ReceiveTimeout, &patience).map_err(|error| failed(error.into()))?;
    // What it began has its address as the source; what it answered, whatever address that was begun with, in answers.
    for (tuple, flags) in [(CTA_TUPLE_ORIG, CTA_FILTER_ORIG_FLAGS), (CTA_TUPLE_REPLY, CTA_FILTER_REPLY_FLAGS)]
    {
        match ask(&socket, &message(tuple, flags, address)) {
            // No connection is tracked here at all.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A guest that goes is not to stay for it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
                log::warn!(
                    "the connections of {address} may outlive it: this kernel (before 5.8, or without nf_conntrack_netlink) cannot forget them"
                );
            }
            done => done.map_err(failed)?,
        }
    }
    Ok(())
}

fn message(tuple: u16, flags: u16, address: Ipv4Addr) -> Vec<u8> {
    let source = attribute(CTA_IP_V4_SRC, &address.octets());
    let tuple = attribute(tuple | NESTED, &attribute(CTA_TUPLE_IP | NESTED, &source));
    let filter = attribute(CTA_FILTER | NESTED, &attribute(flags, &CTA_FILTER_F_CTA_IP_SRC.to_ne_bytes()));
    // Of all versions of IP the fourth (AF_INET), and no more.
    let body = [&[2, 0, 0, 0][..], &tuple, &filter].concat();
    let length = u32::try_from(16 + body.len()).expect("a message is short");
    [&length.to_ne_bytes()[..], &DELETE.to_ne_bytes(), &ACKNOWLEDGED.to_ne_bytes(), &[0; 8], &body].concat()
}

/// An attribute, whose value is a multiple of four bytes here.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("an attribute is short");
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
}

fn ask(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    send(socket.as_raw_fd(), message, MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let code = answer[..length].get(16..20).and_then(|code| <[u8; 4]>::try_from(code).ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
