//! The core's networks on this host: the plain one in the host's own namespace, and one for each VPC in a namespace of its
//! own. Policies of the core become those of `hostnet`.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use compute::id::{InterfaceId, VpcId};
use compute::outside::{
    ConnectError, Connection, GroupCounts, GroupPlan, GuardPlan, HostError, MemberPlan, NetworkPlan,
    Networks, Traffic,
};
use compute::resource::{self, NetworkOf};
use compute::store::Answer;
use hostnet::{
    Bandwidth, Counts, Direction, Group, Member, Network, Outside, Peer, Policy, Protocol, Rule, Vpcs,
};
use tokio::sync::Mutex;

use crate::fail;
use crate::machines::failed;
use crate::routers::Routers;

/// The networks of this host.
pub struct HostNetworks {
    host: Arc<Network>,
    vpcs: Vpcs,
    routers: Routers,
    /// Those of VPCs that were asked for since the start.
    open: Mutex<HashMap<VpcId, Arc<Network>>>,
}

impl HostNetworks {
    /// The plain network and what VPCs are made with.
    pub fn new(host: Network, vpcs: Vpcs) -> Self {
        Self { host: Arc::new(host), vpcs, routers: Routers::default(), open: Mutex::default() }
    }

    /// Serves guests on their routers from now on: once, before any VPC is opened. The names are this service's.
    pub fn serve_routers(&self, names: names::Service) {
        self.routers.answer_by(names);
        self.routers.serve(NetworkOf::Host, &self.host);
    }

    /// Serves nobody any more. The networks stay, for the next daemon.
    pub fn close_routers(&self) {
        self.routers.close();
    }

    /// The network of a plan, made if it is a VPC's and not there.
    ///
    /// # Errors
    ///
    /// The host does not do its part.
    pub async fn open(&self, plan: NetworkPlan) -> Result<Arc<Network>, HostError> {
        let NetworkPlan::Vpc { vpc, cidr } = plan else { return Ok(Arc::clone(&self.host)) };
        let mut open = self.open.lock().await;
        if let Some(network) = open.get(&vpc) {
            return Ok(Arc::clone(network));
        }
        fail::point("vpc.making");
        let network = self.vpcs.make(vpc.number(), cidr).await.map_err(|error| failed(&error))?;
        fail::point("vpc.made");
        let network = Arc::new(network);
        self.routers.serve(NetworkOf::Vpc(vpc), &network);
        Ok(Arc::clone(open.entry(vpc).or_insert(network)))
    }

    /// The network of a plan, if it is there.
    ///
    /// # Errors
    ///
    /// The host does not do its part.
    pub async fn find(&self, plan: NetworkPlan) -> Result<Option<Arc<Network>>, HostError> {
        match plan {
            NetworkPlan::Vpc { vpc, .. } if !self.present().await?.contains(&vpc) => Ok(None),
            NetworkPlan::Vpc { .. } | NetworkPlan::Host => self.open(plan).await.map(Some),
        }
    }

    /// All that are open.
    pub async fn all(&self) -> Vec<Arc<Network>> {
        let open = self.open.lock().await;
        std::iter::once(&self.host).chain(open.values()).cloned().collect()
    }

    /// Removes all that was made on the host. Guests that run have no network any more.
    ///
    /// # Errors
    ///
    /// The host does not do its part.
    pub async fn close(self) -> anyhow::Result<()> {
        drop(self.open);
        self.vpcs.close().await?;
        if let Some(host) = Arc::into_inner(self.host) {
            host.close().await?;
        }
        Ok(())
    }
}

impl Networks for HostNetworks {
    fn guard<'a>(&'a self, network: NetworkPlan, plan: &'a GuardPlan) -> Answer<'a, Result<(), HostError>> {
        Box::pin(async move {
            let network = self.open(network).await?;
            let policy = policy(&network, plan);
            fail::point("rules.changing");
            network.apply(&policy).await.map_err(|error| failed(&error))?;
            fail::point("rules.changed");
            Ok(())
        })
    }

