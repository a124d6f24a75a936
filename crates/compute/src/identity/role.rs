//! Roles of an account: what a service, an instance, a user or another account may become for a while. Who may is told by
//! the trust policy, what it may do then by the policies attached.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::{Caller, Context, Decision, Party, Request, TrustPolicy, authorize};
use crate::store::{Condition, Write, put};

use super::account::account_write;
use super::error::shown;
use super::name::{Named, check, check_description, key_of};
use super::user::{Principal, draw_principal, principal_key};
use super::{
    AccountId, ChangeError, CreateError, DeleteError, Identity, Kind, Listed, LookError, PolicyRef,
    PrincipalId, StoreFailed,
};

/// Most roles of an account: RAM's limit.
pub const MAX_ROLES: usize = 1000;
/// The shortest that a role can have for the longest of its sessions, and RAM's default, in seconds.
pub const LEAST_SESSION_LIMIT_S: u32 = 3600;
/// The longest that a role can have for the longest of its sessions, in seconds.
pub const GREATEST_SESSION_LIMIT_S: u32 = 43200;

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The account that it is of: one part of its name in any cloud's form.
    pub account: AccountId,
    /// Its name, the other part; none of the account's roles is called so in other capitals.
    pub name: String,
    /// Its id.
    pub id: PrincipalId,
    /// What people say of it.
    pub description: String,
    /// Who may assume it.
    pub trust: TrustPolicy,
    /// How long a session of it may last, in seconds.
    pub max_session_s: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed, but for what is attached.
    pub updated: Timestamp,
    /// What it may do, in the order in which they were attached.
    pub policies: Vec<PolicyRef>,
}

impl Named for Role {
    const KIND: Kind = Kind::Role;

    fn name(&self) -> &str {
        &self.name
    }
}

/// What to change of a role; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleChange {
    /// What people say of it.
    pub description: Option<String>,
    /// Who may assume it: a document.
    pub trust: Option<String>,
    /// How long a session of it may last, in seconds.
    pub max_session_s: Option<u32>,
}

impl RoleChange {
    fn apply(&self, role: &mut Role) -> Result<(), CreateError> {
        if let Some(description) = &self.description {
            check_description(description)?;
            role.description.clone_from(description);
        }
        if let Some(trust) = &self.trust {
            role.trust = trust.parse()?;
        }
        if let Some(seconds) = self.max_session_s {
            check_session_limit(seconds)?;
            role.max_session_s = seconds;
        }
        Ok(())
    }
}

fn check_session_limit(seconds: u32) -> Result<(), CreateError> {
    match seconds {
        LEAST_SESSION_LIMIT_S..=GREATEST_SESSION_LIMIT_S => Ok(()),
        _ => Err(CreateError::SessionLimit { seconds }),
    }
}

