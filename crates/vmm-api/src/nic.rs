//! What a network interface does besides passing packets: how its guest reaches the metadata service, and what it may
//! send. Parts of `config::Nic`; only shapes and defaults are decided here.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// The metadata service as a guest sees it: addresses that are nobody's on the network. The VMM answers ARP for them and
/// relays each TCP connection to port 80 onto a connection of its own to `socket`; half-closes pass both ways. Nothing
/// that the guest sends to these addresses reaches the tap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MetadataRelay {
    /// A listening unix stream socket, by absolute path of at most 107 bytes. One for each interface: who connects is
    /// who asks. If nobody listens, the guest's connections are reset.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub socket: PathBuf,
    /// The addresses, 1 to 4, such as 169.254.169.254. Neither the guest's own nor its router's.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub addresses: Vec<Ipv4Addr>,
    /// The TTL of packets to the guest, at least 1: how many hops behind it can be reached. May be changed while the
    /// machine runs, see `NicUpdate`.
    #[serde(default = "usual_hop_limit")]
    pub hop_limit: u8,
}

fn usual_hop_limit() -> u8 {
    64
}

/// What a guest may send. All else is dropped and counted: frames from another MAC address, IPv4 packets and ARP messages
/// in the name of another address, and what is neither, as frames with a VLAN tag. The address 0.0.0.0 may ask by DHCP
/// and in ARP probes, and is good for nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Whose packets it may send, at most 64: its own addresses as `10.0.0.5/32`, and networks behind it.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["10.0.0.5/32"])))]
    pub addresses: Vec<Ipv4Net>,
    /// Let IPv6 pass, from whatever IPv6 address; its MAC address is checked all the same. Otherwise it is dropped.
    #[serde(default)]
    pub ipv6: bool,
}

/// A route that the guest is told by DHCP (RFC 3442).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DhcpRoute {
    /// Where to: a network without host bits.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "169.254.169.254/32"))]
    pub destination: Ipv4Net,
    /// The next hop; 0.0.0.0 for a destination on the link itself.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0.0.0.0"))]
    pub via: Ipv4Addr,
}

/// What may be changed of a network interface while the machine runs: the body of `PATCH /v1/vm/nics/{index}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NicUpdate {
    /// The new `MetadataRelay::hop_limit`, in force with the next packet, also on connections that are there.
    pub metadata_hop_limit: u8,
}
