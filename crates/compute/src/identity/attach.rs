//! Policies attached to users and roles. The list is in the user's or role's record; a policy of the account counts how
//! often it is attached, so that it is not deleted from under them.

use serde::{Deserialize, Serialize};

use crate::access::BUILT_IN;
use crate::store::{Condition, Kept, Write, put};

use super::{AccountId, AttachError, Identity, Kind, Policy, Role, StoreFailed, User};

/// Most policies of the account that are attached to one user or role: RAM's limit.
pub const MAX_CUSTOM_ATTACHED: usize = 10;
/// Most built-in policies that are attached to one user or role: RAM's limit.
pub const MAX_BUILT_IN_ATTACHED: usize = 20;

/// The name of a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyRef {
    /// One that every account has: RAM's type `System`.
    BuiltIn(String),
    /// One of the account: RAM's type `Custom`.
    Custom(String),
}

/// What a policy is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachedTo<'a> {
    /// The user of this name.
    User(&'a str),
    /// The role of this name.
    Role(&'a str),
}

impl PolicyRef {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::BuiltIn(name) | Self::Custom(name) => name,
        }
    }
}

/// A user or a role, with its policies.
enum Holder {
    User(Kept<User>),
    Role(Kept<Role>),
}

impl Holder {
    fn policies(&mut self) -> &mut Vec<PolicyRef> {
        match self {
            Self::User(kept) => &mut kept.value.policies,
            Self::Role(kept) => &mut kept.value.policies,
        }
    }

    fn counter<'a>(&self, policy: &'a mut Policy) -> &'a mut usize {
        match self {
            Self::User(_) => &mut policy.users,
            Self::Role(_) => &mut policy.roles,
        }
    }

    fn unmodified(&self) -> Condition {
        match self {
            Self::User(kept) => kept.unmodified(),
            Self::Role(kept) => kept.unmodified(),
        }
    }

    fn write(&self) -> Write {
        match self {
            Self::User(kept) => put(kept.key.clone(), &kept.value),
            Self::Role(kept) => put(kept.key.clone(), &kept.value),
        }
    }
}

impl Identity {
    /// Lets a user or a role do what a policy says.
    pub async fn attach_policy(
        &self,
        account: AccountId,
        policy: &PolicyRef,
        to: AttachedTo<'_>,
    ) -> Result<(), AttachError> {
        loop {
            let mut holder = self.holder(account, to).await?;
            let mut counted = self.counted(account, policy).await?;
            if holder.policies().contains(policy) {
                return Err(AttachError::Attached { policy: policy.name().to_owned() });
            }
            let is_custom = |policy: &&PolicyRef| matches!(policy, PolicyRef::Custom(_));
            let custom = holder.policies().iter().filter(is_custom).count();
            let is_full = match policy {
                PolicyRef::Custom(_) => custom >= MAX_CUSTOM_ATTACHED,
                PolicyRef::BuiltIn(_) => holder.policies().len() - custom >= MAX_BUILT_IN_ATTACHED,
            };
            if is_full {
                return Err(AttachError::Limit);
            }
            holder.policies().push(policy.clone());
            if let Some(policy) = &mut counted {
                *holder.counter(&mut policy.value) += 1;
            }
            if self.commit_attached(holder, counted).await? {
                return Ok(());
            }
        }
    }

    /// Takes a policy away from a user or a role.
    pub async fn detach_policy(
        &self,
        account: AccountId,
        policy: &PolicyRef,
        from: AttachedTo<'_>,
    ) -> Result<(), AttachError> {
        loop {
            let mut holder = self.holder(account, from).await?;
            let mut counted = self.counted(account, policy).await?;
            let Some(index) = holder.policies().iter().position(|attached| attached == policy) else {
                return Err(AttachError::NotAttached { policy: policy.name().to_owned() });
            };
            holder.policies().remove(index);
            if let Some(policy) = &mut counted {
                let count = holder.counter(&mut policy.value);
                *count = count.saturating_sub(1);
            }
            if self.commit_attached(holder, counted).await? {
                return Ok(());
            }
        }
    }

    async fn holder(&self, account: AccountId, of: AttachedTo<'_>) -> Result<Holder, AttachError> {
        let (kind, name, holder) = match of {
            AttachedTo::User(name) => {
                (Kind::User, name, self.named::<User>(account, name).await?.map(Holder::User))
            }
            AttachedTo::Role(name) => {
                (Kind::Role, name, self.named::<Role>(account, name).await?.map(Holder::Role))
            }
        };
        holder.ok_or_else(|| AttachError::absent(kind, name))
    }

    /// The policy, if it is one that counts.
    async fn counted(
        &self,
        account: AccountId,
        policy: &PolicyRef,
    ) -> Result<Option<Kept<Policy>>, AttachError> {
        let absent = || AttachError::absent(Kind::Policy, policy.name());
        match policy {
            PolicyRef::Custom(name) => {
                Ok(Some(self.named::<Policy>(account, name).await?.ok_or_else(absent)?))
            }
            PolicyRef::BuiltIn(name) if BUILT_IN.iter().any(|known| known.name == name) => Ok(None),
            PolicyRef::BuiltIn(_) => Err(absent()),
        }
    }

    async fn commit_attached(
        &self,
        holder: Holder,
        counted: Option<Kept<Policy>>,
    ) -> Result<bool, StoreFailed> {
        let (mut conditions, mut writes) = (vec![holder.unmodified()], vec![holder.write()]);
        if let Some(policy) = counted {
            conditions.push(policy.unmodified());
            writes.push(put(policy.key.clone(), &policy.value));
        }
        self.commit(conditions, writes).await
    }
}
