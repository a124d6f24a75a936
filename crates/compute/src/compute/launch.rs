//! Launching: from a request to the records of a reservation, its instances, their volumes and interfaces, all in one
//! transaction. What they need is held before; the minimum or nothing (EC2 RunInstances). Everything else is the drivers'.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::addresses::too_few;
use super::ledger::{AddressHold, Hold};
use super::{Compute, ComputeError, Token};
use crate::capacity::{Amounts, Ask, narrow};
use crate::charge::Terms;
use crate::dns::{MAX_HOST_NAME, is_label};
use crate::id::{
    ImageId, InstanceId, InterfaceId, ReservationId, SecurityGroupId, SnapshotId, SubnetId, VolumeId,
};
use crate::lifecycle::{Progress, Rules};
use crate::outside::DiskContent;
use crate::resource::{
    Address, Attachment, Cloud, Faults, Image, ImageBoot, ImageState, Instance, InstanceBoot, InstanceDisk,
    InstanceKey, InstanceType, Interface, KeyPair, MetadataOptions, Reservation, Resource, SecurityGroup,
    Snapshot, SnapshotState, Subnet, Tags, Volume, VolumeKind, VolumeState, named_key, owned_key,
};
use crate::secrets::Secret;
use crate::store::{CommitError, Condition, MAX_OPERATIONS, Transaction, Write, put};

/// Most instances of one launch.
pub const MAX_LAUNCH: u32 = 100;
/// Most bytes of user data; Huawei's limit, the widest. Dialects with narrower ones look first.
pub const MAX_USER_DATA: usize = 32 * 1024;
/// Most volumes of an instance, the system disk among them; what the machine has slots for.
const MAX_DISKS: usize = 60;
/// Smallest disk that users ask for, in MiB: they say GiB.
const SMALLEST_MIB: u64 = 1024;
/// A swap area's size where neither the request nor the instance type says one, in MiB.
const SWAP_MIB: u64 = 512;
/// Largest volume, in GiB.
pub(super) const MAX_VOLUME_GIB: u64 = 32 * 1024;
/// Most characters of a name.
pub(super) const MAX_NAME: usize = 128;
/// How often a launch draws new ids and addresses because the ones drawn were taken.
const TRIES: usize = 8;

/// A launch: instances of one or several kinds, in one reservation.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The account.
    pub account: String,
    /// What makes a repetition lead to the same instances.
    pub token: Option<Token>,
    /// The kinds.
    pub kinds: Vec<InstanceRequest>,
    /// What the account may have in all.
    pub allowance: Amounts,
    /// Only say whether it would be done.
    pub dry_run: bool,
}

/// Instances of one kind.
#[derive(Clone, Debug)]
pub struct InstanceRequest {
    /// The fewest, at least 1.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// The cloud that their guests are to believe to be in.
    pub cloud: Cloud,
    /// The image.
    pub image: ImageId,
    /// The instance type's name.
    pub instance_type: String,
    /// A name for people. Empty for none.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// The host name; `None` for the cloud's usual one, as `ip-10-0-0-5`.
    pub host_name: Option<String>,
    /// Name of the key pair.
    pub key_pair: Option<String>,
    /// The password of the guest's first user.
    pub password: Option<Secret>,
    /// What the guest gets to read.
    pub user_data: Vec<u8>,
    /// Pairs that the guest gets to read.
    pub metadata: BTreeMap<String, String>,
    /// How the guest gets at its metadata.
    pub metadata_options: MetadataOptions,
    /// Give it a disk with its metadata, as OpenStack's config drives.
    pub config_drive: bool,
    /// The role's name.
    pub role: Option<String>,
    /// The system disk; only `content` is not asked.
    pub system_disk: DiskRequest,
    /// Other disks.
    pub disks: Vec<DiskRequest>,
    /// The zone; `None` for the subnet's.
    pub zone: Option<String>,
    /// The subnet; `None` for the account's default.
    pub subnet: Option<SubnetId>,
    /// The private address; only for a single instance.
    pub private_address: Option<Ipv4Addr>,
    /// Give it a public address of its own, which goes with it.
    pub public_address: bool,
    /// Security groups; none for the VPC's default one.
    pub security_groups: Vec<SecurityGroupId>,
    /// Tags.
    pub tags: Tags,
    /// Tags of their volumes.
    pub volume_tags: Tags,
    /// How it is paid for.
    pub terms: Terms,
    /// What it does by itself.
    pub rules: Rules,
    /// Refuse to terminate it.
    pub protected: bool,
    /// What the dialect keeps for itself.
    pub dialect: serde_json::Value,
}

