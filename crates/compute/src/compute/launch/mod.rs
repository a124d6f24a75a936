//! Launching: from a request to the records of a reservation, its instances, their volumes and interfaces, all in one
//! transaction. What they need is held before; the minimum or nothing (EC2 RunInstances). Everything else is the drivers'.

mod disks;
mod interfaces;
mod request;

use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use disks::Disk;
pub use disks::{DiskRequest, SourceRequest};
pub(super) use disks::{MAX_DISKS, MAX_VOLUME_GIB, SMALLEST_MIB, disk_size, free_device};
use interfaces::Nic;
pub(super) use interfaces::check_together;
pub use interfaces::{InterfaceRequest, LaunchInterface};
pub use request::{InstanceRequest, MAX_USER_DATA, OwnNames, PublicAddress};
pub(super) use request::{check_host_name, check_metadata_options, check_name, check_words};

use super::addresses::too_few;
use super::ledger::{AddressHold, Hold};
use super::{Compute, ComputeError, Token};
use crate::capacity::{Amounts, Ask, narrow};
use crate::id::{InstanceId, InterfaceId, ReservationId, VolumeId};
use crate::lifecycle::Progress;
use crate::resource::{
    Address, Attachment, Faults, Image, ImageBoot, ImageState, Instance, InstanceBoot, InstanceDisk,
    InstanceKey, InstanceType, Interface, KeyPair, Reservation, Resource, Volume, VolumeState, named_key,
    owned_key,
};
use crate::store::{CommitError, Condition, Kept, MAX_OPERATIONS, Transaction, Write, put};

/// Most instances of one launch.
pub const MAX_LAUNCH: u32 = 100;
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
    nics: Vec<Nic>,
    disks: Vec<Disk>,
}

impl Kind<'_> {
    /// Whether there are no more of them than public addresses.
    fn needs_public(&self) -> bool {
        self.request.public_address == PublicAddress::Always
    }
}

/// Records that are about to be written, and the addresses that are held for them.
#[derive(Default)]
struct Drawn {
    instances: Vec<Instance>,
    volumes: Vec<Volume>,
    interfaces: Vec<Interface>,
    /// Interfaces that were there, as they are to be.
    taken: Vec<Kept<Interface>>,
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
        request::check(request)?;
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
        let nics = self.nics(account, request).await?;
        self.check_zone(request, &nics)?;
        let disks = self.disk_plans(account, request, &image, &instance_type, key.as_ref()).await?;
        Ok(Kind { request, image, instance_type, key, nics, disks })
    }

    /// The instance type of this name.
    pub fn instance_type(&self, name: &str) -> Result<&InstanceType, ComputeError> {
        let offered = self.config.catalog.instance_type(name);
        offered.ok_or_else(|| ComputeError::NotFound { what: "instance type", id: name.to_owned() })
    }

    fn check_zone(&self, request: &InstanceRequest, nics: &[Nic]) -> Result<(), ComputeError> {
        let Some(zone) = &request.zone else { return Ok(()) };
        if !self.config.catalog.zones.iter().any(|known| known.name == *zone) {
            return Err(ComputeError::NotFound { what: "zone", id: zone.clone() });
        }
        let says_where = request.interfaces.iter().any(InterfaceRequest::says_where);
        match nics.first() {
            Some(first) if says_where && first.subnet.zone != *zone => {
                let why = format!("is not the subnet's, which is {}", first.subnet.zone);
                Err(ComputeError::invalid("zone", why))
            }
            Some(_) | None => Ok(()),
        }
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
        let with_public = kinds.iter().zip(&mut asks).filter(|(kind, _)| kind.needs_public());
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
        for group in kinds.iter().flat_map(|kind| &kind.nics).flat_map(|nic| &nic.groups) {
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
        let needed = kinds.iter().zip(counts).filter(|(kind, _)| kind.needs_public());
        let mut needed: usize = needed.map(|(_, count)| *count as usize).sum();
        // Round by round, so that their order tells in which the surplus was given.
        let rounds = counts.iter().copied().max().unwrap_or(0);
        for round in 0..rounds {
            for (kind, _) in kinds.iter().zip(counts).filter(|(_, count)| round < **count) {
                let first = self.draw_one(launch, kind, (reservation, round), now, &mut drawn)?;
                let is_to_have = match kind.request.public_address {
                    PublicAddress::Never => false,
                    PublicAddress::IfAny => publics.len() > needed,
                    PublicAddress::Always => true,
                };
                if kind.needs_public() {
                    needed -= 1;
                }
                if is_to_have && let Some(address) = publics.pop() {
                    let mut public = self.new_address(&launch.account, address);
                    (public.interface, public.release_with_interface) = (first, true);
                    drawn.publics.push(public);
                }
            }
        }
        Ok(drawn)
    }

    /// Draws one instance, and gives its first interface.
    fn draw_one(
        &self,
        launch: &Launch,
        kind: &Kind<'_>,
        (reservation, round): (ReservationId, u32),
        now: Timestamp,
        drawn: &mut Drawn,
    ) -> Result<Option<InterfaceId>, ComputeError> {
        let (request, account) = (kind.request, &launch.account);
        let own_names = request.own_names.get(round as usize).cloned().unwrap_or_default();
        let id = InstanceId::draw();
        let interfaces = self.draw_interfaces(account, id, &kind.nics, now, drawn)?;
        // What else is of an instance is where its first interface is.
        let (Some((first, address)), Some(nic)) = (interfaces.first().copied(), kind.nics.first()) else {
            return Err(ComputeError::invalid("network_interfaces", "has none: an instance needs one"));
        };
        let subnet = &nic.subnet;
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
                zone: subnet.zone.clone(),
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
            name: own_names.name.unwrap_or_else(|| request.name.clone()),
            description: request.description.clone(),
            host_name: own_names
                .host_name
                .or_else(|| request.host_name.clone())
                .unwrap_or_else(|| request.cloud.host_name(id, address)),
            image: kind.image.id,
            instance_type: kind.instance_type.name.clone(),
            vcpus: kind.instance_type.vcpus,
            memory_mib: kind.instance_type.memory_mib,
            zone: request.zone.clone().unwrap_or_else(|| subnet.zone.clone()),
            boot: boot(&kind.image.boot),
            key_pair: kind.key.clone(),
            password: request.password.as_ref().map(|password| self.keys.seal(password, &place)),
            user_data: BASE64_STANDARD.encode(&request.user_data),
            metadata: request.metadata.clone(),
            metadata_options: request.metadata_options,
            config_drive: request.config_drive,
            role: request.role.clone(),
            disks,
            interfaces: interfaces.iter().map(|(id, _)| *id).collect(),
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
        Ok(Some(first))
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
        for taken in &drawn.taken {
            transaction.conditions.push(taken.unmodified());
            transaction.writes.push(put(taken.key.clone(), &taken.value));
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
                let mut asked = kinds.iter().flat_map(|kind| &kind.nics).filter_map(Nic::asked);
                return match asked.find(|(_, of)| *of == key) {
                    Some((address, _)) => Err(ComputeError::Address {
                        why: format!("the address {address} is taken"),
                        taken: true,
                    }),
                    // An interface that was there is looked at anew, too.
                    None => Ok(None),
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
    let with_public = kinds.iter().filter(|kind| kind.request.public_address != PublicAddress::Never);
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
