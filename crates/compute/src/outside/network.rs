//! The networks of the host that instances are in, and what may pass there.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::AddAssign;
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::io::{AsyncRead, AsyncWrite};

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
    /// Whether it has no way out of its network but by a public address of its own.
    pub private: bool,
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

/// Packets that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, more: Self) {
        self.packets = self.packets.saturating_add(more.packets);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// What a security group did. A rule is asked for packets to which none was answered before: what follows is not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts {
    /// What each rule let pass, in the order of the plan.
    pub rules: Vec<Traffic>,
    /// What came for members, and none of their groups let in.
    pub dropped_in: Traffic,
    /// What members sent, and none of their groups let out.
    pub dropped_out: Traffic,
}

/// A connection to a guest.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Why there is no connection to a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The guest says that nobody listens there.
    #[error("the guest refuses the connection")]
    Refused,
    /// The guest says nothing.
    #[error("the guest does not answer")]
    Silent,
    /// There is no such guest (`HostError::Refused`), or the host failed.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// The networks of a host. The daemon has namespaces and rules for it; tests have worlds of their own.
pub trait Networks: Send + Sync {
    /// Puts in force what may pass in a network, which is made if it is a VPC's and not there: before a machine that is
    /// named there for the first time is booted, and whenever something changes.
    fn guard<'a>(&'a self, network: NetworkPlan, plan: &'a GuardPlan) -> Answer<'a, Result<(), HostError>>;

    /// What a security group did in a network since it has members there. What is not in force there counted nothing.
    fn counts<'a>(
        &'a self,
        network: NetworkPlan,
        group: &'a GroupPlan,
    ) -> Answer<'a, Result<GroupCounts, HostError>>;

    /// Opens a TCP connection to the guest behind an interface, as its router and past its security groups.
    fn connect(
        &self,
        network: NetworkPlan,
        interface: InterfaceId,
        to: SocketAddrV4,
        limit: Duration,
    ) -> Answer<'_, Result<Box<dyn Connection>, ConnectError>>;

    /// Removes a VPC's network. One that is not there is success.
    fn remove(&self, vpc: VpcId) -> Answer<'_, Result<(), HostError>>;

    /// The VPCs that have a network on this host: whatever is not on record is removed.
    fn present(&self) -> Answer<'_, Result<Vec<VpcId>, HostError>>;
}