/// A disk of a new instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskRequest {
    /// Its size, in GiB; `None` for what its content takes, or for what the instance type has of it.
    pub size_gib: Option<u64>,
    /// What is on it.
    pub content: SourceRequest,
    /// The name that users know it by; `None` for the usual one, else the next free one, as `/dev/vdb`.
    pub device: Option<String>,
    /// Whether it goes with the instance.
    pub delete_with_instance: bool,
    /// The clouds' type of disk.
    pub category: String,
    /// A name for people.
    pub name: String,
}

/// What is on a new disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SourceRequest {
    /// Nothing.
    #[default]
    Blank,
    /// What a snapshot has.
    Snapshot(SnapshotId),
    /// An ext3 file system, with the key pair's public half in `openssh_id.pub`.
    Ephemeral,
    /// A swap area.
    Swap,
}

/// What a launch led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Launched {
    /// The reservation.
    pub reservation: Reservation,
    /// Its instances, round by round: one of each kind, for as long as there are more. Of a repeated launch, as they are now.
    pub instances: Vec<Instance>,
}

/// A kind whose parts have all been looked up.
struct Kind<'a> {
    request: &'a InstanceRequest,
    image: Image,
    instance_type: InstanceType,
    key: Option<InstanceKey>,
    subnet: Subnet,
    groups: Vec<SecurityGroup>,
    disks: Vec<Disk>,
}

struct Disk {
    kind: VolumeKind,
    size_mib: u64,
    content: DiskContent,
    device: String,
    delete_with_instance: bool,
    category: String,
    name: String,
    image: Option<ImageId>,
}

/// Records that are about to be written, and the addresses that are held for them.
#[derive(Default)]
struct Drawn {
    instances: Vec<Instance>,
    volumes: Vec<Volume>,
    interfaces: Vec<Interface>,
    addresses: Vec<AddressHold>,
    publics: Vec<Address>,
}

impl Compute {
    /// Launches instances: as many as there is room for, at least the minimum of each kind, or nothing.
    ///
    /// # Errors
    ///
    /// Something asked for is not there or makes no sense, or there is no room. Nothing was taken then.
    pub async fn launch(self: &Arc<Self>, launch: &Launch) -> Result<Launched, ComputeError> {
        let token = launch.token.as_ref();
        for _ in 0..TRIES {
            if let Some(result) = self.used_token(&launch.account, token).await? {
                return self.launched(&launch.account, &result).await;
            }
            // Whatever is referred to stays until the reference is on record.
            let _referring = self.references.read().await;
            let mut kinds = Vec::new();
            for request in &launch.kinds {
                kinds.push(self.look_up(&launch.account, request).await?);
            }
            let publics = self.some_public_addresses(most_publics(&kinds)).await?;
            let (counts, hold) = self.hold(launch, &kinds, publics.len())?;
            let drawn = self.draw(launch, &kinds, &counts, publics)?;
            if launch.dry_run {
                let id = ReservationId::draw();
                let reservation = self.reservation(launch, id, &kinds, &[]);
                return Ok(Launched { reservation, instances: Vec::new() });
            }
            if let Some(launched) = self.keep(launch, &kinds, drawn, hold).await? {
                return Ok(launched);
            }
        }
        Err(ComputeError::Contended { key: owned_key(Instance::WORD, &launch.account, "new") })
    }

    /// How many instances a launch would get now. Nothing is taken.
    ///
    /// # Errors
    ///
    /// As `launch`.
    pub async fn preview(self: &Arc<Self>, launch: &Launch) -> Result<u32, ComputeError> {
        let mut kinds = Vec::new();
        for request in &launch.kinds {
            kinds.push(self.look_up(&launch.account, request).await?);
        }
        let publics = self.some_public_addresses(most_publics(&kinds)).await?;
        let (counts, _hold) = self.hold(launch, &kinds, publics.len())?;
        self.draw(launch, &kinds, &counts, publics)?;
        Ok(counts.iter().sum())
    }

