//! What clients do, one thing at a time and at random, and what each answer makes of the model. A repetition may find its own
//! work done: then the refusal of what is done already is as good as a success.

use anyhow::{Context, anyhow};
use native_api::{
    AttachVolume, ClientToken, ConsoleQuery, Count, CreateAccessKey, CreateImage, CreateKeyPair,
    CreateSnapshot, CreateVolume, DataDisk, DiskContent, ErrorBody, ErrorCode, Force, ImageId, InstanceId,
    InstanceState, KeyAlgorithm, KeyPair, KeyPairId, LaunchRequest, OnFailure, OnPowerOff, Operation,
    PageQuery, ResourceName, Rules, SetTags, SnapshotId, SystemDisk, TagKey, TagValue, Tags, UpdateVolume,
    VolumeId,
};

use super::client::{Asked, User};
use super::images::Kind;
use super::model::{ImageModel, InstanceModel, SnapshotModel, VolumeModel};

/// Something that a client can do.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Launch,
    Start,
    Stop,
    Reboot,
    Terminate,
    CreateVolume,
    Attach,
    Detach,
    Grow,
    DeleteVolume,
    CreateSnapshot,
    DeleteSnapshot,
    CreateImage,
    ImportImage,
    Deregister,
    CreateKey,
    DeleteKey,
    CreateAccessKey,
    DeleteAccessKey,
    Tag,
    Look,
}

/// How often each is done, among others.
const DEEDS: &[(u64, Deed)] = &[
    (14, Deed::Launch),
    (10, Deed::Start),
    (10, Deed::Stop),
    (8, Deed::Reboot),
    (8, Deed::Terminate),
    (6, Deed::CreateVolume),
    (9, Deed::Attach),
    (6, Deed::Detach),
    (4, Deed::Grow),
    (4, Deed::DeleteVolume),
    (6, Deed::CreateSnapshot),
    (4, Deed::DeleteSnapshot),
    // The whole disk is hashed, holes and all.
    (1, Deed::CreateImage),
    (2, Deed::ImportImage),
    (3, Deed::Deregister),
    (3, Deed::CreateKey),
    (2, Deed::DeleteKey),
    (1, Deed::CreateAccessKey),
    (1, Deed::DeleteAccessKey),
    (6, Deed::Tag),
    (8, Deed::Look),
];

/// Refusals that only say that this is not the moment.
const NOT_NOW: &[ErrorCode] = &[
    ErrorCode::WrongState,
    ErrorCode::InUse,
    ErrorCode::LimitExceeded,
    ErrorCode::InsufficientCapacity,
    ErrorCode::StorageFull,
];
/// And those of what may have gone by itself, or by the same request before.
const NOT_NOW_OR_GONE: &[ErrorCode] = &[
    ErrorCode::WrongState,
    ErrorCode::InUse,
    ErrorCode::LimitExceeded,
    ErrorCode::InsufficientCapacity,
    ErrorCode::StorageFull,
    ErrorCode::NotFound,
];
/// A VMM that hangs or just died answers for nothing.
const OR_SILENT: &[ErrorCode] =
    &[ErrorCode::WrongState, ErrorCode::NotFound, ErrorCode::Internal, ErrorCode::LimitExceeded];

/// Largest volume, in GiB. They are sparse.
const MOST_GIB: u32 = 64;
/// Largest system disk, in GiB. Images are made of them, and hashed.
const MOST_BOOT_GIB: u32 = 2;

