//! Public addresses of an account, as records: allocated from the host's pool, led to interfaces, released.

use std::net::Ipv4Addr;

use super::{Compute, ComputeError, Listed};
use crate::id::{AddressId, InterfaceId};
use crate::resource::{Address, Interface, Resource, Tags};
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
        bandwidth_mbps: u32,
        tags: Tags,
    ) -> Result<Address, ComputeError> {
        tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        let pool = self.config.public_addresses.iter().flat_map(|part| part.hosts());
        for candidate in pool.filter(|candidate| wanted.is_none_or(|wanted| wanted == *candidate)) {
            let used = Address::use_key(candidate);
            if get::<AddressId>(&*self.store, &used).await?.is_some() {
                continue;
            }
            let address = Address {
                id: AddressId::draw(),
                account: account.to_owned(),
                address: candidate,
                interface: None,
                release_with_interface: false,
                bandwidth_mbps,
                tags: tags.clone(),
                created: self.clock.now(),
            };
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

    /// Lets a public address lead to an interface, or to none.
    ///
    /// # Errors
    ///
    /// One of them is not there, or the interface has another public address.
    pub async fn associate_address(
        &self,
        account: &str,
        id: AddressId,
        interface: Option<InterfaceId>,
    ) -> Result<Address, ComputeError> {
        let _referring = self.references.read().await;
        if let Some(interface) = interface {
            self.get_owned::<Interface>(account, &interface.to_string()).await?;
            let leads_there = |other: &Address| other.id != id && other.interface == Some(interface);
            if let Some(other) = self.all_owned::<Address>(account, leads_there).await?.first() {
                let (id, by) = (interface.to_string(), other.id.to_string());
                return Err(ComputeError::InUse { what: Interface::NAME, id, by });
            }
        }
        self.change_owned::<Address>(account, &id.to_string(), |address| {
            address.interface = interface;
            Ok(())
        })
        .await
    }

    /// Gives a public address back.
    ///
    /// # Errors
    ///
    /// There is none of this id, or it leads to an interface.
    pub async fn release_address(&self, account: &str, id: AddressId) -> Result<(), ComputeError> {
        let kept = self.get_owned::<Address>(account, &id.to_string()).await?;
        if let Some(interface) = kept.value.interface {
            let by = interface.to_string();
            return Err(ComputeError::InUse { what: Address::NAME, id: id.to_string(), by });
        }
        let conditions = vec![kept.unmodified()];
        let writes =
            vec![Write::Delete(kept.key.clone()), Write::Delete(Address::use_key(kept.value.address))];
        self.store.commit(Transaction { conditions, writes }).await?;
        Ok(())
    }
}
