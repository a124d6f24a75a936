//! Credentials that instances find in their metadata service: those of the role that the instance was given. Asked again
//! they are the same, until a third of their life is left; then they are new, and the old ones stay good until they end.
//! Which role an instance has is not known here.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::{Context, Party};
use crate::id::{Id, Instance};
use crate::store::{Condition, Kept, Key, Write, put};

use super::access_key::place;
use super::error::shown;
use super::session::{Session, Terms, session_key};
use super::{AccessKeyId, AccountId, Identity, KeyForm, Role, StoreFailed, TemporaryCredentials, key};

/// How long they last, whatever the role says of sessions: as Alibaba's and EC2's do. Old clients ask again after 54 minutes,
/// so a third of it is more than that.
pub const LIFE: Duration = Duration::from_secs(6 * 3600);

/// Which session's credentials an instance is given at present.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Current {
    pub session: AccessKeyId,
}

/// Why an instance is not given credentials.
#[derive(Debug, thiserror::Error)]
pub enum InstanceCredentialsError {
    /// The role is not there any more.
    #[error("there is no role {role:?}: give the instance another one")]
    Absent {
        /// Its name.
        role: String,
    },
    /// The role does not trust the service that runs instances.
    #[error("the role {role:?} does not trust {service}: name that service in its trust policy")]
    NotTrusted {
        /// The role.
        role: String,
        /// The service.
        service: String,
    },
    /// The account is disabled.
    #[error("the account {account} is disabled: ask the operator")]
    AccountDisabled {
        /// The account.
        account: AccountId,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] StoreFailed),
}

fn current_key(account: AccountId, instance: Id<Instance>, form: KeyForm) -> Key {
    key(["instance-credentials", &account.to_string(), &instance.to_string(), form.word()])
}

impl Identity {
    /// The credentials of the role for an instance that has it, as of now; `service` is who runs instances, in the words of
    /// the dialect: `ecs.aliyuncs.com`. The session is called as the instance is.
    pub async fn credentials_for_instance(
        &self,
        account: AccountId,
        instance: Id<Instance>,
        role: &str,
        service: &str,
        form: KeyForm,
        now: Timestamp,
    ) -> Result<TemporaryCredentials, InstanceCredentialsError> {
        let current_key = current_key(account, instance, form);
        loop {
            let owner = self.kept_account(account).await?;
            let role_now = self.named::<Role>(account, role).await?;
            let (Some(owner), Some(role_now)) = (owner, role_now) else {
                return Err(InstanceCredentialsError::Absent { role: shown(role) });
            };
            if !owner.value.is_enabled {
                return Err(InstanceCredentialsError::AccountDisabled { account });
            }
            if !role_now.value.trust.trusts(&Party::Service(service.to_owned()), &Context::default()) {
                let service = service.to_owned();
                return Err(InstanceCredentialsError::NotTrusted { role: role_now.value.name, service });
            }
            let current = self.get::<Current>(&current_key).await?;
            if let Some(current) = &current
                && let Some(session) = self.get::<Session>(&session_key(&current.value.session)).await?
                && session.value.role_id == role_now.value.id
                && is_fresh(&session.value, now)
            {
                return self.open(&current.value.session, session).map_err(Into::into);
            }
            let instance = instance.to_string();
            let given_by = Some(current_key.clone());
            let terms =
                Terms { name: &instance, policy: None, policies: Vec::new(), life: LIFE, form, given_by };
            let mut made = self.make_session(&role_now, terms, now);
            made.conditions.push(match &current {
                Some(current) => current.unmodified(),
                None => Condition::Absent(current_key.clone()),
            });
            let session = made.credentials.id.clone();
            made.writes.push(put(current_key.clone(), &Current { session }));
            if self.commit(made.conditions, made.writes).await? {
                return Ok(made.credentials);
            }
        }
    }

    /// Forgets which credentials an instance is given, so that the next are new ones. For an instance that lost its role,
    /// and one that is gone. Those that it was given stay good until they end.
    pub async fn forget_instance_credentials(
        &self,
        account: AccountId,
        instance: Id<Instance>,
    ) -> Result<(), StoreFailed> {
        let forms = [KeyForm::Sts, KeyForm::Asia];
        let writes = forms.map(|form| Write::Delete(current_key(account, instance, form)));
        self.commit(Vec::new(), writes.to_vec()).await?;
        Ok(())
    }

    fn open(&self, id: &AccessKeyId, session: Kept<Session>) -> Result<TemporaryCredentials, StoreFailed> {
        let Kept { value: session, key, .. } = session;
        Ok(TemporaryCredentials {
            id: id.clone(),
            secret: self.keys.open(&session.secret, &place(&key, "secret"))?,
            token: self.keys.open(&session.token, &place(&key, "token"))?,
            issued: session.issued,
            expiration: session.expiration,
            role: session.role,
            role_id: session.role_id,
            session: session.name,
        })
    }
}

/// Whether more than a third of the life is left. More than all of it is left when the clock was set back: such credentials
/// would last longer than any should.
fn is_fresh(session: &Session, now: Timestamp) -> bool {
    let left = session.expiration.duration_since(now);
    left > LIFE_SIGNED / 3 && left <= LIFE_SIGNED
}

const LIFE_SIGNED: jiff::SignedDuration = jiff::SignedDuration::from_secs(LIFE.as_secs().cast_signed());
