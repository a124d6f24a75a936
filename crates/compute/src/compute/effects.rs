//! What the driver of an instance does to the world: each effect of `lifecycle`, by the record alone. Each may have been done
//! before, or half; finding that is success.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::records::TRIES;
use super::{Compute, ComputeError};
use crate::id::InstanceId;
use crate::lifecycle::{Effect, Report};
use crate::outside::{DiskPlan, HostError, MachinePlan, NetworkPlan, NicPlan, SeedPlan, Sight, SmbiosPlan};
use crate::resource::{
    Address, Cloud, Instance, Interface, Resource, Subnet, Volume, VolumeState, owned_key,
};
use crate::store::{CommitError, Transaction, Write, get, put};

/// How long what must succeed waits before it is tried again, and at most.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How an effect ended.
pub enum Ended {
    /// It is done.
    Done,
    /// It cannot be done, for this reason.
    GaveUp(String),
    /// Something else was seen instead.
    Saw(Sight),
}

/// What must succeed, and is tried until it does, ever less often.
pub struct Again<'a> {
    compute: &'a Compute,
    /// Whose it is, and what is to be done, for the log.
    who: String,
    what: &'static str,
    wait: Duration,
}

impl<'a> Again<'a> {
    pub fn new(compute: &'a Compute, who: impl std::fmt::Display, what: &'static str) -> Self {
        Self { compute, who: who.to_string(), what, wait: FIRST_RETRY }
    }

    /// Says what went wrong, and waits.
    pub async fn after(&mut self, error: &(dyn std::error::Error + Sync)) {
        log::error!("{}: cannot {}, and tries again: {error}", self.who, self.what);
        let clock = &self.compute.clock;
        clock.sleep_until(clock.now().saturating_add(self.wait).unwrap_or(Timestamp::MAX)).await;
        self.wait = (self.wait * 2).min(LAST_RETRY);
    }
}

impl Compute {
    /// Does it. May be dropped at any moment.
    pub(super) async fn perform(self: &Arc<Self>, effect: Effect, instance: &Instance) -> Ended {
        let id = instance.id;
        match effect {
            Effect::Prepare => outcome(self.prepare(instance).await),
            Effect::BootVm => outcome(self.boot(instance).await),
            Effect::PressPowerButton => {
                let mut again = Again::new(self, id, "press its power button");
                loop {
                    match self.machines.press_power_button(id).await {
                        Ok(()) => return Ended::Done,
                        // It can be tried until the deadline.
                        Err(sight) if sight.report == Report::Running => {
                            again.after(&HostError::Failed(sight.reason)).await;
                        }
                        Err(sight) => return Ended::Saw(sight),
                    }
                }
            }
            Effect::ResetVm => outcome(self.machines.reset(id).await.map_err(ComputeError::from)),
            Effect::KillVm => {
                let mut again = Again::new(self, id, "end its VMM");
                while let Err(error) = self.machines.kill(id).await {
                    again.after(&error).await;
                }
                Ended::Done
            }
            Effect::CleanUp => {
                let mut again = Again::new(self, id, "clean up after its VM");
                while let Err(error) = self.machines.clean_up(id).await {
                    again.after(&error).await;
                }
                self.leave_networks(instance).await;
                Ended::Done
            }
            Effect::Release => {
                let mut again = Again::new(self, id, "give back what it has");
                while let Err(error) = self.release(instance).await {
                    again.after(&error).await;
                }
                Ended::Done
            }
        }
    }

