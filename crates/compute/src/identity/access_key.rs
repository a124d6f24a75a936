//! Access keys: an id that requests name, and a secret that they are signed with. The secret is given away once, when the
//! key is made; it is kept sealed, as signatures cannot be checked without it. When a key was last used is not kept.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::secrets::{Sealed, Secret};
use crate::store::{Condition, Kept, Key, Write, put};

use super::account::account_write;
use super::error::shown;
use super::{
    Account, AccountId, ChangeError, CreateError, DeleteError, Identity, Kind, LookError, PrincipalId,
    StoreFailed, User, chance, key,
};

/// Most keys of a user: RAM's and IAM's limit.
pub const MAX_USER_KEYS: usize = 2;
/// Most keys of an account itself.
pub const MAX_ROOT_KEYS: usize = 5;

/// Letters of a secret, as EC2's have.
pub(super) const SECRET_CHARS: usize = 40;

/// The id of an access key, one for good (`AKIA…`) or for a while (`ASIA…`, `STS.…`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

/// A text that is no access key's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no access key id: expected 16 to 128 letters, digits and points")]
pub struct AccessKeyIdError {
    text: String,
}

impl AccessKeyId {
    /// The id as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn draw(prefix: &str, chars: usize) -> Self {
        Self(chance::id(prefix, chars))
    }
}

impl FromStr for AccessKeyId {
    type Err = AccessKeyIdError;

    fn from_str(text: &str) -> Result<Self, AccessKeyIdError> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
        if (16..=128).contains(&text.len()) && text.bytes().all(is_letter) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AccessKeyIdError { text: shown(text) })
        }
    }
}

impl TryFrom<String> for AccessKeyId {
    type Error = AccessKeyIdError;

    fn try_from(text: String) -> Result<Self, AccessKeyIdError> {
        text.parse()
    }
}

impl From<AccessKeyId> for String {
    fn from(id: AccessKeyId) -> Self {
        id.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOwner {
    /// The account itself.
    Root,
    /// A user of it.
    User(String),
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It may.
    Active,
    /// It may not, until it is made active again.
    Inactive,
}

/// An access key, but for its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// The account.
    pub account: AccountId,
    /// Who of the account.
    pub owner: KeyOwner,
    /// The user's id, if it is a user's.
    pub user_id: Option<PrincipalId>,
    /// Whether it may be used.
    pub status: Status,
    /// When it was made.
    pub created: Timestamp,
    pub(super) secret: Sealed,
}

/// An access key just made.
#[derive(Debug)]
pub struct NewAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret, which nobody is told again.
    pub secret: Secret,
}

/// The record that names the keys.
enum Owner {
    Account(Kept<Account>),
    User(Kept<User>),
}

impl Owner {
    fn keys(&mut self) -> &mut Vec<AccessKeyId> {
        match self {
            Self::Account(kept) => &mut kept.value.keys,
            Self::User(kept) => &mut kept.value.keys,
        }
    }

    fn user_id(&self) -> Option<PrincipalId> {
        match self {
            Self::Account(_) => None,
            Self::User(kept) => Some(kept.value.id),
        }
    }

    fn unmodified(&self) -> Condition {
        match self {
            Self::Account(kept) => kept.unmodified(),
            Self::User(kept) => kept.unmodified(),
        }
    }

    fn write(&self) -> Write {
        match self {
            Self::Account(kept) => account_write(&kept.value),
            Self::User(kept) => put(kept.key.clone(), &kept.value),
        }
    }
}

/// The kind and the name of an owner, for messages.
fn owner_name(account: AccountId, owner: &KeyOwner) -> (Kind, String) {
    match owner {
        KeyOwner::Root => (Kind::Account, account.to_string()),
        KeyOwner::User(name) => (Kind::User, name.clone()),
    }
}

pub(super) fn access_key_key(id: &AccessKeyId) -> Key {
    key(["access-key", id.as_str()])
}

/// Where a secret of a record is sealed for.
pub(super) fn place(key: &Key, field: &str) -> String {
    format!("{key}/{field}")
}

