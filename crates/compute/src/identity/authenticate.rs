//! From the key id in a request to the caller that `access` decides about, in two steps: `find_key` gives the secret by which
//! the dialect verifies the signature, and `caller`, once that is verified, who it is and what its policies are. Nothing is
//! remembered between requests, so a key that was disabled is refused from the next request on.

use jiff::Timestamp;

use crate::access::{Caller, NamedPolicy, PermissionPolicy, Principal, built_in};
use crate::secrets::Secret;
use crate::store::{Key, Revision};

use super::access_key::{access_key_key, place};
use super::session::{Session, session_key};
use super::{
    AccessKey, AccessKeyId, AccountId, Identity, KeyOwner, Kind, Policy, PolicyRef, PrincipalId, Role,
    Status, StoreFailed, User,
};

/// Who signed, if the signature is right.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    /// The account itself.
    Root {
        /// The account.
        account: AccountId,
    },
    /// A user.
    User {
        /// The account.
        account: AccountId,
        /// The user's name.
        name: String,
        /// The user's id.
        id: PrincipalId,
    },
    /// Somebody, or an instance, in a role.
    Role {
        /// The account of the role.
        account: AccountId,
        /// The role's name.
        name: String,
        /// The role's id.
        id: PrincipalId,
        /// What the session is called.
        session: String,
        /// What the session was narrowed to.
        policy: Option<PermissionPolicy>,
        /// And to which policies besides.
        policies: Vec<PolicyRef>,
    },
}

/// What a signature is verified with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The secret that must have been used.
    pub secret: Secret,
    /// Who has it.
    pub who: Who,
}

