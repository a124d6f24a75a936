//! Why host networking fails, by what was attempted.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// What the host refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The kernel, for want of rights.
    #[error("may not {what}: run as root, or with CAP_NET_ADMIN")]
    NotAllowed {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel, for another reason.
    #[error("cannot {what}")]
    Kernel {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The program nft does not start.
    #[error("cannot run the program nft: install the package nftables")]
    NoNft(#[source] io::Error),
    /// The program nft did not do it.
    #[error("nft cannot {what}: {said}")]
    Rules {
        /// What was attempted.
        what: &'static str,
        /// What it printed, for people.
        said: String,
    },
}

impl HostError {
    pub(crate) fn new(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NotAllowed { what, source },
            _ => Self::Kernel { what, source },
        }
    }
}

/// Why the network cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenNetworkError {
    /// A network of the wrong size, or with host bits set.
    #[error(
        "{0} cannot be the guests' network: give the network's own address and 8 to 29 bits, as in 10.98.0.0/16"
    )]
    BadCidr(Ipv4Net),
    /// A prefix that taps cannot be named by.
    #[error("{0:?} cannot begin the names of taps: give 1 to 6 small letters and digits, a letter first")]
    BadPrefix(String),
    /// A name that a table cannot have.
    #[error("{0:?} cannot name a table: give 1 to 31 small letters, digits and underscores, a letter first")]
    BadTable(String),
    /// The host routes some of these addresses elsewhere.
    #[error(
        "this host has a route to {route}, which is in the guests' network {cidr} or around it: choose another"
    )]
    CidrInUse {
        /// The guests' network.
        cidr: Ipv4Net,
        /// The route that it meets.
        route: Ipv4Net,
    },
    /// The host refused.
    #[error("cannot open the guests' network")]
    Host(#[from] HostError),
}

/// Why a guest cannot be attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachTapError {
    /// Not a name of ours.
    #[error("{0:?} is no tap of this network: make its name with `tap_name`")]
    NotOurs(String),
    /// The address is not in the network, or not for guests.
    #[error("{address} is no address for a guest of {cidr}, which keeps its first two and its last")]
    BadAddress {
        /// The address.
        address: Ipv4Addr,
        /// The guests' network.
        cidr: Ipv4Net,
    },
    /// A group address, or none at all.
    #[error("a guest needs a unicast MAC address: the first byte even, and not all of them zero")]
    BadMac,
    /// Another tap has the address.
    #[error("{address} belongs to the guest on {tap}: detach that first, or choose another")]
    AddressInUse {
        /// The address.
        address: Ipv4Addr,
        /// Who has it.
        tap: String,
    },
    /// Something else has the name.
    #[error("there is a network interface {0} already, which is no tap with a single queue")]
    NameTaken(String),
    /// A process that serves a guest is on the tap, and it is of another owner.
    #[error("the tap {0} is in use, and not by its owner to be: end its user first")]
    InUse(String),
    /// The host refused.
    #[error("cannot attach {tap}")]
    Host {
        /// Which tap.
        tap: String,
        /// Why.
        source: HostError,
    },
}

/// Why a guest cannot be detached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetachTapError {
    /// Not a name of ours.
    #[error("{0:?} is no tap of this network")]
    NotOurs(String),
    /// The host refused.
    #[error("cannot detach {tap}")]
    Host {
        /// Which tap.
        tap: String,
        /// Why.
        source: HostError,
    },
}

/// Why taps cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the taps of the guests' network")]
pub struct ListTapsError(#[from] pub HostError);

/// Why the network cannot be closed. What could be removed is.
#[derive(Debug, thiserror::Error)]
#[error("cannot close the guests' network")]
pub struct CloseNetworkError(#[from] pub HostError);
