//! VPCs, subnets and who is in them, as records. Every account has a default VPC from the start, whose subnet is
//! the host's plain network.

use std::sync::PoisonError;

use ipnet::Ipv4Net;

use super::launch::check_name;
use super::security_groups::group_name_key;
use super::{Compute, ComputeError, Listed, WordsChange};
use crate::id::{InterfaceId, SubnetId, VpcId};
use crate::resource::{Interface, NetworkOf, Resource, SecurityGroup, Subnet, Tags, Vpc, owned_key};
use crate::store::{CommitError, Condition, Transaction, get, put};

/// Most VPCs, subnets and security groups of an account.
const MAX_OF_EACH: usize = 500;
/// Name of the VPC, the subnet and the security group that are there from the start.
pub(super) const DEFAULT: &str = "default";

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

    pub(super) async fn check_count<T: Resource>(
        &self,
        account: &str,
        what: &'static str,
    ) -> Result<(), ComputeError> {
        match self.all_owned::<T>(account, |_| true).await?.len() < MAX_OF_EACH {
            true => Ok(()),
            false => Err(ComputeError::Limit { what, most: MAX_OF_EACH as u64 }),
        }
    }
}

pub(super) fn in_use(
    what: &'static str,
    id: &dyn std::fmt::Display,
    by: &dyn std::fmt::Display,
) -> ComputeError {
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
