//! VPCs, subnets, interfaces and security groups, as records. Every account has a default VPC from the start, whose subnet is
//! the host's plain network.

use std::sync::PoisonError;

use ipnet::Ipv4Net;

use super::launch::check_name;
use super::records::Besides;
use super::{Compute, ComputeError, Listed, WordsChange};
use crate::id::{InterfaceId, SecurityGroupId, SubnetId, VpcId};
use crate::resource::{
    Direction, Interface, NetworkOf, Peer, Protocol, Resource, SecurityGroup, SecurityRule, Subnet, Tags,
    Vpc, owned_key,
};
use crate::store::{CommitError, Condition, Transaction, get, put};

/// Most rules of a security group (EC2 2007-03-01; Alibaba).
const MAX_RULES: usize = 100;
/// Most VPCs, subnets and security groups of an account.
const MAX_OF_EACH: usize = 500;
/// Name of the security group that is there from the start.
const DEFAULT: &str = "default";

/// A VPC that is asked for.
#[derive(Clone, Debug)]
pub struct NewVpc {
    /// Its addresses: /16 to /28 of private space.
    pub cidr: Ipv4Net,
    /// A name for people.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Tags.
    pub tags: Tags,
}

/// A subnet that is asked for.
#[derive(Clone, Debug)]
pub struct NewSubnet {
    /// The VPC.
    pub vpc: VpcId,
    /// Its addresses, of the VPC's.
    pub cidr: Ipv4Net,
    /// The zone; `None` for the first.
    pub zone: Option<String>,
    /// Whether instances in it have no way out of their network but by public addresses of their own.
    pub private: bool,
    /// A name for people.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Tags.
    pub tags: Tags,
}

/// A security group that is asked for.
#[derive(Clone, Debug)]
pub struct NewSecurityGroup {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// The VPC; `None` for the default one.
    pub vpc: Option<VpcId>,
    /// Its rules; `None` for everything out and nothing in.
    pub rules: Option<Vec<SecurityRule>>,
    /// Tags.
    pub tags: Tags,
}

