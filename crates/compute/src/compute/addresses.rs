//! Public addresses of an account, as records: allocated from the host's pool, led to interfaces, released.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use super::launch::{check_name, check_words};
use super::records::TRIES;
use super::{Compute, ComputeError, Listed};
use crate::id::{AddressId, InterfaceId};
use crate::resource::{Address, Interface, Resource, Tags, owned_key};
use crate::store::{CommitError, Condition, Transaction, Write, get, put};

impl Compute {
    /// Public addresses of an account that `wanted` takes.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn addresses(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&Address) -> bool,
    ) -> Result<Listed<Address>, ComputeError> {
        self.list_owned(account, after, limit, wanted).await
    }

    /// A public address.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn address(&self, account: &str, id: AddressId) -> Result<Address, ComputeError> {
        Ok(self.get_owned::<Address>(account, &id.to_string()).await?.value)
    }

    /// Allocates a public address: this one, or any.
    ///
    /// # Errors
    ///
    /// The pool has none left, or not this one.
    pub async fn allocate_address(
        &self,
        account: &str,
        wanted: Option<Ipv4Addr>,
        name: &str,
        bandwidth_mbps: u32,
        tags: Tags,
    ) -> Result<Address, ComputeError> {
        tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        check_name("name", name)?;
        let make = |address| {
            let (name, tags) = (name.to_owned(), tags.clone());
            Address { name, bandwidth_mbps, tags, ..self.new_address(account, address) }
        };
        self.take_address(wanted, make).await
    }

    /// Gives an interface a public address of its own, which goes with it.
    ///
    /// # Errors
    ///
    /// There is no such interface, it has one, or the pool has none left.
    pub async fn give_address(
        &self,
        account: &str,
        interface: InterfaceId,
        bandwidth_mbps: u32,
    ) -> Result<Address, ComputeError> {
        // Two at once could give it two.
        let giving = self.references.write().await;
        self.get_owned::<Interface>(account, &interface.to_string()).await?;
        let leads_there = |other: &Address| other.interface == Some(interface);
        if let Some(other) = self.all_owned::<Address>(account, leads_there).await?.first() {
            let (id, by) = (interface.to_string(), other.id.to_string());
            return Err(ComputeError::InUse { what: Interface::NAME, id, by });
        }
        let make = |address| Address {
            interface: Some(interface),
            release_with_interface: true,
            bandwidth_mbps,
            ..self.new_address(account, address)
        };
        let given = self.take_address(None, make).await?;
        drop(giving);
        self.guard_interface(account, interface).await?;
        Ok(given)
    }

    /// Takes an address of the pool, this one or the first that is free, for the record that `make` makes of it.
    async fn take_address(
        &self,
        wanted: Option<Ipv4Addr>,
        make: impl Fn(Ipv4Addr) -> Address,
    ) -> Result<Address, ComputeError> {
        let pool = self.config.public_addresses.iter().flat_map(|part| part.hosts());
        for candidate in pool.filter(|candidate| wanted.is_none_or(|wanted| wanted == *candidate)) {
            let used = Address::use_key(candidate);
            if get::<AddressId>(&*self.store, &used).await?.is_some() {
                continue;
            }
            let address = make(candidate);
            let conditions = vec![Condition::Absent(used.clone()), Condition::Absent(address.key())];
            let writes = vec![put(used, &address.id), put(address.key(), &address)];
            match self.store.commit(Transaction { conditions, writes }).await {
                Ok(_) => return Ok(address),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (why, taken) = match wanted {
            Some(wanted) => (format!("the public address {wanted} is taken, or not of this host's"), true),
            None if self.config.public_addresses.is_empty() => {
                ("this host has no public addresses: configure public_addresses".to_owned(), false)
            }
            None => ("no public address is left on this host".to_owned(), false),
        };
        Err(ComputeError::Address { why, taken })
    }

    /// The record of a public address that is nobody's yet.
    pub(super) fn new_address(&self, account: &str, address: Ipv4Addr) -> Address {
        Address {
            id: AddressId::draw(),
            account: account.to_owned(),
            name: String::new(),
            address,
            interface: None,
            release_with_interface: false,
            bandwidth_mbps: 0,
            tags: Tags::default(),
            created: self.clock.now(),
        }
    }

    /// Public addresses that nobody has at this moment, at most as many as this.
    pub(super) async fn some_public_addresses(&self, most: usize) -> Result<Vec<Ipv4Addr>, ComputeError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let prefix = "address-use/public/";
        let (used, _) = crate::store::list::<AddressId>(&*self.store, prefix).await?;
        let used: HashSet<&str> = used.iter().map(|kept| &kept.key.as_str()[prefix.len()..]).collect();
        let pool = self.config.public_addresses.iter().flat_map(|part| part.hosts());
        Ok(pool.filter(|address| !used.contains(address.to_string().as_str())).take(most).collect())
    }

    /// Changes the name and the tags of a public address; what is `None` stays.
    ///
    /// # Errors
    ///
    /// There is none of this id, or something makes no sense.
    pub async fn change_address(
        &self,
        account: &str,
        id: AddressId,
        name: Option<&str>,
        tags: Option<&Tags>,
    ) -> Result<Address, ComputeError> {
        check_words(name, tags)?;
        self.change_owned::<Address>(account, &id.to_string(), |address| {
            address.name = name.map_or_else(|| std::mem::take(&mut address.name), str::to_owned);
            if let Some(tags) = tags {
                address.tags = tags.clone();
            }
            Ok(())
        })
        .await
    }

    /// Lets a public address lead to an interface, or to none; `reassociate` takes it away from another one.
    ///
    /// # Errors
    ///
    /// One of them is not there, the interface has another public address, or the address leads elsewhere.
    pub async fn associate_address(
        &self,
        account: &str,
        id: AddressId,
        interface: Option<InterfaceId>,
        reassociate: bool,
    ) -> Result<Address, ComputeError> {
        // Two at once could let two addresses lead to one interface.
        let referring = self.references.write().await;
        if let Some(interface) = interface {
            self.get_owned::<Interface>(account, &interface.to_string()).await?;
            let leads_there = |other: &Address| other.id != id && other.interface == Some(interface);
            if let Some(other) = self.all_owned::<Address>(account, leads_there).await?.first() {
                let (id, by) = (interface.to_string(), other.id.to_string());
                return Err(ComputeError::InUse { what: Interface::NAME, id, by });
            }
        }
        let mut before = None;
        let changed = self
            .change_owned::<Address>(account, &id.to_string(), |address| {
                if let (Some(other), Some(wanted)) = (address.interface, interface)
                    && other != wanted
                    && !reassociate
                {
                    let (what, by) = (Address::NAME, other.to_string());
                    return Err(ComputeError::InUse { what, id: id.to_string(), by });
                }
                before = std::mem::replace(&mut address.interface, interface);
                Ok(())
            })
            .await?;
        drop(referring);
        for interface in before.into_iter().chain(interface) {
            self.guard_interface(account, interface).await?;
        }
        Ok(changed)
    }

    /// Lets a public address lead to an interface in the place of whichever led there before: that one leads nowhere then,
    /// or goes, if it was the interface's own (EC2 AssociateAddress).
    ///
    /// # Errors
    ///
    /// One of them is not there, or the address leads elsewhere and is not to be taken away from there.
    pub async fn replace_address(
        &self,
        account: &str,
        id: AddressId,
        interface: InterfaceId,
        reassociate: bool,
    ) -> Result<Address, ComputeError> {
        // Two at once could let two addresses lead there.
        let replacing = self.references.write().await;
        self.get_owned::<Interface>(account, &interface.to_string()).await?;
        let mut kept = self.get_owned::<Address>(account, &id.to_string()).await?;
        let before = kept.value.interface.replace(interface);
        if before == Some(interface) {
            return Ok(kept.value);
        }
        if let (Some(by), false) = (before, reassociate) {
            return Err(ComputeError::InUse { what: Address::NAME, id: id.to_string(), by: by.to_string() });
        }
        let (mut conditions, mut writes) = (vec![kept.unmodified()], Vec::new());
        let leads_there = |other: &Address| other.id != id && other.interface == Some(interface);
        for other in self.all_owned::<Address>(account, leads_there).await? {
            let mut other = self.get_owned::<Address>(account, &other.id.to_string()).await?;
            conditions.push(other.unmodified());
            if other.value.release_with_interface {
                writes
                    .extend([Write::Delete(other.key), Write::Delete(Address::use_key(other.value.address))]);
            } else {
                other.value.interface = None;
                writes.push(put(other.key, &other.value));
            }
        }
        writes.push(put(kept.key, &kept.value));
        self.store.commit(Transaction { conditions, writes }).await?;
        drop(replacing);
        for interface in before.into_iter().chain([interface]) {
            self.guard_interface(account, interface).await?;
        }
        Ok(kept.value)
    }

    /// Gives a public address back.
    ///
    /// # Errors
    ///
    /// There is none of this id, or it leads to an interface.
    pub async fn release_address(&self, account: &str, id: AddressId) -> Result<(), ComputeError> {
        for _ in 0..TRIES {
            let kept = self.get_owned::<Address>(account, &id.to_string()).await?;
            if let Some(interface) = kept.value.interface {
                let by = interface.to_string();
                return Err(ComputeError::InUse { what: Address::NAME, id: id.to_string(), by });
            }
            let conditions = vec![kept.unmodified()];
            let writes =
                vec![Write::Delete(kept.key.clone()), Write::Delete(Address::use_key(kept.value.address))];
            match self.store.commit(Transaction { conditions, writes }).await {
                Err(CommitError::Conflict { .. }) => {}
                result => return Ok(result.map(drop)?),
            }
        }
        Err(ComputeError::Contended { key: owned_key(Address::WORD, account, &id.to_string()) })
    }
}

/// There are not as many public addresses as are asked for.
pub(super) fn too_few(count: usize, left: usize) -> ComputeError {
    let why = format!("{count} public addresses are asked for, and {left} are left");
    ComputeError::Address { why, taken: false }
}