/// Why a request has no caller.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// There is no such key.
    #[error("there is no access key {id:?}: check it, or create one")]
    UnknownKey {
        /// As it was sent, cut off if long.
        id: String,
    },
    /// The key may not be used.
    #[error("the access key {id:?} is inactive: activate it, or use another")]
    InactiveKey {
        /// The key.
        id: String,
    },
    /// The account may do nothing.
    #[error("the account {account} is disabled: ask the operator")]
    AccountDisabled {
        /// The account.
        account: AccountId,
    },
    /// The key is a temporary one, and its token was not sent.
    #[error("the access key {id:?} is a temporary one: send its session token too")]
    MissingToken {
        /// The key.
        id: String,
    },
    /// The token is another, or the key has none.
    #[error("the session token does not belong to the access key {id:?}: send the one given with it, if any")]
    WrongToken {
        /// The key.
        id: String,
    },
    /// The key was a temporary one, and its time is over.
    #[error("the access key {id:?} ended at {at}: get new temporary credentials")]
    Expired {
        /// The key.
        id: String,
        /// When it ended.
        at: Timestamp,
    },
    /// The account, user or role is not there any more.
    #[error("the {kind} {name:?} that signed was deleted: use the key of another")]
    Gone {
        /// Of what.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

/// What a caller's policies were read from, by which it is seen whether they are still the same.
type Seen = Vec<(Key, Revision)>;

impl Who {
    /// The account.
    pub fn account(&self) -> AccountId {
        match self {
            Self::Root { account } | Self::User { account, .. } | Self::Role { account, .. } => *account,
        }
    }
}

impl Identity {
    /// What a request is verified with that names this key and, if it has one, this token.
    pub async fn find_key(
        &self,
        id: &str,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Credentials, AuthenticateError> {
        let unknown = || AuthenticateError::UnknownKey { id: super::error::shown(id) };
        let key_id: AccessKeyId = id.parse().map_err(|_| unknown())?;
        let id = id.to_owned();
        if let Some(kept) = self.get::<AccessKey>(&access_key_key(&key_id)).await? {
            let AccessKey { account, owner, user_id, status, secret, .. } = kept.value;
            if token.is_some() {
                return Err(AuthenticateError::WrongToken { id });
            }
            if status == Status::Inactive {
                return Err(AuthenticateError::InactiveKey { id });
            }
            self.check_account(account).await?;
            let secret = self.keys.open(&secret, &place(&kept.key, "secret")).map_err(StoreFailed::from)?;
            let who = match (owner, user_id) {
                (KeyOwner::User(name), Some(id)) => Who::User { account, name, id },
                (KeyOwner::User(name), None) => return Err(gone(Kind::User, &name)),
                (KeyOwner::Root, _) => Who::Root { account },
            };
            return Ok(Credentials { secret, who });
        }
        let kept = self.get::<Session>(&session_key(&key_id)).await?.ok_or_else(unknown)?;
        let session = kept.value;
        let Some(token) = token else { return Err(AuthenticateError::MissingToken { id }) };
        let right = self.keys.open(&session.token, &place(&kept.key, "token")).map_err(StoreFailed::from)?;
        // Secrets are compared in the same time wherever they differ.
        if right != Secret::new(token.to_owned()) {
            return Err(AuthenticateError::WrongToken { id });
        }
        if now >= session.expiration {
            return Err(AuthenticateError::Expired { id, at: session.expiration });
        }
        self.check_account(session.account).await?;
        let secret =
            self.keys.open(&session.secret, &place(&kept.key, "secret")).map_err(StoreFailed::from)?;
        let who = Who::Role {
            account: session.account,
            name: session.role,
            id: session.role_id,
            session: session.name,
            policy: session.policy,
            policies: session.policies,
        };
        Ok(Credentials { secret, who })
    }

    /// Who a verified request is from, with the policies as they all were at one moment of this call.
    pub async fn caller(&self, who: &Who) -> Result<Caller, AuthenticateError> {
        self.check_account(who.account()).await?;
        // Read one after the other, policies could be some of before a change and some of after it, and together allow
        // what was never allowed. Read twice the same, they were so when the first reading ended.
        let mut before = self.read_caller(who).await?;
        if let Some((caller, seen)) = &before
            && seen.len() <= 1
        {
            return Ok(caller.clone()); // one record is always as it was at one moment
        }
        loop {
            let after = self.read_caller(who).await?;
            match (before, after) {
                (Some((_, seen)), Some((caller, seen_again))) if seen == seen_again => return Ok(caller),
                (_, after) => before = after,
            }
        }
    }

    async fn check_account(&self, account: AccountId) -> Result<(), AuthenticateError> {
        match self.kept_account(account).await? {
            Some(kept) if kept.value.is_enabled => Ok(()),
            Some(_) => Err(AuthenticateError::AccountDisabled { account }),
            None => Err(AuthenticateError::Gone { kind: Kind::Account, name: account.to_string() }),
        }
    }

    /// One reading; `None` if a policy was gone that was attached a moment before.
    async fn read_caller(&self, who: &Who) -> Result<Option<(Caller, Seen)>, AuthenticateError> {
        let account = who.account();
        let (principal, attached, mut seen) = match who {
            Who::Root { .. } => (Principal::Root, Vec::new(), Seen::new()),
            Who::User { name, id, .. } => {
                let kept = self.named::<User>(account, name).await?;
                let kept = kept.filter(|kept| kept.value.id == *id).ok_or_else(|| gone(Kind::User, name))?;
                let principal = Principal::User { name: name.clone() };
                (principal, kept.value.policies, vec![(kept.key, kept.modified)])
            }
            Who::Role { name, id, session, .. } => {
                let kept = self.named::<Role>(account, name).await?;
                let kept = kept.filter(|kept| kept.value.id == *id).ok_or_else(|| gone(Kind::Role, name))?;
                let principal = Principal::Role { name: name.clone(), session: session.clone() };
                (principal, kept.value.policies, vec![(kept.key, kept.modified)])
            }
        };
        let mut policies = Vec::new();
        for attached in attached {
            let Some((policy, read)) = self.document(account, &attached).await? else { return Ok(None) };
            seen.extend(read);
            policies.push(NamedPolicy { name: attached.name().to_owned(), policy });
        }
        let session = match who {
            Who::Role { policy, policies, .. } if policy.is_some() || !policies.is_empty() => {
                let own = policy.clone().map(|policy| NamedPolicy { name: "session".to_owned(), policy });
                let mut narrowed: Vec<NamedPolicy> = own.into_iter().collect();
                for named in policies {
                    // One that was deleted since allows nothing any more.
                    let Some((policy, read)) = self.document(account, named).await? else { continue };
                    seen.extend(read);
                    narrowed.push(NamedPolicy { name: named.name().to_owned(), policy });
                }
                Some(narrowed)
            }
            Who::Root { .. } | Who::User { .. } | Who::Role { .. } => None,
        };
        let caller = Caller { account: account.to_string(), principal, policies, session };
        Ok(Some((caller, seen)))
    }

    /// What a policy says now, and which record of the account says so; `None` if there is no such policy.
    pub(super) async fn document(
        &self,
        account: AccountId,
        policy: &PolicyRef,
    ) -> Result<Option<(PermissionPolicy, Option<(Key, Revision)>)>, StoreFailed> {
        Ok(match policy {
            PolicyRef::BuiltIn(name) => built_in(name).map(|document| (document, None)),
            PolicyRef::Custom(name) => {
                let kept = self.named::<Policy>(account, name).await?;
                kept.map(|kept| (kept.value.document, Some((kept.key, kept.modified))))
            }
        })
    }
}

fn gone(kind: Kind, name: &str) -> AuthenticateError {
    AuthenticateError::Gone { kind, name: name.to_owned() }
}