impl User {
    /// Does one thing.
    pub async fn step(&mut self) -> anyhow::Result<()> {
        let deed = self.chance.weighted(DEEDS).context("there are deeds")?;
        let most = self.world.most;
        let is_full = |count: usize| count >= most;
        match deed {
            Deed::Launch if is_full(self.model.living().count()) => self.terminate().await,
            Deed::Launch => self.launch().await,
            Deed::Start => self.start().await,
            Deed::Stop => self.stop().await,
            Deed::Reboot => self.reboot().await,
            Deed::Terminate => self.terminate().await,
            Deed::CreateVolume if is_full(self.model.volumes.len() / 2) => self.delete_volume().await,
            Deed::CreateVolume => self.create_volume().await,
            Deed::Attach => self.attach().await,
            Deed::Detach => self.detach().await,
            Deed::Grow => self.grow().await,
            Deed::DeleteVolume => self.delete_volume().await,
            Deed::CreateSnapshot if is_full(self.model.snapshots.len()) => self.delete_snapshot().await,
            Deed::CreateSnapshot => self.create_snapshot().await,
            Deed::DeleteSnapshot => self.delete_snapshot().await,
            Deed::CreateImage | Deed::ImportImage if is_full(self.model.images.len()) => {
                self.deregister().await
            }
            Deed::CreateImage => self.create_image().await,
            // Files of the host are the operator's.
            Deed::ImportImage if self.key.is_some() => self.create_image().await,
            Deed::ImportImage => self.import_image().await,
            Deed::Deregister => self.deregister().await,
            Deed::CreateKey if is_full(self.model.keys.len()) => self.delete_key().await,
            Deed::CreateKey => self.create_key().await,
            Deed::DeleteKey => self.delete_key().await,
            Deed::CreateAccessKey => self.create_access_key().await,
            Deed::DeleteAccessKey => self.delete_access_key().await,
            Deed::Tag => self.tag().await,
            Deed::Look => self.look().await,
        }
    }

    fn token(&mut self) -> anyhow::Result<Option<ClientToken>> {
        Ok(Some(self.chance.word().parse().context("making a token")?))
    }

    fn name(&mut self) -> anyhow::Result<ResourceName> {
        self.chance.word().parse().context("making a name")
    }

    fn tags(&mut self) -> anyhow::Result<Tags> {
        let mut tags = std::collections::BTreeMap::<TagKey, TagValue>::new();
        for key in ["team", "tier", "über"].iter().take(self.chance.below(4) as usize) {
            tags.insert(
                key.parse().context("making a tag")?,
                self.chance.word().parse().context("making a tag")?,
            );
        }
        tags.try_into().context("making tags")
    }

