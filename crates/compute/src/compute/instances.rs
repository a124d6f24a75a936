//! Instances after they were launched: looked at, acted on, changed, renewed.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::launch::{MAX_USER_DATA, check_host_name, check_metadata_options, check_name};
use super::records::Besides;
use super::{Compute, ComputeError, Listed, Token};
use crate::capacity::{Amounts, Ask};
use crate::charge::{Period, Release, Terms};
use crate::id::{ImageId, InstanceId};
use crate::lifecycle::{Action, Event, Refused, Rules, State};
use crate::outside::{ConsoleOutput, HostError};
use crate::resource::{
    Instance, MetadataChange, MetadataOptions, Reservation, Resource, Tags, UsageRecord, owned_key,
};
use crate::secrets::Secret;

/// Which instances are wanted. What is empty lets all through.
#[derive(Clone, Debug, Default)]
pub struct InstanceFilter {
    /// One of these.
    pub ids: Vec<InstanceId>,
    /// In one of these states.
    pub states: Vec<State>,
    /// With one of these names.
    pub names: Vec<String>,
    /// Launched from one of these images.
    pub images: Vec<ImageId>,
    /// With each of these tags.
    pub tags: BTreeMap<String, String>,
}

impl InstanceFilter {
    /// Whether it lets an instance through.
    pub fn takes(&self, instance: &Instance) -> bool {
        fn any<T: PartialEq>(wanted: &[T], value: &T) -> bool {
            wanted.is_empty() || wanted.contains(value)
        }
        any(&self.ids, &instance.id)
            && any(&self.states, &instance.state())
            && any(&self.names, &instance.name)
            && any(&self.images, &instance.image)
            && self.tags.iter().all(|(key, value)| instance.tags.0.get(key) == Some(value))
    }
}

/// What is to be changed of an instance; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct InstanceChange {
    /// The name.
    pub name: Option<String>,
    /// Words about it.
    pub description: Option<String>,
    /// The host name, from the next boot on.
    pub host_name: Option<String>,
    /// User data.
    pub user_data: Option<Vec<u8>>,
    /// The password of the guest's first user, as far as the guest asks for it again.
    pub password: Option<Secret>,
    /// The instance type; only while it has no VM.
    pub instance_type: Option<String>,
    /// What it does by itself.
    pub rules: Option<Rules>,
    /// Refuse to terminate it.
    pub protected: Option<bool>,
    /// When to release it; only where it is paid by use.
    pub release: Option<Option<Release>>,
    /// What to renew it by; only where it is paid in advance.
    pub auto_renew: Option<Option<Period>>,
    /// The role.
    pub role: Option<Option<String>>,
    /// How the guest gets at its metadata.
    pub metadata_options: MetadataChange,
    /// Tags, all of them.
    pub tags: Option<Tags>,
    /// What the dialect keeps for itself.
    pub dialect: Option<serde_json::Value>,
}

/// Whether a protected instance may be terminated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It may not.
    Respected,
    /// Whoever asks may take the protection away, and does.
    Overridden,
}