    fn counts<'a>(
        &'a self,
        network: NetworkPlan,
        plan: &'a GroupPlan,
    ) -> Answer<'a, Result<GroupCounts, HostError>> {
        Box::pin(async move {
            let Some(network) = self.find(network).await? else { return Ok(GroupCounts::default()) };
            let counts = network.counts().await.map_err(|error| failed(&error))?;
            Ok(counts_of(&group(plan), &counts))
        })
    }

    fn connect(
        &self,
        network: NetworkPlan,
        interface: InterfaceId,
        to: SocketAddrV4,
        limit: Duration,
    ) -> Answer<'_, Result<Box<dyn Connection>, ConnectError>> {
        Box::pin(async move {
            let Some(network) = self.find(network).await? else {
                return Err(HostError::Refused("its network is not on this host".to_owned()).into());
            };
            let tap = network.tap_name(interface.number());
            match network.connect(&tap, to, limit).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Connection>),
                Err(hostnet::ConnectError::Refused(_)) => Err(ConnectError::Refused),
                Err(hostnet::ConnectError::Silent(_)) => Err(ConnectError::Silent),
                Err(hostnet::ConnectError::NoGuest(_)) => {
                    Err(HostError::Refused("there is no guest in its network".to_owned()).into())
                }
                Err(error) => Err(failed(&error).into()),
            }
        })
    }

    fn remove(&self, vpc: VpcId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move {
            // Held, so that nobody makes it anew meanwhile.
            let mut open = self.open.lock().await;
            open.remove(&vpc);
            self.routers.end(NetworkOf::Vpc(vpc)).await;
            fail::point("vpc.removing");
            self.vpcs.remove(vpc.number()).await.map_err(|error| failed(&error))?;
            fail::point("vpc.removed");
            Ok(())
        })
    }

    fn present(&self) -> Answer<'_, Result<Vec<VpcId>, HostError>> {
        Box::pin(async move {
            let numbers = self.vpcs.present().map_err(|error| failed(&error))?;
            Ok(numbers.into_iter().map(VpcId::new).collect())
        })
    }
}

fn policy(network: &Network, plan: &GuardPlan) -> Policy {
    Policy {
        members: plan.members.iter().map(|member| one(network, member)).collect(),
        groups: plan.groups.iter().map(group).collect(),
    }
}

fn one(network: &Network, plan: &MemberPlan) -> Member {
    let limit = (plan.bandwidth_mbps > 0).then_some(plan.bandwidth_mbps);
    Member {
        tap: network.tap_name(plan.interface.number()),
        address: plan.address,
        groups: plan.groups.iter().map(ToString::to_string).collect(),
        outside: match plan.public {
            Some(public) => Outside::Public(public),
            None if plan.private => Outside::Nothing,
            None => Outside::Shared,
        },
        bandwidth: Bandwidth { in_mbit: limit, out_mbit: limit },
    }
}

fn group(plan: &GroupPlan) -> Group {
    Group { name: plan.id.to_string(), rules: plan.rules.iter().map(rule).collect() }
}

/// What is said of a group, rule by rule: one that is not in force counted nothing.
fn counts_of(group: &Group, counts: &Counts) -> GroupCounts {
    let passed = |rule: &Rule| {
        let mut all = counts.rules.iter().filter(|count| count.group == group.name);
        let found = all.find(|count| count.rule == *rule);
        found.map_or(Traffic::default(), |count| Traffic { packets: count.packets, bytes: count.bytes })
    };
    let dropped = |direction: Direction| {
        let of_members = counts.dropped.iter().filter(|count| count.groups.contains(&group.name));
        let mut all = Traffic::default();
        of_members
            .filter(|count| count.direction == direction)
            .for_each(|count| all += Traffic { packets: count.packets, bytes: count.bytes });
        all
    };
    GroupCounts {
        rules: group.rules.iter().map(passed).collect(),
        dropped_in: dropped(Direction::In),
        dropped_out: dropped(Direction::Out),
    }
}

fn rule(rule: &resource::SecurityRule) -> Rule {
    Rule {
        direction: match rule.direction {
            resource::Direction::Ingress => Direction::In,
            resource::Direction::Egress => Direction::Out,
        },
        protocol: match rule.protocol {
            resource::Protocol::All => Protocol::All,
            resource::Protocol::Tcp { from, to } => Protocol::Tcp { from, to },
            resource::Protocol::Udp { from, to } => Protocol::Udp { from, to },
            resource::Protocol::Icmp { kind, code } => Protocol::Icmp { kind, code },
        },
        peer: match &rule.peer {
            resource::Peer::Cidr(cidr) => Peer::Cidr(*cidr),
            resource::Peer::Group { group, .. } => Peer::Group(group.to_string()),
        },
    }
}
