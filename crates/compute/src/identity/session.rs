//! Sessions: temporary credentials of a role, as STS gives them. They are records like all others, so they work after a
//! restart, and are swept some time after their end.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::{Caller, Context, Decision, DocumentError, PermissionPolicy, Request, authorize};
use crate::secrets::{Sealed, Secret};
use crate::store::{CommitError, Condition, Kept, Key, ReadError, Transaction, Write, put};

use super::access_key::{SECRET_CHARS, place};
use super::error::shown;
use super::instance::Current;
use super::{AccessKeyId, AccountId, Identity, PolicyRef, PrincipalId, Role, StoreFailed, chance, key};

/// The shortest session, in seconds: RAM's and IAM's limit.
pub const SHORTEST_SESSION_S: u32 = 900;
/// Most policies that a session is narrowed to besides one of its own: STS's limit.
pub const MAX_SESSION_POLICIES: usize = 10;
/// How long after its end a session is known to have ended, rather than not known at all.
pub const KEPT_AFTER_END: Duration = Duration::from_secs(3600);

/// Letters of a session token. It is not guessed before the secret is.
const TOKEN_CHARS: usize = 128;
/// Most sessions swept in one transaction, of which each takes up to three writes.
const SWEEP: usize = 40;

/// How the id of a temporary key looks; clients of Alibaba's tell one from a lasting key by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// `STS.` and more: Alibaba's.
    Sts,
    /// `ASIA` and 16 more: EC2's, and good for Huawei's.
    Asia,
}

impl KeyForm {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Asia => "asia",
        }
    }

    fn draw(self) -> AccessKeyId {
        match self {
            Self::Sts => AccessKeyId::draw("STS.", 20),
            Self::Asia => AccessKeyId::draw("ASIA", 16),
        }
    }
}

/// Credentials for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryCredentials {
    /// The id of the key.
    pub id: AccessKeyId,
    /// The secret of the key.
    pub secret: Secret,
    /// What goes along with each request.
    pub token: Secret,
    /// When they were made.
    pub issued: Timestamp,
    /// When they end.
    pub expiration: Timestamp,
    /// The role that was assumed.
    pub role: String,
    /// The id of that role.
    pub role_id: PrincipalId,
    /// What the session is called.
    pub session: String,
}

/// The record of a session. Never changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub account: AccountId,
    pub role: String,
    pub role_id: PrincipalId,
    pub name: String,
    pub issued: Timestamp,
    pub expiration: Timestamp,
    pub policy: Option<PermissionPolicy>,
    /// Policies besides it, as they are whenever the session is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyRef>,
    pub secret: Sealed,
    pub token: Sealed,
    /// The record by which an instance is given them, if one is.
    pub given_by: Option<Key>,
}

/// What somebody wants to assume.
#[derive(Clone, Copy, Debug)]
pub struct Assume<'a> {
    /// The account of the role.
    pub account: AccountId,
    /// The role's name.
    pub role: &'a str,
    /// The role as the caller's policies name it: `acs:ram::123456789012:role/name`, or an ARN.
    pub resource: &'a str,
    /// What is known of the request.
    pub context: &'a Context,
    /// What to call the session.
    pub session: &'a str,
    /// How long it is to last, in seconds.
    pub duration_s: u32,
    /// A document that says to what the session is narrowed.
    pub policy: Option<&'a str>,
    /// Policies that say so too, built-in ones and ones of the role's account: what any of them allows and none denies is left.
    pub policies: &'a [PolicyRef],
    /// How the key's id is to look.
    pub form: KeyForm,
}

