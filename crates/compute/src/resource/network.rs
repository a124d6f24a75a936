//! The records of networks: VPCs, subnets, network interfaces, security groups, public addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Resource, Tags, owned_key};
use crate::id::{AddressId, InstanceId, InterfaceId, SecurityGroupId, SubnetId, VpcId};
use crate::store::Key;

/// A virtual private cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// Its id.
    pub id: VpcId,
    /// The account.
    pub account: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// Its addresses.
    pub cidr: Ipv4Net,
    /// Whether it is the account's own from the start.
    #[serde(default)]
    pub is_default: bool,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
    /// When it was made.
    pub created: Timestamp,
}

impl Resource for Vpc {
    const NAME: &'static str = "VPC";
    const WORD: &'static str = "vpc";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}

/// Which network of the host an interface is in: what its addresses are unique in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkOf {
    /// The host's plain network with NAT, which all accounts' default VPCs are in.
    Host,
    /// A VPC's own.
    Vpc(VpcId),
}

/// A subnet of a VPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// The account.
    pub account: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// The VPC.
    pub vpc: VpcId,
    /// Its addresses.
    pub cidr: Ipv4Net,
    /// The zone.
    pub zone: String,
    /// The network that it is a part of.
    pub network: NetworkOf,
    /// Whether instances in it have no way out of their network but by public addresses of their own.
    #[serde(default)]
    pub private: bool,
    /// Whether instances get in here that are launched without a subnet.
    #[serde(default)]
    pub is_default: bool,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
    /// When it was made.
    pub created: Timestamp,
}

impl Subnet {
    /// Its router: the first address.
    pub fn router(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.cidr.network().to_bits().saturating_add(1))
    }

    /// The addresses that instances get: neither the network's own, the router's, the two that clouds keep for name and
    /// time services, nor the broadcast's.
    pub fn assignable(&self) -> std::ops::Range<u32> {
        let (first, last) = (self.cidr.network().to_bits(), self.cidr.broadcast().to_bits());
        first.saturating_add(4)..last
    }
}

impl Resource for Subnet {
    const NAME: &'static str = "subnet";
    const WORD: &'static str = "subnet";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Its id.
    pub id: InterfaceId,
    /// The account.
    pub account: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// The subnet.
    pub subnet: SubnetId,
    /// The VPC.
    pub vpc: VpcId,
    /// The network that its address is unique in.
    pub network: NetworkOf,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Security groups.
    pub security_groups: Vec<SecurityGroupId>,
    /// The instance that has it.
    #[serde(default)]
    pub instance: Option<InstanceId>,
    /// Its place among that instance's interfaces.
    #[serde(default)]
    pub index: u32,
    /// Whether it goes with that instance.
    #[serde(default = "yes")]
    pub delete_with_instance: bool,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
    /// When it was made.
    pub created: Timestamp,
}

fn yes() -> bool {
    true
}

impl Interface {
    /// The MAC address of an interface: locally administered, and as unique as its id.
    pub fn mac_of(id: InterfaceId) -> [u8; 6] {
        let [a, b, c, d] = id.number().to_be_bytes();
        [0x02, 0xb0, a, b, c, d]
    }

    /// Where it is on record that an address of a network is taken.
    pub fn address_key(network: NetworkOf, address: Ipv4Addr) -> Key {
        let network = match network {
            NetworkOf::Host => "host".to_owned(),
            NetworkOf::Vpc(vpc) => vpc.to_string(),
        };
        Key::new(["address-use", &network, &address.to_string()]).expect("addresses are plain words")
    }
}

impl Resource for Interface {
    const NAME: &'static str = "network interface";
    const WORD: &'static str = "network-interface";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the instance.
    Ingress,
    /// From the instance.
    Egress,
}

/// Which packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Protocol {
    /// All.
    All,
    /// TCP, to ports of this range.
    Tcp {
        /// The first port.
        from: u16,
        /// The last.
        to: u16,
    },
    /// UDP, to ports of this range.
    Udp {
        /// The first port.
        from: u16,
        /// The last.
        to: u16,
    },
    /// ICMP of this type and code; `None` for any.
    Icmp {
        /// The type.
        kind: Option<u8>,
        /// The code.
        code: Option<u8>,
    },
}

/// The other side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Addresses.
    Cidr(Ipv4Net),
    /// Members of a group, perhaps of another account.
    Group {
        /// That account.
        account: String,
        /// The group.
        group: SecurityGroupId,
    },
}

/// A rule of a security group: what it lets through. All else is dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityRule {
    /// Which way.
    pub direction: Direction,
    /// Which packets.
    pub protocol: Protocol,
    /// The other side.
    pub peer: Peer,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// Its id, where it was given one that it keeps whatever it comes to say. A cloud that knows rules by ids makes one of what
    /// is said where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// The account.
    pub account: String,
    /// Its name, unique in its VPC.
    pub name: String,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// The VPC.
    pub vpc: VpcId,
    /// Its rules.
    #[serde(default)]
    pub rules: Vec<SecurityRule>,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
    /// When it was made.
    pub created: Timestamp,
}

impl Resource for SecurityGroup {
    const NAME: &'static str = "security group";
    const WORD: &'static str = "security-group";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}

/// A public address of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Its id.
    pub id: AddressId,
    /// The account.
    pub account: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// The address.
    pub address: Ipv4Addr,
    /// The interface it leads to.
    #[serde(default)]
    pub interface: Option<InterfaceId>,
    /// Whether it goes when that interface does.
    #[serde(default)]
    pub release_with_interface: bool,
    /// Its bandwidth limit, in Mbit/s; 0 for none.
    #[serde(default)]
    pub bandwidth_mbps: u32,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
    /// When it was allocated.
    pub created: Timestamp,
}

impl Address {
    /// Where it is on record that an address of the pool is taken.
    pub fn use_key(address: Ipv4Addr) -> Key {
        Key::new(["address-use", "public", &address.to_string()]).expect("addresses are plain words")
    }
}

impl Resource for Address {
    const NAME: &'static str = "public address";
    const WORD: &'static str = "address";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}
