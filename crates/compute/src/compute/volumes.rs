//! Volumes: made, attached, detached, grown, deleted. Instances make and delete their own in `launch` and `effects`.

use std::sync::Arc;

use super::launch::{MAX_VOLUME_GIB, check_name, free_device};
use super::records::Besides;
use super::{Compute, ComputeError, Listed, Token};
use crate::capacity::{Amounts, Ask};
use crate::id::{InstanceId, SnapshotId, VolumeId};
use crate::lifecycle::State;
use crate::outside::DiskContent;
use crate::resource::{
    Attachment, Instance, InstanceDisk, Job, JobKind, Resource, Tags, Volume, VolumeKind, VolumeState,
    bare_device, owned_key,
};
use crate::store::{CommitError, Condition, Transaction, put};

/// Most disks of an instance that another one is attached to: as many as guests have letters for.
pub const MAX_ATTACHED: usize = 26;

/// A volume that is asked for.
#[derive(Clone, Debug, Default)]
pub struct NewVolume {
    /// Its size, in GiB; `None` for the snapshot's.
    pub size_gib: Option<u64>,
    /// The snapshot it is made of; `None` for a blank one.
    pub snapshot: Option<SnapshotId>,
    /// A name for people.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// The clouds' type of disk.
    pub category: String,
    /// The zone; `None` for the first.
    pub zone: Option<String>,
    /// Tags.
    pub tags: Tags,
    /// What makes a repetition lead to the same volume.
    pub token: Option<Token>,
    /// What the dialect keeps for itself.
    pub dialect: serde_json::Value,
}

/// What is to be changed of a volume; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct VolumeChange {
    /// The name.
    pub name: Option<String>,
    /// Words about it.
    pub description: Option<String>,
    /// Whether it goes with its instance.
    pub delete_with_instance: Option<bool>,
    /// Tags, all of them.
    pub tags: Option<Tags>,
}