/// Why a role may not be given to something.
#[derive(Debug, thiserror::Error)]
pub enum PassRoleError {
    /// The caller may not pass it.
    #[error("you are not allowed to pass the role {role:?}: have {action} allowed for it")]
    NotAllowed {
        /// The action that is not allowed.
        action: String,
        /// The role.
        role: String,
        /// What the policies said.
        decision: Decision,
    },
    /// There is none.
    #[error("there is no role {role:?}: create it first")]
    Absent {
        /// As it was asked for, cut off if long.
        role: String,
    },
    /// The role does not trust the service.
    #[error("the role {role:?} does not trust {service}: name that service in its trust policy")]
    NotTrusted {
        /// The role.
        role: String,
        /// The service.
        service: String,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

impl Identity {
    /// Makes a role, which may do nothing yet. `trust` is a document.
    pub async fn create_role(
        &self,
        account: AccountId,
        name: &str,
        description: &str,
        trust: &str,
        max_session_s: u32,
        now: Timestamp,
    ) -> Result<Role, CreateError> {
        check(Kind::Role, name)?;
        check_description(description)?;
        check_session_limit(max_session_s)?;
        let trust: TrustPolicy = trust.parse()?;
        let role_key = key_of(Kind::Role, account, name).expect("the name was looked at");
        loop {
            let Some(mut owner) = self.kept_account(account).await? else {
                return Err(CreateError::no_owner(Kind::Account, &account.to_string()));
            };
            if let Some(other) = self.get::<Role>(&role_key).await? {
                return Err(CreateError::Taken { kind: Kind::Role, name: other.value.name });
            }
            CreateError::limit(Kind::Role, owner.value.roles, MAX_ROLES)?;
            owner.value.roles += 1;
            let (id, is_free, principal) = draw_principal(&Principal::Role { account, name });
            let role = Role {
                account,
                name: name.to_owned(),
                id,
                description: description.to_owned(),
                trust: trust.clone(),
                max_session_s,
                created: now,
                updated: now,
                policies: Vec::new(),
            };
            let conditions = vec![owner.unmodified(), Condition::Absent(role_key.clone()), is_free];
            let writes = vec![account_write(&owner.value), put(role_key.clone(), &role), principal];
            if self.commit(conditions, writes).await? {
                return Ok(role);
            }
        }
    }

    /// The role of this name.
    pub async fn role(&self, account: AccountId, name: &str) -> Result<Role, LookError> {
        let kept = self.named::<Role>(account, name).await?;
        kept.map(|kept| kept.value).ok_or_else(|| LookError::absent(Kind::Role, name))
    }

    /// Roles by their names: at most `limit`, from `after` on.
    pub async fn roles(
        &self,
        account: AccountId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<Role>, StoreFailed> {
        self.page(&format!("role/{account}/"), after, limit).await
    }

    /// Changes a role. Sessions that exist live on.
    pub async fn update_role(
        &self,
        account: AccountId,
        name: &str,
        change: &RoleChange,
        now: Timestamp,
    ) -> Result<Role, ChangeError> {
        loop {
            let Some(mut role) = self.named::<Role>(account, name).await? else {
                return Err(ChangeError::absent(Kind::Role, name));
            };
            change.apply(&mut role.value).map_err(ChangeError::Refused)?;
            role.value.updated = now;
            if self.commit(vec![role.unmodified()], vec![put(role.key.clone(), &role.value)]).await? {
                return Ok(role.value);
            }
        }
    }

    /// Deletes a role that has no policies. Its sessions can do nothing from then on, not even if one is made of the same
    /// name. That instances have it is not known here.
    pub async fn delete_role(&self, account: AccountId, name: &str) -> Result<(), DeleteError> {
        loop {
            let owner = self.kept_account(account).await?;
            let role = self.named::<Role>(account, name).await?;
            let (Some(mut owner), Some(role)) = (owner, role) else {
                return Err(DeleteError::absent(Kind::Role, name));
            };
            let (kind, of, count) = (Kind::Role, Kind::Policy, role.value.policies.len());
            if count > 0 {
                return Err(DeleteError::InUse { kind, name: name.to_owned(), of, count });
            }
            owner.value.roles = owner.value.roles.saturating_sub(1);
            let conditions = vec![owner.unmodified(), role.unmodified()];
            let writes = vec![
                account_write(&owner.value),
                Write::Delete(role.key),
                Write::Delete(principal_key(role.value.id)),
            ];
            if self.commit(conditions, writes).await? {
                return Ok(());
            }
        }
    }

    /// Whether the caller may give this role of `account` to a service, such as that which runs instances. `request` has
    /// the dialect's name of that action, `ram:PassRole` or `iam:PassRole`, and its name of the role.
    pub async fn pass_role(
        &self,
        caller: &Caller,
        request: &Request<'_>,
        account: AccountId,
        role: &str,
        service: &str,
    ) -> Result<Role, PassRoleError> {
        // First, so that whoever may not pass a role does not learn which there are. A role of another account is never
        // passed, whatever the policies say.
        let decision = authorize(caller, request);
        if !decision.is_allowed() || caller.account != account.to_string() {
            let action = request.action.to_owned();
            return Err(PassRoleError::NotAllowed { action, role: shown(role), decision });
        }
        let Some(kept) = self.named::<Role>(account, role).await? else {
            return Err(PassRoleError::Absent { role: shown(role) });
        };
        if !kept.value.trust.trusts(&Party::Service(service.to_owned()), &Context::default()) {
            return Err(PassRoleError::NotTrusted { role: kept.value.name, service: service.to_owned() });
        }
        Ok(kept.value)
    }
}