    /// A living instance.
    fn an_instance(&mut self) -> Option<InstanceId> {
        self.chance.pick(self.model.living().cloned().collect::<Vec<_>>())
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let own = self.model.images.iter().map(|(id, image)| (id.clone(), image.kind)).collect::<Vec<_>>();
        let (image, kind): (ImageId, Kind) = match self.chance.pick(own).filter(|_| self.chance.percent(30)) {
            Some(own) => own,
            None => {
                let weights: Vec<_> =
                    self.world.bases.iter().enumerate().map(|(at, base)| (base.kind.weight, at)).collect();
                let at = self.chance.weighted(&weights).context("there are images")?;
                (self.world.bases[at].id.clone(), self.world.bases[at].kind)
            }
        };
        let count = 1 + self.chance.below(2);
        let rules = Rules {
            start: self.chance.percent(85),
            on_power_off: if self.chance.percent(25) { OnPowerOff::Terminate } else { OnPowerOff::Stop },
            on_failure: match self.chance.below(4) {
                0 => OnFailure::Terminate,
                1 => OnFailure::Restart,
                _ => OnFailure::Report,
            },
            ..Rules::default()
        };
        let mut data_disks = Vec::new();
        for _ in 0..self.chance.below(3) {
            let snapshot = self.chance.pick(self.model.snapshots.keys().cloned().collect::<Vec<_>>());
            let (content, size_gib) = match snapshot.filter(|_| self.chance.percent(30)) {
                Some(snapshot) => (DiskContent::Snapshot(snapshot), None),
                None => match self.chance.below(4) {
                    0 => (DiskContent::Ephemeral, Some(1.try_into()?)),
                    1 => (DiskContent::Swap, Some(1.try_into()?)),
                    _ => (DiskContent::Blank, Some((1 + self.chance.below(3)).try_into()?)),
                },
            };
            let delete_with_instance = self.chance.percent(50);
            data_disks.push(DataDisk {
                content,
                size_gib,
                delete_with_instance,
                volume_type: Default::default(),
            });
        }
        let key = self.chance.pick(self.model.keys.values().cloned().collect::<Vec<_>>());
        let system = SystemDisk {
            size_gib: None,
            delete_with_instance: self.chance.percent(80),
            volume_type: Default::default(),
        };
        let request = LaunchRequest {
            image,
            instance_type: "tiny".parse().context("naming the type")?,
            count: Some(Count { min: 1.try_into()?, max: count.try_into()? }),
            key_pair: key.map(|name| name.parse()).transpose().context("naming a key")?,
            name: Some(self.name()?),
            user_data: None,
            host_name: None,
            system_disk: Some(system),
            data_disks,
            network_interfaces: Vec::new(),
            subnet: None,
            private_address: None,
            security_groups: Vec::new(),
            public_address: None,
            tags: self.tags()?,
            rules,
            charge: Default::default(),
            role: None,
            metadata_options: Default::default(),
            cloud: Default::default(),
            config_drive: false,
            client_token: self.token()?,
            dry_run: false,
        };
        let asked =
            self.ask("launch", NOT_NOW, async |client| client.launch_instances(&request).await).await?;
        let Ok(launched) = asked.answer else { return Ok(()) };
        let may_end = rules.on_power_off == OnPowerOff::Terminate || rules.on_failure == OnFailure::Terminate;
        for instance in launched.instances {
            let wish = match (kind.well, rules.start) {
                (true, true) => Some(InstanceState::Running),
                (_, false) => Some(InstanceState::Stopped),
                (false, true) => None,
            };
            for (index, disk) in instance.disks.iter().enumerate() {
                let volume = VolumeModel {
                    size_gib: disk.size_gib.get(),
                    tags: Tags::default(),
                    attached: Some((instance.id.clone(), disk.delete_with_instance)),
                    whole: false,
                    boots: (index == 0).then_some(kind),
                };
                self.model.volumes.insert(disk.volume.clone(), volume);
            }
            let model = InstanceModel {
                kind,
                tags: request.tags.clone(),
                ended: false,
                may_end,
                is_restless: !kind.well && rules.on_failure == OnFailure::Restart,
                started: rules.start,
                wish,
                counted: false,
            };
            self.world.launched.borrow_mut().insert(instance.id.to_string());
            self.model.instances.insert(instance.id, model);
        }
        Ok(())
    }

    /// What an instance is to settle in after it was told something.
    fn wish(&mut self, id: &InstanceId, asked: &Asked<native_api::Instance>, state: InstanceState) {
        let Some(instance) = self.model.instances.get_mut(id) else { return };
        match &asked.answer {
            Ok(_) => {
                instance.wish = Some(state).filter(|_| instance.kind.well || state != InstanceState::Running)
            }
            // Whether it was done before is not known.
            Err(_) if asked.repeated => instance.wish = None,
            Err(_) => {}
        }
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.an_instance() else { return Ok(()) };
        let asked = self.ask("start", NOT_NOW, async |client| client.start_instance(&id).await).await?;
        self.wish(&id, &asked, InstanceState::Running);
        Ok(())
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.an_instance() else { return Ok(()) };
        let how = Force { force: self.chance.percent(30) };
        let asked = self.ask("stop", NOT_NOW, async |client| client.stop_instance(&id, &how).await).await?;
        self.wish(&id, &asked, InstanceState::Stopped);
        Ok(())
    }

    async fn reboot(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.an_instance() else { return Ok(()) };
        let how = Force { force: self.chance.percent(30) };
        let asked =
            self.ask("reboot", NOT_NOW, async |client| client.reboot_instance(&id, &how).await).await?;
        self.wish(&id, &asked, InstanceState::Running);
        Ok(())
    }

    async fn terminate(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.an_instance() else { return Ok(()) };
        self.terminate_this(&id).await
    }

