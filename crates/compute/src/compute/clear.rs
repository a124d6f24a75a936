//! The end of an account: it must own nothing of the core's but what it got by itself, which nobody else may refer to; and that
//! goes, with whoever is of it.

use super::{Compute, ComputeError};
use crate::identity::{AccountId, AttachedTo, DeleteError, Identity, KeyOwner, LookError, StoreFailed};
use crate::resource::{
    Address, Image, Instance, Interface, Job, Peer, Resource, SecurityGroup, SecurityRule, Snapshot, Subnet,
    Volume, Vpc,
};
use crate::store::{MAX_OPERATIONS, MAX_PAGE, Transaction, Write};

/// Why an account was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum ClearError {
    /// Something belongs to it, or the store failed. It is as it was.
    #[error(transparent)]
    Owned(#[from] ComputeError),
    /// Not all of it could be deleted. What is left is deleted by another try.
    #[error(transparent)]
    Identity(#[from] DeleteError),
}

impl From<StoreFailed> for ClearError {
    fn from(error: StoreFailed) -> Self {
        Self::Identity(error.into())
    }
}

/// One that is gone already is gone.
fn gone(result: Result<(), DeleteError>) -> Result<(), ClearError> {
    match result {
        Err(DeleteError::Absent { .. }) => Ok(()),
        result => Ok(result?),
    }
}

/// Whether an image was there once.
fn is_past(image: &Image) -> bool {
    image.deregistered.is_some() && image.disk.is_none()
}

impl Compute {
    /// Deletes an account that owns nothing: its users, keys, certificates, roles, policies and its default network go
    /// with it. Killed in between, it is disabled, and another try goes on.
    ///
    /// # Errors
    ///
    /// It owns something, or there is no such account.
    pub async fn delete_account(&self, identity: &Identity, id: AccountId) -> Result<(), ClearError> {
        let account = id.to_string();
        match identity.account(id).await {
            Ok(_) => {}
            Err(LookError::Absent { kind, name }) => return Err(DeleteError::Absent { kind, name }.into()),
            Err(LookError::Failed(error)) => return Err(error.into()),
        }
        // Nobody makes anything that refers to something else meanwhile.
        let _removing = self.references.write().await;
        self.check_owns_nothing(&account).await?;
        // From here on nobody gets in with its keys.
        match identity.enable_account(id, false).await {
            Ok(()) => {}
            Err(error) => {
                let why = error.to_string();
                return Err(ComputeError::Store(crate::store::ReadError::Unavailable { why }).into());
            }
        }
        while let Some(user) = identity.users(id, None, 1).await?.items.pop() {
            gone(identity.delete_user_with_keys(id, &user.name).await)?;
        }
        while let Some(role) = identity.roles(id, None, 1).await?.items.pop() {
            for policy in &role.policies {
                // One that somebody else detached is detached.
                let _ = identity.detach_policy(id, policy, AttachedTo::Role(&role.name)).await;
            }
            gone(identity.delete_role(id, &role.name).await)?;
        }
        while let Some(policy) = identity.policies(id, None, 1).await?.items.pop() {
            gone(identity.delete_policy(id, &policy.name).await)?;
        }
        let keys = match identity.access_keys(id, &KeyOwner::Root).await {
            Ok(keys) => keys,
            Err(LookError::Absent { .. }) => Vec::new(),
            Err(LookError::Failed(error)) => return Err(error.into()),
        };
        for key in keys {
            gone(identity.delete_access_key(id, &KeyOwner::Root, key.id.as_str()).await)?;
        }
        let certificates = match identity.certificates(id).await {
            Ok(certificates) => certificates,
            Err(LookError::Absent { .. }) => Vec::new(),
            Err(LookError::Failed(error)) => return Err(error.into()),
        };
        for certificate in certificates {
            gone(identity.delete_certificate(id, certificate.fingerprint).await)?;
        }
        let images = crate::store::list::<Image>(&*self.store, &format!("{}/", Image::WORD)).await;
        let (images, _) = images.map_err(ComputeError::from)?;
        for image in images.iter().filter(|kept| kept.value.account == account && is_past(&kept.value)) {
            self.remove(image).await?;
        }
        for word in ["vpc", "subnet", "security-group", "security-group-name", "default-network"] {
            self.remove_under(&format!("{word}/{account}/")).await?;
        }
        for word in ["job", "reservation", "usage", "client-token", "key-pair"] {
            self.remove_under(&format!("{word}/{account}/")).await?;
        }
        self.with_network.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&account);
        Ok(identity.delete_account(id, Vec::new()).await?)
    }

    async fn check_owns_nothing(&self, account: &str) -> Result<(), ComputeError> {
        let used = |by: String| Err(ComputeError::InUse { what: "account", id: account.to_owned(), by });
        let first = self.all_owned::<Instance>(account, |instance| instance.ended.is_none()).await?;
        if let Some(instance) = first.first() {
            return used(instance.id.to_string());
        }
        if let Some(volume) = self.all_owned::<Volume>(account, |_| true).await?.first() {
            return used(volume.id.to_string());
        }
        if let Some(snapshot) = self.all_owned::<Snapshot>(account, |_| true).await?.first() {
            return used(snapshot.id.to_string());
        }
        if let Some(interface) = self.all_owned::<Interface>(account, |_| true).await?.first() {
            return used(interface.id.to_string());
        }
        if let Some(address) = self.all_owned::<Address>(account, |_| true).await?.first() {
            return used(address.id.to_string());
        }
        if let Some(vpc) = self.all_owned::<Vpc>(account, |vpc| !vpc.is_default).await?.first() {
            return used(vpc.id.to_string());
        }
        if let Some(subnet) = self.all_owned::<Subnet>(account, |subnet| !subnet.is_default).await?.first() {
            return used(subnet.id.to_string());
        }
        let of_its_own = |group: &SecurityGroup| group.name != "default";
        if let Some(group) = self.all_owned::<SecurityGroup>(account, of_its_own).await?.first() {
            return used(group.id.to_string());
        }
        // Other accounts' rules may name its default group.
        let (groups, _) = crate::store::list::<SecurityGroup>(&*self.store, "security-group/").await?;
        let names_it =
            |rule: &SecurityRule| matches!(&rule.peer, Peer::Group { account: of, .. } if of == account);
        let naming = |group: &SecurityGroup| group.account != account && group.rules.iter().any(names_it);
        if let Some(group) = groups.iter().find(|kept| naming(&kept.value)) {
            return used(group.value.id.to_string());
        }
        if let Some(job) = self.all_owned::<Job>(account, |job| job.ended.is_none()).await?.first() {
            return used(job.id.to_string());
        }
        let prefix = format!("{}/", Image::WORD);
        let (images, _) = crate::store::list::<Image>(&*self.store, &prefix).await?;
        // Of one that was deregistered nothing is left but that it was there.
        let is_owned = |image: &Image| image.account == account && !is_past(image);
        if let Some(image) = images.iter().find(|kept| is_owned(&kept.value)) {
            return used(image.value.id.to_string());
        }
        Ok(())
    }

    async fn remove_under(&self, prefix: &str) -> Result<(), ComputeError> {
        loop {
            let page = self.store.range(prefix, None, MAX_OPERATIONS.min(MAX_PAGE)).await?;
            let writes: Vec<_> = page.records.into_iter().map(|record| Write::Delete(record.key)).collect();
            if writes.is_empty() {
                return Ok(());
            }
            self.store.commit(Transaction { conditions: Vec::new(), writes }).await?;
        }
    }
}
