//! Snapshots: what was on a volume at a moment.

use std::sync::Arc;

use super::launch::check_words;
use super::{Compute, ComputeError, Listed, Token, WordsChange};
use crate::id::{SnapshotId, VolumeId};
use crate::resource::{Job, JobKind, Resource, Snapshot, SnapshotState, Tags, Volume, VolumeState};
use crate::store::{Condition, Transaction, put};

/// A snapshot that is asked for.
#[derive(Clone, Debug)]
pub struct NewSnapshot {
    /// The volume.
    pub volume: VolumeId,
    /// A name for people.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Tags.
    pub tags: Tags,
    /// What makes a repetition lead to the same snapshot.
    pub token: Option<Token>,
}

impl NewSnapshot {
    /// One of this volume, of which nothing is said.
    pub fn of(volume: VolumeId) -> Self {
        Self { volume, name: String::new(), description: String::new(), tags: Tags::default(), token: None }
    }
}

impl Compute {
    /// A snapshot.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn snapshot(&self, account: &str, id: SnapshotId) -> Result<Snapshot, ComputeError> {
        Ok(self.get_owned::<Snapshot>(account, &id.to_string()).await?.value)
    }

    /// Snapshots of an account that `wanted` takes.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn snapshots(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Listed<Snapshot>, ComputeError> {
        self.list_owned(account, after, limit, wanted).await
    }

    /// Takes a snapshot of a volume. It is whole when it is completed.
    ///
    /// # Errors
    ///
    /// There is no such volume, or it is being made or removed.
    pub async fn create_snapshot(
        self: &Arc<Self>,
        account: &str,
        new: &NewSnapshot,
    ) -> Result<Snapshot, ComputeError> {
        if let Some(result) = self.used_token(account, new.token.as_ref()).await? {
            return self.taken_before(account, &result).await;
        }
        let _referring = self.references.read().await;
        let (snapshot, mut transaction) = self.new_snapshot(account, new).await?;
        let kind = JobKind::CreateSnapshot { snapshot: snapshot.id, volume: snapshot.volume };
        let result = vec![snapshot.id.to_string()];
        if let Some((condition, write)) = self.use_token(account, new.token.as_ref(), result)? {
            transaction.conditions.push(condition);
            transaction.writes.push(write);
        }
        match self.begin(self.new_job(account, kind), transaction).await {
            Ok(_) => Ok(snapshot),
            // The same request came twice at once.
            Err(error @ ComputeError::Contended { .. }) => {
                match self.used_token(account, new.token.as_ref()).await? {
                    Some(result) => self.taken_before(account, &result).await,
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The record of a snapshot that is to be taken, and what writes it. References are held.
    pub(super) async fn new_snapshot(
        &self,
        account: &str,
        new: &NewSnapshot,
    ) -> Result<(Snapshot, Transaction), ComputeError> {
        check_words(Some(&new.name), Some(&new.tags))?;
        let volume = self.get_owned::<Volume>(account, &new.volume.to_string()).await?;
        match volume.value.state {
            VolumeState::Available | VolumeState::InUse => {}
            state @ (VolumeState::Creating | VolumeState::Deleting | VolumeState::Failed) => {
                let (state, id) = (format!("{state:?}").to_lowercase(), new.volume.to_string());
                return Err(ComputeError::WrongState {
                    what: Volume::NAME,
                    id,
                    state,
                    wanted: "available or in use",
                });
            }
        }
        let snapshot = Snapshot {
            id: SnapshotId::draw(),
            account: account.to_owned(),
            node: self.config.node.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            volume: volume.value.id,
            kind: volume.value.kind,
            image: volume.value.image,
            size_mib: volume.value.size_mib,
            state: SnapshotState::Pending,
            tags: new.tags.clone(),
            created: self.clock.now(),
        };
        let transaction = Transaction {
            conditions: vec![Condition::Absent(snapshot.key()), Condition::Present(volume.key)],
            writes: vec![put(snapshot.key(), &snapshot)],
        };
        Ok((snapshot, transaction))
    }

    async fn taken_before(&self, account: &str, result: &[String]) -> Result<Snapshot, ComputeError> {
        let id = result.first().map(String::as_str).unwrap_or_default();
        Ok(self.get_owned::<Snapshot>(account, id).await?.value)
    }

    /// Changes what is said of a snapshot: name, description, tags. What is `None` stays.
    ///
    /// # Errors
    ///
    /// There is none of this id, or they are too many or too long.
    pub async fn change_snapshot(
        &self,
        account: &str,
        id: SnapshotId,
        change: &WordsChange,
    ) -> Result<Snapshot, ComputeError> {
        change.check()?;
        self.change_owned::<Snapshot>(account, &id.to_string(), |snapshot| {
            change.apply(&mut snapshot.name, &mut snapshot.description, &mut snapshot.tags);
            Ok(())
        })
        .await
    }

    /// Deletes a snapshot. Volumes that were made of it do not need it, nor do images for the disk that their instances boot
    /// from.
    ///
    /// # Errors
    ///
    /// There is none of this id, or it is being taken or removed, something is being made of it, or instances of an image get
    /// data disks of it.
    pub async fn delete_snapshot(
        self: &Arc<Self>,
        account: &str,
        id: SnapshotId,
    ) -> Result<Job, ComputeError> {
        let _removing = self.references.write().await;
        let mut kept = self.get_owned::<Snapshot>(account, &id.to_string()).await?;
        match kept.value.state {
            SnapshotState::Completed | SnapshotState::Failed => {}
            state @ (SnapshotState::Pending | SnapshotState::Deleting) => {
                let (state, id) = (format!("{state:?}").to_lowercase(), id.to_string());
                return Err(ComputeError::WrongState {
                    what: Snapshot::NAME,
                    id,
                    state,
                    wanted: "completed",
                });
            }
        }
        let content = crate::outside::DiskContent::Snapshot { snapshot: id };
        let in_use = |by: String| Err(ComputeError::InUse { what: Snapshot::NAME, id: id.to_string(), by });
        // Anybody's, who launched an image that was shared with him.
        let being_made = |volume: &Volume| volume.state == VolumeState::Creating && volume.content == content;
        let volumes = format!("{}/", Volume::WORD);
        if let Some(volume) = self.list_under(&volumes, None, 1, being_made).await?.items.first() {
            return in_use(volume.id.to_string());
        }
        if let Some(image) = self.image_with_data_of(account, id).await? {
            return in_use(image.id.to_string());
        }
        let copies = |job: &Job| match &job.kind {
            JobKind::CopyImage { snapshot, .. } => *snapshot == id && job.ended.is_none(),
            _ => false,
        };
        if let Some(job) = self.all_owned::<Job>(account, copies).await?.first() {
            return in_use(job.kind.subject());
        }
        let conditions = vec![kept.unmodified()];
        kept.value.state = SnapshotState::Deleting;
        let transaction = Transaction { conditions, writes: vec![put(kept.key.clone(), &kept.value)] };
        self.begin(self.new_job(account, JobKind::DeleteSnapshot { snapshot: id }), transaction).await
    }
}
