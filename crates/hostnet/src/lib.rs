//! Host networking of the guests: networks behind NAT, in which each guest has a routed tap of its own; security groups,
//! public addresses and bandwidths in them.
//!
//! There is no bridge. Each tap has the router's address, answers ARP for all other guests (proxy ARP), and has a route to
//! its one guest; so guests reach each other, and the world, through the host's routing and one set of rules in one table of
//! nftables. What a guest sends is dropped unless it has the MAC and IP address of its tap. What a network's own namespace sends
//! to guests passes no security group: [`Network::connect`] is by that.
//!
//! One network ([`Network::open`]) is in the network namespace of the thread that calls; each other is a VPC
//! ([`Vpcs::make`]) in a namespace of its own. Who may talk to whom is a [`Policy`] for each network, given whole each time
//! and put in force by one transaction of what differs.
//!
//! Called by the daemon, with the rights to do this (root, or CAP_NET_ADMIN, CAP_SYS_ADMIN for VPCs, and the right to write
//! below /proc/sys/net), always in the same namespace. Answers no DHCP and gives no addresses out: the first is the VMM's,
//! the second the caller's. Of what guests find on their routers, the time is told here ([`serve_time`]); for all else there
//! are sockets ([`Network::bind_udp`]). IPv4 only.
//!
//! Whatever is done here may be done again: opening and attaching repair what is there, detaching and closing succeed
//! where nothing is. Links, routes and rules of others are never touched.
//!
//! Bandwidths are limited by nftables (what is too much is dropped) and not by tc: rtnetlink knows none of the queueing
//! disciplines that would do, and traffic within a network is not to be limited, which a queue on a tap cannot tell apart.

mod connect;
mod conntrack;
mod error;
mod links;
mod namespace;
mod network;
mod policy;
mod public;
mod resolvers;
mod rules;
mod service;
mod sysctl;
mod time;
mod tun;
mod vpc;

pub use error::{
    ApplyPolicyError, AttachTapError, BindServiceError, CloseNetworkError, ConnectError, DetachTapError,
    HostError, ListTapsError, MakeVpcError, OpenNetworkError, OpenTapError, OpenVpcsError, ReadCountsError,
    RemoveVpcError,
};
pub use network::{Attachment, Config, Network, ROUTER_MAC, Service};
pub use policy::{
    Bandwidth, Counts, Direction, DropCount, Group, Member, Outside, Peer, Policy, Protocol, Rule, RuleCount,
};
pub use resolvers::resolvers;
pub use time::{TIME_PORT, clock_is_kept, serve_time};
pub use tun::open_tap;
pub use vpc::{Vpcs, VpcsConfig};