impl Compute {
    /// An instance.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn instance(&self, account: &str, id: InstanceId) -> Result<Instance, ComputeError> {
        Ok(self.get_owned::<Instance>(account, &id.to_string()).await?.value)
    }

    /// Instances of an account in the order of their ids, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn instances(
        &self,
        account: &str,
        filter: &InstanceFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<Instance>, ComputeError> {
        self.list_owned(account, after, limit, |instance| filter.takes(instance)).await
    }

    /// Reservations of an account.
    ///
    /// # Errors
    ///
    /// As `instances`.
    pub async fn reservations(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<Reservation>, ComputeError> {
        self.list_owned(account, after, limit, |_| true).await
    }

    /// Usage of an account that has ended, in the order of its beginnings. What is going on is in the instances.
    ///
    /// # Errors
    ///
    /// As `instances`.
    pub async fn usage(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<UsageRecord>, ComputeError> {
        self.list_owned(account, after, limit, |_| true).await
    }

    /// Does what a user asks of an instance; answers when that is on record, and goes on by itself.
    ///
    /// # Errors
    ///
    /// There is no such instance, its state does not allow it, it is protected, or there is no room to start it.
    pub async fn act(
        self: &Arc<Self>,
        account: &str,
        id: InstanceId,
        action: Action,
        allowance: Amounts,
        protection: Protection,
    ) -> Result<Instance, ComputeError> {
        let instance = self.instance(account, id).await?;
        if action == Action::Terminate && instance.protected && protection == Protection::Respected {
            return Err(ComputeError::Protected { instance: id });
        }
        // Whoever has no VM needs room for one. What is held is given back when the record says it.
        let _hold = match action {
            Action::Start if instance.amounts() == Amounts::default() => {
                let each = Amounts {
                    instances: 1,
                    vcpus: u64::from(instance.vcpus),
                    memory_mib: instance.memory_mib,
                    disk_gib: 0,
                };
                Some(self.ledger.reserve(account, allowance, &[Ask { each, min: 1, max: 1 }])?)
            }
            Action::Start | Action::Stop | Action::StopForced => None,
            Action::Reboot | Action::RebootForced | Action::Terminate => None,
        };
        self.ask(account, id, Event::Asked(action)).await
    }

    /// Changes what can be changed of an instance.
    ///
    /// # Errors
    ///
    /// Something makes no sense, or not in this state or for these terms. Nothing has changed then.
    pub async fn change_instance(
        self: &Arc<Self>,
        account: &str,
        id: InstanceId,
        change: &InstanceChange,
    ) -> Result<Instance, ComputeError> {
        self.check_change(change)?;
        let resized = match &change.instance_type {
            Some(name) => Some(self.instance_type(name)?),
            None => None,
        };
        let instance = self
            .change_owned::<Instance>(account, &id.to_string(), |instance| {
                if instance.state() == State::Terminated || instance.state() == State::Terminating {
                    return Err(ComputeError::Refused { instance: id, why: Refused::Gone });
                }
                if let Some(resized) = resized {
                    if instance.amounts() != Amounts::default() {
                        return Err(wrong_state(instance, "stopped"));
                    }
                    instance.instance_type.clone_from(&resized.name);
                    (instance.vcpus, instance.memory_mib) = (resized.vcpus, resized.memory_mib);
                }
                change_terms(instance, change)?;
                apply(instance, change);
                if let Some(password) = &change.password {
                    let place = Instance::password_place(id);
                    instance.password = Some(self.keys.seal(password, &place));
                }
                Ok(())
            })
            .await?;
        self.ledger.note_instance(&instance, self.due_at(&instance, self.clock.now()));
        if change.metadata_options != MetadataChange::default() {
            let (nics, hop_limit) = (instance.interfaces.len(), instance.metadata_options.ttl());
            match self.machines.set_hop_limit(id, nics, hop_limit).await {
                // Without a VM, the next one has it.
                Ok(()) | Err(HostError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(instance)
    }

    /// Changes how the guest gets at its metadata, from its next request on.
    ///
    /// # Errors
    ///
    /// As `change_instance`.
    pub async fn set_metadata_options(
        self: &Arc<Self>,
        account: &str,
        id: InstanceId,
        change: MetadataChange,
    ) -> Result<Instance, ComputeError> {
        let change = InstanceChange { metadata_options: change, ..InstanceChange::default() };
        self.change_instance(account, id, &change).await
    }

    fn check_change(&self, change: &InstanceChange) -> Result<(), ComputeError> {
        if let Some(name) = &change.name {
            check_name("name", name)?;
        }
        if let Some(host_name) = &change.host_name {
            check_host_name(host_name)?;
        }
        if change.user_data.as_ref().is_some_and(|data| data.len() > MAX_USER_DATA) {
            return Err(ComputeError::invalid("user_data", format!("has more than {MAX_USER_DATA} bytes")));
        }
        check_metadata_options(MetadataOptions::default().changed(change.metadata_options))?;
        if let Some(tags) = &change.tags {
            tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        }
        Ok(())
    }

    /// Renews an instance that is paid in advance by a period; one that was locked is unlocked. Asked once more with the
    /// same token, it is as it is.
    ///
    /// # Errors
    ///
    /// It is paid by use, it is gone, or the period makes no sense.
    pub async fn renew(
        self: &Arc<Self>,
        account: &str,
        id: InstanceId,
        period: Period,
        token: Option<&Token>,
    ) -> Result<Instance, ComputeError> {
        let now = self.clock.now();
        if self.used_token(account, token).await?.is_some() {
            return self.instance(account, id).await;
        }
        let key = owned_key(Instance::WORD, account, &id.to_string());
        let renewed = self
            .change::<Instance, ()>(&key, &id.to_string(), |instance| {
                renew(instance, period, now)?;
                let mut besides = Besides::default();
                if let Some((condition, write)) = self.use_token(account, token, vec![id.to_string()])? {
                    besides.conditions.push(condition);
                    besides.writes.push(write);
                }
                Ok(((), besides))
            })
            .await;
        let instance = match renewed {
            Ok(((), instance)) => instance,
            // The same request at the same time was faster.
            Err(error @ ComputeError::Contended { .. }) => {
                return match self.used_token(account, token).await? {
                    Some(_) => self.instance(account, id).await,
                    None => Err(error),
                };
            }
            Err(error) => return Err(error),
        };
        self.ledger.note_instance(&instance, self.due_at(&instance, now));
        match instance.state() {
            State::Locking | State::Locked => self.ask(account, id, Event::Renewed).await,
            State::Creating | State::Created | State::Starting | State::Running | State::Rebooting => {
                Ok(instance)
            }
            State::Stopping | State::Stopped | State::Terminating | State::Terminated | State::Failed => {
                Ok(instance)
            }
        }
    }

    /// The output of an instance's console, from `offset` on or the last of it.
    ///
    /// # Errors
    ///
    /// There is no such instance, or the host does not do its part.
    pub async fn console(
        &self,
        account: &str,
        id: InstanceId,
        offset: Option<u64>,
        limit: usize,
    ) -> Result<ConsoleOutput, ComputeError> {
        self.instance(account, id).await?;
        Ok(self.machines.console(id, offset, limit).await?)
    }
}

fn renew(instance: &mut Instance, period: Period, now: Timestamp) -> Result<(), ComputeError> {
    if matches!(instance.state(), State::Terminating | State::Terminated) {
        return Err(ComputeError::Refused { instance: instance.id, why: Refused::Gone });
    }
    match &mut instance.terms {
        Terms::PayAsYouGo { .. } => {
            Err(ComputeError::invalid("period", "is for instances that are paid in advance"))
        }
        Terms::Subscription(subscription) => subscription
            .renew(period, now)
            .map_err(|error| ComputeError::invalid("period", error.to_string())),
    }
}

fn wrong_state(instance: &Instance, wanted: &'static str) -> ComputeError {
    let state = format!("{:?}", instance.state()).to_lowercase();
    ComputeError::WrongState { what: Instance::NAME, id: instance.id.to_string(), state, wanted }
}

fn change_terms(instance: &mut Instance, change: &InstanceChange) -> Result<(), ComputeError> {
    match (&mut instance.terms, change.release, change.auto_renew) {
        (_, None, None) => {}
        (Terms::PayAsYouGo { release }, Some(new), None) => *release = new,
        (Terms::Subscription(subscription), None, Some(new)) => subscription.auto_renew = new,
        (Terms::PayAsYouGo { .. }, _, Some(_)) => {
            return Err(ComputeError::invalid("auto_renew", "is for instances that are paid in advance"));
        }
        (Terms::Subscription(_), Some(_), _) => {
            return Err(ComputeError::invalid("release_at", "is for instances that are paid by use"));
        }
    }
    Ok(())
}

fn apply(instance: &mut Instance, change: &InstanceChange) {
    let change = change.clone();
    if let Some(name) = change.name {
        instance.name = name;
    }
    if let Some(description) = change.description {
        instance.description = description;
    }
    if let Some(host_name) = change.host_name {
        instance.host_name = host_name;
    }
    if let Some(user_data) = change.user_data {
        instance.user_data = BASE64_STANDARD.encode(user_data);
    }
    if let Some(rules) = change.rules {
        instance.rules = rules;
    }
    if let Some(protected) = change.protected {
        instance.protected = protected;
    }
    if let Some(role) = change.role {
        instance.role = role;
    }
    instance.metadata_options = instance.metadata_options.changed(change.metadata_options);
    if let Some(tags) = change.tags {
        instance.tags = tags;
    }
    if let Some(dialect) = change.dialect {
        instance.dialect = dialect;
    }
}
