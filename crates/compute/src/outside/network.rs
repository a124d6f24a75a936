//! The networks of the host that instances are in, and what may pass there.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::HostError;
use crate::id::{InterfaceId, SecurityGroupId, VpcId};
use crate::resource::SecurityRule;
use crate::store::Answer;

/// A network of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPlan {
    /// The host's plain one, behind NAT.
    Host,
    /// A VPC's own, apart from all others.
    Vpc {
        /// The VPC.
        vpc: VpcId,
        /// Its addresses.
        cidr: Ipv4Net,
    },
}

/// Who is in a network, and what may pass there: all of it, each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardPlan {
    /// The interfaces of all instances that have a VM or are about to.
    pub members: Vec<MemberPlan>,
    /// The security groups that these are in.
    pub groups: Vec<GroupPlan>,
}

/// An interface, and what holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPlan {
    /// The interface.
    pub interface: InterfaceId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its security groups: what one of them lets through passes, and nothing else.
    pub groups: Vec<SecurityGroupId>,
    /// Its public address.
    pub public: Option<Ipv4Addr>,
    /// Most that passes between it and the outside, each way, in Mbit/s; 0 for no limit.
    pub bandwidth_mbps: u32,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// Its id.
    pub id: SecurityGroupId,
    /// What it lets through.
    pub rules: Vec<SecurityRule>,
}

/// The networks of a host. The daemon has namespaces and rules for it; tests have worlds of their own.
pub trait Networks: Send + Sync {
    /// Puts in force what may pass in a network, which is made if it is a VPC's and not there: before a machine that is
    /// named there for the first time is booted, and whenever something changes.
    fn guard<'a>(&'a self, network: NetworkPlan, plan: &'a GuardPlan) -> Answer<'a, Result<(), HostError>>;

    /// Removes a VPC's network. One that is not there is success.
    fn remove(&self, vpc: VpcId) -> Answer<'_, Result<(), HostError>>;

    /// The VPCs that have a network on this host: whatever is not on record is removed.
    fn present(&self) -> Answer<'_, Result<Vec<VpcId>, HostError>>;
}