    async fn launched(&self, account: &str, result: &[String]) -> Result<Launched, ComputeError> {
        let reservation = result.first().map(String::as_str).unwrap_or_default();
        let reservation = self.get_owned::<Reservation>(account, reservation).await?.value;
        let mut instances = Vec::new();
        for id in &reservation.instances {
            // One that was terminated long ago has no record any more.
            match self.get_owned::<Instance>(account, &id.to_string()).await {
                Ok(kept) => instances.push(kept.value),
                Err(ComputeError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Launched { reservation, instances })
    }

    async fn look_up<'a>(
        &self,
        account: &str,
        request: &'a InstanceRequest,
    ) -> Result<Kind<'a>, ComputeError> {
        check(request)?;
        let image = self.image(account, request.image).await?;
        if image.state != ImageState::Available {
            let (state, wanted) = (format!("{:?}", image.state).to_lowercase(), "available");
            return Err(ComputeError::WrongState {
                what: Image::NAME,
                id: image.id.to_string(),
                state,
                wanted,
            });
        }
        let instance_type = self.instance_type(&request.instance_type)?.clone();
        let key = match &request.key_pair {
            None => None,
            Some(name) => {
                let pair =
                    self.get_at::<KeyPair>(&named_key(KeyPair::WORD, account, name), name).await?.value;
                Some(InstanceKey { id: pair.id, name: pair.name, public_key: pair.public_key })
            }
        };
        let subnet = match request.subnet {
            None => self.default_subnet(account).await?,
            Some(id) => self.get_owned::<Subnet>(account, &id.to_string()).await?.value,
        };
        self.check_zone(request, &subnet)?;
        let groups = self.groups(account, &subnet, &request.security_groups).await?;
        let disks = self.disk_plans(account, request, &image, &instance_type, key.as_ref()).await?;
        Ok(Kind { request, image, instance_type, key, subnet, groups, disks })
    }

    /// The instance type of this name.
    pub fn instance_type(&self, name: &str) -> Result<&InstanceType, ComputeError> {
        let offered = self.config.catalog.instance_type(name);
        offered.ok_or_else(|| ComputeError::NotFound { what: "instance type", id: name.to_owned() })
    }

    fn check_zone(&self, request: &InstanceRequest, subnet: &Subnet) -> Result<(), ComputeError> {
        let Some(zone) = &request.zone else { return Ok(()) };
        if !self.config.catalog.zones.iter().any(|known| known.name == *zone) {
            return Err(ComputeError::NotFound { what: "zone", id: zone.clone() });
        }
        if request.subnet.is_some() && subnet.zone != *zone {
            let why = format!("is not the subnet's, which is {}", subnet.zone);
            return Err(ComputeError::invalid("zone", why));
        }
        Ok(())
    }

    pub(super) async fn groups(
        &self,
        account: &str,
        subnet: &Subnet,
        wanted: &[SecurityGroupId],
    ) -> Result<Vec<SecurityGroup>, ComputeError> {
        if wanted.is_empty() {
            return Ok(vec![self.default_group(account, subnet.vpc).await?]);
        }
        let mut groups = Vec::new();
        for id in wanted {
            let group = self.get_owned::<SecurityGroup>(account, &id.to_string()).await?.value;
            if group.vpc != subnet.vpc {
                let why = format!("{id} is of {}, and the subnet of {}", group.vpc, subnet.vpc);
                return Err(ComputeError::invalid("security_groups", why));
            }
            groups.push(group);
        }
        Ok(groups)
    }

