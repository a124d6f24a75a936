//! Tags hung on resources and taken off them, of several resources together. Each keeps the tags that are not named, whatever
//! others change of them at the same time; whoever has all of a resource's tags to say, sets them with its other words.

use std::collections::{BTreeMap, BTreeSet};

use super::records::TRIES;
use super::{Compute, ComputeError};
use crate::id::{
    AddressId, ImageId, InstanceId, InterfaceId, KeyPairId, SecurityGroupId, SnapshotId, SubnetId, VolumeId,
    VpcId,
};
use crate::lifecycle::{Refused, State};
use crate::resource::{
    Address, Instance, Interface, KeyPair, Resource, SecurityGroup, Snapshot, Subnet, Tags, Volume, Vpc,
};
use crate::store::{CommitError, Condition, Kept, Transaction, Write, put};

/// Something that tags can be hung on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taggable {
    /// An instance.
    Instance(InstanceId),
    /// A volume.
    Volume(VolumeId),
    /// A snapshot.
    Snapshot(SnapshotId),
    /// An image of the account's own.
    Image(ImageId),
    /// A key pair.
    KeyPair(KeyPairId),
    /// A VPC.
    Vpc(VpcId),
    /// A subnet.
    Subnet(SubnetId),
    /// A security group.
    SecurityGroup(SecurityGroupId),
    /// A network interface.
    Interface(InterfaceId),
    /// A public address.
    Address(AddressId),
}

/// What is to become of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// These are there, instead of those with the same keys.
    Add(Tags),
    /// Those of these keys are not there; of one with a value, only if it has that value.
    Remove(BTreeMap<String, Option<String>>),
    /// None is there.
    RemoveAll,
}

impl TagChange {
    /// Makes it so.
    fn apply(&self, tags: &mut Tags) -> Result<(), ComputeError> {
        match self {
            Self::Add(new) => tags.0.extend(new.0.clone()),
            Self::Remove(old) => tags.0.retain(|key, value| match old.get(key) {
                None => true,
                Some(wanted) => wanted.as_ref().is_some_and(|wanted| wanted != value),
            }),
            Self::RemoveAll => tags.0.clear(),
        }
        tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))
    }
}

impl Compute {
    /// Changes the tags of all these resources of an account, or of none.
    ///
    /// # Errors
    ///
    /// One of them is not there or would have too many tags, or a tag is too long.
    pub async fn tag(
        &self,
        account: &str,
        resources: &[Taggable],
        change: &TagChange,
    ) -> Result<(), ComputeError> {
        let resources: BTreeSet<Taggable> = resources.iter().copied().collect();
        let mut contended = None;
        for _ in 0..TRIES {
            let mut transaction = Transaction::default();
            for resource in &resources {
                let (condition, write) = self.tagged(account, *resource, change).await?;
                transaction.conditions.push(condition);
                transaction.writes.extend(write);
            }
            // As they are, they are already.
            if transaction.writes.is_empty() {
                return Ok(());
            }
            match self.store.commit(transaction).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict { key, .. }) => contended = Some(key),
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended.map_or(ComputeError::Ending, |key| ComputeError::Contended { key }))
    }

    /// What a change of one resource's tags writes, and what must be so for it.
    async fn tagged(
        &self,
        account: &str,
        resource: Taggable,
        change: &TagChange,
    ) -> Result<(Condition, Option<Write>), ComputeError> {
        match resource {
            Taggable::Instance(id) => {
                let kept = self.get_owned::<Instance>(account, &id.to_string()).await?;
                if matches!(kept.value.state(), State::Terminating | State::Terminated) {
                    return Err(ComputeError::Refused { instance: id, why: Refused::Gone });
                }
                rewritten(kept, change, |it| &mut it.tags)
            }
            Taggable::KeyPair(id) => {
                let key = self.key_pair_of(account, id).await?.key();
                let kept = self.get_at::<KeyPair>(&key, &id.to_string()).await?;
                // Another of the same name may have taken its place.
                if kept.value.id != id {
                    return Err(ComputeError::NotFound { what: KeyPair::NAME, id: id.to_string() });
                }
                rewritten(kept, change, |it| &mut it.tags)
            }
            Taggable::Image(id) => rewritten(self.own_image(account, id).await?, change, |it| &mut it.tags),
            Taggable::Volume(id) => self.rewrite::<Volume>(account, id, change, |it| &mut it.tags).await,
            Taggable::Snapshot(id) => self.rewrite::<Snapshot>(account, id, change, |it| &mut it.tags).await,
            Taggable::Vpc(id) => self.rewrite::<Vpc>(account, id, change, |it| &mut it.tags).await,
            Taggable::Subnet(id) => self.rewrite::<Subnet>(account, id, change, |it| &mut it.tags).await,
            Taggable::SecurityGroup(id) => {
                self.rewrite::<SecurityGroup>(account, id, change, |it| &mut it.tags).await
            }
            Taggable::Interface(id) => {
                self.rewrite::<Interface>(account, id, change, |it| &mut it.tags).await
            }
            Taggable::Address(id) => self.rewrite::<Address>(account, id, change, |it| &mut it.tags).await,
        }
    }

    async fn rewrite<T: Resource>(
        &self,
        account: &str,
        id: impl ToString,
        change: &TagChange,
        tags: fn(&mut T) -> &mut Tags,
    ) -> Result<(Condition, Option<Write>), ComputeError> {
        rewritten(self.get_owned(account, &id.to_string()).await?, change, tags)
    }
}

/// A record with other tags; no write where they are as they were.
fn rewritten<T: Resource>(
    mut kept: Kept<T>,
    change: &TagChange,
    tags: fn(&mut T) -> &mut Tags,
) -> Result<(Condition, Option<Write>), ComputeError> {
    let unmodified = kept.unmodified();
    let tags = tags(&mut kept.value);
    let before = tags.clone();
    change.apply(tags)?;
    let is_other = *tags != before;
    Ok((unmodified, is_other.then(|| put(kept.key, &kept.value))))
}