    /// Makes the disks of its volumes, and then says so of all of them at once.
    async fn prepare(&self, instance: &Instance) -> Result<(), ComputeError> {
        for _ in 0..TRIES {
            let (mut conditions, mut writes) = (Vec::new(), Vec::new());
            for disk in &instance.disks {
                let id = disk.volume.to_string();
                let mut kept = self.get_owned::<Volume>(&instance.account, &id).await?;
                if kept.value.state == VolumeState::Creating {
                    self.disks.create(disk.volume, kept.value.bytes(), &kept.value.content).await?;
                    conditions.push(kept.unmodified());
                    kept.value.state = VolumeState::InUse;
                    writes.push(put(kept.key, &kept.value));
                }
            }
            if writes.is_empty() {
                return Ok(());
            }
            match self.store.commit(Transaction { conditions, writes }).await {
                Ok(_) => return Ok(()),
                // Somebody named one meanwhile, or tagged it.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ComputeError::Contended { key: instance.key() })
    }

    async fn boot(&self, instance: &Instance) -> Result<(), ComputeError> {
        if let Some(not_before) = instance.faults.not_before {
            self.clock.sleep_until(not_before).await;
        }
        let plan = self.plan(instance).await?;
        // A guest sends nothing before its rules are in force.
        self.enter_networks(instance).await?;
        self.machines.boot(&plan).await?;
        Ok(())
    }

    /// What its machine is built of.
    async fn plan(&self, instance: &Instance) -> Result<MachinePlan, ComputeError> {
        let mut nics = Vec::with_capacity(instance.interfaces.len());
        for interface in &instance.interfaces {
            let interface =
                self.get_owned::<Interface>(&instance.account, &interface.to_string()).await?.value;
            let subnet =
                self.get_owned::<Subnet>(&instance.account, &interface.subnet.to_string()).await?.value;
            let network = self.network_plan(&instance.account, interface.network).await?;
            nics.push(self.nic(instance, &interface, &subnet, network));
        }
        let disk = |disk: &crate::resource::InstanceDisk| DiskPlan { volume: disk.volume, read_only: false };
        Ok(MachinePlan {
            instance: instance.id,
            vcpus: instance.vcpus,
            memory_mib: instance.memory_mib,
            boot: instance.boot_plan(),
            disks: instance.disks.iter().map(disk).collect(),
            nics,
            smbios: smbios(instance),
            seed: seed(instance),
        })
    }

    fn nic(
        &self,
        instance: &Instance,
        interface: &Interface,
        subnet: &Subnet,
        network: NetworkPlan,
    ) -> NicPlan {
        NicPlan {
            interface: interface.id,
            network,
            mac: interface.mac,
            address: interface.address,
            prefix_len: subnet.cidr.prefix_len(),
            router: subnet.router(),
            dns: self.config.name_servers(subnet),
            ntp: self.config.time_servers(subnet),
            name: self.config.domains.of_host(instance.cloud, &instance.host_name),
            mtu: self.config.mtu,
            hop_limit: instance.metadata_options.ttl(),
        }
    }

    /// Gives back all that an instance has, in an order in which a repetition finds what is left.
    async fn release(&self, instance: &Instance) -> Result<(), ComputeError> {
        self.machines.clean_up(instance.id).await?;
        self.leave_networks(instance).await;
        let (account, store) = (&instance.account, &*self.store);
        let (mut writes, mut conditions) = (Vec::new(), Vec::new());
        let (mut gone, mut free): (Vec<_>, Vec<(_, Ipv4Addr)>) = (Vec::new(), Vec::new());
        for disk in &instance.disks {
            let key = owned_key(Volume::WORD, account, &disk.volume.to_string());
            let Some(mut kept) = get::<Volume>(store, &key).await? else { continue };
            if kept.value.attachment.as_ref().is_some_and(|attached| attached.instance != instance.id) {
                continue;
            }
            conditions.push(kept.unmodified());
            // One whose disk was never made is of no use to anybody.
            if disk.delete_with_instance || kept.value.state == VolumeState::Creating {
                self.disks.delete(disk.volume).await?;
                gone.push(disk.volume);
                writes.push(Write::Delete(key));
            } else {
                (kept.value.attachment, kept.value.state) = (None, VolumeState::Available);
                writes.push(put(key, &kept.value));
            }
        }
        // From here on nobody lets a public address lead to an interface that goes.
        let _removing = self.references.write().await;
        for interface in &instance.interfaces {
            let key = owned_key(Interface::WORD, account, &interface.to_string());
            let Some(mut kept) = get::<Interface>(store, &key).await? else { continue };
            // One that was given back before may be somebody else's by now.
            if kept.value.instance != Some(instance.id) {
                continue;
            }
            conditions.push(kept.unmodified());
            if !kept.value.delete_with_instance {
                (kept.value.instance, kept.value.index) = (None, 0);
                writes.push(put(key, &kept.value));
                continue;
            }
            let (network, address) = (kept.value.network, kept.value.address);
            writes.push(Write::Delete(key));
            writes.push(Write::Delete(Interface::address_key(network, address)));
            free.push((network, address));
            let leads_here = |public: &Address| public.interface == Some(*interface);
            for mut public in self.all_owned::<Address>(account, leads_here).await? {
                if public.release_with_interface {
                    writes.push(Write::Delete(public.key()));
                    writes.push(Write::Delete(Address::use_key(public.address)));
                } else {
                    public.interface = None;
                    writes.push(put(public.key(), &public));
                }
            }
        }
        if !writes.is_empty() {
            self.store.commit(Transaction { conditions, writes }).await?;
        }
        for volume in gone {
            self.ledger.forget_volume(volume);
        }
        for (network, address) in free {
            self.ledger.forget_address(network, address);
        }
        Ok(())
    }
}

/// What cannot be done is given up; what the store did not do is not the instance's fault, but is told the same.
fn outcome(result: Result<(), ComputeError>) -> Ended {
    match result {
        Ok(()) => Ended::Done,
        Err(ComputeError::Host(
            HostError::Refused(why) | HostError::Exhausted(why) | HostError::Failed(why),
        )) => Ended::GaveUp(why),
        Err(error) => Ended::GaveUp(error.to_string()),
    }
}

/// The disk on which cloud-init looks first. Never two: it would have to choose.
fn seed(instance: &Instance) -> SeedPlan {
    match (instance.config_drive, instance.cloud) {
        (true, _) => SeedPlan::ConfigDrive,
        (false, Cloud::Native) => SeedPlan::NoCloud(no_cloud(instance)),
        // They ask their cloud's metadata service.
        (false, Cloud::Ec2 | Cloud::Alibaba | Cloud::Huawei) => SeedPlan::None,
    }
}

/// What cloud-init reads in a guest that is in no cloud it knows: NoCloud's files. JSON is YAML, too.
fn no_cloud(instance: &Instance) -> Vec<(&'static str, Vec<u8>)> {
    let keys: Vec<String> = instance.key_pair.iter().map(|key| key.public_key.to_string()).collect();
    let metadata = serde_json::json!({
        "instance-id": instance.id,
        "local-hostname": instance.host_name,
        "public-keys": keys,
    });
    // It is there already, and this was put in by us.
    let user_data = BASE64_STANDARD.decode(&instance.user_data).unwrap_or_default();
    vec![("meta-data", metadata.to_string().into_bytes()), ("user-data", user_data)]
}

/// Who the guest believes to be: what each cloud's guests look for (cloud-init's ds-identify).
fn smbios(instance: &Instance) -> SmbiosPlan {
    let uuid = Some(uuid_of(instance.id));
    let strings = |manufacturer: &str, product: &str, asset_tag: &str| SmbiosPlan {
        manufacturer: manufacturer.to_owned(),
        product: product.to_owned(),
        serial: instance.id.to_string(),
        uuid,
        asset_tag: asset_tag.to_owned(),
    };
    match instance.cloud {
        Cloud::Native => strings("bothy", "bothy instance", ""),
        // Told by a serial and a UUID that both begin with "ec2".
        Cloud::Ec2 => {
            let uuid = instance_uuid(instance.id, Some([0xec, 0x2f]));
            let serial = uuid.to_string();
            SmbiosPlan {
                serial,
                uuid: Some(uuid),
                ..strings("Amazon EC2", &instance.instance_type, "Amazon EC2")
            }
        }
        Cloud::Alibaba => strings("Alibaba Cloud", "Alibaba Cloud ECS", ""),
        Cloud::Huawei => SmbiosPlan {
            serial: uuid_of(instance.id).to_string(),
            ..strings("OpenStack Foundation", "OpenStack Nova", "HUAWEICLOUD")
        },
    }
}

/// An instance as a UUID, for clouds whose ids are UUIDs: the same at each look.
pub fn uuid_of(id: InstanceId) -> uuid::Uuid {
    instance_uuid(id, None)
}

fn instance_uuid(id: InstanceId, begins: Option<[u8; 2]>) -> uuid::Uuid {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(format!("bothy instance {id}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    if let Some(begins) = begins {
        bytes[..2].copy_from_slice(&begins);
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
