//! Accounts: what owns everything else. Made and disabled by the operator, not by themselves.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capacity::Amounts;
use crate::store::{CommitError, Condition, Kept, Key, Transaction, Write, put};

use super::error::shown;
use super::{
    AccessKeyId, ChangeError, CreateError, DeleteError, Fingerprint, Identity, Kind, Listed, LookError,
    StoreFailed, chance, key, name,
};

/// The number of an account: twelve digits, as EC2 has it, and RAM's number of the account as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(u64);

const DIGITS: usize = 12;

/// A text that is no account's number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no account: expected its twelve digits")]
pub struct AccountIdError {
    text: String,
}

impl AccountId {
    /// The account of this number, of which the last twelve digits count.
    pub fn new(number: u64) -> Self {
        Self(number % 10_u64.pow(DIGITS as u32))
    }

    /// One by chance, with no zero at its beginning, since spreadsheets drop that.
    fn draw() -> Self {
        let least = 10_u64.pow(DIGITS as u32 - 1);
        Self(least + chance::below(9 * least))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$}", self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, AccountIdError> {
        let is_right = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_right);
        number.map(Self).ok_or_else(|| AccountIdError { text: shown(text) })
    }
}

impl TryFrom<String> for AccountId {
    type Error = AccountIdError;

    fn try_from(text: String) -> Result<Self, AccountIdError> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.to_string()
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// What people call it.
    pub name: String,
    /// Whether anything may be done with its keys and roles.
    pub is_enabled: bool,
    /// What all its instances together may use up.
    pub quotas: Amounts,
    /// What Huawei calls its project: 32 hexadecimal digits.
    pub project_id: String,
    /// What Huawei calls its domain: 32 hexadecimal digits.
    pub domain_id: String,
    /// When it was made.
    pub created: Timestamp,
    /// How many users it has.
    pub users: usize,
    /// How many roles it has.
    pub roles: usize,
    /// How many policies it has.
    pub policies: usize,
    /// Its own access keys, those of no user.
    pub keys: Vec<AccessKeyId>,
    /// Its signing certificates.
    pub certificates: Vec<Fingerprint>,
}

/// What to change of an account; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// What people call it.
    pub name: Option<String>,
    /// Whether anything may be done with its keys and roles.
    pub is_enabled: Option<bool>,
    /// What all its instances together may use up.
    pub quotas: Option<Amounts>,
}

/// Where an account is kept. Whoever makes something for an account elsewhere adds `Condition::Present` of this key to the
/// transaction, so that nothing is made for one that was deleted meanwhile.
pub fn account_key(id: AccountId) -> Key {
    key(["account", &id.to_string()])
}

fn name_key(name: &str) -> Key {
    key(["account-name", &name.to_ascii_lowercase()])
}

impl Identity {
    /// Makes an account; `quotas` are what the configuration says that one has.
    pub async fn create_account(
        &self,
        name: &str,
        quotas: Amounts,
        now: Timestamp,
    ) -> Result<Account, CreateError> {
        name::check(Kind::Account, name)?;
        let name_key = name_key(name);
        loop {
            if self.get::<AccountId>(&name_key).await?.is_some() {
                return Err(CreateError::Taken { kind: Kind::Account, name: name.to_owned() });
            }
            let account = Account {
                id: AccountId::draw(),
                name: name.to_owned(),
                is_enabled: true,
                quotas,
                project_id: chance::hex(),
                domain_id: chance::hex(),
                created: now,
                users: 0,
                roles: 0,
                policies: 0,
                keys: Vec::new(),
                certificates: Vec::new(),
            };
            let account_key = account_key(account.id);
            let conditions =
                vec![Condition::Absent(account_key.clone()), Condition::Absent(name_key.clone())];
            let writes = vec![put(account_key, &account), put(name_key.clone(), &account.id)];
            if self.commit(conditions, writes).await? {
                return Ok(account);
            }
        }
    }

    /// The account with this number.
    pub async fn account(&self, id: AccountId) -> Result<Account, LookError> {
        let kept = self.kept_account(id).await?;
        kept.map(|kept| kept.value).ok_or_else(|| LookError::absent(Kind::Account, &id.to_string()))
    }

    /// The account that is called so.
    pub async fn account_by_name(&self, name: &str) -> Result<Account, LookError> {
        let absent = || LookError::absent(Kind::Account, name);
        name::check(Kind::Account, name).map_err(|_| absent())?;
        let id = self.get::<AccountId>(&name_key(name)).await?.ok_or_else(absent)?;
        let account = self.kept_account(id.value).await?.ok_or_else(absent)?.value;
        if account.name == name { Ok(account) } else { Err(absent()) }
    }

    /// Accounts in the order of their numbers: at most `limit`, from `after` on.
    pub async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Listed<Account>, StoreFailed> {
        self.page("account/", after, limit).await
    }

