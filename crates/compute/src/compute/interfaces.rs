//! Network interfaces that come and go by themselves: made, given to instances that have no VM, taken back, deleted. Those
//! that come with an instance are made in `launch` and go in `effects`.

use std::net::Ipv4Addr;

use super::launch::{check_together, check_words};
use super::records::{TRIES, WordsChange};
use super::volumes::without_vm;
use super::{Compute, ComputeError, Token};
use crate::id::{InstanceId, InterfaceId, SecurityGroupId, SubnetId};
use crate::resource::{Address, Instance, Interface, Resource, Subnet, Tags, owned_key};
use crate::store::{CommitError, Condition, Kept, Key, Transaction, Write, put};

/// Most interfaces of an instance: what the machine has slots for.
pub const MAX_INTERFACES: usize = 16;
/// Most interfaces of an account that no instance has.
const MAX_LOOSE: usize = 500;

/// An interface that is asked for.
#[derive(Clone, Debug)]
pub struct NewInterface {
    /// The subnet.
    pub subnet: SubnetId,
    /// Its address; `None` for any.
    pub address: Option<Ipv4Addr>,
    /// Security groups; none for the VPC's default one.
    pub security_groups: Vec<SecurityGroupId>,
    /// A name for people.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Tags.
    pub tags: Tags,
    /// What makes a repetition lead to the same interface.
    pub token: Option<Token>,
}

/// What is to be changed of an interface; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct InterfaceChange {
    /// What is said of it.
    pub words: WordsChange,
    /// Its security groups, all of them.
    pub security_groups: Option<Vec<SecurityGroupId>>,
    /// Whether it goes with the instance that has it.
    pub delete_with_instance: Option<bool>,
}

