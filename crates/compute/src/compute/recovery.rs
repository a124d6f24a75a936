//! What a daemon does when it starts: it fills the books from the records, looks at the machines that are there, feeds what it
//! sees to the drivers as always, goes on with unfinished jobs, and removes what belongs to nobody.
//!
//! There is no other code for recovery: what was begun is on record, and everything may be done twice.

use std::collections::HashSet;
use std::sync::Arc;

use super::driver::Message;
use super::{Compute, ComputeError};
use crate::capacity::Amounts;
use crate::id::{InstanceId, JobId};
use crate::lifecycle::{Report, State};
use crate::outside::{HostError, Sight};
use crate::resource::{Image, ImageBoot, Instance, InstanceBoot, Interface, Job, JobState, Snapshot, Volume};
use crate::store::list;

/// How many machines are looked at at a time.
const LOOKS: usize = 32;

/// Why a daemon cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The records cannot be read.
    #[error("the records cannot be read")]
    Records(#[source] ComputeError),
    /// What is on the host cannot be seen.
    #[error("what is on the host cannot be seen")]
    Host(#[from] HostError),
}

impl From<ComputeError> for RecoverError {
    fn from(error: ComputeError) -> Self {
        match error {
            ComputeError::Host(error) => Self::Host(error),
            error => Self::Records(error),
        }
    }
}

impl From<crate::store::TypedError> for RecoverError {
    fn from(error: crate::store::TypedError) -> Self {
        Self::Records(error.into())
    }
}

impl Compute {
    /// Reads the records, adopts the machines that are there, removes what belongs to nobody, and goes on with what was
    /// begun. To be called once, before any request. Answers when every machine was looked at.
    ///
    /// # Errors
    ///
    /// The records or the host cannot be read: then nothing was removed or begun.
    pub async fn recover(self: &Arc<Self>) -> Result<(), RecoverError> {
        let store = &*self.store;
        let (instances, _) = list::<Instance>(store, "instance/").await?;
        let (volumes, _) = list::<Volume>(store, "volume/").await?;
        let (interfaces, _) = list::<Interface>(store, "network-interface/").await?;
        let (snapshots, _) = list::<Snapshot>(store, "snapshot/").await?;
        let (images, _) = list::<Image>(store, "image/").await?;
        let (jobs, _) = list::<Job>(store, "job/").await?;
        let now = self.clock.now();
        for kept in &instances {
            self.ledger.note_instance(&kept.value, self.due_at(&kept.value, now));
        }
        volumes.iter().for_each(|kept| self.ledger.note_volume(&kept.value));
        interfaces.iter().for_each(|kept| self.ledger.note_address(kept.value.network, kept.value.address));

        let present: HashSet<InstanceId> = self.machines.present().await?.into_iter().collect();
        let snapshots: HashSet<_> = snapshots.iter().map(|kept| kept.value.id).collect();
        let images: Vec<Image> = images.into_iter().map(|kept| kept.value).collect();
        let under_way = jobs.iter().filter(|kept| matches!(kept.value.state, JobState::Running { .. }));
        let under_way: HashSet<JobId> = under_way.map(|kept| kept.value.id).collect();
        self.remove_leavings(&present, &snapshots, &images, &instances_of(&instances), &under_way).await?;

        // Of one that rests there may be a console, and nothing that sends.
        let has_machine = |it: &&Instance| {
            let rests = it.amounts() == Amounts::default() && it.progress.task().is_none();
            present.contains(&it.id) && !rests
        };
        let with_machine: Vec<&Instance> =
            instances.iter().map(|kept| &kept.value).filter(has_machine).collect();
        self.recover_networks(&with_machine).await?;
        let mut looks = tokio::task::JoinSet::new();
        for kept in instances {
            let instance = kept.value;
            if looks.len() >= LOOKS {
                looks.join_next().await;
            }
            match (present.contains(&instance.id), instance.state()) {
                (true, _) => {
                    let this = Arc::clone(self);
                    looks.spawn(async move {
                        let sight = this.machines.look(instance.id).await;
                        this.tell(&instance.account, instance.id, Message::saw(sight));
                    });
                }
                // There is no trace of it, and its state says that there should be none.
                (
                    false,
                    State::Created | State::Stopped | State::Locked | State::Terminated | State::Failed,
                ) => {
                    if instance.progress.task().is_some() || instance.progress.deadline().is_some() {
                        self.wake(&instance.account, instance.id, None);
                    }
                }
                (false, _) => {
                    let sight = Sight { report: Report::Lost, reason: String::new() };
                    self.tell(&instance.account, instance.id, Message::saw(sight));
                }
            }
        }
        while looks.join_next().await.is_some() {}
        for kept in jobs {
            if matches!(kept.value.state, JobState::Running { .. }) {
                self.start_job(kept.value);
            }
        }
        Ok(())
    }

    /// Removes machines, disks and files that no record speaks of: what a daemon that was killed had just made. And what was
    /// fetched, but for the jobs that are under way.
    async fn remove_leavings(
        &self,
        machines: &HashSet<InstanceId>,
        snapshots: &HashSet<crate::id::SnapshotId>,
        images: &[Image],
        instances: &[Instance],
        jobs: &HashSet<JobId>,
    ) -> Result<(), RecoverError> {
        for id in machines.iter().filter(|id| !self.ledger.has_instance(**id)) {
            log::warn!("removes the machine of {id}, which is on no record");
            self.machines.kill(*id).await?;
            self.machines.clean_up(*id).await?;
            self.machines.forget(*id).await?;
        }
        let disks = self.disks.present().await?;
        for id in disks.volumes.into_iter().filter(|id| !self.ledger.has_volume(*id)) {
            log::warn!("removes the disk of {id}, which is on no record");
            self.disks.delete(id).await?;
        }
        for id in disks.snapshots.into_iter().filter(|id| !snapshots.contains(id)) {
            log::warn!("removes {id}, which is on no record");
            self.disks.delete_snapshot(id).await?;
        }
        let known: HashSet<&str> =
            images.iter().filter_map(|image| image.disk.as_ref()).map(|disk| disk.sha256.as_str()).collect();
        for sha256 in disks.images.iter().filter(|sha256| !known.contains(sha256.as_str())) {
            log::warn!("removes the image {sha256}, which is on no record");
            self.disks.delete_image(sha256).await?;
        }
        let of_images = images.iter().flat_map(|image| match &image.boot {
            ImageBoot::Disk {} => vec![],
            ImageBoot::Kernel { kernel, initrd, .. } => vec![Some(kernel), initrd.as_ref()],
        });
        let of_instances = instances.iter().flat_map(|instance| match &instance.boot {
            InstanceBoot::Disk {} => vec![],
            InstanceBoot::Kernel { kernel, initrd, .. } => vec![Some(kernel), initrd.as_ref()],
        });
        let needed: HashSet<_> = of_images.chain(of_instances).flatten().collect();
        for file in disks.files.iter().filter(|file| !needed.contains(file)) {
            log::warn!("removes {}, which is on no record", file.display());
            self.disks.delete_file(file).await?;
        }
        for id in disks.fetched.into_iter().filter(|id| !jobs.contains(id)) {
            log::warn!("removes what was fetched for {id}, which is over");
            self.disks.delete_fetched(id).await?;
        }
        Ok(())
    }
}

/// Instances that still may boot.
fn instances_of(all: &[crate::store::Kept<Instance>]) -> Vec<Instance> {
    all.iter().map(|kept| kept.value.clone()).filter(|instance| instance.ended.is_none()).collect()
}
