//! Who there is: accounts, their users, access keys, certificates, policies and roles, and the temporary credentials of
//! roles. Dialects manage these records for their callers, and find here the secret that a request was signed with; the
//! metadata service gets here what it gives to guests.
//!
//! Verifies no signature and writes no name as a cloud does (ARNs are the dialects'). Whether a caller may create a user is
//! asked of `access` before anything here is called; only assuming and passing a role are decided here, since each cloud
//! decides them the same way.
//!
//! Records, and which of them is changed by what:
//!
//! | key | what |
//! |---|---|
//! | `account/ID` | an account, how many users, roles and policies it has, and its own keys and certificates |
//! | `account-name/NAME` | the id of the account of that name |
//! | `user/ID/NAME`, `role/ID/NAME` | a user with the ids of its keys, a role; both with the policies attached |
//! | `policy/ID/NAME` | a policy, and how often it is attached |
//! | `principal/ID` | the user or role that has this id |
//! | `access-key/ID` | an access key, with whose it is |
//! | `certificate/FINGERPRINT` | a certificate, with whose it is |
//! | `session/KEY` | temporary credentials, and `session-end/SECONDS/KEY` to find those that ended |
//! | `instance-credentials/ID/INSTANCE/FORM` | the session whose credentials an instance is given at present |
//!
//! What is owned is named in its owner's record or counted there, and both are written in one transaction: so no owner is
//! deleted while it owns something, and nothing is left without an owner.

mod access_key;
mod account;
mod attach;
mod authenticate;
mod certificate;
mod chance;
mod error;
mod instance;
mod name;
mod policy;
mod role;
mod session;
mod user;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::secrets::SealingKeys;
use crate::store::{CommitError, Condition, Kept, Key, Store, Transaction, Write};

pub use access_key::{
    AccessKey, AccessKeyId, AccessKeyIdError, KeyOwner, MAX_ROOT_KEYS, MAX_USER_KEYS, NewAccessKey, Status,
};
pub use account::{Account, AccountChange, AccountId, AccountIdError, account_key};
pub use attach::{AttachedTo, MAX_BUILT_IN_ATTACHED, MAX_CUSTOM_ATTACHED, PolicyRef};
pub use authenticate::{AuthenticateError, Credentials, Who};
pub use certificate::{Certificate, Fingerprint, FingerprintError, MAX_CERTIFICATES};
pub use error::{AttachError, ChangeError, CreateError, DeleteError, Kind, LookError, StoreFailed};
pub use instance::{InstanceCredentialsError, LIFE as INSTANCE_CREDENTIALS_LIFE};
pub use name::{MAX_DESCRIPTION_CHARS, NameError};
pub use policy::{MAX_POLICIES, Policy};
pub use role::{GREATEST_SESSION_LIMIT_S, LEAST_SESSION_LIMIT_S, MAX_ROLES, PassRoleError, Role, RoleChange};
pub use session::{
    Assume, AssumeRoleError, KEPT_AFTER_END, KeyForm, SHORTEST_SESSION_S, Swept, TemporaryCredentials,
};
pub use user::{MAX_USERS, User};

/// The id of a user or a role: never given twice, so that one made anew under an old name is known as another. Clouds write
/// it each their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(pub u64);

impl std::fmt::Display for PrincipalId {
    /// Eighteen digits, as RAM's ids have.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:018}", self.0)
    }
}

/// All that is known of identities. Every operation names the account that it is for, and sees no other's.
///
/// An operation that finds a record changed under its hands starts anew, so two at once end as if one came after the other.
/// A future that is dropped before its end has done all or nothing.
pub struct Identity {
    store: Arc<dyn Store>,
    keys: SealingKeys,
}

/// Part of a list, in the order of names without their case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the rest begins, to be given to the next call; `None` if there is no more.
    pub next: Option<String>,
}

impl Identity {
    /// On these records, with these keys for the secrets in them.
    pub fn new(store: Arc<dyn Store>, keys: SealingKeys) -> Self {
        Self { store, keys }
    }

    /// Does a transaction; false if a condition did not hold, and all has to be looked at again.
    async fn commit(&self, conditions: Vec<Condition>, writes: Vec<Write>) -> Result<bool, StoreFailed> {
        match self.store.commit(Transaction { conditions, writes }).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, key: &Key) -> Result<Option<Kept<T>>, StoreFailed> {
        Ok(crate::store::get(&*self.store, key).await?)
    }

    /// A page of the records whose keys are `prefix` and one word more. `after` is the `next` of the page before; one that
    /// is none lists from the beginning.
    async fn page<T: serde::de::DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<T>, StoreFailed> {
        let after = after.and_then(|after| format!("{prefix}{after}").parse::<Key>().ok());
        let (kept, more) = crate::store::page(&*self.store, prefix, after.as_ref(), limit).await?;
        let last = kept.last().filter(|_| more);
        let next = last.and_then(|kept| kept.key.as_str().strip_prefix(prefix)).map(str::to_owned);
        Ok(Listed { items: kept.into_iter().map(|kept| kept.value).collect(), next })
    }
}

/// A key of words that are ids of ours or names that were looked at before.
fn key<'a>(words: impl IntoIterator<Item = &'a str>) -> Key {
    Key::new(words).expect("ids and names have only characters of keys")
}