    /// Terminates an instance; the check finds it gone.
    pub async fn terminate_this(&mut self, id: &InstanceId) -> anyhow::Result<()> {
        self.get("terminate", async |client| client.terminate_instance(id).await).await?;
        if let Some(instance) = self.model.instances.get_mut(id) {
            instance.ended = true;
        }
        Ok(())
    }

    async fn create_volume(&mut self) -> anyhow::Result<()> {
        let snapshots = self.model.snapshots.keys().cloned().collect::<Vec<_>>();
        let snapshot = self.chance.pick(snapshots).filter(|_| self.chance.percent(40));
        let size_gib = match snapshot {
            Some(_) => None,
            None => Some((1 + self.chance.below(4)).try_into()?),
        };
        let request = CreateVolume {
            size_gib,
            snapshot,
            name: Some(self.name()?),
            zone: None,
            volume_type: Default::default(),
            tags: self.tags()?,
            client_token: self.token()?,
        };
        let asked =
            self.ask("create volume", NOT_NOW, async |client| client.create_volume(&request).await).await?;
        if let Ok(volume) = asked.answer {
            let (size_gib, tags) = (volume.size_gib.get(), request.tags.clone());
            self.model
                .volumes
                .insert(volume.id, VolumeModel { size_gib, tags, attached: None, whole: true, boots: None });
        }
        Ok(())
    }

    async fn attach(&mut self) -> anyhow::Result<()> {
        let free = self.model.volumes.iter().filter(|(_, volume)| volume.attached.is_none());
        let Some(volume) = self.chance.pick(free.map(|(id, _)| id.clone()).collect::<Vec<_>>()) else {
            return Ok(());
        };
        let Some(instance) = self.an_instance() else { return Ok(()) };
        let delete_with_instance = self.chance.percent(50);
        let request = AttachVolume { instance: instance.clone(), device: None, delete_with_instance };
        let asked = self
            .ask("attach", NOT_NOW_OR_GONE, async |client| client.attach_volume(&volume, &request).await)
            .await?;
        match asked.answer {
            Ok(_) => self.attached(&volume, Some((instance, delete_with_instance))),
            Err(_) if asked.repeated => self.adopt_attachment(&volume).await?,
            Err(_) => {}
        }
        Ok(())
    }

    fn attached(&mut self, volume: &VolumeId, to: Option<(InstanceId, bool)>) {
        if let Some(volume) = self.model.volumes.get_mut(volume) {
            volume.attached = to;
        }
    }

    /// Takes over what is so, after a request of which nobody knows whether it was done.
    async fn adopt_attachment(&mut self, id: &VolumeId) -> anyhow::Result<()> {
        let expected = &[ErrorCode::NotFound];
        let asked = self.ask("show volume", expected, async |client| client.get_volume(id).await).await?;
        if let Ok(volume) = asked.answer {
            let attachment = volume.attachment.map(|it| (it.instance, it.delete_with_instance));
            self.attached(id, attachment);
        }
        Ok(())
    }

    async fn detach(&mut self) -> anyhow::Result<()> {
        let held = self
            .model
            .volumes
            .iter()
            .filter(|(_, volume)| volume.attached.is_some() && volume.boots.is_none());
        let Some(id) = self.chance.pick(held.map(|(id, _)| id.clone()).collect::<Vec<_>>()) else {
            return Ok(());
        };
        // Ephemeral disks and swap areas stay where they are.
        let expected = [NOT_NOW_OR_GONE, &[ErrorCode::InvalidParameter]].concat();
        let how = Force::default();
        let asked =
            self.ask("detach", &expected, async |client| client.detach_volume(&id, &how).await).await?;
        match asked.answer {
            Ok(_) => self.attached(&id, None),
            Err(_) if asked.repeated => self.adopt_attachment(&id).await?,
            Err(_) => {}
        }
        Ok(())
    }

