//! Policies of an account, each one document under a name. Those that every account has are in `access::BUILT_IN`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::PermissionPolicy;
use crate::store::{Condition, Write, put};

use super::account::account_write;
use super::name::{Named, check, check_description, key_of};
use super::{
    AccountId, ChangeError, CreateError, DeleteError, Identity, Kind, Listed, LookError, StoreFailed,
};

/// Most policies of an account: RAM's limit.
pub const MAX_POLICIES: usize = 1500;

/// A policy of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name; none of the account's policies is called so in other capitals. A built-in one may be.
    pub name: String,
    /// What people say of it.
    pub description: String,
    /// What it says.
    pub document: PermissionPolicy,
    /// When it was made.
    pub created: Timestamp,
    /// When its document was last replaced.
    pub updated: Timestamp,
    /// To how many users it is attached.
    pub users: usize,
    /// To how many roles it is attached.
    pub roles: usize,
}

impl Named for Policy {
    const KIND: Kind = Kind::Policy;

    fn name(&self) -> &str {
        &self.name
    }
}

impl Identity {
    /// Makes a policy.
    pub async fn create_policy(
        &self,
        account: AccountId,
        name: &str,
        description: &str,
        document: &str,
        now: Timestamp,
    ) -> Result<Policy, CreateError> {
        check(Kind::Policy, name)?;
        check_description(description)?;
        let document: PermissionPolicy = document.parse()?;
        let policy_key = key_of(Kind::Policy, account, name).expect("the name was looked at");
        loop {
            let Some(mut owner) = self.kept_account(account).await? else {
                return Err(CreateError::no_owner(Kind::Account, &account.to_string()));
            };
            if let Some(other) = self.get::<Policy>(&policy_key).await? {
                return Err(CreateError::Taken { kind: Kind::Policy, name: other.value.name });
            }
            CreateError::limit(Kind::Policy, owner.value.policies, MAX_POLICIES)?;
            owner.value.policies += 1;
            let policy = Policy {
                name: name.to_owned(),
                description: description.to_owned(),
                document: document.clone(),
                created: now,
                updated: now,
                users: 0,
                roles: 0,
            };
            let conditions = vec![owner.unmodified(), Condition::Absent(policy_key.clone())];
            let writes = vec![account_write(&owner.value), put(policy_key.clone(), &policy)];
            if self.commit(conditions, writes).await? {
                return Ok(policy);
            }
        }
    }

    /// The policy of this name.
    pub async fn policy(&self, account: AccountId, name: &str) -> Result<Policy, LookError> {
        let kept = self.named::<Policy>(account, name).await?;
        kept.map(|kept| kept.value).ok_or_else(|| LookError::absent(Kind::Policy, name))
    }

    /// Policies by their names: at most `limit`, from `after` on.
    pub async fn policies(
        &self,
        account: AccountId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<Policy>, StoreFailed> {
        self.page(&format!("policy/{account}/"), after, limit).await
    }

    /// Replaces a policy's document, at once for all that it is attached to.
    pub async fn update_policy(
        &self,
        account: AccountId,
        name: &str,
        document: &str,
        now: Timestamp,
    ) -> Result<Policy, ChangeError> {
        self.change_policy(account, name, None, Some(document), now).await
    }

    /// Changes what people say of a policy, and what it says itself; what is `None` stays.
    pub async fn change_policy(
        &self,
        account: AccountId,
        name: &str,
        description: Option<&str>,
        document: Option<&str>,
        now: Timestamp,
    ) -> Result<Policy, ChangeError> {
        let document = document.map(str::parse::<PermissionPolicy>).transpose();
        let document = document.map_err(|error| ChangeError::Refused(CreateError::Document(error)))?;
        description.map_or(Ok(()), check_description).map_err(ChangeError::Refused)?;
        loop {
            let Some(mut policy) = self.named::<Policy>(account, name).await? else {
                return Err(ChangeError::absent(Kind::Policy, name));
            };
            if let Some(document) = &document {
                policy.value.document = document.clone();
                policy.value.updated = now;
            }
            if let Some(description) = description {
                description.clone_into(&mut policy.value.description);
            }
            if self.commit(vec![policy.unmodified()], vec![put(policy.key.clone(), &policy.value)]).await? {
                return Ok(policy.value);
            }
        }
    }

    /// Deletes a policy that is attached to nothing.
    pub async fn delete_policy(&self, account: AccountId, name: &str) -> Result<(), DeleteError> {
        loop {
            let owner = self.kept_account(account).await?;
            let policy = self.named::<Policy>(account, name).await?;
            let (Some(mut owner), Some(policy)) = (owner, policy) else {
                return Err(DeleteError::absent(Kind::Policy, name));
            };
            let held = [(Kind::User, policy.value.users), (Kind::Role, policy.value.roles)];
            if let Some((of, count)) = held.into_iter().find(|(_, count)| *count > 0) {
                return Err(DeleteError::InUse { kind: Kind::Policy, name: name.to_owned(), of, count });
            }
            owner.value.policies = owner.value.policies.saturating_sub(1);
            let conditions = vec![owner.unmodified(), policy.unmodified()];
            let writes = vec![account_write(&owner.value), Write::Delete(policy.key)];
            if self.commit(conditions, writes).await? {
                return Ok(());
            }
        }
    }
}
