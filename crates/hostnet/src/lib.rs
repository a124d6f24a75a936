//! Host networking of the guests: one network behind NAT, in which each guest has a routed tap of its own.
//!
//! There is no bridge. Each tap has the same router address, answers ARP for all other guests (proxy ARP), and has a route
//! to its one guest; so guests reach each other, and the world, through the host's routing and one set of rules in one
//! table of nftables. What a guest sends is dropped unless it has the MAC and IP address of its tap.
//!
//! Called by the daemon, with the rights to do this (root, or CAP_NET_ADMIN and the right to write below /proc/sys/net).
//! All of it is in the network namespace of the thread that calls `Network::open`, and has to be called there. Answers no
//! DHCP and gives no addresses out: the first is the VMM's, the second the caller's. IPv4 only.
//!
//! Whatever is done here may be done again: opening and attaching repair what is there, detaching and closing succeed
//! where nothing is. Links, routes and rules of others are never touched.

mod error;
mod links;
mod network;
mod resolvers;
mod rules;
mod sysctl;
mod tun;

pub use error::{
    AttachTapError, CloseNetworkError, DetachTapError, HostError, ListTapsError, OpenNetworkError,
};
pub use network::{Attachment, Config, Network, ROUTER_MAC};
pub use resolvers::dns_servers;
pub use tun::open_tap;