    async fn disk_plans(
        &self,
        account: &str,
        request: &InstanceRequest,
        image: &Image,
        instance_type: &InstanceType,
        key: Option<&InstanceKey>,
    ) -> Result<Vec<Disk>, ComputeError> {
        let usual_device = |kind| usual_device(request.cloud, &image.boot, kind).map(str::to_owned);
        let content = image.disk.as_ref().map(|disk| disk.sha256.clone());
        let content = content.ok_or_else(|| ComputeError::invalid("image", "has no disk"))?;
        let system = &request.system_disk;
        let size_mib = size(system.size_gib, image.size_gib() << 10, "system_disk")?;
        let mut disks = vec![Disk {
            kind: VolumeKind::System,
            size_mib,
            content: DiskContent::Image { sha256: content },
            device: (system.device.clone())
                .or_else(|| usual_device(VolumeKind::System))
                .unwrap_or_else(|| "/dev/vda".to_owned()),
            delete_with_instance: system.delete_with_instance,
            category: system.category.clone(),
            name: system.name.clone(),
            image: Some(image.id),
        }];
        for wanted in &request.disks {
            let (kind, usual, content) = match &wanted.content {
                SourceRequest::Blank => (VolumeKind::Data, SMALLEST_MIB, DiskContent::Blank),
                SourceRequest::Snapshot(snapshot) => {
                    let snapshot = self.completed_snapshot(account, *snapshot).await?;
                    (VolumeKind::Data, snapshot.size_mib, DiskContent::Snapshot { snapshot: snapshot.id })
                }
                SourceRequest::Ephemeral => {
                    let public_key = key.map(|key| format!("{} {}", key.public_key, key.name));
                    let usual = (instance_type.ephemeral_gib << 10).max(SMALLEST_MIB);
                    (VolumeKind::Ephemeral, usual, DiskContent::Ephemeral { public_key })
                }
                SourceRequest::Swap => {
                    let usual = if instance_type.swap_mib == 0 { SWAP_MIB } else { instance_type.swap_mib };
                    (VolumeKind::Swap, usual, DiskContent::Swap)
                }
            };
            let smallest = if kind == VolumeKind::Data { usual } else { SMALLEST_MIB };
            let size_mib = size(wanted.size_gib, smallest, "disks")?;
            let size_mib = if wanted.size_gib.is_none() { usual } else { size_mib };
            let taken = |device: &str| disks.iter().any(|disk: &Disk| disk.device == device);
            let device = match &wanted.device {
                Some(device) if taken(device) => {
                    return Err(ComputeError::invalid("disks", format!("{device} is there twice")));
                }
                Some(device) => device.clone(),
                None => match usual_device(kind).filter(|device| !taken(device)) {
                    Some(device) => device,
                    None => free_device(taken)?,
                },
            };
            disks.push(Disk {
                kind,
                size_mib,
                content,
                device,
                // What comes with an instance goes with it.
                delete_with_instance: wanted.delete_with_instance || kind != VolumeKind::Data,
                category: wanted.category.clone(),
                name: wanted.name.clone(),
                image: None,
            });
        }
        Ok(disks)
    }

    pub(super) async fn completed_snapshot(
        &self,
        account: &str,
        id: SnapshotId,
    ) -> Result<Snapshot, ComputeError> {
        let snapshot = self.get_owned::<Snapshot>(account, &id.to_string()).await?.value;
        if snapshot.state == SnapshotState::Completed {
            return Ok(snapshot);
        }
        let (state, wanted) = (format!("{:?}", snapshot.state).to_lowercase(), "completed");
        Err(ComputeError::WrongState { what: Snapshot::NAME, id: id.to_string(), state, wanted })
    }

    /// Holds room for as many as there are to be, no more of those with public addresses than there are of these.
    fn hold(
        &self,
        launch: &Launch,
        kinds: &[Kind<'_>],
        publics: usize,
    ) -> Result<(Vec<u32>, Hold), ComputeError> {
        let ask = |kind: &Kind<'_>| {
            let gib: u64 = kind.disks.iter().map(|disk| disk.size_mib.div_ceil(1024)).sum();
            let mut each = kind.instance_type.amounts();
            if !kind.request.rules.start_when_created {
                each = Amounts::default();
            }
            each.disk_gib = gib;
            Ask { each, min: kind.request.min, max: kind.request.max }
        };
        let mut asks: Vec<Ask> = kinds.iter().map(ask).collect();
        let most: u64 = asks.iter().map(|ask| u64::from(ask.max)).sum();
        if most > u64::from(MAX_LAUNCH) {
            return Err(ComputeError::Limit { what: "instances in one launch", most: u64::from(MAX_LAUNCH) });
        }
        let with_public = kinds.iter().zip(&mut asks).filter(|(kind, _)| kind.request.public_address);
        let fewest = narrow(with_public.map(|(_, ask)| ask), publics as u64);
        if fewest > publics as u64 {
            return Err(too_few(usize::try_from(fewest).unwrap_or(usize::MAX), publics));
        }
        Ok(self.ledger.reserve(&launch.account, launch.allowance, &asks)?)
    }