/// Why a role was not assumed.
#[derive(Debug, thiserror::Error)]
pub enum AssumeRoleError {
    /// The caller's own policies do not allow it.
    #[error("you are not allowed to assume the role {role:?}: have sts:AssumeRole allowed for it")]
    NotAllowed {
        /// The role.
        role: String,
        /// What the policies said.
        decision: Decision,
    },
    /// The role does not trust the caller; or there is none in another account, which is not told apart.
    #[error("the role {role:?} does not trust you: be named in its trust policy")]
    NotTrusted {
        /// The role.
        role: String,
    },
    /// The caller's account has no such role.
    #[error("there is no role {role:?}: create it first")]
    Absent {
        /// As it was asked for, cut off if long.
        role: String,
    },
    /// The account of the role is disabled.
    #[error("the account of the role {role:?} is disabled: ask the operator")]
    AccountDisabled {
        /// The role.
        role: String,
    },
    /// A session cannot be called so.
    #[error(
        "{name:?} can be no session's name: use 2 to 64 letters of ASCII, digits and `.`, `-`, `_`, `@`, `=`, `,`, `+`"
    )]
    SessionName {
        /// As it was asked for, cut off if long.
        name: String,
    },
    /// A session of this role cannot last as long, or as short.
    #[error("a session of this role lasts {SHORTEST_SESSION_S} to {max} seconds, not {seconds}")]
    Duration {
        /// What was asked for.
        seconds: u32,
        /// What the role allows.
        max: u32,
    },
    /// There is no such policy to narrow the session to.
    #[error("there is no policy {name:?}: create it first")]
    NoPolicy {
        /// As it was asked for, cut off if long.
        name: String,
    },
    /// The session is to be narrowed to more policies than it can be.
    #[error("a session is narrowed to at most {MAX_SESSION_POLICIES} policies besides its own, not {count}")]
    TooManyPolicies {
        /// What was asked for.
        count: usize,
    },
    /// The session's policy is none.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

/// What was swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How many sessions are gone.
    pub sessions: usize,
    /// Whether there are more, for which to call again.
    pub more: bool,
}

/// A session to be: what it gives, under which conditions, and what is written.
pub struct Made {
    pub credentials: TemporaryCredentials,
    pub conditions: Vec<Condition>,
    pub writes: Vec<Write>,
}

/// What is particular to one session.
pub struct Terms<'a> {
    pub name: &'a str,
    pub policy: Option<PermissionPolicy>,
    pub policies: Vec<PolicyRef>,
    pub life: Duration,
    pub form: KeyForm,
    pub given_by: Option<Key>,
}

pub(super) fn session_key(id: &AccessKeyId) -> Key {
    key(["session", id.as_str()])
}

/// Sorts by the end, and tells the session. Times before 1970, which no clock has, sort as 1970.
fn end_key(end: Timestamp, id: &AccessKeyId) -> Key {
    key(["session-end", &format!("{:012}", end.as_second().max(0)), id.as_str()])
}

