//! Jobs: what takes long. On record before it is begun, begun again after a restart, and ended in the same transaction as
//! what it changes. What removes is tried until it is done; what makes may fail, and then leaves nothing but its reason.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::effects::Again;
use super::images::name_key;
use super::{Compute, ComputeError, Listed};
use crate::id::{ImageId, JobId, SnapshotId, VolumeId};
use crate::outside::{DiskContent, Done, HostError, ImageSource, ImportedDisk, Progressing};
use crate::resource::{
    Image, ImageBoot, ImageState, Job, JobError, JobKind, JobState, Resource, Snapshot, SnapshotState,
    Volume, VolumeState, owned_key,
};
use crate::store::{CommitError, Condition, Kept, Key, Transaction, Write, get, put};

/// How much further a job must be before that is written: a hundredth, and not every byte.
const STEPS: u64 = 100;

/// What a job that is done writes besides its own end.
struct Changes {
    conditions: Vec<Condition>,
    writes: Vec<Write>,
}

impl Compute {
    /// A job.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn job(&self, account: &str, id: JobId) -> Result<Job, ComputeError> {
        Ok(self.get_owned::<Job>(account, &id.to_string()).await?.value)
    }

    /// Jobs of an account.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn jobs(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<Job>, ComputeError> {
        self.list_owned(account, after, limit, |_| true).await
    }

    /// A new job, for the transaction that begins it.
    pub(super) fn new_job(&self, account: &str, kind: JobKind) -> Job {
        Job {
            id: JobId::draw(),
            account: account.to_owned(),
            node: self.config.node.clone(),
            kind,
            state: JobState::Running { done: Done::default() },
            created: self.clock.now(),
            ended: None,
        }
    }

    /// Commits what begins a job, with the job, and starts it.
    pub(super) async fn begin(
        self: &Arc<Self>,
        job: Job,
        mut with: Transaction,
    ) -> Result<Job, ComputeError> {
        with.conditions.push(Condition::Absent(job.key()));
        with.writes.push(put(job.key(), &job));
        self.store.commit(with).await?;
        self.start_job(job.clone());
        Ok(job)
    }

    /// Does a job that is on record, in a task of its own.
    pub(super) fn start_job(self: &Arc<Self>, job: Job) {
        let this = Arc::clone(self);
        self.tasks.spawn(async move { this.run_job(&job).await });
    }

    async fn run_job(self: &Arc<Self>, job: &Job) {
        log::info!("{}: {} {}", job.id, job.kind.name(), job.kind.subject());
        let mut again = Again::new(self, job.id, job.kind.name());
        let failed = loop {
            match self.attempt(job).await {
                Ok(()) => return self.forget_fetched(job).await,
                Err(error) if job.kind.may_fail() && is_final(&error) => break error,
                // Somebody changed the same meanwhile: what is on record is looked at again.
                Err(ComputeError::Contended { .. }) => {}
                Err(error) => again.after(&error).await,
            }
        };
        log::warn!("{}: {} {} failed: {failed}", job.id, job.kind.name(), job.kind.subject());
        let state = JobState::Failed(job_error(&failed));
        let mut again = Again::new(self, job.id, "keep that it failed");
        while let Err(error) = self.fail(job, &state).await {
            again.after(&error).await;
        }
        self.forget_fetched(job).await;
    }

    /// Removes what was fetched for a job that ended: not before that is on record, as it would be fetched again else.
    async fn forget_fetched(&self, job: &Job) {
        if !matches!(&job.kind, JobKind::ImportImage { source: ImageSource::Url(_), .. }) {
            return;
        }
        let mut again = Again::new(self, job.id, "remove what was fetched");
        while let Err(error) = self.disks.delete_fetched(job.id).await {
            again.after(&error).await;
        }
    }

    async fn fail(self: &Arc<Self>, job: &Job, state: &JobState) -> Result<(), ComputeError> {
        let undone = match self.undo(job).await {
            // Somebody deleted it meanwhile, so that nothing is left to say it of.
            Err(ComputeError::NotFound { .. }) => Changes { conditions: Vec::new(), writes: Vec::new() },
            undone => undone?,
        };
        self.end_job(job, state.clone(), undone).await
    }

    async fn attempt(self: &Arc<Self>, job: &Job) -> Result<(), ComputeError> {
        let file = self.source_of(job).await?;
        // Two images may have one content: who removes it, or counts on it, says so on record before the next one looks.
        let (_making, _removing) = match job.kind {
            JobKind::ImportImage { .. } | JobKind::CopyImage { .. } => {
                (Some(self.contents.read().await), None)
            }
            JobKind::DeleteImage { .. } => (None, Some(self.contents.write().await)),
            JobKind::CreateVolume { .. } | JobKind::GrowVolume { .. } | JobKind::DeleteVolume { .. } => {
                (None, None)
            }
            JobKind::CreateSnapshot { .. } | JobKind::DeleteSnapshot { .. } => (None, None),
        };
        let changes = self.work(job, &file).await?;
        self.end_job(job, JobState::Succeeded {}, changes).await
    }

    /// The file that an image is made of. One that has to be fetched first may take hours, and holds nobody up meanwhile.
    async fn source_of(self: &Arc<Self>, job: &Job) -> Result<PathBuf, ComputeError> {
        match &job.kind {
            JobKind::ImportImage { source: ImageSource::File(file), .. } => Ok(file.clone()),
            JobKind::ImportImage { source: ImageSource::Url(source), .. } => {
                Ok(self.disks.fetch(job.id, source, self.progress_of(job)).await?)
            }
            JobKind::CopyImage { .. }
            | JobKind::DeleteImage { .. }
            | JobKind::CreateVolume { .. }
            | JobKind::GrowVolume { .. }
            | JobKind::DeleteVolume { .. }
            | JobKind::CreateSnapshot { .. }
            | JobKind::DeleteSnapshot { .. } => Ok(PathBuf::new()),
        }
    }

    /// Keeps the end of a job, with what it changed. What was changed meanwhile by somebody else is looked at again.
    async fn end_job(&self, job: &Job, state: JobState, result: Changes) -> Result<(), ComputeError> {
        let kind = job.kind.clone().ended();
        let ended = Job { kind, state, ended: Some(self.clock.now()), ..job.clone() };
        let Changes { conditions, mut writes } = result;
        writes.push(put(job.key(), &ended));
        self.store.commit(Transaction { conditions, writes }).await?;
        Ok(())
    }

    /// What a job does to the world, and then to the records; `file` is what an image is imported from.
    async fn work(self: &Arc<Self>, job: &Job, file: &Path) -> Result<Changes, ComputeError> {
        let account = &job.account;
        match &job.kind {
            JobKind::ImportImage { image, sha256, .. } => {
                let imported = self.disks.import(file, sha256.as_deref(), self.progress_of(job)).await?;
                let boot = self.keep_kernel(*image).await?;
                self.image_is_there(job, *image, imported, boot).await
            }
            JobKind::CopyImage { image, snapshot, data, take } => {
                // Those that were asked for with the image are to be taken yet, all before the first is read.
                let mut taken = Vec::new();
                for id in data.iter().chain([snapshot]) {
                    let kept = self.get_owned::<Snapshot>(account, &id.to_string()).await?;
                    if kept.value.state == SnapshotState::Pending {
                        self.take_snapshot(account, kept.value.volume, *id).await?;
                        taken.push(*id);
                    }
                }
                let imported = self.disks.image_of(*snapshot, self.progress_of(job)).await?;
                let mut result = self.image_is_there(job, *image, imported, None).await?;
                for id in taken {
                    let completed = self.snapshot_is(account, id, SnapshotState::Completed).await?;
                    result.conditions.extend(completed.conditions);
                    result.writes.extend(completed.writes);
                }
                if *take {
                    self.disks.delete_snapshot(*snapshot).await?;
                    result.writes.push(Write::Delete(owned_key(
                        Snapshot::WORD,
                        account,
                        &snapshot.to_string(),
                    )));
                }
                Ok(result)
            }
            JobKind::DeleteImage { image } => self.delete_content(*image).await,
            JobKind::CreateVolume { volume } => {
                let kept = self.get_owned::<Volume>(account, &volume.to_string()).await?;
                self.disks.create(*volume, kept.value.bytes(), &kept.value.content).await?;
                self.volume_is(account, *volume, |volume| volume.state = VolumeState::Available).await
            }
            JobKind::GrowVolume { volume, size_mib, .. } => {
                self.disks.grow(*volume, size_mib << 20).await?;
                // The record says the new size since it was asked for.
                Ok(Changes { conditions: Vec::new(), writes: Vec::new() })
            }
            JobKind::DeleteVolume { volume } => {
                self.disks.delete(*volume).await?;
                self.ledger.forget_volume(*volume);
                Ok(removed(owned_key(Volume::WORD, account, &volume.to_string())))
            }
            JobKind::CreateSnapshot { snapshot, volume } => {
                self.take_snapshot(account, *volume, *snapshot).await?;
                self.snapshot_is(account, *snapshot, SnapshotState::Completed).await
            }
            JobKind::DeleteSnapshot { snapshot } => {
                self.disks.delete_snapshot(*snapshot).await?;
                Ok(removed(owned_key(Snapshot::WORD, account, &snapshot.to_string())))
            }
        }
    }

    /// Where a snapshot takes its time, the guest that has the volume stands still meanwhile. A daemon that is killed then
    /// lets it go on when it looks at it again.
    async fn take_snapshot(
        &self,
        account: &str,
        volume: VolumeId,
        snapshot: SnapshotId,
    ) -> Result<(), ComputeError> {
        let holder = match self.disks.snapshots_at_once() {
            true => None,
            false => self.volume(account, volume).await?.attachment.map(|attachment| attachment.instance),
        };
        let Some(holder) = holder else { return Ok(self.disks.snapshot(volume, snapshot).await?) };
        self.machines.pause(holder).await?;
        let taken = self.disks.snapshot(volume, snapshot).await;
        let mut again = Again::new(self, holder, "let its guest go on");
        while let Err(error) = self.machines.resume(holder).await {
            again.after(&error).await;
        }
        Ok(taken?)
    }

    /// What is left of a job that failed: the thing it was to make is gone, or says that it failed.
    async fn undo(self: &Arc<Self>, job: &Job) -> Result<Changes, ComputeError> {
        let account = &job.account;
        match &job.kind {
            JobKind::ImportImage { image, .. } => self.image_is_gone(*image).await,
            JobKind::CopyImage { image, snapshot, data, take } => {
                let mut undone = self.image_is_gone(*image).await?;
                for id in data.iter().chain([snapshot]) {
                    let key = owned_key(Snapshot::WORD, account, &id.to_string());
                    let taken = get::<Snapshot>(&*self.store, &key).await?;
                    if taken.is_some_and(|kept| kept.value.state == SnapshotState::Pending) {
                        self.disks.delete_snapshot(*id).await?;
                        let failed = self.snapshot_is(account, *id, SnapshotState::Failed).await?;
                        undone.conditions.extend(failed.conditions);
                        undone.writes.extend(failed.writes);
                    }
                }
                if *take {
                    self.disks.delete_snapshot(*snapshot).await?;
                    undone.writes.push(Write::Delete(owned_key(
                        Snapshot::WORD,
                        account,
                        &snapshot.to_string(),
                    )));
                }
                Ok(undone)
            }
            JobKind::CreateVolume { volume } => {
                self.disks.delete(*volume).await?;
                self.volume_is(account, *volume, |volume| volume.state = VolumeState::Failed).await
            }
            JobKind::CreateSnapshot { snapshot, .. } => {
                self.disks.delete_snapshot(*snapshot).await?;
                self.snapshot_is(account, *snapshot, SnapshotState::Failed).await
            }
            JobKind::GrowVolume { volume, size_mib, from_mib } => {
                // Unless somebody made it larger still.
                let shrink = |volume: &mut Volume| {
                    if volume.size_mib == *size_mib {
                        volume.size_mib = *from_mib;
                    }
                };
                let mut kept = self.volume(account, *volume).await?;
                shrink(&mut kept);
                self.ledger.resize_volume(&kept);
                self.volume_is(account, *volume, shrink).await
            }
            JobKind::DeleteImage { .. } | JobKind::DeleteVolume { .. } | JobKind::DeleteSnapshot { .. } => {
                unreachable!("what removes does not fail")
            }
        }
    }

    async fn volume_is(
        &self,
        account: &str,
        id: VolumeId,
        change: impl Fn(&mut Volume) + Send,
    ) -> Result<Changes, ComputeError> {
        self.becomes(owned_key(Volume::WORD, account, &id.to_string()), change).await
    }

    async fn snapshot_is(
        &self,
        account: &str,
        id: SnapshotId,
        state: SnapshotState,
    ) -> Result<Changes, ComputeError> {
        let key = owned_key(Snapshot::WORD, account, &id.to_string());
        self.becomes(key, |snapshot: &mut Snapshot| snapshot.state = state).await
    }

    async fn becomes<T: Resource>(&self, key: Key, change: impl Fn(&mut T)) -> Result<Changes, ComputeError> {
        let mut kept: Kept<T> = self.get_at(&key, key.as_str()).await?;
        change(&mut kept.value);
        Ok(Changes { conditions: vec![kept.unmodified()], writes: vec![put(key, &kept.value)] })
    }

    /// The kernel and initrd of an image are copied, so that its source may go.
    async fn keep_kernel(&self, id: ImageId) -> Result<Option<ImageBoot>, ComputeError> {
        let image = self.get_at::<Image>(&Image::key_of(id), &id.to_string()).await?.value;
        let ImageBoot::Kernel { kernel, initrd, cmdline } = image.boot else { return Ok(None) };
        let kernel = self.disks.keep_file(&kernel).await?;
        let initrd = match initrd {
            Some(initrd) => Some(self.disks.keep_file(&initrd).await?),
            None => None,
        };
        Ok(Some(ImageBoot::Kernel { kernel, initrd, cmdline }))
    }

    async fn image_is_there(
        &self,
        job: &Job,
        id: ImageId,
        disk: ImportedDisk,
        boot: Option<ImageBoot>,
    ) -> Result<Changes, ComputeError> {
        log::info!("{}: {id} is {} ({} bytes)", job.id, disk.sha256, disk.bytes);
        self.becomes(Image::key_of(id), |image: &mut Image| {
            image.disk = Some(disk.clone());
            image.state = ImageState::Available;
            if let Some(boot) = &boot {
                image.boot = boot.clone();
            }
        })
        .await
    }

    /// Removes an image's record, and sets its name free.
    async fn image_is_gone(&self, id: ImageId) -> Result<Changes, ComputeError> {
        let mut changes = removed(Image::key_of(id));
        if let Some(image) = get::<Image>(&*self.store, &Image::key_of(id)).await? {
            changes.conditions.push(image.unmodified());
            changes.writes.push(Write::Delete(name_key(&image.value)));
        }
        Ok(changes)
    }

    /// Keeps of an image that it was there, and sets its name free.
    async fn image_is_deregistered(&self, mut kept: Kept<Image>) -> Result<Changes, ComputeError> {
        let conditions = vec![kept.unmodified()];
        let name = name_key(&kept.value);
        (kept.value.disk, kept.value.boot) = (None, ImageBoot::Disk {});
        let mut writes = vec![put(kept.key.clone(), &kept.value)];
        // By now another may have it.
        if get::<ImageId>(&*self.store, &name).await?.is_some_and(|holder| holder.value == kept.value.id) {
            writes.push(Write::Delete(name));
        }
        Ok(Changes { conditions, writes })
    }

    /// Removes an image's disk and kernel, unless another image has the same.
    async fn delete_content(&self, id: ImageId) -> Result<Changes, ComputeError> {
        let key = Image::key_of(id);
        let Some(image) = get::<Image>(&*self.store, &key).await? else { return Ok(removed(key)) };
        // Instances that were launched before are still to get their disks.
        if let Some(disk) = &image.value.disk {
            let content = DiskContent::Image { sha256: disk.sha256.clone() };
            let (volumes, _) = crate::store::list::<Volume>(&*self.store, "volume/").await?;
            let waits = |volume: &Volume| volume.state == VolumeState::Creating && volume.content == content;
            if let Some(volume) = volumes.iter().find(|kept| waits(&kept.value)) {
                let by = volume.value.id.to_string();
                return Err(ComputeError::InUse { what: Image::NAME, id: id.to_string(), by });
            }
        }
        let (all, _) = crate::store::list::<Image>(&*self.store, "image/").await?;
        let others: Vec<Image> =
            all.into_iter().map(|kept| kept.value).filter(|other| other.id != id).collect();
        if let Some(disk) = &image.value.disk {
            let is_same = |other: &Image| other.disk.as_ref().is_some_and(|same| same.sha256 == disk.sha256);
            if !others.iter().any(is_same) {
                self.disks.delete_image(&disk.sha256).await?;
            }
        }
        if let ImageBoot::Kernel { kernel, initrd, .. } = &image.value.boot {
            for file in [Some(kernel), initrd.as_ref()].into_iter().flatten() {
                if !others.iter().any(|other| has_file(other, file)) && !self.boots_from(file).await? {
                    self.disks.delete_file(file).await?;
                }
            }
        }
        self.image_is_deregistered(image).await
    }

    /// Whether an instance boots from a kernel that is kept.
    async fn boots_from(&self, file: &Path) -> Result<bool, ComputeError> {
        let (all, _) = crate::store::list::<crate::resource::Instance>(&*self.store, "instance/").await?;
        let boots = |boot: &crate::resource::InstanceBoot| match boot {
            crate::resource::InstanceBoot::Disk {} => false,
            crate::resource::InstanceBoot::Kernel { kernel, initrd, .. } => {
                kernel == file || initrd.as_deref() == Some(file)
            }
        };
        Ok(all.iter().any(|kept| kept.value.ended.is_none() && boots(&kept.value.boot)))
    }

    /// Tells how far a job is, in its record, now and then.
    fn progress_of(self: &Arc<Self>, job: &Job) -> Progressing {
        let (this, job) = (Arc::downgrade(self), job.clone());
        let last = Mutex::new(0);
        let runtime = tokio::runtime::Handle::current();
        Arc::new(move |done: Done| {
            let Some(this) = this.upgrade() else { return };
            let step = done.bytes.saturating_mul(STEPS).checked_div(done.of).unwrap_or(done.bytes >> 26);
            {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if step <= *last {
                    return;
                }
                *last = step;
            }
            let job = job.clone();
            runtime.spawn(async move { this.note_progress(&job, done).await });
        })
    }

    async fn note_progress(&self, job: &Job, done: Done) {
        // Only a number for people: if it is not written, the next one is. Never over the end of the job.
        let Ok(Some(mut kept)) = get::<Job>(&*self.store, &job.key()).await else { return };
        match kept.value.state {
            // The next step of a job counts anew, of another number.
            JobState::Running { done: before } if before.of != done.of || before.bytes < done.bytes => {
                kept.value.state = JobState::Running { done };
                let transaction = Transaction {
                    conditions: vec![kept.unmodified()],
                    writes: vec![put(kept.key.clone(), &kept.value)],
                };
                if let Err(error) = self.store.commit(transaction).await
                    && !matches!(error, CommitError::Conflict { .. })
                {
                    log::debug!("{}: its progress is not kept: {error}", job.id);
                }
            }
            JobState::Running { .. } | JobState::Succeeded {} | JobState::Failed(_) => {}
        }
    }
}

fn has_file(image: &Image, file: &Path) -> bool {
    match &image.boot {
        ImageBoot::Disk {} => false,
        ImageBoot::Kernel { kernel, initrd, .. } => kernel == file || initrd.as_deref() == Some(file),
    }
}

fn removed(key: Key) -> Changes {
    Changes { conditions: Vec::new(), writes: vec![Write::Delete(key)] }
}

/// Whether trying again leads nowhere.
fn is_final(error: &ComputeError) -> bool {
    matches!(
        error,
        ComputeError::Host(_)
            | ComputeError::NotFound { .. }
            | ComputeError::Damaged(_)
            | ComputeError::Invalid { .. }
            | ComputeError::WrongState { .. }
            | ComputeError::InUse { .. }
    )
}

fn job_error(error: &ComputeError) -> JobError {
    let code = match error {
        ComputeError::Host(HostError::Exhausted(_)) => "exhausted",
        ComputeError::Host(HostError::Refused(_)) => "refused",
        _ => "failed",
    };
    JobError { code: code.to_owned(), message: error.to_string() }
}