impl Compute {
    /// Makes an interface that no instance has yet.
    ///
    /// # Errors
    ///
    /// Something is not there or makes no sense, the address is taken, or none is left.
    pub async fn create_interface(
        &self,
        account: &str,
        new: &NewInterface,
    ) -> Result<Interface, ComputeError> {
        check_words(Some(&new.name), Some(&new.tags))?;
        let _referring = self.references.read().await;
        let subnet = self.get_owned::<Subnet>(account, &new.subnet.to_string()).await?.value;
        let groups = self.groups(account, &subnet, &new.security_groups).await?;
        let is_loose = |interface: &Interface| interface.instance.is_none();
        if self.all_owned::<Interface>(account, is_loose).await?.len() >= MAX_LOOSE {
            let what = "network interfaces that no instance has";
            return Err(ComputeError::Limit { what, most: MAX_LOOSE as u64 });
        }
        for _ in 0..TRIES {
            if let Some(result) = self.used_token(account, new.token.as_ref()).await? {
                let made = result.first().map(String::as_str).unwrap_or_default();
                return Ok(self.get_owned::<Interface>(account, made).await?.value);
            }
            let hold = self.ledger.hold_address(&subnet, new.address)?;
            let id = InterfaceId::draw();
            let interface = Interface {
                id,
                account: account.to_owned(),
                name: new.name.clone(),
                description: new.description.clone(),
                subnet: subnet.id,
                vpc: subnet.vpc,
                network: subnet.network,
                address: hold.address(),
                mac: Interface::mac_of(id),
                security_groups: groups.iter().map(|group| group.id).collect(),
                instance: None,
                index: 0,
                delete_with_instance: false,
                tags: new.tags.clone(),
                created: self.clock.now(),
            };
            let used = Interface::address_key(interface.network, interface.address);
            let mut conditions = vec![Condition::Absent(interface.key()), Condition::Absent(used.clone())];
            let mut writes = vec![put(interface.key(), &interface), put(used, &id)];
            if let Some((condition, write)) =
                self.use_token(account, new.token.as_ref(), vec![id.to_string()])?
            {
                conditions.push(condition);
                writes.push(write);
            }
            match self.store.commit(Transaction { conditions, writes }).await {
                Ok(_) => {
                    hold.keep();
                    return Ok(interface);
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ComputeError::Contended { key: owned_key(Interface::WORD, account, "new") })
    }

    /// Changes what can be changed of an interface.
    ///
    /// # Errors
    ///
    /// There is none of this id, something is not there or makes no sense, or no instance has it that it could go with.
    pub async fn change_interface(
        &self,
        account: &str,
        id: InterfaceId,
        change: &InterfaceChange,
    ) -> Result<Interface, ComputeError> {
        change.words.check()?;
        let _referring = self.references.read().await;
        if let Some(groups) = &change.security_groups {
            if groups.is_empty() {
                return Err(ComputeError::invalid("security_groups", "has none: an interface needs one"));
            }
            let subnet = self.interface(account, id).await?.subnet;
            let subnet = self.get_owned::<Subnet>(account, &subnet.to_string()).await?.value;
            self.groups(account, &subnet, groups).await?;
        }
        let changed = self
            .change_owned::<Interface>(account, &id.to_string(), |interface| {
                change.words.apply(&mut interface.name, &mut interface.description, &mut interface.tags);
                if let Some(groups) = &change.security_groups {
                    interface.security_groups.clone_from(groups);
                }
                if let Some(delete) = change.delete_with_instance {
                    if interface.instance.is_none() {
                        return Err(not_attached(id));
                    }
                    interface.delete_with_instance = delete;
                }
                Ok(())
            })
            .await?;
        self.guard_interface(account, id).await?;
        Ok(changed)
    }

    /// Gives an interface to an instance that has no VM, as its last.
    ///
    /// # Errors
    ///
    /// One of them is not there or not in the state for it, or the instance has as many as it may have.
    pub async fn attach_interface(
        &self,
        account: &str,
        id: InterfaceId,
        instance: InstanceId,
        delete_with_instance: bool,
    ) -> Result<Interface, ComputeError> {
        for _ in 0..TRIES {
            let mut kept = self.get_owned::<Interface>(account, &id.to_string()).await?;
            if let Some(by) = kept.value.instance {
                return Err(in_use(id, &by));
            }
            let mut owner = self.get_owned::<Instance>(account, &instance.to_string()).await?;
            without_vm(&owner.value)?;
            if let Some(first) = owner.value.interfaces.first() {
                let first = self.get_owned::<Interface>(account, &first.to_string()).await?.value;
                let subnet = async |of: &Interface| {
                    Ok::<_, ComputeError>(
                        self.get_owned::<Subnet>(account, &of.subnet.to_string()).await?.value,
                    )
                };
                check_together(&subnet(&first).await?, &subnet(&kept.value).await?)?;
            }
            if owner.value.interfaces.len() >= MAX_INTERFACES {
                let what = "network interfaces of an instance";
                return Err(ComputeError::Limit { what, most: MAX_INTERFACES as u64 });
            }
            let conditions = vec![kept.unmodified(), owner.unmodified()];
            kept.value.index = u32::try_from(owner.value.interfaces.len()).unwrap_or(u32::MAX);
            (kept.value.instance, kept.value.delete_with_instance) = (Some(instance), delete_with_instance);
            owner.value.interfaces.push(id);
            let writes = vec![put(kept.key.clone(), &kept.value), put(owner.key.clone(), &owner.value)];
            if self.done(Transaction { conditions, writes }).await? {
                return Ok(kept.value);
            }
        }
        Err(ComputeError::Contended { key: owned_key(Interface::WORD, account, &id.to_string()) })
    }

    /// Takes an interface from an instance that has no VM. Those behind it move up.
    ///
    /// # Errors
    ///
    /// It is not attached, the instance has a VM, or it is the instance's first.
    pub async fn detach_interface(&self, account: &str, id: InterfaceId) -> Result<Interface, ComputeError> {
        for _ in 0..TRIES {
            let mut kept = self.get_owned::<Interface>(account, &id.to_string()).await?;
            let Some(instance) = kept.value.instance.take() else {
                return Err(not_attached(id));
            };
            let mut owner = self.get_owned::<Instance>(account, &instance.to_string()).await?;
            without_vm(&owner.value)?;
            if owner.value.interfaces.first() == Some(&id) {
                let why = "is the instance's first, which stays";
                return Err(ComputeError::invalid("network_interface", why));
            }
            let mut conditions = vec![kept.unmodified(), owner.unmodified()];
            owner.value.interfaces.retain(|other| *other != id);
            (kept.value.index, kept.value.delete_with_instance) = (0, false);
            let mut writes = vec![put(kept.key.clone(), &kept.value), put(owner.key.clone(), &owner.value)];
            for (index, other) in (0_u32..).zip(&owner.value.interfaces) {
                let mut other: Kept<Interface> = self.get_owned(account, &other.to_string()).await?;
                if other.value.index != index {
                    conditions.push(other.unmodified());
                    other.value.index = index;
                    writes.push(put(other.key.clone(), &other.value));
                }
            }
            if self.done(Transaction { conditions, writes }).await? {
                return Ok(kept.value);
            }
        }
        Err(ComputeError::Contended { key: owned_key(Interface::WORD, account, &id.to_string()) })
    }

    /// Deletes an interface that no instance has. A public address that leads to it leads nowhere then.
    ///
    /// # Errors
    ///
    /// There is none of this id, or an instance has it.
    pub async fn delete_interface(&self, account: &str, id: InterfaceId) -> Result<(), ComputeError> {
        let _removing = self.references.write().await;
        let kept = self.get_owned::<Interface>(account, &id.to_string()).await?;
        if let Some(by) = kept.value.instance {
            return Err(in_use(id, &by));
        }
        let (network, address) = (kept.value.network, kept.value.address);
        let used: Key = Interface::address_key(network, address);
        let mut writes = vec![Write::Delete(kept.key.clone()), Write::Delete(used)];
        let leads_here = |public: &Address| public.interface == Some(id);
        for mut public in self.all_owned::<Address>(account, leads_here).await? {
            if public.release_with_interface {
                writes.extend([Write::Delete(public.key()), Write::Delete(Address::use_key(public.address))]);
            } else {
                public.interface = None;
                writes.push(put(public.key(), &public));
            }
        }
        self.store.commit(Transaction { conditions: vec![kept.unmodified()], writes }).await?;
        self.ledger.forget_address(network, address);
        Ok(())
    }

    /// Does a transaction; false if somebody else changed the same.
    async fn done(&self, transaction: Transaction) -> Result<bool, ComputeError> {
        match self.store.commit(transaction).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn not_attached(id: InterfaceId) -> ComputeError {
    let (what, id, state) = (Interface::NAME, id.to_string(), "free".to_owned());
    ComputeError::WrongState { what, id, state, wanted: "attached" }
}

pub(super) fn in_use(id: InterfaceId, by: &InstanceId) -> ComputeError {
    ComputeError::InUse { what: Interface::NAME, id: id.to_string(), by: by.to_string() }
}