impl Compute {
    /// A volume.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn volume(&self, account: &str, id: VolumeId) -> Result<Volume, ComputeError> {
        Ok(self.get_owned::<Volume>(account, &id.to_string()).await?.value)
    }

    /// Volumes of an account that `wanted` takes.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn volumes(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&Volume) -> bool,
    ) -> Result<Listed<Volume>, ComputeError> {
        self.list_owned(account, after, limit, wanted).await
    }

    /// Makes a volume; its disk is there when it is available.
    ///
    /// # Errors
    ///
    /// Something makes no sense or is not there, or there is no room.
    pub async fn create_volume(
        self: &Arc<Self>,
        account: &str,
        new: &NewVolume,
        allowance: Amounts,
    ) -> Result<Volume, ComputeError> {
        check_name("name", &new.name)?;
        new.tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        if let Some(result) = self.used_token(account, new.token.as_ref()).await? {
            return self.made_before(account, &result).await;
        }
        let zones = &self.config.catalog.zones;
        let zone = new.zone.clone().unwrap_or_else(|| zones[0].name.clone());
        if !zones.iter().any(|known| known.name == zone) {
            return Err(ComputeError::NotFound { what: "zone", id: zone });
        }
        let _referring = self.references.read().await;
        let (smallest_mib, content, image) = match new.snapshot {
            None => (1024, DiskContent::Blank, None),
            Some(snapshot) => {
                let snapshot = self.completed_snapshot(account, snapshot).await?;
                (snapshot.size_mib, DiskContent::Snapshot { snapshot: snapshot.id }, snapshot.image)
            }
        };
        let size_mib = match new.size_gib {
            None if new.snapshot.is_none() => {
                return Err(ComputeError::invalid(
                    "size_gib",
                    "is missing: a volume without a snapshot needs a size",
                ));
            }
            None => smallest_mib,
            Some(gib) => check_size(gib, smallest_mib)?,
        };
        let each = Amounts { disk_gib: size_mib.div_ceil(1024), ..Amounts::default() };
        let (_, hold) = self.ledger.reserve(account, allowance, &[Ask { each, min: 1, max: 1 }])?;
        let volume = Volume {
            id: VolumeId::draw(),
            account: account.to_owned(),
            node: self.config.node.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            kind: VolumeKind::Data,
            category: new.category.clone(),
            size_mib,
            zone,
            content,
            image,
            state: VolumeState::Creating,
            attachment: None,
            tags: new.tags.clone(),
            created: self.clock.now(),
            dialect: new.dialect.clone(),
        };
        let mut transaction = Transaction {
            conditions: vec![Condition::Absent(volume.key())],
            writes: vec![put(volume.key(), &volume)],
        };
        if let Some((condition, write)) =
            self.use_token(account, new.token.as_ref(), vec![volume.id.to_string()])?
        {
            transaction.conditions.push(condition);
            transaction.writes.push(write);
        }
        let job = self.new_job(account, JobKind::CreateVolume { volume: volume.id });
        match self.begin(job, transaction).await {
            Ok(_) => {}
            // The same request came twice at once.
            Err(error @ ComputeError::Contended { .. }) => {
                let Some(result) = self.used_token(account, new.token.as_ref()).await? else {
                    return Err(error);
                };
                return self.made_before(account, &result).await;
            }
            Err(error) => return Err(error),
        }
        self.ledger.note_volume(&volume);
        drop(hold);
        Ok(volume)
    }

    async fn made_before(&self, account: &str, result: &[String]) -> Result<Volume, ComputeError> {
        let id = result.first().map(String::as_str).unwrap_or_default();
        Ok(self.get_owned::<Volume>(account, id).await?.value)
    }

    /// Gives a volume to an instance that has no VM.
    ///
    /// # Errors
    ///
    /// One of them is not there or not in the state for it.
    pub async fn attach_volume(
        self: &Arc<Self>,
        account: &str,
        id: VolumeId,
        instance: InstanceId,
        device: Option<&str>,
        delete_with_instance: bool,
    ) -> Result<Volume, ComputeError> {
        for _ in 0..super::records::TRIES {
            let mut volume = self.get_owned::<Volume>(account, &id.to_string()).await?;
            if volume.value.state != VolumeState::Available {
                return Err(wrong_state(&volume.value, "available"));
            }
            let mut owner = self.get_owned::<Instance>(account, &instance.to_string()).await?;
            without_vm(&owner.value)?;
            if owner.value.disks.len() >= MAX_ATTACHED {
                return Err(ComputeError::Limit { what: "disks of an instance", most: MAX_ATTACHED as u64 });
            }
            let taken = |device: &str| owner.value.disks.iter().any(|disk| disk.device == device);
            let device = match device {
                Some(device) if taken(device) => {
                    return Err(ComputeError::invalid("device", format!("{device} is taken")));
                }
                Some(device) if !is_device(device) => {
                    return Err(ComputeError::invalid("device", "is a name such as /dev/sdb or xvdb"));
                }
                Some(device) => device.to_owned(),
                None => free_device(taken)?,
            };
            let conditions = vec![volume.unmodified(), owner.unmodified()];
            owner.value.disks.push(InstanceDisk { volume: id, device: device.clone(), delete_with_instance });
            volume.value.state = VolumeState::InUse;
            let since = self.clock.now();
            volume.value.attachment = Some(Attachment { instance, device, delete_with_instance, since });
            let writes = vec![
                put(owned_key(Instance::WORD, account, &instance.to_string()), &owner.value),
                put(volume.key.clone(), &volume.value),
            ];
            match self.store.commit(Transaction { conditions, writes }).await {
                Ok(_) => return Ok(volume.value),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ComputeError::Contended { key: owned_key(Volume::WORD, account, &id.to_string()) })
    }

    /// Takes a volume from an instance that has no VM.
    ///
    /// # Errors
    ///
    /// It is not attached, the instance has a VM, or it is the disk that the instance boots from.
    pub async fn detach_volume(
        self: &Arc<Self>,
        account: &str,
        id: VolumeId,
    ) -> Result<Volume, ComputeError> {
        for _ in 0..super::records::TRIES {
            let mut volume = self.get_owned::<Volume>(account, &id.to_string()).await?;
            let Some(attachment) = volume.value.attachment.take() else {
                return Err(wrong_state(&volume.value, "in use"));
            };
            let mut owner = self.get_owned::<Instance>(account, &attachment.instance.to_string()).await?;
            without_vm(&owner.value)?;
            if volume.value.kind != VolumeKind::Data {
                let what = format!("{:?}", volume.value.kind).to_lowercase();
                return Err(ComputeError::invalid(
                    "volume",
                    format!("is the instance's {what} disk, which stays"),
                ));
            }
            let conditions = vec![volume.unmodified(), owner.unmodified()];
            owner.value.disks.retain(|disk| disk.volume != id);
            volume.value.state = VolumeState::Available;
            let writes = vec![
                put(owned_key(Instance::WORD, account, &attachment.instance.to_string()), &owner.value),
                put(volume.key.clone(), &volume.value),
            ];
            match self.store.commit(Transaction { conditions, writes }).await {
                Ok(_) => return Ok(volume.value),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ComputeError::Contended { key: owned_key(Volume::WORD, account, &id.to_string()) })
    }

    /// Makes a volume larger. A guest that runs sees it after its next start.
    ///
    /// # Errors
    ///
    /// It is not larger, too large, being made or removed, or there is no room.
    pub async fn grow_volume(
        self: &Arc<Self>,
        account: &str,
        id: VolumeId,
        size_gib: u64,
        allowance: Amounts,
    ) -> Result<Job, ComputeError> {
        let kept = self.get_owned::<Volume>(account, &id.to_string()).await?;
        let mut volume = kept.value.clone();
        match volume.state {
            VolumeState::Available | VolumeState::InUse => {}
            VolumeState::Creating | VolumeState::Deleting | VolumeState::Failed => {
                return Err(wrong_state(&volume, "available or in use"));
            }
        }
        let size_mib = check_size(size_gib, volume.size_mib)?;
        let more = (size_mib - volume.size_mib).div_ceil(1024);
        let each = Amounts { disk_gib: more, ..Amounts::default() };
        let (_, hold) = self.ledger.reserve(account, allowance, &[Ask { each, min: 1, max: 1 }])?;
        let from_mib = std::mem::replace(&mut volume.size_mib, size_mib);
        let transaction =
            Transaction { conditions: vec![kept.unmodified()], writes: vec![put(kept.key.clone(), &volume)] };
        let job = self.new_job(account, JobKind::GrowVolume { volume: id, size_mib, from_mib });
        let job = self.begin(job, transaction).await?;
        self.ledger.resize_volume(&volume);
        drop(hold);
        Ok(job)
    }

    /// Changes what can be changed of a volume.
    ///
    /// # Errors
    ///
    /// There is none of this id, or something makes no sense.
    pub async fn change_volume(
        self: &Arc<Self>,
        account: &str,
        id: VolumeId,
        change: &VolumeChange,
    ) -> Result<Volume, ComputeError> {
        if let Some(name) = &change.name {
            check_name("name", name)?;
        }
        if let Some(tags) = &change.tags {
            tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        }
        let key = owned_key(Volume::WORD, account, &id.to_string());
        // Whether it goes with its instance is also in the instance's record.
        if let Some(goes) = change.delete_with_instance {
            let volume = self.volume(account, id).await?;
            let Some(attachment) = &volume.attachment else { return Err(wrong_state(&volume, "in use")) };
            let owner = owned_key(Instance::WORD, account, &attachment.instance.to_string());
            self.change::<Instance, ()>(&owner, &attachment.instance.to_string(), |instance| {
                let disk = instance.disks.iter_mut().find(|disk| disk.volume == id);
                disk.ok_or_else(|| wrong_state(&volume, "in use"))?.delete_with_instance = goes;
                Ok(((), Besides::default()))
            })
            .await?;
        }
        let ((), volume) = self
            .change::<Volume, ()>(&key, &id.to_string(), |volume| {
                let change = change.clone();
                if let Some(name) = change.name {
                    volume.name = name;
                }
                if let Some(description) = change.description {
                    volume.description = description;
                }
                if let (Some(goes), Some(attachment)) = (change.delete_with_instance, &mut volume.attachment)
                {
                    attachment.delete_with_instance = goes;
                }
                if let Some(tags) = change.tags {
                    volume.tags = tags;
                }
                Ok(((), Besides::default()))
            })
            .await?;
        Ok(volume)
    }

    /// Deletes a volume that nobody uses.
    ///
    /// # Errors
    ///
    /// There is none of this id, or an instance has it.
    pub async fn delete_volume(self: &Arc<Self>, account: &str, id: VolumeId) -> Result<Job, ComputeError> {
        let _removing = self.references.write().await;
        let mut kept = self.get_owned::<Volume>(account, &id.to_string()).await?;
        match kept.value.state {
            VolumeState::Available | VolumeState::Failed => {}
            VolumeState::Creating | VolumeState::InUse | VolumeState::Deleting => {
                return Err(wrong_state(&kept.value, "available"));
            }
        }
        let conditions = vec![kept.unmodified()];
        kept.value.state = VolumeState::Deleting;
        let transaction = Transaction { conditions, writes: vec![put(kept.key.clone(), &kept.value)] };
        let job = self.new_job(account, JobKind::DeleteVolume { volume: id });
        self.begin(job, transaction).await
    }
}

fn check_size(gib: u64, smallest_mib: u64) -> Result<u64, ComputeError> {
    if gib == 0 || gib > MAX_VOLUME_GIB {
        return Err(ComputeError::invalid(
            "size_gib",
            format!("a disk has 1 to {MAX_VOLUME_GIB} GiB, not {gib}"),
        ));
    }
    if gib << 10 < smallest_mib {
        let why = format!("{gib} GiB is smaller than the {} GiB that are there", smallest_mib.div_ceil(1024));
        return Err(ComputeError::invalid("size_gib", why));
    }
    Ok(gib << 10)
}

/// A name of a disk, as clouds take them.
fn is_device(name: &str) -> bool {
    let name = bare_device(name);
    !name.is_empty() && name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn without_vm(instance: &Instance) -> Result<(), ComputeError> {
    match instance.state() {
        State::Created | State::Stopped | State::Failed => Ok(()),
        state @ (State::Creating | State::Starting | State::Running | State::Rebooting | State::Stopping) => {
            Err(not_stopped(instance, state))
        }
        state @ (State::Locking | State::Locked | State::Terminating | State::Terminated) => {
            Err(not_stopped(instance, state))
        }
    }
}

fn not_stopped(instance: &Instance, state: State) -> ComputeError {
    let state = format!("{state:?}").to_lowercase();
    ComputeError::WrongState { what: Instance::NAME, id: instance.id.to_string(), state, wanted: "stopped" }
}

fn wrong_state(volume: &Volume, wanted: &'static str) -> ComputeError {
    let state = match volume.state {
        VolumeState::InUse => "in use".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    ComputeError::WrongState { what: Volume::NAME, id: volume.id.to_string(), state, wanted }
}