    /// Lets an account's keys and roles be used, or no longer. What it has stays, and its instances run on.
    pub async fn enable_account(&self, id: AccountId, is_enabled: bool) -> Result<(), ChangeError> {
        self.change_account(id, |account| account.is_enabled = is_enabled).await
    }

    /// Sets what all instances of an account together may use up. What is used beyond it already stays.
    pub async fn set_quotas(&self, id: AccountId, quotas: Amounts) -> Result<(), ChangeError> {
        self.change_account(id, |account| account.quotas = quotas).await
    }

    /// Changes an account, all at once.
    pub async fn update_account(
        &self,
        id: AccountId,
        change: &AccountChange,
    ) -> Result<Account, ChangeError> {
        if let Some(new) = &change.name {
            name::check(Kind::Account, new).map_err(|error| ChangeError::Refused(error.into()))?;
        }
        loop {
            let Some(mut kept) = self.kept_account(id).await? else {
                return Err(ChangeError::absent(Kind::Account, &id.to_string()));
            };
            let (mut conditions, mut writes) = (vec![kept.unmodified()], Vec::new());
            let account = &mut kept.value;
            if let Some(new) = change.name.as_ref().filter(|new| **new != account.name) {
                let (old_key, new_key) = (name_key(&account.name), name_key(new));
                // In other capitals it is still its own.
                if new_key != old_key {
                    if self.get::<AccountId>(&new_key).await?.is_some() {
                        let name = new.clone();
                        return Err(ChangeError::Refused(CreateError::Taken { kind: Kind::Account, name }));
                    }
                    conditions.push(Condition::Absent(new_key.clone()));
                    writes.extend([put(new_key, &id), Write::Delete(old_key)]);
                }
                account.name.clone_from(new);
            }
            account.is_enabled = change.is_enabled.unwrap_or(account.is_enabled);
            account.quotas = change.quotas.unwrap_or(account.quotas);
            writes.push(account_write(account));
            if self.commit(conditions, writes).await? {
                return Ok(kept.value);
            }
        }
    }

    async fn change_account(&self, id: AccountId, change: impl Fn(&mut Account)) -> Result<(), ChangeError> {
        loop {
            let Some(mut kept) = self.kept_account(id).await? else {
                return Err(ChangeError::absent(Kind::Account, &id.to_string()));
            };
            change(&mut kept.value);
            if self.commit(vec![kept.unmodified()], vec![account_write(&kept.value)]).await? {
                return Ok(());
            }
        }
    }

    /// Deletes an account that owns nothing. What is known here is looked at here: users, roles, policies, keys and
    /// certificates. Instances and the like are not: `conditions` are those under which it owns none, such as
    /// `Condition::Absent` of a record that counts them.
    pub async fn delete_account(&self, id: AccountId, conditions: Vec<Condition>) -> Result<(), DeleteError> {
        loop {
            let Some(kept) = self.kept_account(id).await? else {
                return Err(DeleteError::absent(Kind::Account, &id.to_string()));
            };
            let account = &kept.value;
            let owned = [
                (Kind::User, account.users),
                (Kind::Role, account.roles),
                (Kind::Policy, account.policies),
                (Kind::AccessKey, account.keys.len()),
                (Kind::Certificate, account.certificates.len()),
            ];
            let (kind, name) = (Kind::Account, id.to_string());
            if let Some((of, count)) = owned.into_iter().find(|(_, count)| *count > 0) {
                return Err(DeleteError::InUse { kind, name, of, count });
            }
            let conditions = [vec![kept.unmodified()], conditions.clone()].concat();
            let writes = vec![Write::Delete(kept.key.clone()), Write::Delete(name_key(&account.name))];
            match self.store.commit(Transaction { conditions, writes }).await {
                Ok(_) => return Ok(()),
                // Of the account too the caller may have said something that does not hold.
                Err(CommitError::Conflict { key, modified })
                    if key == kept.key && modified != Some(kept.modified) => {}
                Err(CommitError::Conflict { .. }) => return Err(DeleteError::OwnsResources { kind, name }),
                Err(error) => return Err(StoreFailed::from(error).into()),
            }
        }
    }

    pub(super) async fn kept_account(&self, id: AccountId) -> Result<Option<Kept<Account>>, StoreFailed> {
        self.get(&account_key(id)).await
    }
}

pub(super) fn account_write(account: &Account) -> Write {
    put(account_key(account.id), account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_twelve_digits() {
        assert_eq!("001234567890".parse(), Ok(AccountId::new(1_234_567_890)));
        assert_eq!(AccountId::new(1).to_string(), "000000000001");
        for _ in 0..1000 {
            let id = AccountId::draw();
            assert_eq!(id.to_string().parse(), Ok(id));
            assert!(!id.to_string().starts_with('0'));
        }
        for text in ["", "1", "1234567890123", "+12345678901", "12345678901a", "１２３４"] {
            assert!(text.parse::<AccountId>().is_err(), "{text}");
        }
    }
}