impl Compute {
    /// Sees to it that an account has its default VPC, subnet and security group.
    pub(super) async fn ensure_network(&self, account: &str) -> Result<(), ComputeError> {
        let known = |compute: &Self| {
            compute.with_network.lock().unwrap_or_else(PoisonError::into_inner).contains(account)
        };
        if known(self) {
            return Ok(());
        }
        // The marker makes it happen once.
        let marker = owned_key("default-network", account, "made");
        if get::<SubnetId>(&*self.store, &marker).await?.is_none() {
            let now = self.clock.now();
            let vpc = Vpc {
                id: VpcId::draw(),
                account: account.to_owned(),
                name: DEFAULT.to_owned(),
                description: String::new(),
                cidr: self.config.network,
                is_default: true,
                tags: Tags::default(),
                created: now,
            };
            let subnet = Subnet {
                id: SubnetId::draw(),
                account: account.to_owned(),
                name: DEFAULT.to_owned(),
                description: String::new(),
                vpc: vpc.id,
                cidr: self.config.network,
                zone: self.config.catalog.zones[0].name.clone(),
                network: NetworkOf::Host,
                private: false,
                is_default: true,
                tags: Tags::default(),
                created: now,
            };
            let group = self.default_group_of(account, vpc.id);
            let conditions = vec![
                Condition::Absent(marker.clone()),
                Condition::Absent(vpc.key()),
                Condition::Absent(subnet.key()),
                Condition::Absent(group.key()),
            ];
            let writes = vec![
                put(marker, &subnet.id),
                put(vpc.key(), &vpc),
                put(subnet.key(), &subnet),
                put(group.key(), &group),
                put(group_name_key(&group), &group.id),
            ];
            match self.store.commit(Transaction { conditions, writes }).await {
                Ok(_) => {}
                Err(CommitError::Conflict { .. }) => return Box::pin(self.ensure_network(account)).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.with_network.lock().unwrap_or_else(PoisonError::into_inner).insert(account.to_owned());
        Ok(())
    }

    /// The group that every VPC has: its members talk to each other, and to everybody.
    fn default_group_of(&self, account: &str, vpc: VpcId) -> SecurityGroup {
        let id = SecurityGroupId::draw();
        let everything = |direction, peer| SecurityRule {
            direction,
            protocol: Protocol::All,
            peer,
            description: String::new(),
        };
        let members = Peer::Group { account: account.to_owned(), group: id };
        SecurityGroup {
            id,
            account: account.to_owned(),
            name: DEFAULT.to_owned(),
            description: "default group".to_owned(),
            vpc,
            rules: vec![
                everything(Direction::Ingress, members),
                everything(Direction::Egress, Peer::Cidr(Ipv4Net::default())),
            ],
            tags: Tags::default(),
            created: self.clock.now(),
        }
    }

    /// The subnet that instances get into without naming one.
    ///
    /// # Errors
    ///
    /// The account has deleted it.
    pub async fn default_subnet(&self, account: &str) -> Result<Subnet, ComputeError> {
        self.ensure_network(account).await?;
        let mut all = self.all_owned::<Subnet>(account, |subnet| subnet.is_default).await?;
        all.pop().ok_or_else(|| ComputeError::NotFound { what: Subnet::NAME, id: DEFAULT.to_owned() })
    }

    /// The default security group of a VPC.
    ///
    /// # Errors
    ///
    /// There is no such VPC.
    pub async fn default_group(&self, account: &str, vpc: VpcId) -> Result<SecurityGroup, ComputeError> {
        let named = |group: &SecurityGroup| group.vpc == vpc && group.name == DEFAULT;
        let mut all = self.all_owned::<SecurityGroup>(account, named).await?;
        all.pop().ok_or_else(|| ComputeError::NotFound { what: SecurityGroup::NAME, id: DEFAULT.to_owned() })
    }

    /// VPCs of an account.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn vpcs(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<Vpc>, ComputeError> {
        self.ensure_network(account).await?;
        self.list_owned(account, after, limit, |_| true).await
    }

    /// A VPC.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn vpc(&self, account: &str, id: VpcId) -> Result<Vpc, ComputeError> {
        Ok(self.get_owned::<Vpc>(account, &id.to_string()).await?.value)
    }

    /// Makes a VPC, with its default security group.
    ///
    /// # Errors
    ///
    /// Something makes no sense, or the account has as many as it may have.
    pub async fn create_vpc(&self, account: &str, new: &NewVpc) -> Result<Vpc, ComputeError> {
        check_name("name", &new.name)?;
        new.tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        check_cidr(new.cidr)?;
        self.ensure_network(account).await?;
        self.check_count::<Vpc>(account, "VPCs").await?;
        let vpc = Vpc {
            id: VpcId::draw(),
            account: account.to_owned(),
            name: new.name.clone(),
            description: new.description.clone(),
            cidr: new.cidr,
            is_default: false,
            tags: new.tags.clone(),
            created: self.clock.now(),
        };
        let group = self.default_group_of(account, vpc.id);
        let conditions = vec![Condition::Absent(vpc.key()), Condition::Absent(group.key())];
        let writes =
            vec![put(vpc.key(), &vpc), put(group.key(), &group), put(group_name_key(&group), &group.id)];
        self.store.commit(Transaction { conditions, writes }).await?;
        Ok(vpc)
    }

    /// Deletes a VPC that has no subnets and no security groups but its default one.
    ///
    /// # Errors
    ///
    /// There is none of this id, or something is in it.
    pub async fn delete_vpc(&self, account: &str, id: VpcId) -> Result<(), ComputeError> {
        let _removing = self.references.write().await;
        let kept = self.get_owned::<Vpc>(account, &id.to_string()).await?;
        if let Some(subnet) = self.all_owned::<Subnet>(account, |subnet| subnet.vpc == id).await?.first() {
            return Err(in_use(Vpc::NAME, &id, &subnet.id));
        }
        let groups = self.all_owned::<SecurityGroup>(account, |group| group.vpc == id).await?;
        if let Some(group) = groups.iter().find(|group| group.name != DEFAULT) {
            return Err(in_use(Vpc::NAME, &id, &group.id));
        }
        let conditions = vec![kept.unmodified()];
        let mut writes = vec![crate::store::Write::Delete(kept.key.clone())];
        for group in groups {
            writes.push(crate::store::Write::Delete(group.key()));
            writes.push(crate::store::Write::Delete(group_name_key(&group)));
        }
        self.store.commit(Transaction { conditions, writes }).await?;
        // Nobody is in it. Where it cannot be removed now, the next daemon does.
        if let Err(error) = self.networks.remove(id).await {
            log::error!("cannot remove the network of {id}: {error}");
        }
        Ok(())
    }

