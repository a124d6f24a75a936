//! Networks: VPCs, their subnets, network interfaces, security groups and public addresses.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::number::{at_most, some_at_most};
use crate::{
    AccountId, AddressId, Cidr, Description, InstanceId, MacAddress, NetworkInterfaceId, PageSize, PageToken,
    PlaceName, PortNumber, Priority, ResourceName, SecurityGroupId, SubnetId, TagFilter, Tags, VpcId,
};

/// Body of `POST /v1/vpcs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateVpc {
    /// Its addresses: a prefix of 8 to 28 bits, private ones (RFC 1918).
    pub cidr: Cidr,
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// A virtual private cloud: a network of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Vpc {
    /// Its id.
    pub id: VpcId,
    /// Whose it is.
    pub account: AccountId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its addresses.
    pub cidr: Cidr,
    /// Whether it is the one that launches use by default.
    pub is_default: bool,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Body of `POST /v1/subnets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateSubnet {
    /// The VPC.
    pub vpc: VpcId,
    /// Its addresses, a part of the VPC's: a prefix of at most 28 bits. The first four and the last are not given to
    /// instances.
    pub cidr: Cidr,
    /// Where it is. Default: the only zone, or the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<PlaceName>,
    /// Give instances in it no way out of their VPC but by public addresses of their own. Their router tells
    /// them names of the outside all the same; other name servers are outside.
    #[serde(default)]
    pub private: bool,
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// A part of a VPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// Whose it is.
    pub account: AccountId,
    /// The VPC.
    pub vpc: VpcId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its addresses.
    pub cidr: Cidr,
    /// Where it is.
    pub zone: PlaceName,
    /// Whether instances in it have no way out of their VPC but by public addresses of their own.
    pub private: bool,
    /// How many addresses are free.
    pub free_addresses: u64,
    /// Whether it is the one that launches use by default.
    pub is_default: bool,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Body of `POST /v1/network-interfaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateNetworkInterface {
    /// The subnet.
    pub subnet: SubnetId,
    /// Its address. Default: a free one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "ipv4"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_address: Option<Ipv4Addr>,
    /// Its security groups, at most 16. Default: the VPC's default group.
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<16, _, _>")]
    pub security_groups: Vec<SecurityGroupId>,
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// Body of `PATCH /v1/network-interfaces/{network_interface_id}`. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpdateNetworkInterface {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// A new description; an empty one for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its security groups: the whole list, at least one and at most 16. In force when this answers.
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_at_most::<16, _, _>")]
    pub security_groups: Option<Vec<SecurityGroupId>>,
}