    async fn grow(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.chance.pick(self.model.volumes.keys().cloned().collect::<Vec<_>>()) else {
            return Ok(());
        };
        let more = 1 + self.chance.below(3) as u32;
        let Some(size) = self.model.volumes.get(&id).map(|volume| volume.size_gib + more) else {
            return Ok(());
        };
        let boots = self.model.volumes.get(&id).is_some_and(|volume| volume.boots.is_some());
        if size > if boots { MOST_BOOT_GIB } else { MOST_GIB } {
            return Ok(());
        }
        let request = UpdateVolume { size_gib: Some(u64::from(size).try_into()?), ..UpdateVolume::default() };
        let asked = self
            .ask("grow volume", NOT_NOW_OR_GONE, async |client| client.update_volume(&id, &request).await)
            .await?;
        match asked.answer {
            Ok(_) => {
                if let Some(volume) = self.model.volumes.get_mut(&id) {
                    volume.size_gib = size;
                }
            }
            Err(_) if asked.repeated => {
                let shown = self
                    .ask("show volume", &[ErrorCode::NotFound], async |client| client.get_volume(&id).await)
                    .await?;
                if let (Ok(shown), Some(volume)) = (shown.answer, self.model.volumes.get_mut(&id)) {
                    volume.size_gib = shown.size_gib.get();
                }
            }
            Err(_) => {}
        }
        Ok(())
    }

    async fn delete_volume(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.chance.pick(self.model.volumes.keys().cloned().collect::<Vec<_>>()) else {
            return Ok(());
        };
        self.delete_this_volume(&id).await
    }

    pub async fn delete_this_volume(&mut self, id: &VolumeId) -> anyhow::Result<()> {
        let asked =
            self.ask("delete volume", NOT_NOW_OR_GONE, async |client| client.delete_volume(id).await).await?;
        if is_gone(&asked, self.look_for_volume(id, &asked).await?) {
            self.model.volumes.remove(id);
            // One that was being taken of it has nothing to take any more.
            self.model.snapshots.values_mut().for_each(|snapshot| snapshot.may_fail = true);
        }
        Ok(())
    }

    /// Whether a volume that could not be deleted is being deleted, or has been.
    async fn look_for_volume(&mut self, id: &VolumeId, deleted: &Asked<()>) -> anyhow::Result<bool> {
        if deleted.answer.is_ok() || !deleted.repeated {
            return Ok(false);
        }
        let asked = self
            .ask("show volume", &[ErrorCode::NotFound], async |client| client.get_volume(id).await)
            .await?;
        Ok(asked.answer.map_or(true, |volume| volume.state == native_api::VolumeState::Deleting))
    }

    async fn create_snapshot(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.chance.pick(self.model.volumes.keys().cloned().collect::<Vec<_>>()) else {
            return Ok(());
        };
        let request = CreateSnapshot {
            volume: id.clone(),
            name: Some(self.name()?),
            description: None,
            tags: self.tags()?,
            client_token: self.token()?,
        };
        let asked = self
            .ask("create snapshot", NOT_NOW_OR_GONE, async |client| client.create_snapshot(&request).await)
            .await?;
        if let (Ok(snapshot), Some(volume)) = (asked.answer, self.model.volumes.get(&id)) {
            let model = SnapshotModel {
                size_gib: snapshot.size_gib.get(),
                tags: request.tags.clone(),
                boots: volume.boots,
                may_fail: volume.attached.is_some(),
                counted: false,
            };
            self.model.snapshots.insert(snapshot.id, model);
        }
        Ok(())
    }

    async fn delete_snapshot(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.chance.pick(self.model.snapshots.keys().cloned().collect::<Vec<_>>()) else {
            return Ok(());
        };
        self.delete_this_snapshot(&id).await
    }

    pub async fn delete_this_snapshot(&mut self, id: &SnapshotId) -> anyhow::Result<()> {
        let asked = self
            .ask("delete snapshot", NOT_NOW_OR_GONE, async |client| client.delete_snapshot(id).await)
            .await?;
        let mut found_gone = false;
        if asked.repeated && asked.answer.is_err() {
            let shown = self
                .ask("show snapshot", &[ErrorCode::NotFound], async |client| client.get_snapshot(id).await)
                .await?;
            found_gone = shown.answer.map_or(true, |it| it.state == native_api::SnapshotState::Deleting);
        }
        if is_gone(&asked, found_gone) {
            self.model.snapshots.remove(id);
        }
        Ok(())
    }