    /// Changes what is said of a VPC.
    ///
    /// # Errors
    ///
    /// There is none of this id, or something makes no sense.
    pub async fn change_vpc(
        &self,
        account: &str,
        id: VpcId,
        change: &WordsChange,
    ) -> Result<Vpc, ComputeError> {
        change.check()?;
        self.change_owned::<Vpc>(account, &id.to_string(), |vpc| {
            change.apply(&mut vpc.name, &mut vpc.description, &mut vpc.tags);
            Ok(())
        })
        .await
    }

    /// Subnets of an account that `wanted` takes.
    ///
    /// # Errors
    ///
    /// As `vpcs`.
    pub async fn subnets(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&Subnet) -> bool,
    ) -> Result<Listed<Subnet>, ComputeError> {
        self.ensure_network(account).await?;
        self.list_owned(account, after, limit, wanted).await
    }

    /// A subnet.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn subnet(&self, account: &str, id: SubnetId) -> Result<Subnet, ComputeError> {
        Ok(self.get_owned::<Subnet>(account, &id.to_string()).await?.value)
    }

    /// Makes a subnet.
    ///
    /// # Errors
    ///
    /// Its addresses are not the VPC's or another subnet has them, or something else makes no sense.
    pub async fn create_subnet(&self, account: &str, new: &NewSubnet) -> Result<Subnet, ComputeError> {
        check_name("name", &new.name)?;
        new.tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        check_cidr(new.cidr)?;
        // Two at once could overlap.
        let _adding = self.references.write().await;
        let vpc = self.get_owned::<Vpc>(account, &new.vpc.to_string()).await?;
        if !vpc.value.cidr.contains(&new.cidr) {
            let why = format!("{} is not within {} of {}", new.cidr, vpc.value.cidr, new.vpc);
            return Err(ComputeError::invalid("cidr", why));
        }
        let overlaps = |other: &Subnet| {
            other.vpc == new.vpc && (other.cidr.contains(&new.cidr) || new.cidr.contains(&other.cidr))
        };
        if let Some(other) = self.all_owned::<Subnet>(account, overlaps).await?.first() {
            let name = format!("{} with {}, which overlaps", other.id, other.cidr);
            return Err(ComputeError::Exists { what: Subnet::NAME, name });
        }
        self.check_count::<Subnet>(account, "subnets").await?;
        let zones = &self.config.catalog.zones;
        let zone = new.zone.clone().unwrap_or_else(|| zones[0].name.clone());
        if !zones.iter().any(|known| known.name == zone) {
            return Err(ComputeError::NotFound { what: "zone", id: zone });
        }
        let subnet = Subnet {
            id: SubnetId::draw(),
            account: account.to_owned(),
            name: new.name.clone(),
            description: new.description.clone(),
            vpc: new.vpc,
            cidr: new.cidr,
            zone,
            network: NetworkOf::Vpc(new.vpc),
            private: new.private,
            is_default: false,
            tags: new.tags.clone(),
            created: self.clock.now(),
        };
        self.create(&subnet, &subnet.id.to_string()).await?;
        Ok(subnet)
    }

    /// Changes what is said of a subnet.
    ///
    /// # Errors
    ///
    /// There is none of this id, or something makes no sense.
    pub async fn change_subnet(
        &self,
        account: &str,
        id: SubnetId,
        change: &WordsChange,
    ) -> Result<Subnet, ComputeError> {
        change.check()?;
        self.change_owned::<Subnet>(account, &id.to_string(), |subnet| {
            change.apply(&mut subnet.name, &mut subnet.description, &mut subnet.tags);
            Ok(())
        })
        .await
    }

    /// Deletes a subnet that no interface is in.
    ///
    /// # Errors
    ///
    /// There is none of this id, or something is in it.
    pub async fn delete_subnet(&self, account: &str, id: SubnetId) -> Result<(), ComputeError> {
        let _removing = self.references.write().await;
        let kept = self.get_owned::<Subnet>(account, &id.to_string()).await?;
        let inside = |interface: &Interface| interface.subnet == id;
        if let Some(interface) = self.all_owned::<Interface>(account, inside).await?.first() {
            return Err(in_use(Subnet::NAME, &id, &interface.id));
        }
        self.remove(&kept).await
    }

    /// Network interfaces of an account that `wanted` takes.
    ///
    /// # Errors
    ///
    /// As `vpcs`.
    pub async fn interfaces(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&Interface) -> bool,
    ) -> Result<Listed<Interface>, ComputeError> {
        self.list_owned(account, after, limit, wanted).await
    }

    /// A network interface.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn interface(&self, account: &str, id: InterfaceId) -> Result<Interface, ComputeError> {
        Ok(self.get_owned::<Interface>(account, &id.to_string()).await?.value)
    }

    /// Security groups of an account that `wanted` takes.
    ///
    /// # Errors
    ///
    /// As `vpcs`.
    pub async fn security_groups(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&SecurityGroup) -> bool,
    ) -> Result<Listed<SecurityGroup>, ComputeError> {
        self.ensure_network(account).await?;
        self.list_owned(account, after, limit, wanted).await
    }

    /// A security group.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn security_group(
        &self,
        account: &str,
        id: SecurityGroupId,
    ) -> Result<SecurityGroup, ComputeError> {
        Ok(self.get_owned::<SecurityGroup>(account, &id.to_string()).await?.value)
    }

    /// Makes a security group.
    ///
    /// # Errors
    ///
    /// The VPC has one of this name, or something makes no sense.
    pub async fn create_security_group(
        &self,
        account: &str,
        new: &NewSecurityGroup,
    ) -> Result<SecurityGroup, ComputeError> {
        check_name("name", &new.name)?;
        new.tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        if new.name.is_empty() {
            return Err(ComputeError::invalid("name", "is missing: a security group needs one"));
        }
        let _referring = self.references.read().await;
        let vpc = match new.vpc {
            Some(vpc) => self.vpc(account, vpc).await?.id,
            None => self.default_subnet(account).await?.vpc,
        };
        self.check_count::<SecurityGroup>(account, "security groups").await?;
        let mut group = self.default_group_of(account, vpc);
        group.name.clone_from(&new.name);
        group.description.clone_from(&new.description);
        group.tags = new.tags.clone();
        match &new.rules {
            None => group.rules.retain(|rule| rule.direction == Direction::Egress),
            Some(rules) => {
                self.check_rules(rules).await?;
                group.rules.clear();
                add_rules(&mut group, rules)?;
            }
        }
        let name = group_name_key(&group);
        let conditions = vec![Condition::Absent(name.clone()), Condition::Absent(group.key())];
        let writes = vec![put(name, &group.id), put(group.key(), &group)];
        match self.store.commit(Transaction { conditions, writes }).await {
            Ok(_) => Ok(group),
            Err(CommitError::Conflict { .. }) => {
                Err(ComputeError::Exists { what: SecurityGroup::NAME, name: new.name.clone() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Changes what is said of a security group. A default one keeps its name.
    ///
    /// # Errors
    ///
    /// There is none of this id, its VPC has one of the new name, or something makes no sense.
    pub async fn change_security_group(
        &self,
        account: &str,
        id: SecurityGroupId,
        change: &WordsChange,
    ) -> Result<SecurityGroup, ComputeError> {
        change.check()?;
        let key = owned_key(SecurityGroup::WORD, account, &id.to_string());
        let mut taken = None;
        let changed = self
            .change::<SecurityGroup, ()>(&key, &id.to_string(), |group| {
                let mut besides = Besides::default();
                let before = (group_name_key(group), group.name.clone());
                change.apply(&mut group.name, &mut group.description, &mut group.tags);
                if group.name != before.1 {
                    if before.1 == DEFAULT {
                        return Err(ComputeError::invalid(
                            "name",
                            "of a VPC's default group cannot be changed",
                        ));
                    }
                    if group.name.is_empty() {
                        return Err(ComputeError::invalid("name", "is missing: a security group needs one"));
                    }
                    let name = group_name_key(group);
                    taken = Some((name.clone(), group.name.clone()));
                    besides.conditions.push(Condition::Absent(name.clone()));
                    besides.writes.push(put(name, &id));
                    besides.writes.push(crate::store::Write::Delete(before.0));
                }
                Ok(((), besides))
            })
            .await;
        match (changed, taken) {
            (Ok(((), group)), _) => Ok(group),
            (Err(ComputeError::Contended { key }), Some((taken, name))) if key == taken => {
                Err(ComputeError::Exists { what: SecurityGroup::NAME, name })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Adds and removes rules of a security group. A rule that is there is not added again, and one that is not there
    /// cannot be removed.
    ///
    /// # Errors
    ///
    /// There is no such group, a rule makes no sense or is not there, or there would be more than 100.
    pub async fn change_rules(
        &self,
        account: &str,
        id: SecurityGroupId,
        add: &[SecurityRule],
        remove: &[SecurityRule],
    ) -> Result<SecurityGroup, ComputeError> {
        let _referring = self.references.read().await;
        self.check_rules(add).await?;
        let group = self
            .change_owned::<SecurityGroup>(account, &id.to_string(), |group| {
                for rule in remove {
                    let before = group.rules.len();
                    group.rules.retain(|known| !same(known, rule));
                    if group.rules.len() == before {
                        return Err(ComputeError::NotFound { what: "rule", id: format!("{rule:?}") });
                    }
                }
                for rule in add {
                    if group.rules.iter().any(|known| same(known, rule)) {
                        return Err(ComputeError::Exists { what: "rule", name: format!("{rule:?}") });
                    }
                    group.rules.push(rule.clone());
                }
                if group.rules.len() > MAX_RULES {
                    return Err(ComputeError::Limit {
                        what: "rules in a security group",
                        most: MAX_RULES as u64,
                    });
                }
                Ok(())
            })
            .await?;
        self.guard_group(id).await?;
        Ok(group)
    }

    /// Sees to it that a security group has rules and has not others: one that is there is not added again, and one that
    /// is not there need not be removed.
    ///
    /// # Errors
    ///
    /// There is no such group, a rule makes no sense, or there would be more than 100.
    pub async fn set_rules(
        &self,
        account: &str,
        id: SecurityGroupId,
        add: &[SecurityRule],
        remove: &[SecurityRule],
    ) -> Result<SecurityGroup, ComputeError> {
        let _referring = self.references.read().await;
        self.check_rules(add).await?;
        let group = self
            .change_owned::<SecurityGroup>(account, &id.to_string(), |group| {
                group.rules.retain(|known| !remove.iter().any(|rule| same(known, rule)));
                add_rules(group, add)
            })
            .await?;
        self.guard_group(id).await?;
        Ok(group)
    }

    async fn check_rules(&self, rules: &[SecurityRule]) -> Result<(), ComputeError> {
        for rule in rules {
            check_rule(rule)?;
            if let Peer::Group { account, group } = &rule.peer {
                self.get_owned::<SecurityGroup>(account, &group.to_string()).await?;
            }
        }
        Ok(())
    }

    /// Deletes a security group that nobody refers to.
    ///
    /// # Errors
    ///
    /// There is none of this id, it is a default one, or an interface or another group's rule refers to it.
    pub async fn delete_security_group(
        &self,
        account: &str,
        id: SecurityGroupId,
    ) -> Result<(), ComputeError> {
        let _removing = self.references.write().await;
        let kept = self.get_owned::<SecurityGroup>(account, &id.to_string()).await?;
        if kept.value.name == DEFAULT {
            return Err(in_use(SecurityGroup::NAME, &id, &kept.value.vpc));
        }
        let member = |interface: &Interface| interface.security_groups.contains(&id);
        if let Some(interface) = self.all_owned::<Interface>(account, member).await?.first() {
            return Err(in_use(SecurityGroup::NAME, &id, &interface.id));
        }
        let (all, _) = crate::store::list::<SecurityGroup>(&*self.store, "security-group/").await?;
        let refers = |rule: &SecurityRule| matches!(&rule.peer, Peer::Group { group, .. } if *group == id);
        let by = all.iter().find(|other| other.value.id != id && other.value.rules.iter().any(refers));
        if let Some(by) = by {
            return Err(in_use(SecurityGroup::NAME, &id, &by.value.id));
        }
        let conditions = vec![kept.unmodified()];
        let writes = vec![
            crate::store::Write::Delete(kept.key.clone()),
            crate::store::Write::Delete(group_name_key(&kept.value)),
        ];
        self.store.commit(Transaction { conditions, writes }).await?;
        Ok(())
    }

    async fn check_count<T: Resource>(&self, account: &str, what: &'static str) -> Result<(), ComputeError> {
        match self.all_owned::<T>(account, |_| true).await?.len() < MAX_OF_EACH {
            true => Ok(()),
            false => Err(ComputeError::Limit { what, most: MAX_OF_EACH as u64 }),
        }
    }
}

/// Where a group's name is kept, so that it is unique in its VPC.
fn group_name_key(group: &SecurityGroup) -> crate::store::Key {
    let name = format!("{}\n{}", group.vpc, group.name);
    crate::resource::named_key("security-group-name", &group.account, &name)
}

fn in_use(what: &'static str, id: &dyn std::fmt::Display, by: &dyn std::fmt::Display) -> ComputeError {
    ComputeError::InUse { what, id: id.to_string(), by: by.to_string() }
}

fn check_cidr(cidr: Ipv4Net) -> Result<(), ComputeError> {
    let refuse = |why: String| Err(ComputeError::invalid("cidr", why));
    if cidr.addr() != cidr.network() {
        return refuse(format!("{cidr} has bits behind its mask: {} is meant", cidr.trunc()));
    }
    if !(8..=28).contains(&cidr.prefix_len()) {
        return refuse(format!("{cidr} must be between /8 and /28"));
    }
    if !cidr.network().is_private() || !cidr.broadcast().is_private() {
        return refuse(format!("{cidr} is not private (10/8, 172.16/12, 192.168/16)"));
    }
    Ok(())
}

/// Whether two rules let the same through.
fn same(a: &SecurityRule, b: &SecurityRule) -> bool {
    (a.direction, a.protocol, &a.peer) == (b.direction, b.protocol, &b.peer)
}

/// Adds those rules that a group has not yet.
fn add_rules(group: &mut SecurityGroup, rules: &[SecurityRule]) -> Result<(), ComputeError> {
    for rule in rules {
        if !group.rules.iter().any(|known| same(known, rule)) {
            group.rules.push(rule.clone());
        }
    }
    match group.rules.len() {
        0..=MAX_RULES => Ok(()),
        _ => Err(ComputeError::Limit { what: "rules in a security group", most: MAX_RULES as u64 }),
    }
}

fn check_rule(rule: &SecurityRule) -> Result<(), ComputeError> {
    match rule.protocol {
        Protocol::Tcp { from, to } | Protocol::Udp { from, to } if from > to => {
            Err(ComputeError::invalid("rules", format!("the ports {from} to {to} are the wrong way round")))
        }
        Protocol::Icmp { kind: None, code: Some(_) } => {
            Err(ComputeError::invalid("rules", "an ICMP code needs a type"))
        }
        Protocol::All | Protocol::Tcp { .. } | Protocol::Udp { .. } | Protocol::Icmp { .. } => Ok(()),
    }
}
