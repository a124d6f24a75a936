//! What may pass in the networks of the host: the interfaces of instances that have a VM, with their security groups and public
//! addresses, put in force whole whenever something of it changes.
//!
//! Whoever changes a record says so afterwards, and goes on when what is on record is in force. Those that come meanwhile
//! wait for one that does it for all of them: with a thousand instances that boot at once, the rules are computed a few times.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::effects::Again;
use super::{Compute, ComputeError};
use crate::id::{InterfaceId, SecurityGroupId};
use crate::outside::{GroupCounts, GroupPlan, GuardPlan, MemberPlan, NetworkPlan, Traffic};
use crate::resource::{
    Address, Instance, Interface, NetworkOf, Resource, SecurityGroup, Subnet, Vpc, owned_key,
};
use crate::store::{get, list};

/// The networks of this host.
#[derive(Default)]
pub(super) struct Guards(Mutex<HashMap<NetworkOf, Arc<Guard>>>);

/// One network.
struct Guard {
    /// As the host knows it.
    network: NetworkPlan,
    members: Mutex<BTreeMap<InterfaceId, Member>>,
    /// How often something changed.
    changes: AtomicU64,
    /// How many of these changes are in force. Held while the rules are changed.
    in_force: tokio::sync::Mutex<u64>,
}

/// An interface of an instance that has a VM, as it was on record when it was last looked at.
struct Member {
    interface: Interface,
    public: Option<Address>,
    /// Whether its subnet is.
    private: bool,
    /// What its instance's type allows, in Mbit/s; 0 for no limit.
    bandwidth_mbps: u32,
}

impl Member {
    /// Most that passes between it and the outside: what its instance's type allows, or its public address, if that is less.
    fn bandwidth_mbps(&self) -> u32 {
        let public = self.public.as_ref().map_or(0, |public| public.bandwidth_mbps);
        [self.bandwidth_mbps, public].into_iter().filter(|limit| *limit > 0).min().unwrap_or(0)
    }
}

impl Guards {
    fn all(&self) -> MutexGuard<'_, HashMap<NetworkOf, Arc<Guard>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, network: NetworkPlan) -> Arc<Guard> {
        let key = match network {
            NetworkPlan::Host => NetworkOf::Host,
            NetworkPlan::Vpc { vpc, .. } => NetworkOf::Vpc(vpc),
        };
        Arc::clone(self.all().entry(key).or_insert_with(|| Arc::new(Guard::new(network))))
    }

    /// A network that was noted since the daemon's start; no other has rules.
    fn known(&self, network: NetworkOf) -> Option<Arc<Guard>> {
        self.all().get(&network).cloned()
    }

    /// The networks with members that `wanted` takes.
    fn with(&self, wanted: impl Fn(&Interface) -> bool) -> Vec<Arc<Guard>> {
        let has = |guard: &Guard| guard.members().values().any(|member| wanted(&member.interface));
        self.all().values().filter(|guard| has(guard)).cloned().collect()
    }
}