impl Identity {
    /// Gives the caller temporary credentials of a role that trusts it.
    pub async fn assume_role(
        &self,
        caller: &Caller,
        assume: &Assume<'_>,
        now: Timestamp,
    ) -> Result<TemporaryCredentials, AssumeRoleError> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@=,+".contains(&byte);
        if !(2..=64).contains(&assume.session.len()) || !assume.session.bytes().all(is_letter) {
            return Err(AssumeRoleError::SessionName { name: shown(assume.session) });
        }
        if assume.policies.len() > MAX_SESSION_POLICIES {
            return Err(AssumeRoleError::TooManyPolicies { count: assume.policies.len() });
        }
        let policy = assume.policy.map(str::parse::<PermissionPolicy>).transpose()?;
        let role_name = shown(assume.role);
        let request =
            Request { action: "sts:AssumeRole", resource: assume.resource, context: assume.context };
        let decision = authorize(caller, &request);
        if !decision.is_allowed() {
            return Err(AssumeRoleError::NotAllowed { role: role_name, decision });
        }
        loop {
            let account = self.kept_account(assume.account).await?;
            let role = self.named::<Role>(assume.account, assume.role).await?;
            let (Some(account), Some(role)) = (account, role) else {
                // Nobody learns which roles another account has.
                return Err(if caller.account == assume.account.to_string() {
                    AssumeRoleError::Absent { role: role_name }
                } else {
                    AssumeRoleError::NotTrusted { role: role_name }
                });
            };
            if !role.value.trust.trusts(&caller.party(), assume.context) {
                return Err(AssumeRoleError::NotTrusted { role: role_name });
            }
            if !account.value.is_enabled {
                return Err(AssumeRoleError::AccountDisabled { role: role_name });
            }
            let (seconds, max) = (assume.duration_s, role.value.max_session_s);
            if !(SHORTEST_SESSION_S..=max).contains(&seconds) {
                return Err(AssumeRoleError::Duration { seconds, max });
            }
            for policy in assume.policies {
                if self.document(assume.account, policy).await?.is_none() {
                    return Err(AssumeRoleError::NoPolicy { name: shown(policy.name()) });
                }
            }
            let life = Duration::from_secs(seconds.into());
            let terms = Terms {
                name: assume.session,
                policy: policy.clone(),
                policies: assume.policies.to_vec(),
                life,
                form: assume.form,
                given_by: None,
            };
            let made = self.make_session(&role, terms, now);
            if self.commit(made.conditions, made.writes).await? {
                return Ok(made.credentials);
            }
        }
    }

    /// A session of the role as it was read: if it is another when the session is written, all is to be done again.
    pub(super) fn make_session(&self, role: &Kept<Role>, terms: Terms<'_>, now: Timestamp) -> Made {
        let id = terms.form.draw();
        let session_key = session_key(&id);
        // In whole seconds, as clients are told it.
        let issued = Timestamp::from_second(now.as_second()).expect("it was a time before");
        let expiration = issued.saturating_add(terms.life).unwrap_or(Timestamp::MAX);
        let (secret, token) = (chance::secret(SECRET_CHARS), chance::secret(TOKEN_CHARS));
        let session = Session {
            account: role.value.account,
            role: role.value.name.clone(),
            role_id: role.value.id,
            name: terms.name.to_owned(),
            issued,
            expiration,
            policy: terms.policy,
            policies: terms.policies,
            secret: self.keys.seal(&secret, &place(&session_key, "secret")),
            token: self.keys.seal(&token, &place(&session_key, "token")),
            given_by: terms.given_by,
        };
        Made {
            conditions: vec![role.unmodified(), Condition::Absent(session_key.clone())],
            writes: vec![put(session_key, &session), put(end_key(expiration, &id), &())],
            credentials: TemporaryCredentials {
                id,
                secret,
                token,
                issued,
                expiration,
                role: session.role,
                role_id: session.role_id,
                session: session.name,
            },
        }
    }

    /// Removes some sessions that ended `KEPT_AFTER_END` ago or earlier, the oldest first, in one transaction. Called now
    /// and then; how often only decides how much room they take.
    pub async fn sweep_expired(&self, now: Timestamp) -> Result<Swept, StoreFailed> {
        loop {
            let page = self.store.range("session-end/", None, SWEEP).await?;
            let count = page.records.len();
            let (mut conditions, mut writes, mut sessions) = (Vec::new(), Vec::new(), 0);
            for record in page.records {
                let id = record.key.as_str().rsplit('/').next().and_then(|word| word.parse().ok());
                let id: AccessKeyId = id.ok_or_else(|| {
                    let why = format!("{} does not end with an access key id", record.key);
                    StoreFailed::from(ReadError::Corrupt { why })
                })?;
                let kept = self.get::<Session>(&session_key(&id)).await?;
                if let Some(Kept { value: session, key, .. }) = kept {
                    let end = session.expiration.saturating_add(KEPT_AFTER_END).unwrap_or(Timestamp::MAX);
                    if end > now {
                        break;
                    }
                    // An instance that is gone asks for no others, and would leave this for ever.
                    if let Some(given_by) = session.given_by
                        && let Some(current) = self.get::<Current>(&given_by).await?
                        && current.value.session == id
                    {
                        conditions.push(current.unmodified());
                        writes.push(Write::Delete(given_by));
                    }
                    writes.push(Write::Delete(key));
                }
                writes.push(Write::Delete(record.key));
                sessions += 1;
            }
            if sessions == 0 {
                return Ok(Swept { sessions, more: false });
            }
            match self.store.commit(Transaction { conditions, writes }).await {
                Ok(_) => return Ok(Swept { sessions, more: page.more && sessions == count }),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