/// Body of `POST /v1/network-interfaces/{network_interface_id}/attach`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AttachNetworkInterface {
    /// The instance.
    pub instance: InstanceId,
    /// Delete it when the instance is terminated.
    #[serde(default)]
    pub delete_with_instance: bool,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkInterface {
    /// Its id.
    pub id: NetworkInterfaceId,
    /// Whose it is.
    pub account: AccountId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// The VPC.
    pub vpc: VpcId,
    /// The subnet.
    pub subnet: SubnetId,
    /// Its MAC address.
    pub mac: MacAddress,
    /// Its address.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "ipv4"))]
    pub private_address: Ipv4Addr,
    /// Its public address.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "ipv4"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_address: Option<Ipv4Addr>,
    /// The allocation of that address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressId>,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroupId>,
    /// The instance that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Its slot in that instance, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Whether it is deleted with the instance.
    pub delete_with_instance: bool,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Body of `POST /v1/security-groups`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateSecurityGroup {
    /// The VPC. Default: the account's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<VpcId>,
    /// Its name, unique in its VPC.
    pub name: ResourceName,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its rules, at most 100. What none allows is dropped.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<100, _, _>")]
    pub rules: Vec<SecurityRule>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// A rule of a security group. Answers to what it allows are allowed too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SecurityRule {
    /// Into the instance or out of it.
    pub direction: Direction,
    /// What it is about.
    pub protocol: Protocol,
    /// Ports, or types and codes; for `tcp`, `udp` and `icmp` only. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<PortRange>,
    /// Who is at the other end.
    pub peer: Peer,
    /// Let it pass or drop it. Of rules with the same priority, `drop` comes first.
    #[serde(default)]
    pub verdict: Verdict,
    /// Its rank among the rules. Default: 1.
    #[serde(default)]
    pub priority: Priority,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

/// Which way a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Into the instance.
    Ingress,
    /// Out of it.
    Egress,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Every protocol.
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It passes.
    #[default]
    Accept,
    /// It is dropped.
    Drop,
}

/// Ports from one to another. For ICMP a type and a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// The first port; of ICMP the type.
    pub from: PortNumber,
    /// The last port; of ICMP the code, 65535 for every code.
    pub to: PortNumber,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Peer {
    /// These addresses; `0.0.0.0/0` for everybody.
    Cidr(Cidr),
    /// Instances in this security group.
    SecurityGroup(SecurityGroupId),
}

/// Body of `PATCH /v1/security-groups/{security_group_id}/rules`. In force when this answers, all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpdateSecurityRules {
    /// Rules that it is to have, at most 100. One that it has is no error.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<100, _, _>")]
    pub add: Vec<SecurityRule>,
    /// Rules that it is not to have, at most 100, told by all but their descriptions. One that it has not is no error.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<100, _, _>")]
    pub remove: Vec<SecurityRule>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecurityGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// Whose it is.
    pub account: AccountId,
    /// The VPC.
    pub vpc: VpcId,
    /// Its name.
    pub name: ResourceName,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Whether it is its VPC's default group.
    pub is_default: bool,
    /// Its rules.
    pub rules: Vec<SecurityRule>,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a security group's rules did, in all networks together, since it has members there that run: whoever was the last to
/// stop took the counters along. A rule's own begin anew when it is taken away and given again, and all when the host is
/// started anew. They outlive the daemon. A rule is asked for packets to which none was answered before; what follows passes
/// for that and is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecurityGroupCounts {
    /// What each rule let pass, in the order of the group's rules.
    pub rules: Vec<SecurityRuleCount>,
    /// What came for members, and no rule of any of their groups let in.
    pub dropped_ingress: Traffic,
    /// What members sent, and no rule of any of their groups let out.
    pub dropped_egress: Traffic,
}

/// What a rule did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SecurityRuleCount {
    /// The rule.
    pub rule: SecurityRule,
    /// What it let pass.
    pub passed: Traffic,
}

/// Packets that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Traffic {
    /// How many.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Body of `POST /v1/addresses`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AllocateAddress {
    /// What to call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// Body of `POST /v1/addresses/{address_id}/associate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AssociateAddress {
    /// Who is to have it.
    pub target: AddressTarget,
    /// Take it away from whoever has it.
    #[serde(default)]
    pub reassociate: bool,
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AddressTarget {
    /// The first network interface of this instance.
    Instance(InstanceId),
    /// This network interface.
    NetworkInterface(NetworkInterfaceId),
}

/// A public address of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Address {
    /// Its id.
    pub id: AddressId,
    /// Whose it is.
    pub account: AccountId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// The address.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "ipv4"))]
    pub public_address: Ipv4Addr,
    /// The instance that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// The network interface that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_interface: Option<NetworkInterfaceId>,
    /// Its tags.
    pub tags: Tags,
    /// When it was allocated.
    pub created_at: Timestamp,
}

/// Query of the lists of this module that have filters: subnets, network interfaces, security groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NetworkQuery {
    /// Most items on a page. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Only those in this VPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc: Option<VpcId>,
    /// Only those with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Only those with each of these tags.
    #[cfg_attr(feature = "openapi", schema(max_items = 10))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<10, _, _>")]
    pub tag: Vec<TagFilter>,
}
