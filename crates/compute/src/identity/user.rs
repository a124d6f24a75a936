//! Users of an account: people and programs with keys of their own, who may do what their policies say.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::{Condition, Key, Write, put};

use super::access_key::access_key_key;
use super::account::account_write;
use super::name::{Named, key_of};
use super::{
    AccessKeyId, AccountId, CreateError, DeleteError, Identity, Kind, Listed, LookError, Policy, PolicyRef,
    PrincipalId, StoreFailed, chance, key, name,
};

/// Most users of an account: RAM's limit.
pub const MAX_USERS: usize = 5000;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name; none of the account's users is called so in other capitals.
    pub name: String,
    /// Its id.
    pub id: PrincipalId,
    /// What people say of it.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// What it may do, in the order in which they were attached.
    pub policies: Vec<PolicyRef>,
    /// Its access keys.
    pub keys: Vec<AccessKeyId>,
}

impl Named for User {
    const KIND: Kind = Kind::User;

    fn name(&self) -> &str {
        &self.name
    }
}

/// Whose id a `PrincipalId` is: the record by which none is given twice.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Principal<'a> {
    User { account: AccountId, name: &'a str },
    Role { account: AccountId, name: &'a str },
}

/// Draws an id, and says under which condition it is free, and how it is taken.
pub(super) fn draw_principal(principal: &Principal<'_>) -> (PrincipalId, Condition, Write) {
    // Eighteen digits, the first no zero, as RAM's are.
    let id = PrincipalId(10_u64.pow(17) + chance::below(9 * 10_u64.pow(17)));
    let key = principal_key(id);
    (id, Condition::Absent(key.clone()), put(key, principal))
}

pub(super) fn principal_key(id: PrincipalId) -> Key {
    key(["principal", &id.to_string()])
}

impl Identity {
    /// Makes a user, who may do nothing yet.
    pub async fn create_user(
        &self,
        account: AccountId,
        name: &str,
        description: &str,
        now: Timestamp,
    ) -> Result<User, CreateError> {
        name::check(Kind::User, name)?;
        name::check_description(description)?;
        let user_key = key_of(Kind::User, account, name).expect("the name was looked at");
        loop {
            let Some(mut owner) = self.kept_account(account).await? else {
                return Err(CreateError::no_owner(Kind::Account, &account.to_string()));
            };
            if let Some(other) = self.get::<User>(&user_key).await? {
                return Err(CreateError::Taken { kind: Kind::User, name: other.value.name });
            }
            CreateError::limit(Kind::User, owner.value.users, MAX_USERS)?;
            owner.value.users += 1;
            let (id, is_free, principal) = draw_principal(&Principal::User { account, name });
            let user = User {
                name: name.to_owned(),
                id,
                description: description.to_owned(),
                created: now,
                policies: Vec::new(),
                keys: Vec::new(),
            };
            let conditions = vec![owner.unmodified(), Condition::Absent(user_key.clone()), is_free];
            let writes = vec![account_write(&owner.value), put(user_key.clone(), &user), principal];
            if self.commit(conditions, writes).await? {
                return Ok(user);
            }
        }
    }

    /// The user of this name.
    pub async fn user(&self, account: AccountId, name: &str) -> Result<User, LookError> {
        let kept = self.named::<User>(account, name).await?;
        kept.map(|kept| kept.value).ok_or_else(|| LookError::absent(Kind::User, name))
    }

    /// Users by their names: at most `limit`, from `after` on.
    pub async fn users(
        &self,
        account: AccountId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<User>, StoreFailed> {
        self.page(&format!("user/{account}/"), after, limit).await
    }

    /// Deletes a user with its keys, from whom all policies are taken before.
    pub async fn delete_user_with_keys(&self, account: AccountId, name: &str) -> Result<(), DeleteError> {
        loop {
            let owner = self.kept_account(account).await?;
            let user = self.named::<User>(account, name).await?;
            let (Some(mut owner), Some(user)) = (owner, user) else {
                return Err(DeleteError::absent(Kind::User, name));
            };
            owner.value.users = owner.value.users.saturating_sub(1);
            let mut conditions = vec![owner.unmodified(), user.unmodified()];
            let mut writes = vec![account_write(&owner.value), Write::Delete(user.key)];
            writes.push(Write::Delete(principal_key(user.value.id)));
            writes.extend(user.value.keys.iter().map(|key| Write::Delete(access_key_key(key))));
            for attached in &user.value.policies {
                let PolicyRef::Custom(policy) = attached else { continue };
                let Some(mut policy) = self.named::<Policy>(account, policy).await? else { continue };
                policy.value.users = policy.value.users.saturating_sub(1);
                conditions.push(policy.unmodified());
                writes.push(put(policy.key.clone(), &policy.value));
            }
            if self.commit(conditions, writes).await? {
                return Ok(());
            }
        }
    }

    /// Deletes a user who has no keys and no policies.
    pub async fn delete_user(&self, account: AccountId, name: &str) -> Result<(), DeleteError> {
        loop {
            let owner = self.kept_account(account).await?;
            let user = self.named::<User>(account, name).await?;
            let (Some(mut owner), Some(user)) = (owner, user) else {
                return Err(DeleteError::absent(Kind::User, name));
            };
            let held = [(Kind::AccessKey, user.value.keys.len()), (Kind::Policy, user.value.policies.len())];
            if let Some((of, count)) = held.into_iter().find(|(_, count)| *count > 0) {
                return Err(DeleteError::InUse { kind: Kind::User, name: name.to_owned(), of, count });
            }
            owner.value.users = owner.value.users.saturating_sub(1);
            let conditions = vec![owner.unmodified(), user.unmodified()];
            let writes = vec![
                account_write(&owner.value),
                Write::Delete(user.key),
                Write::Delete(principal_key(user.value.id)),
            ];
            if self.commit(conditions, writes).await? {
                return Ok(());
            }
        }
    }
}
