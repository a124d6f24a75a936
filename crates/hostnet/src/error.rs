//! Why host networking fails, by what was attempted.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

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
    /// Public addresses that are guests' own as well.
    #[error("{pool} cannot be public addresses: they meet the guests' network {cidr}")]
    BadPool {
        /// The guests' network.
        cidr: Ipv4Net,
        /// The public addresses.
        pool: Ipv4Net,
    },
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
    #[error("{address} is no address for a guest of {cidr}: its own, its last and its router's are not")]
    BadAddress {
        /// The address.
        address: Ipv4Addr,
        /// The guests' network.
        cidr: Ipv4Net,
    },
    /// A group address, or none at all.
    #[error("a guest needs a unicast MAC address: the first byte even, and not all of them zero")]
    BadMac,
    /// A router that cannot be one.
    #[error("{0} is no router for this guest: it has to be another address of its network")]
    BadRouter(Ipv4Addr),
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

/// Why a tap cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {tap}")]
pub struct OpenTapError {
    /// Which tap.
    pub tap: String,
    /// Why.
    pub source: HostError,
}

/// Why there is no socket for a service to guests.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve guests at {address}, port {port}")]
pub struct BindServiceError {
    /// The address; 0.0.0.0 for all of a VPC's routers.
    pub address: Ipv4Addr,
    /// The port.
    pub port: u16,
    /// Why.
    pub source: HostError,
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

/// Why there is no connection to a guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The guest has no tap in this network.
    #[error("there is no guest on {0:?} in this network")]
    NoGuest(String),
    /// The guest says that nobody listens there.
    #[error("{0} refuses the connection")]
    Refused(SocketAddrV4),
    /// The guest says nothing.
    #[error("{0} does not answer")]
    Silent(SocketAddrV4),
    /// The host refused.
    #[error("cannot connect to {to}")]
    Host {
        /// Where.
        to: SocketAddrV4,
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

/// Why VPCs cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenVpcsError {
    /// Addresses for the links that make no sense, or names.
    #[error("cannot have VPCs with this configuration")]
    Config(#[from] OpenNetworkError),
    /// The host refused.
    #[error("cannot prepare the host for VPCs")]
    Host(#[from] HostError),
}

/// Why a VPC cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeVpcError {
    /// All addresses for links to VPCs are in use.
    #[error("all addresses of {0} are in use for links to VPCs: give a larger range")]
    NoLinkAddress(Ipv4Net),
    /// Its network cannot be opened.
    #[error("cannot make the VPC {number}")]
    Network {
        /// Which.
        number: u32,
        /// Why.
        source: OpenNetworkError,
    },
    /// The host refused.
    #[error("cannot make the VPC {number}")]
    Host {
        /// Which.
        number: u32,
        /// Why.
        source: HostError,
    },
}

/// Why a VPC, or all, cannot be removed or listed. What could be removed is.
#[derive(Debug, thiserror::Error)]
#[error("cannot list or remove VPCs")]
pub struct RemoveVpcError(#[from] pub HostError);

/// Why a policy is not in force. The one before is, or the same in part outside of the rules: apply it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyPolicyError {
    /// A group with a name that it cannot have.
    #[error(
        "{0:?} cannot name a security group: give up to 64 letters, digits, hyphens, underscores and dots, a letter first"
    )]
    BadGroupName(String),
    /// A tap that is not of this network.
    #[error("{0:?} is no tap of this network: make its name with `tap_name`")]
    NotOurs(String),
    /// A tap, an address or a group is there twice.
    #[error("{0} is there twice")]
    Twice(String),
    /// Ports the wrong way round.
    #[error("a rule of {group} has ports from {from} to {to}")]
    BadPorts {
        /// Whose rule.
        group: String,
        /// First port.
        from: u16,
        /// Last port.
        to: u16,
    },
    /// A code of ICMP means nothing without a type.
    #[error("a rule of {group} has the ICMP code {code} and no type")]
    CodeWithoutType {
        /// Whose rule.
        group: String,
        /// The code.
        code: u8,
    },
    /// An address that no guest of this network can have.
    #[error("{address} on {tap} is no address for a guest of this network")]
    BadAddress {
        /// Whose.
        tap: String,
        /// The address.
        address: Ipv4Addr,
    },
    /// A member of a group that there is not.
    #[error("{tap} is to be in the group {group}, which there is not")]
    NoSuchGroup {
        /// Who.
        tap: String,
        /// The group.
        group: String,
    },
    /// A public address of somebody else's.
    #[error("{public} for {tap} is not in the pool of public addresses")]
    NotInPool {
        /// Whose.
        tap: String,
        /// The address.
        public: Ipv4Addr,
    },
    /// A bandwidth of nothing.
    #[error("the bandwidth of {0} is 0: say that it has no way outside instead")]
    NoBandwidth(String),
    /// The host refused.
    #[error("cannot put the policy in force")]
    Host(#[from] HostError),
}

/// Why rules' counters cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the counters of the guests' network")]
pub struct ReadCountsError(#[from] pub HostError);