    fn reservation(
        &self,
        launch: &Launch,
        id: ReservationId,
        kinds: &[Kind<'_>],
        instances: &[Instance],
    ) -> Reservation {
        let mut security_groups: Vec<String> = Vec::new();
        for group in kinds.iter().flat_map(|kind| &kind.groups) {
            if !security_groups.contains(&group.name) {
                security_groups.push(group.name.clone());
            }
        }
        Reservation {
            id,
            account: launch.account.clone(),
            instances: instances.iter().map(|instance| instance.id).collect(),
            security_groups,
            created: self.clock.now(),
        }
    }

    /// Draws ids and addresses, and makes the records.
    fn draw(
        &self,
        launch: &Launch,
        kinds: &[Kind<'_>],
        counts: &[u32],
        mut publics: Vec<Ipv4Addr>,
    ) -> Result<Drawn, ComputeError> {
        let (mut drawn, now) = (Drawn::default(), self.clock.now());
        let reservation = ReservationId::draw();
        // Round by round, so that their order tells in which the surplus was given.
        let rounds = counts.iter().copied().max().unwrap_or(0);
        for round in 0..rounds {
            for (kind, _) in kinds.iter().zip(counts).filter(|(_, count)| round < **count) {
                self.draw_one(launch, kind, reservation, now, &mut drawn)?;
                if kind.request.public_address
                    && let (Some(address), Some(interface)) = (publics.pop(), drawn.interfaces.last())
                {
                    let mut public = self.new_address(&launch.account, address);
                    (public.interface, public.release_with_interface) = (Some(interface.id), true);
                    drawn.publics.push(public);
                }
            }
        }
        Ok(drawn)
    }

    fn draw_one(
        &self,
        launch: &Launch,
        kind: &Kind<'_>,
        reservation: ReservationId,
        now: Timestamp,
        drawn: &mut Drawn,
    ) -> Result<(), ComputeError> {
        let (request, account) = (kind.request, &launch.account);
        let id = InstanceId::draw();
        let hold = self.ledger.hold_address(&kind.subnet, request.private_address)?;
        let address = hold.address();
        let interface = InterfaceId::draw();
        drawn.interfaces.push(Interface {
            id: interface,
            account: account.clone(),
            name: String::new(),
            description: String::new(),
            subnet: kind.subnet.id,
            vpc: kind.subnet.vpc,
            network: kind.subnet.network,
            address,
            mac: Interface::mac_of(interface),
            security_groups: kind.groups.iter().map(|group| group.id).collect(),
            instance: Some(id),
            index: 0,
            delete_with_instance: true,
            tags: Tags::default(),
            created: now,
        });
        drawn.addresses.push(hold);
        let mut disks = Vec::new();
        for disk in &kind.disks {
            let volume = VolumeId::draw();
            let (device, delete_with_instance) = (disk.device.clone(), disk.delete_with_instance);
            let attachment =
                Attachment { instance: id, device: device.clone(), delete_with_instance, since: now };
            drawn.volumes.push(Volume {
                id: volume,
                account: account.clone(),
                node: self.config.node.clone(),
                name: disk.name.clone(),
                description: String::new(),
                kind: disk.kind,
                category: disk.category.clone(),
                size_mib: disk.size_mib,
                zone: kind.subnet.zone.clone(),
                content: disk.content.clone(),
                image: disk.image,
                state: VolumeState::Creating,
                attachment: Some(attachment),
                tags: request.volume_tags.clone(),
                created: now,
                dialect: serde_json::Value::Null,
            });
            disks.push(InstanceDisk { volume, device, delete_with_instance });
        }
        let place = Instance::password_place(id);
        let before = drawn.instances.iter().filter(|instance| instance.image == kind.image.id).count();
        drawn.instances.push(Instance {
            id,
            account: account.clone(),
            reservation,
            launch_index: u32::try_from(before).unwrap_or(u32::MAX),
            node: self.config.node.clone(),
            cloud: request.cloud,
            name: request.name.clone(),
            description: request.description.clone(),
            host_name: request.host_name.clone().unwrap_or_else(|| request.cloud.host_name(id, address)),
            image: kind.image.id,
            instance_type: kind.instance_type.name.clone(),
            vcpus: kind.instance_type.vcpus,
            memory_mib: kind.instance_type.memory_mib,
            zone: request.zone.clone().unwrap_or_else(|| kind.subnet.zone.clone()),
            boot: boot(&kind.image.boot),
            key_pair: kind.key.clone(),
            password: request.password.as_ref().map(|password| self.keys.seal(password, &place)),
            user_data: BASE64_STANDARD.encode(&request.user_data),
            metadata: request.metadata.clone(),
            metadata_options: request.metadata_options,
            config_drive: request.config_drive,
            role: request.role.clone(),
            disks,
            interfaces: vec![interface],
            private_address: Some(address),
            tags: request.tags.clone(),
            terms: request.terms.clone(),
            product_codes: kind.image.product_codes.clone(),
            rules: request.rules,
            protected: request.protected,
            progress: Progress::new(),
            reason: None,
            faults: Faults::default(),
            usage: None,
            created: now,
            started: None,
            ended: None,
            dialect: request.dialect.clone(),
        });
        Ok(())
    }

    /// Writes all records at once; `None` if an id or an address was taken meanwhile, or the token was used.
    async fn keep(
        self: &Arc<Self>,
        launch: &Launch,
        kinds: &[Kind<'_>],
        drawn: Drawn,
        hold: Hold,
    ) -> Result<Option<Launched>, ComputeError> {
        let id = drawn.instances.first().map_or_else(ReservationId::draw, |first| first.reservation);
        let reservation = self.reservation(launch, id, kinds, &drawn.instances);
        let mut transaction = Transaction::default();
        absent(&mut transaction, &reservation);
        drawn.instances.iter().for_each(|instance| absent(&mut transaction, instance));
        drawn.volumes.iter().for_each(|volume| absent(&mut transaction, volume));
        for interface in &drawn.interfaces {
            absent(&mut transaction, interface);
            let key = Interface::address_key(interface.network, interface.address);
            transaction.conditions.push(Condition::Absent(key.clone()));
            transaction.writes.push(put(key, &interface.id));
        }
        for public in &drawn.publics {
            absent(&mut transaction, public);
            let key = Address::use_key(public.address);
            transaction.conditions.push(Condition::Absent(key.clone()));
            transaction.writes.push(put(key, &public.id));
        }
        let token = self.use_token(&launch.account, launch.token.as_ref(), vec![id.to_string()])?;
        if let Some((condition, write)) = token {
            transaction.conditions.push(condition);
            transaction.writes.push(write);
        }
        if transaction.writes.len().max(transaction.conditions.len()) > MAX_OPERATIONS {
            let why = "asks for more instances and disks than fit into one launch: ask for fewer";
            return Err(ComputeError::invalid("count", why));
        }
        match self.store.commit(transaction).await {
            Ok(_) => {}
            Err(CommitError::Conflict { key, .. }) => {
                let asked_for = kinds.iter().find_map(|kind| kind.request.private_address);
                let is_private = key.as_str().starts_with("address-use/")
                    && !drawn.publics.iter().any(|public| Address::use_key(public.address) == key);
                return match asked_for {
                    Some(address) if is_private => Err(ComputeError::Address {
                        why: format!("the address {address} is taken"),
                        taken: true,
                    }),
                    Some(_) | None => Ok(None),
                };
            }
            Err(error) => return Err(error.into()),
        }
        let Drawn { instances, volumes, addresses, .. } = drawn;
        let now = self.clock.now();
        volumes.iter().for_each(|volume| self.ledger.note_volume(volume));
        for instance in &instances {
            self.ledger.note_instance(instance, self.due_at(instance, now));
        }
        drop(hold);
        addresses.into_iter().for_each(AddressHold::keep);
        for instance in &instances {
            self.wake(&instance.account, instance.id, None);
        }
        Ok(Some(Launched { reservation, instances }))
    }
}

/// Most public addresses that a launch can use.
fn most_publics(kinds: &[Kind<'_>]) -> usize {
    let with_public = kinds.iter().filter(|kind| kind.request.public_address);
    with_public.map(|kind| kind.request.max.min(MAX_LAUNCH) as usize).sum()
}

fn absent<T: Resource>(transaction: &mut Transaction, value: &T) {
    transaction.conditions.push(Condition::Absent(value.key()));
    transaction.writes.push(Write::clone(&put(value.key(), value)));
}

fn boot(image: &ImageBoot) -> InstanceBoot {
    match image.clone() {
        ImageBoot::Disk {} => InstanceBoot::Disk {},
        ImageBoot::Kernel { kernel, initrd, cmdline } => InstanceBoot::Kernel { kernel, initrd, cmdline },
    }
}

/// Checks what can be said of a request without looking anything up.
fn check(request: &InstanceRequest) -> Result<(), ComputeError> {
    let InstanceRequest { min, max, .. } = *request;
    if min == 0 || max < min {
        let why = format!("at least 1 and at most as many as the maximum, not {min} to {max}");
        return Err(ComputeError::invalid("count", why));
    }
    if request.private_address.is_some() && max > 1 {
        return Err(ComputeError::invalid("private_address", "is for a single instance"));
    }
    check_name("name", &request.name)?;
    if request.user_data.len() > MAX_USER_DATA {
        return Err(ComputeError::invalid("user_data", format!("has more than {MAX_USER_DATA} bytes")));
    }
    if let Some(host_name) = &request.host_name {
        check_host_name(host_name)?;
    }
    check_metadata_options(request.metadata_options)?;
    if request.disks.len() + 1 > MAX_DISKS {
        return Err(ComputeError::Limit { what: "disks of an instance", most: MAX_DISKS as u64 });
    }
    for tags in [&request.tags, &request.volume_tags] {
        tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
    }
    Ok(())
}

/// Checks a name for people.
pub(super) fn check_name(parameter: &'static str, name: &str) -> Result<(), ComputeError> {
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let why = format!("has at most {MAX_NAME} characters, none of them control characters");
        return Err(ComputeError::invalid(parameter, why));
    }
    Ok(())
}

/// Checks what people say of a resource, where they say it.
pub(super) fn check_words(name: Option<&str>, tags: Option<&Tags>) -> Result<(), ComputeError> {
    name.map_or(Ok(()), |name| check_name("name", name))?;
    let check = tags.map_or(Ok(()), Tags::check);
    check.map_err(|error| ComputeError::invalid("tags", error.to_string()))
}

/// Checks a host name: labels of letters, digits and hyphens (RFC 1123), 64 characters in all as Linux has it.
pub(super) fn check_host_name(name: &str) -> Result<(), ComputeError> {
    if name.len() <= MAX_HOST_NAME && name.split('.').all(is_label) {
        return Ok(());
    }
    let why = "is no host name: letters, digits and hyphens, at most 64 characters";
    Err(ComputeError::invalid("host_name", why))
}

/// Checks how a guest is to get at its metadata.
pub(super) fn check_metadata_options(options: MetadataOptions) -> Result<(), ComputeError> {
    options.check().map_err(|error| ComputeError::invalid("metadata_options", error.to_string()))
}

/// What a cloud calls a disk that nobody has named: EC2 of 2007, whose images have a kernel of the host's, all of its own.
fn usual_device(cloud: Cloud, boot: &ImageBoot, kind: VolumeKind) -> Option<&'static str> {
    match (cloud, boot, kind) {
        (Cloud::Ec2, ImageBoot::Kernel { .. }, VolumeKind::System) => Some("/dev/sda1"),
        (Cloud::Ec2, ImageBoot::Kernel { .. }, VolumeKind::Ephemeral) => Some("/dev/sda2"),
        (Cloud::Ec2, ImageBoot::Kernel { .. }, VolumeKind::Swap) => Some("/dev/sda3"),
        (Cloud::Ec2, ImageBoot::Kernel { .. }, VolumeKind::Data) | (_, ImageBoot::Disk {}, _) => None,
        (Cloud::Native | Cloud::Alibaba | Cloud::Huawei, ImageBoot::Kernel { .. }, _) => None,
    }
}

/// The size of a disk, in MiB.
fn size(wanted_gib: Option<u64>, smallest_mib: u64, parameter: &'static str) -> Result<u64, ComputeError> {
    match wanted_gib {
        None => Ok(smallest_mib),
        Some(gib) if gib == 0 || gib > MAX_VOLUME_GIB => {
            Err(ComputeError::invalid(parameter, format!("a disk has 1 to {MAX_VOLUME_GIB} GiB, not {gib}")))
        }
        Some(gib) if gib << 10 < smallest_mib => {
            let why =
                format!("{gib} GiB is too small for what is on it: {} GiB", smallest_mib.div_ceil(1024));
            Err(ComputeError::invalid(parameter, why))
        }
        Some(gib) => Ok(gib << 10),
    }
}

/// The next name of a disk that is not taken, as Linux would call it.
pub(super) fn free_device(taken: impl Fn(&str) -> bool) -> Result<String, ComputeError> {
    let letters = || 'a'..='z';
    let names = letters()
        .skip(1)
        .map(|letter| format!("/dev/vd{letter}"))
        .chain(letters().flat_map(|first| letters().map(move |second| format!("/dev/vd{first}{second}"))));
    let mut free = names.filter(|name| !taken(name));
    free.next().ok_or(ComputeError::Limit { what: "disks of an instance", most: MAX_DISKS as u64 })
}
