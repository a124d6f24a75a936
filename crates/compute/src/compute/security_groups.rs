//! Security groups, as records. Every VPC has a default one; a rule may name a group of another account whose members can be
//! met in the same network.

use ipnet::Ipv4Net;

use super::launch::check_name;
use super::networks::{DEFAULT, in_use};
use super::records::Besides;
use super::{Compute, ComputeError, Listed, WordsChange};
use crate::id::{SecurityGroupId, VpcId};
use crate::identity::{Account, AccountId, account_key};
use crate::resource::{
    Direction, Interface, Peer, Protocol, Resource, SecurityGroup, SecurityRule, Tags, Vpc, named_key,
    owned_key,
};
use crate::store::{CommitError, Condition, Key, Transaction, Write, get, put};

/// Most rules of a security group (EC2 2007-03-01; Alibaba).
const MAX_RULES: usize = 100;

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
    /// The group that every VPC has: its members talk to each other, and to everybody.
    pub(super) fn default_group_of(&self, account: &str, vpc: VpcId) -> SecurityGroup {
        let id = SecurityGroupId::draw();
        let everything = |direction, peer| SecurityRule {
            direction,
            protocol: Protocol::All,
            peer,
            description: String::new(),
            id: None,
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
                self.check_rules(vpc, rules).await?;
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
                    besides.writes.push(Write::Delete(before.0));
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
        self.rewrite_rules(account, id, add, |group| {
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
            check_count(group)
        })
        .await
    }

    /// Puts other rules into the places of those that are there, all of them or none.
    ///
    /// # Errors
    ///
    /// There is no such group, a rule makes no sense, is not there, or would be there twice.
    pub async fn replace_rules(
        &self,
        account: &str,
        id: SecurityGroupId,
        changes: &[(SecurityRule, SecurityRule)],
    ) -> Result<SecurityGroup, ComputeError> {
        let after: Vec<SecurityRule> = changes.iter().map(|(_, after)| after.clone()).collect();
        self.rewrite_rules(account, id, &after, |group| {
            let mut places = Vec::with_capacity(changes.len());
            for (before, _) in changes {
                let place = group.rules.iter().position(|known| same(known, before));
                let absent = || ComputeError::NotFound { what: "rule", id: format!("{before:?}") };
                places.push(place.ok_or_else(absent)?);
            }
            for (place, rule) in places.into_iter().zip(&after) {
                group.rules[place] = rule.clone();
            }
            for rule in &after {
                if group.rules.iter().filter(|other| same(other, rule)).count() > 1 {
                    return Err(ComputeError::Exists { what: "rule", name: format!("{rule:?}") });
                }
            }
            Ok(())
        })
        .await
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
        self.rewrite_rules(account, id, add, |group| {
            group.rules.retain(|known| !remove.iter().any(|rule| same(known, rule)));
            add_rules(group, add)
        })
        .await
    }

    /// Changes the rules of a group, which these are to be among, and puts them in force.
    async fn rewrite_rules(
        &self,
        account: &str,
        id: SecurityGroupId,
        add: &[SecurityRule],
        rewrite: impl Fn(&mut SecurityGroup) -> Result<(), ComputeError>,
    ) -> Result<SecurityGroup, ComputeError> {
        let _referring = self.references.read().await;
        let vpc = self.security_group(account, id).await?.vpc;
        self.check_rules(vpc, add).await?;
        let group = self.change_owned::<SecurityGroup>(account, &id.to_string(), rewrite).await?;
        self.guard_group(id).await?;
        Ok(group)
    }

    /// Checks rules of a group of a VPC: what they say, and that members of the groups that they name can be met there.
    async fn check_rules(&self, vpc: VpcId, rules: &[SecurityRule]) -> Result<(), ComputeError> {
        for rule in rules {
            check_rule(rule)?;
            let Peer::Group { account, group } = &rule.peer else { continue };
            let peer = self.security_group(account, *group).await?;
            if peer.vpc == vpc {
                continue;
            }
            // All accounts' default VPCs are in one network.
            let all = self.all_vpcs(|known| known.is_default && [vpc, peer.vpc].contains(&known.id)).await?;
            if all.len() < 2 {
                let why = format!("{group} is of {}, whose instances are never met in {vpc}", peer.vpc);
                return Err(ComputeError::invalid("rules", why));
            }
        }
        Ok(())
    }

    /// VPCs of whatever account.
    async fn all_vpcs(&self, wanted: impl Fn(&Vpc) -> bool) -> Result<Vec<Vpc>, ComputeError> {
        let (all, _) = crate::store::list::<Vpc>(&*self.store, "vpc/").await?;
        Ok(all.into_iter().map(|kept| kept.value).filter(wanted).collect())
    }

    /// A security group by its name in a VPC, or in its account's default one. For other accounts than the caller's, too:
    /// rules can name their groups.
    ///
    /// # Errors
    ///
    /// There is none of this name, no such VPC, or no such account.
    pub async fn security_group_named(
        &self,
        account: &str,
        vpc: Option<VpcId>,
        name: &str,
    ) -> Result<SecurityGroup, ComputeError> {
        let absent = || ComputeError::NotFound { what: SecurityGroup::NAME, id: name.to_owned() };
        let vpc = match vpc {
            Some(vpc) => vpc,
            None => {
                // Only an account that there is gets its network.
                let id: AccountId = account.parse().map_err(|_| absent())?;
                if get::<Account>(&*self.store, &account_key(id)).await?.is_some() {
                    self.ensure_network(account).await?;
                }
                let default = self.all_owned::<Vpc>(account, |vpc| vpc.is_default).await?.pop();
                default.ok_or_else(absent)?.id
            }
        };
        let key = name_key(account, vpc, name);
        let id = get::<SecurityGroupId>(&*self.store, &key).await?.ok_or_else(absent)?.value;
        self.security_group(account, id).await
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
        let writes = vec![Write::Delete(kept.key.clone()), Write::Delete(group_name_key(&kept.value))];
        self.store.commit(Transaction { conditions, writes }).await?;
        Ok(())
    }
}

/// Where a group's name is kept, so that it is unique in its VPC.
pub(super) fn group_name_key(group: &SecurityGroup) -> Key {
    name_key(&group.account, group.vpc, &group.name)
}

fn name_key(account: &str, vpc: VpcId, name: &str) -> Key {
    named_key("security-group-name", account, &format!("{vpc}\n{name}"))
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
    check_count(group)
}

/// Whether a group has no more rules than it may.
fn check_count(group: &SecurityGroup) -> Result<(), ComputeError> {
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