    async fn create_image(&mut self) -> anyhow::Result<()> {
        let bootable =
            self.model.snapshots.iter().filter_map(|(id, snapshot)| Some((id.clone(), snapshot.boots?)));
        let Some((snapshot, kind)) = self.chance.pick(bootable.collect::<Vec<_>>()) else { return Ok(()) };
        let name = self.name()?;
        let request = CreateImage {
            name: name.clone(),
            description: None,
            snapshot,
            tags: Tags::default(),
            client_token: self.token()?,
        };
        // How it boots is the image's that it was made of, which may be gone.
        let expected = [NOT_NOW_OR_GONE, &[ErrorCode::InvalidParameter]].concat();
        let asked =
            self.ask("create image", &expected, async |client| client.create_image(&request).await).await?;
        self.image_begun(asked, name, kind)
    }

    async fn import_image(&mut self) -> anyhow::Result<()> {
        let base = self.chance.pick(self.world.bases.iter().map(|base| base.kind).collect::<Vec<_>>());
        let kind = base.context("there are images")?;
        let (name, token) = (self.name()?, self.token()?);
        // A few contents, so that several images share one.
        let mark = format!("content-{}", self.chance.below(3));
        let request = self.world.sources.request(name.as_str(), &kind, &mark, token)?;
        let asked =
            self.ask("import image", NOT_NOW, async |client| client.import_image(&request).await).await?;
        self.image_begun(asked, name, kind)
    }

    fn image_begun(
        &mut self,
        asked: Asked<native_api::Job>,
        name: ResourceName,
        kind: Kind,
    ) -> anyhow::Result<()> {
        if let Ok(job) = asked.answer {
            let id = job.image.with_context(|| format!("{} makes no image", job.id))?;
            self.model.images.insert(id, ImageModel { name: name.into(), kind });
        }
        Ok(())
    }

    async fn deregister(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.chance.pick(self.model.images.keys().cloned().collect::<Vec<_>>()) else {
            return Ok(());
        };
        self.deregister_this(&id).await
    }

    pub async fn deregister_this(&mut self, id: &ImageId) -> anyhow::Result<()> {
        let asked = self
            .ask("deregister image", NOT_NOW_OR_GONE, async |client| client.deregister_image(id).await)
            .await?;
        let is_missing = matches!(&asked.answer, Err(ErrorBody { code: ErrorCode::NotFound, .. }));
        if asked.answer.is_ok() || (asked.repeated && is_missing) {
            self.model.images.remove(id);
        }
        Ok(())
    }

    async fn create_key(&mut self) -> anyhow::Result<()> {
        let name: String = self.chance.word();
        let request = CreateKeyPair {
            name: name.parse().context("naming a key")?,
            algorithm: KeyAlgorithm::Ed25519,
            tags: Tags::default(),
        };
        let expected = &[ErrorCode::AlreadyExists];
        let asked =
            self.ask("create key", expected, async |client| client.create_key_pair(&request).await).await?;
        let id = match asked.answer {
            Ok(key) => key.key_pair.id,
            Err(_) if asked.repeated => {
                let query = PageQuery::default();
                let keys: Vec<KeyPair> = self
                    .get("list keys", async |client| client.all(Operation::ListKeyPairs, &query).await)
                    .await?;
                let key = keys.into_iter().find(|key| key.name.as_str() == name);
                key.with_context(|| format!("the key {name} is there and not listed"))?.id
            }
            Err(refusal) => return Err(anyhow!("a new key was refused: {refusal}")),
        };
        self.model.keys.insert(id, name);
        Ok(())
    }

    async fn delete_key(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.chance.pick(self.model.keys.keys().cloned().collect::<Vec<_>>()) else {
            return Ok(());
        };
        self.delete_this_key(&id).await
    }