impl Identity {
    /// Makes an access key.
    pub async fn create_access_key(
        &self,
        account: AccountId,
        owner: &KeyOwner,
        now: Timestamp,
    ) -> Result<NewAccessKey, CreateError> {
        loop {
            let Some(mut owned) = self.key_owner(account, owner).await? else {
                let (kind, name) = owner_name(account, owner);
                return Err(CreateError::no_owner(kind, &name));
            };
            let limit = if *owner == KeyOwner::Root { MAX_ROOT_KEYS } else { MAX_USER_KEYS };
            CreateError::limit(Kind::AccessKey, owned.keys().len(), limit)?;
            let id = AccessKeyId::draw("AKIA", 16);
            let access_key_key = access_key_key(&id);
            let secret = chance::secret(SECRET_CHARS);
            let key = AccessKey {
                id: id.clone(),
                account,
                owner: owner.clone(),
                user_id: owned.user_id(),
                status: Status::Active,
                created: now,
                secret: self.keys.seal(&secret, &place(&access_key_key, "secret")),
            };
            let conditions = vec![owned.unmodified(), Condition::Absent(access_key_key.clone())];
            owned.keys().push(id);
            let writes = vec![owned.write(), put(access_key_key, &key)];
            if self.commit(conditions, writes).await? {
                return Ok(NewAccessKey { key, secret });
            }
        }
    }

    /// The keys of an account itself or of a user.
    pub async fn access_keys(
        &self,
        account: AccountId,
        owner: &KeyOwner,
    ) -> Result<Vec<AccessKey>, LookError> {
        let Some(mut owned) = self.key_owner(account, owner).await? else {
            let (kind, name) = owner_name(account, owner);
            return Err(LookError::absent(kind, &name));
        };
        let mut keys = Vec::new();
        for id in owned.keys() {
            // One that was deleted since its owner was read is none any more.
            keys.extend(self.get::<AccessKey>(&access_key_key(id)).await?.map(|kept| kept.value));
        }
        Ok(keys)
    }

    /// The key of this id, whoever of the account has it.
    pub async fn access_key(&self, account: AccountId, id: &str) -> Result<AccessKey, LookError> {
        let absent = || LookError::absent(Kind::AccessKey, id);
        let key_id = id.parse().map_err(|_| absent())?;
        let kept = self.get::<AccessKey>(&access_key_key(&key_id)).await?;
        kept.map(|kept| kept.value).filter(|key| key.account == account).ok_or_else(absent)
    }

    /// Lets a key be used, or no longer.
    pub async fn set_access_key_status(
        &self,
        account: AccountId,
        owner: &KeyOwner,
        id: &str,
        status: Status,
    ) -> Result<(), ChangeError> {
        loop {
            let Some(mut kept) = self.key_of_owner(account, owner, id).await? else {
                return Err(ChangeError::absent(Kind::AccessKey, id));
            };
            kept.value.status = status;
            if self.commit(vec![kept.unmodified()], vec![put(kept.key.clone(), &kept.value)]).await? {
                return Ok(());
            }
        }
    }

    /// Deletes a key. What was signed with it and is not checked yet is refused.
    pub async fn delete_access_key(
        &self,
        account: AccountId,
        owner: &KeyOwner,
        id: &str,
    ) -> Result<(), DeleteError> {
        loop {
            let owned = self.key_owner(account, owner).await?;
            let kept = self.key_of_owner(account, owner, id).await?;
            let (Some(mut owned), Some(kept)) = (owned, kept) else {
                return Err(DeleteError::absent(Kind::AccessKey, id));
            };
            owned.keys().retain(|key| *key != kept.value.id);
            let conditions = vec![owned.unmodified(), kept.unmodified()];
            if self.commit(conditions, vec![owned.write(), Write::Delete(kept.key)]).await? {
                return Ok(());
            }
        }
    }

    async fn key_owner(&self, account: AccountId, owner: &KeyOwner) -> Result<Option<Owner>, StoreFailed> {
        Ok(match owner {
            KeyOwner::Root => self.kept_account(account).await?.map(Owner::Account),
            KeyOwner::User(name) => self.named::<User>(account, name).await?.map(Owner::User),
        })
    }

    /// The key, if it is this owner's: that another has it is nobody's business.
    async fn key_of_owner(
        &self,
        account: AccountId,
        owner: &KeyOwner,
        id: &str,
    ) -> Result<Option<Kept<AccessKey>>, StoreFailed> {
        let Ok(id) = id.parse() else { return Ok(None) };
        let kept = self.get::<AccessKey>(&access_key_key(&id)).await?;
        Ok(kept.filter(|kept| kept.value.account == account && kept.value.owner == *owner))
    }
}
