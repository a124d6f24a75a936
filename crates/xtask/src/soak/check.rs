//! Whether an account has what its client was told: nothing lost, nothing else, all of it in a state that stays.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use native_api::{
    AccessKey, AccessKeyQuery, Image, ImageQuery, ImageState, Instance, InstanceQuery, InstanceState,
    KeyPair, Operation, PageQuery, Snapshot, SnapshotQuery, SnapshotState, Volume, VolumeQuery, VolumeState,
};

use super::client::User;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// All that an account has, settled.
#[derive(Debug, Default)]
pub struct View {
    pub instances: Vec<Instance>,
    pub volumes: Vec<Volume>,
    pub snapshots: Vec<Snapshot>,
    pub images: Vec<Image>,
    /// Instances that may be booted again at any moment.
    pub restless: Vec<String>,
}

/// What is not as it should be, and may be in a moment.
#[derive(Default)]
struct Unsettled(Vec<String>);

impl Unsettled {
    fn unless(&mut self, fine: bool, what: impl FnOnce() -> String) {
        if !fine {
            self.0.push(what());
        }
    }
}

impl User {
    /// Waits until all that the account has is as it should be.
    ///
    /// # Errors
    /// Something is lost or too many; or it does not settle: then each thing is named.
    pub async fn check(&mut self) -> anyhow::Result<View> {
        let patience = self.world.patience;
        let deadline = Instant::now() + patience;
        loop {
            let view = self.view().await?;
            let mut unsettled = Unsettled::default();
            self.check_instances(&view, &mut unsettled)?;
            self.check_volumes(&view, &mut unsettled)?;
            self.check_others(&view, &mut unsettled)?;
            if unsettled.0.is_empty() {
                self.check_keys().await?;
                return Ok(view);
            }
            if Instant::now() > deadline {
                bail!(
                    "account {} does not settle within {patience:?}:\n{}",
                    self.account,
                    unsettled.0.join("\n")
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn view(&self) -> anyhow::Result<View> {
        let (instances, volumes) = (InstanceQuery::default(), VolumeQuery::default());
        let snapshots = SnapshotQuery::default();
        let images = ImageQuery { owner: Some(self.account.clone()), ..ImageQuery::default() };
        let restless = self.model.instances.iter().filter(|(_, instance)| instance.is_restless);
        Ok(View {
            restless: restless.map(|(id, _)| id.to_string()).collect(),
            instances: self
                .get("list instances", async |it| it.all(Operation::ListInstances, &instances).await)
                .await?,
            volumes: self
                .get("list volumes", async |it| it.all(Operation::ListVolumes, &volumes).await)
                .await?,
            snapshots: self
                .get("list snapshots", async |it| it.all(Operation::ListSnapshots, &snapshots).await)
                .await?,
            images: self.get("list images", async |it| it.all(Operation::ListImages, &images).await).await?,
        })
    }

    fn check_instances(&mut self, view: &View, unsettled: &mut Unsettled) -> anyhow::Result<()> {
        for id in self.model.instances.keys() {
            ensure!(view.instances.iter().any(|seen| seen.id == *id), "the instance {id} is lost");
        }
        for seen in &view.instances {
            let Some(instance) = self.model.instances.get_mut(&seen.id) else {
                ensure!(
                    matches!(seen.state, InstanceState::Terminated),
                    "{} ({:?}) was never launched, or is back",
                    seen.id,
                    seen.state
                );
                continue;
            };
            let words = || {
                format!(
                    "{}, of image {:?}, is {:?} ({})",
                    seen.id,
                    instance.kind.name,
                    seen.state,
                    reason(seen)
                )
            };
            ensure!(
                seen.tags == instance.tags,
                "{} has lost its tags: {:?}, {:?}",
                seen.id,
                seen.tags,
                instance.tags
            );
            let is_disturbed = self.world.disturbed.borrow().contains(seen.id.as_str());
            match seen.state {
                InstanceState::Terminating | InstanceState::Terminated => {
                    ensure!(instance.ended || instance.may_end, "nobody terminated {}", words());
                    unsettled.unless(seen.state == InstanceState::Terminated, words);
                    if seen.state == InstanceState::Terminated {
                        self.model.instance_is_gone(&seen.id);
                    }
                    continue;
                }
                InstanceState::Failed => {
                    ensure!(is_disturbed || !instance.kind.well, "nothing happened to {}", words());
                    ensure!(seen.state_reason.is_some(), "no reason is given: {}", words());
                    if !instance.counted {
                        instance.counted = true;
                        self.world.counts.borrow_mut().failed += 1;
                    }
                }
                InstanceState::Created | InstanceState::Running | InstanceState::Stopped => {}
                InstanceState::Starting => unsettled.unless(instance.is_restless, words),
                InstanceState::Creating | InstanceState::Rebooting | InstanceState::Stopping => {
                    unsettled.unless(false, words);
                }
                InstanceState::Locking | InstanceState::Locked => bail!("nothing expires: {}", words()),
            }
            unsettled.unless(!instance.ended, || format!("{}, and was terminated", words()));
            // One that was never started is not stopped either.
            let has = match seen.state {
                InstanceState::Created if !instance.started => InstanceState::Stopped,
                state => state,
            };
            if let Some(wish) = instance.wish.filter(|wish| *wish != has && !is_disturbed) {
                unsettled.unless(false, || format!("{}, and should be {wish:?}", words()));
            }
        }
        Ok(())
    }

    fn check_volumes(&mut self, view: &View, unsettled: &mut Unsettled) -> anyhow::Result<()> {
        let is_listed = |id: &_| view.volumes.iter().any(|seen| seen.id == *id);
        self.model.volumes.retain(|id, volume| volume.whole || volume.attached.is_some() || is_listed(id));
        for (id, volume) in &self.model.volumes {
            if is_listed(id) {
                continue;
            }
            // It went with an instance that ended since these were listed.
            let owner = volume.attached.as_ref().filter(|(_, goes)| *goes || !volume.whole);
            let owner = owner.and_then(|(owner, _)| self.model.instances.get(owner));
            ensure!(owner.is_some_and(|owner| owner.ended || owner.may_end), "the volume {id} is lost");
            unsettled.unless(false, || format!("the volume {id} went before its instance"));
        }
        for seen in &view.volumes {
            let words = || format!("{} is {:?} ({:?})", seen.id, seen.state, seen.state_reason);
            let Some(volume) = self.model.volumes.get_mut(&seen.id) else {
                unsettled.unless(false, || format!("{}, and should be gone", words()));
                continue;
            };
            ensure!(
                seen.tags == volume.tags,
                "{} has lost its tags: {:?}, {:?}",
                seen.id,
                seen.tags,
                volume.tags
            );
            let size = seen.size_gib.get();
            ensure!(
                size == volume.size_gib,
                "{} has {size} GiB, and should have {}",
                seen.id,
                volume.size_gib
            );
            ensure!(seen.state != VolumeState::Failed, "nothing happened to {}", words());
            let attached = seen.attachment.as_ref().map(|it| (it.instance.clone(), it.delete_with_instance));
            volume.whole |= seen.state != VolumeState::Creating;
            let state = if volume.attached.is_some() { VolumeState::InUse } else { VolumeState::Available };
            unsettled.unless(seen.state == state && attached == volume.attached, || {
                format!("{}, attached to {attached:?}; and should be to {:?}", words(), volume.attached)
            });
        }
        Ok(())
    }

    fn check_others(&mut self, view: &View, unsettled: &mut Unsettled) -> anyhow::Result<()> {
        for id in self.model.snapshots.keys() {
            ensure!(view.snapshots.iter().any(|seen| seen.id == *id), "the snapshot {id} is lost");
        }
        for seen in &view.snapshots {
            let words = || format!("{} is {:?} ({:?})", seen.id, seen.state, seen.state_reason);
            let Some(snapshot) = self.model.snapshots.get_mut(&seen.id) else {
                unsettled.unless(false, || format!("{}, and should be gone", words()));
                continue;
            };
            ensure!(seen.tags == snapshot.tags, "{} has lost its tags", seen.id);
            ensure!(seen.size_gib.get() == snapshot.size_gib, "{} has another size", seen.id);
            if seen.state == SnapshotState::Failed {
                ensure!(snapshot.may_fail && seen.state_reason.is_some(), "nothing happened to {}", words());
                if !snapshot.counted {
                    snapshot.counted = true;
                    self.world.counts.borrow_mut().failed_snapshots += 1;
                }
            } else {
                unsettled.unless(seen.state == SnapshotState::Available, words);
            }
        }
        for id in self.model.images.keys() {
            ensure!(view.images.iter().any(|seen| seen.id == *id), "the image {id} is lost");
        }
        for seen in &view.images {
            let words = || format!("{} is {:?}", seen.id, seen.state);
            let Some(image) = self.model.images.get(&seen.id) else {
                unsettled.unless(false, || format!("{}, and should be gone", words()));
                continue;
            };
            ensure!(seen.name.as_str() == image.name, "{} has another name", seen.id);
            ensure!(seen.state != ImageState::Failed, "nothing happened to {}", words());
            unsettled.unless(seen.state == ImageState::Available, words);
        }
        Ok(())
    }

    async fn check_keys(&self) -> anyhow::Result<()> {
        let query = PageQuery::default();
        let keys: Vec<KeyPair> =
            self.get("list keys", async |client| client.all(Operation::ListKeyPairs, &query).await).await?;
        let keys: std::collections::BTreeMap<_, _> =
            keys.into_iter().map(|key| (key.id, key.name.to_string())).collect();
        ensure!(keys == self.model.keys, "keys are {keys:?}, and should be {:?}", self.model.keys);
        let access_keys: std::collections::BTreeSet<_> = self.access_keys().await?.into_iter().collect();
        let expected = &self.model.access_keys;
        ensure!(access_keys == *expected, "access keys are {access_keys:?}, and should be {expected:?}");
        Ok(())
    }

    /// The account's own access keys.
    pub async fn access_keys(&self) -> anyhow::Result<Vec<native_api::AccessKeyId>> {
        let query = AccessKeyQuery::default();
        let keys: Vec<AccessKey> = self
            .get("list access keys", async |client| client.all(Operation::ListAccessKeys, &query).await)
            .await?;
        Ok(keys.into_iter().map(|key| key.id).collect())
    }

    /// Gives back all that the account has, and the account.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let living: Vec<_> = self.model.living().cloned().collect();
        for id in living {
            self.terminate_this(&id).await?;
        }
        self.check().await?;
        ensure!(self.model.instances.is_empty(), "not all instances ended: {:?}", self.model.instances);
        for id in self.model.volumes.keys().cloned().collect::<Vec<_>>() {
            self.delete_this_volume(&id).await?;
        }
        let deadline = Instant::now() + self.world.patience;
        // An image may still be made of a snapshot.
        while !(self.model.snapshots.is_empty() && self.model.images.is_empty()) {
            for id in self.model.images.keys().cloned().collect::<Vec<_>>() {
                self.deregister_this(&id).await?;
            }
            for id in self.model.snapshots.keys().cloned().collect::<Vec<_>>() {
                self.delete_this_snapshot(&id).await?;
            }
            ensure!(
                Instant::now() < deadline,
                "not all snapshots and images can be deleted: {:?}",
                self.model
            );
            tokio::time::sleep(LOOK).await;
        }
        for id in self.model.keys.keys().cloned().collect::<Vec<_>>() {
            self.delete_this_key(&id).await?;
        }
        for id in self.spare_access_keys() {
            self.delete_this_access_key(&id).await?;
        }
        let view = self.check().await?;
        ensure!(view.volumes.is_empty(), "not all volumes are gone: {:?}", view.volumes);
        let operator = self.world.node.operator(None)?;
        operator.delete_account(&self.account).await.context("deleting an account that has nothing")?;
        Ok(())
    }
}

fn reason(instance: &Instance) -> &str {
    instance.state_reason.as_deref().unwrap_or("no reason")
}