    pub async fn delete_this_key(&mut self, id: &KeyPairId) -> anyhow::Result<()> {
        let expected = &[ErrorCode::NotFound];
        let asked = self.ask("delete key", expected, async |client| client.delete_key_pair(id).await).await?;
        match asked.answer {
            Err(refusal) if !asked.repeated => Err(anyhow!("the key {id} is lost: {refusal}")),
            Ok(()) | Err(_) => {
                self.model.keys.remove(id);
                Ok(())
            }
        }
    }

    async fn create_access_key(&mut self) -> anyhow::Result<()> {
        let request = CreateAccessKey::default();
        let expected = &[ErrorCode::LimitExceeded];
        let asked = self
            .ask("create access key", expected, async |client| client.create_access_key(&request).await)
            .await?;
        if let Ok(key) = asked.answer {
            self.model.access_keys.insert(key.access_key.id);
        }
        if asked.repeated {
            // An earlier one may have been made, whose secret nobody knows.
            let listed = self.access_keys().await?;
            self.model.access_keys.extend(listed);
        }
        Ok(())
    }

    async fn delete_access_key(&mut self) -> anyhow::Result<()> {
        // The first is the client's own.
        let Some(id) = self.chance.pick(self.spare_access_keys()) else { return Ok(()) };
        self.delete_this_access_key(&id).await
    }

    /// Not the one that the client comes with.
    pub fn spare_access_keys(&self) -> Vec<native_api::AccessKeyId> {
        self.model.access_keys.iter().filter(|id| self.key.as_ref() != Some(id)).cloned().collect()
    }

    pub async fn delete_this_access_key(&mut self, id: &native_api::AccessKeyId) -> anyhow::Result<()> {
        let expected = &[ErrorCode::NotFound];
        let asked = self
            .ask("delete access key", expected, async |client| client.delete_access_key(id).await)
            .await?;
        match asked.answer {
            Err(refusal) if !asked.repeated => Err(anyhow!("the access key {id} is lost: {refusal}")),
            Ok(()) | Err(_) => {
                self.model.access_keys.remove(id);
                Ok(())
            }
        }
    }

    async fn tag(&mut self) -> anyhow::Result<()> {
        let request = SetTags { tags: self.tags()? };
        let volumes = self.model.volumes.keys().cloned().collect::<Vec<_>>();
        if self.chance.percent(50)
            && let Some(id) = self.chance.pick(volumes)
        {
            let asked = self
                .ask("tag volume", NOT_NOW_OR_GONE, async |client| {
                    client.set_volume_tags(&id, &request).await
                })
                .await?;
            if let (Ok(_), Some(volume)) = (&asked.answer, self.model.volumes.get_mut(&id)) {
                volume.tags = request.tags;
            }
        } else if let Some(id) = self.an_instance() {
            let asked = self
                .ask("tag instance", NOT_NOW, async |client| client.set_instance_tags(&id, &request).await)
                .await?;
            if let (Ok(_), Some(instance)) = (&asked.answer, self.model.instances.get_mut(&id)) {
                instance.tags = request.tags;
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        match self.chance.below(4) {
            0 => drop(self.get("who am I", async |client| client.get_caller().await).await?),
            1 => drop(
                self.get("list instances", async |client| client.list_instances(&Default::default()).await)
                    .await?,
            ),
            at => {
                let Some(id) = self.an_instance() else { return Ok(()) };
                if at == 2 {
                    let query = ConsoleQuery::default();
                    drop(
                        self.ask("console", OR_SILENT, async |client| client.console(&id, &query).await)
                            .await?,
                    );
                } else {
                    drop(
                        self.ask("metrics", OR_SILENT, async |client| client.get_instance_metrics(&id).await)
                            .await?,
                    );
                }
            }
        }
        Ok(())
    }
}

/// Whether what was to be deleted is gone or goes.
fn is_gone(asked: &Asked<()>, found_gone: bool) -> bool {
    asked.answer.is_ok() || found_gone
}