impl Guard {
    fn new(network: NetworkPlan) -> Self {
        Self { network, members: Mutex::default(), changes: AtomicU64::new(0), in_force: Default::default() }
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<InterfaceId, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something may not be in force yet; it may be while the rules are changed.
    fn is_behind(&self) -> bool {
        let noted = self.changes.load(Ordering::SeqCst);
        self.in_force.try_lock().map_or(true, |in_force| *in_force < noted)
    }

    /// Notes that an interface is no member any more, and says whether it was one.
    fn forget(&self, id: InterfaceId) -> bool {
        let mut members = self.members();
        let was_member = members.remove(&id).is_some();
        if was_member {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        was_member
    }
}

impl Compute {
    /// Makes the interfaces of an instance members of their networks, and answers when what holds for them is in force.
    pub(super) async fn enter_networks(&self, instance: &Instance) -> Result<(), ComputeError> {
        let guards = self.note_members(instance).await?;
        self.guard_all(&guards).await
    }

    /// Notes the interfaces of an instance as members, and says of which networks.
    async fn note_members(&self, instance: &Instance) -> Result<Vec<Arc<Guard>>, ComputeError> {
        let mut guards: Vec<Arc<Guard>> = Vec::new();
        for id in &instance.interfaces {
            let member = match self.member(&instance.account, *id).await {
                // The instance was given back, and only its machine is still there.
                Err(ComputeError::NotFound { .. }) => continue,
                member => member?,
            };
            if member.interface.instance != Some(instance.id) {
                continue;
            }
            let network = self.network_plan(&instance.account, member.interface.network).await?;
            let guard = self.guards.of(network);
            guard.members().insert(*id, member);
            if !guards.iter().any(|noted| Arc::ptr_eq(noted, &guard)) {
                guards.push(guard);
            }
        }
        Ok(guards)
    }

    /// For a daemon that was started: removes the networks of VPCs that are not on record, and puts in force what is, in all
    /// others, for the instances whose machines are there.
    pub(super) async fn recover_networks(&self, with_machine: &[&Instance]) -> Result<(), ComputeError> {
        let (known, _) = list::<Vpc>(&*self.store, "vpc/").await?;
        self.guards.of(NetworkPlan::Host);
        for vpc in self.networks.present().await? {
            match known.iter().find(|kept| kept.value.id == vpc) {
                Some(kept) => _ = self.guards.of(NetworkPlan::Vpc { vpc, cidr: kept.value.cidr }),
                None => {
                    log::warn!("removes the network of {vpc}, which is on no record");
                    self.networks.remove(vpc).await?;
                }
            }
        }
        for instance in with_machine {
            self.note_members(instance).await?;
        }
        let guards: Vec<Arc<Guard>> = self.guards.all().values().cloned().collect();
        self.guard_all(&guards).await
    }

    /// Forgets the interfaces of an instance that has no VM any more, and answers when there are no rules for them.
    pub(super) async fn leave_networks(&self, instance: &Instance) {
        let mut again = Again::new(self, instance.id, "take back the rules for it");
        while let Err(error) = self.take_back_rules(instance).await {
            again.after(&error).await;
        }
    }

    /// Does it once. By the records, and not by who is a member: a predecessor may have been dropped half way.
    async fn take_back_rules(&self, instance: &Instance) -> Result<(), ComputeError> {
        for id in &instance.interfaces {
            let interface = match self.get_owned::<Interface>(&instance.account, &id.to_string()).await {
                // It is given back after its rules only.
                Err(ComputeError::NotFound { .. }) => continue,
                interface => interface?.value,
            };
            // Another one's rules are not this one's to take back.
            if interface.instance.is_some_and(|other| other != instance.id) {
                continue;
            }
            let Some(guard) = self.guards.known(interface.network) else { continue };
            if guard.forget(*id) || guard.is_behind() {
                self.guard(&guard).await?;
            }
        }
        Ok(())
    }

    /// Puts in force what has changed of an interface or of its public address, if its instance has a VM.
    pub(super) async fn guard_interface(&self, account: &str, id: InterfaceId) -> Result<(), ComputeError> {
        for guard in self.guards.with(|interface| interface.id == id) {
            let member = self.member(account, id).await?;
            if let Some(known) = guard.members().get_mut(&id) {
                *known = member;
            }
            self.guard(&guard).await?;
        }
        Ok(())
    }

    /// Puts in force what has changed of a security group, wherever it has members.
    pub(super) async fn guard_group(&self, id: SecurityGroupId) -> Result<(), ComputeError> {
        self.guard_all(&self.guards.with(|interface| interface.security_groups.contains(&id))).await
    }

    async fn member(&self, account: &str, id: InterfaceId) -> Result<Member, ComputeError> {
        let interface = self.get_owned::<Interface>(account, &id.to_string()).await?.value;
        let leads_here = |public: &Address| public.interface == Some(id);
        let public = self.all_owned::<Address>(account, leads_here).await?.pop();
        let subnet = owned_key(Subnet::WORD, account, &interface.subnet.to_string());
        let subnet = get::<Subnet>(&*self.store, &subnet).await?;
        // It is there as long as the interface is; were it not, too little is the better mistake.
        let private = subnet.is_none_or(|kept| kept.value.private);
        let bandwidth_mbps = match interface.instance {
            None => 0,
            Some(instance) => {
                let kept = self.get_owned::<Instance>(account, &instance.to_string()).await?;
                let offered = self.config.catalog.instance_type(&kept.value.instance_type);
                // One that is not offered any more has no limit: nobody knows what it was.
                offered.map_or(0, |offered| offered.bandwidth_mbps)
            }
        };
        Ok(Member { interface, public, private, bandwidth_mbps })
    }

    /// Puts in force what is noted and on record for a network. What changed before the call is in force afterwards.
    ///
    /// # Errors
    ///
    /// The records or the host do not do their part: what was in force still is, and the next change takes this one with it.
    async fn guard(&self, guard: &Guard) -> Result<(), ComputeError> {
        let change = guard.changes.fetch_add(1, Ordering::SeqCst) + 1;
        let mut in_force = guard.in_force.lock().await;
        if *in_force >= change {
            return Ok(());
        }
        // Whatever was noted before this was also done before this.
        let noted = guard.changes.load(Ordering::SeqCst);
        let plan = self.guard_plan(guard).await?;
        self.networks.guard(guard.network, &plan).await?;
        *in_force = noted;
        Ok(())
    }

    async fn guard_all(&self, guards: &[Arc<Guard>]) -> Result<(), ComputeError> {
        for guard in guards {
            self.guard(guard).await?;
        }
        Ok(())
    }

    /// What is to be in force.
    async fn guard_plan(&self, guard: &Guard) -> Result<GuardPlan, ComputeError> {
        let mut groups = BTreeSet::new();
        let members = guard
            .members()
            .values()
            .map(|member| {
                let Member { interface, public, private, .. } = member;
                let of = |group: &SecurityGroupId| (interface.account.clone(), *group);
                groups.extend(interface.security_groups.iter().map(of));
                MemberPlan {
                    interface: interface.id,
                    address: interface.address,
                    groups: interface.security_groups.clone(),
                    public: public.as_ref().map(|public| public.address),
                    private: *private,
                    bandwidth_mbps: member.bandwidth_mbps(),
                }
            })
            .collect();
        let mut plan = GuardPlan { members, groups: Vec::with_capacity(groups.len()) };
        for (account, id) in groups {
            let key = owned_key(SecurityGroup::WORD, &account, &id.to_string());
            // One that is not there has been deleted after its last member left: nothing passes by it.
            let rules = get::<SecurityGroup>(&*self.store, &key).await?.map(|kept| kept.value.rules);
            plan.groups.push(GroupPlan { id, rules: rules.unwrap_or_default() });
        }
        Ok(plan)
    }

    /// A security group, and what its rules did wherever it has members.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account, or the host does not do its part.
    pub async fn group_counts(
        &self,
        account: &str,
        id: SecurityGroupId,
    ) -> Result<(SecurityGroup, GroupCounts), ComputeError> {
        let group = self.security_group(account, id).await?;
        let plan = GroupPlan { id, rules: group.rules.clone() };
        let rules = vec![Traffic::default(); plan.rules.len()];
        let mut all = GroupCounts { rules, ..GroupCounts::default() };
        for guard in self.guards.with(|interface| interface.security_groups.contains(&id)) {
            let here = self.networks.counts(guard.network, &plan).await?;
            all.rules.iter_mut().zip(here.rules).for_each(|(all, here)| *all += here);
            all.dropped_in += here.dropped_in;
            all.dropped_out += here.dropped_out;
        }
        Ok((group, all))
    }

    /// A network as the host knows it. A VPC's interfaces are all of its account.
    pub(super) async fn network_plan(
        &self,
        account: &str,
        network: NetworkOf,
    ) -> Result<NetworkPlan, ComputeError> {
        match network {
            NetworkOf::Host => Ok(NetworkPlan::Host),
            NetworkOf::Vpc(vpc) => {
                let cidr = self.get_owned::<Vpc>(account, &vpc.to_string()).await?.value.cidr;
                Ok(NetworkPlan::Vpc { vpc, cidr })
            }
        }
    }
}
