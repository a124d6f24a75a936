//! The core's machines on this host: a plan becomes taps, files and the configuration of a VMM. Which taps an instance has,
//! and in which network, is kept in the run folder before they are made, so that they are found whatever happens.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use compute::id::{InstanceId, InterfaceId};
use compute::lifecycle::Report;
use compute::outside::{
    BootPlan, Console, ConsoleOutput, HostError, MachineMetrics, MachinePlan, Machines, NetworkPlan, NicPlan,
    SeedPlan, Sight, SmbiosPlan,
};
use compute::store::Answer;
use hostnet::{Attachment, Network};
use vmm_api::{
    Boot, ConsoleConfig, Dhcp, Disk, DiskBoot, DiskSource, Guard, KernelBoot, MacAddress, Memory,
    MetadataRelay, Nic, Smbios, TapSource, VmConfig,
};

use crate::metadata::MetadataSockets;
use crate::networks::HostNetworks;
use crate::vmms::{CgroupLimits, Vmms};
use crate::{durable, fail};

/// How long a guest may keep an address without asking again, in seconds.
const LEASE_SECONDS: u32 = 3600;

/// Where guests ask for their metadata: EC2's and OpenStack's address, and Alibaba's.
const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(100, 100, 100, 200)];

/// By these labels cloud-init knows its seed disk (its datasource NoCloud), and OpenStack's config drive.
const SEED_LABEL: &str = "cidata";
const CONFIG_DRIVE_LABEL: &str = "config-2";

/// A tap, as it is noted: its name, and behind it the VPC and its addresses if it is not in the host's own network.
struct Tap {
    name: String,
    network: NetworkPlan,
}

impl Tap {
    fn read(line: &str) -> Result<Self, HostError> {
        let words: Vec<&str> = line.split(' ').collect();
        let (name, network) = match words[..] {
            [name] => (name, NetworkPlan::Host),
            [name, vpc, cidr] => {
                let vpc = vpc.parse().map_err(|error| failed(&error))?;
                let cidr = cidr.parse().map_err(|error| failed(&error))?;
                (name, NetworkPlan::Vpc { vpc, cidr })
            }
            _ => return Err(HostError::Failed(format!("a tap is noted as {line:?}"))),
        };
        Ok(Self { name: name.to_owned(), network })
    }
}

impl Tap {
    /// The interface: its number ends the name, as `Network::tap_name` has it.
    fn interface(&self) -> Option<InterfaceId> {
        let (_, digits) = self.name.rsplit_once('-')?;
        u32::from_str_radix(digits, 16).ok().map(InterfaceId::new)
    }
}

impl std::fmt::Display for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.network {
            NetworkPlan::Vpc { vpc, cidr } => write!(f, "{} {vpc} {cidr}", self.name),
            NetworkPlan::Host => f.write_str(&self.name),
        }
    }
}

/// The machines of this host.
pub struct HostMachines {
    vmms: Arc<Vmms>,
    networks: Arc<HostNetworks>,
    metadata: Arc<MetadataSockets>,
    /// Where volumes are.
    volumes: PathBuf,
    /// A file for each instance, with the names of its taps.
    taps: PathBuf,
    /// A file for each instance that has a seed disk.
    seeds: PathBuf,
}

impl HostMachines {
    /// Machines of these VMMs in these networks, with these sockets of the metadata service, and volumes in a folder.
    ///
    /// # Errors
    ///
    /// The folder of notes cannot be made.
    pub fn new(
        vmms: Arc<Vmms>,
        networks: Arc<HostNetworks>,
        metadata: Arc<MetadataSockets>,
        volumes: PathBuf,
        run_folder: &Path,
    ) -> io::Result<Self> {
        let (taps, seeds) = (run_folder.join("taps"), run_folder.join("seeds"));
        std::fs::create_dir_all(&taps)?;
        std::fs::create_dir_all(&seeds)?;
        Ok(Self { vmms, networks, metadata, volumes, taps, seeds })
    }

    /// Removes taps that no instance has a note of.
    ///
    /// # Errors
    ///
    /// The host does not do its part.
    pub async fn remove_stray_taps(&self) -> Result<(), HostError> {
        let mut noted = Vec::new();
        for instance in self.noted()? {
            noted.extend(self.taps_of(instance)?.into_iter().map(|tap| tap.name));
        }
        for network in self.networks.all().await {
            let present = network.present().await.map_err(|error| failed(&error))?;
            for tap in present.into_iter().filter(|tap| !noted.contains(tap)) {
                log::warn!("removes the tap {tap}, which belongs to no instance");
                fail::point("tap.detaching");
                network.detach(&tap).await.map_err(|error| failed(&error))?;
                fail::point("tap.detached");
            }
        }
        Ok(())
    }

    fn noted(&self) -> Result<Vec<InstanceId>, HostError> {
        let entries = std::fs::read_dir(&self.taps).map_err(|error| failed(&error))?;
        let mut all = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| failed(&error))?.file_name();
            // What is being written has another name.
            all.extend(name.to_str().and_then(|name| name.parse::<InstanceId>().ok()));
        }
        Ok(all)
    }

    fn note(&self, instance: InstanceId) -> PathBuf {
        self.taps.join(instance.to_string())
    }

    fn taps_of(&self, instance: InstanceId) -> Result<Vec<Tap>, HostError> {
        match std::fs::read_to_string(self.note(instance)) {
            Ok(text) => text.lines().map(Tap::read).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Makes the taps, and says in which network they are: all in one, as a VMM is in one.
    async fn make_taps(&self, plan: &MachinePlan) -> Result<Option<Arc<Network>>, HostError> {
        let Some(first) = plan.nics.first() else { return Ok(None) };
        if plan.nics.iter().any(|nic| nic.network != first.network) {
            return Err(HostError::Refused("a machine cannot be in two networks".to_owned()));
        }
        let network = self.networks.open(first.network).await?;
        let name = |nic: &NicPlan| network.tap_name(nic.interface.number());
        let taps: Vec<Tap> =
            plan.nics.iter().map(|nic| Tap { name: name(nic), network: nic.network }).collect();
        let lines: Vec<String> = taps.iter().map(Tap::to_string).collect();
        let note = self.note(plan.instance);
        let noted =
            fail::around("tap.noting", "tap.noted", || durable::write(&note, lines.join("\n").as_bytes()));
        noted.map_err(|error| failed(&error))?;
        for nic in &plan.nics {
            let attachment = Attachment {
                tap: name(nic),
                owner: None,
                mac: nic.mac,
                address: nic.address,
                router: nic.router,
            };
            fail::point("tap.attaching");
            network.attach(&attachment).await.map_err(|error| failed(&error))?;
            fail::point("tap.attached");
        }
        Ok(Some(network))
    }

    /// Makes the seed disk, if there is to be one.
    async fn make_seed(&self, plan: &MachinePlan) -> Result<(), HostError> {
        let disk = match &plan.seed {
            SeedPlan::None => return Ok(()),
            SeedPlan::NoCloud(files) => {
                let files: Vec<(&str, &[u8])> =
                    files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
                storage::seed::disk(SEED_LABEL, &files)
            }
            SeedPlan::ConfigDrive => {
                let files =
                    self.metadata.config_drive(plan.instance).await.map_err(|error| failed(&error))?;
                let files: Vec<(&str, &[u8])> =
                    files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice())).collect();
                storage::seed::disk(CONFIG_DRIVE_LABEL, &files)
            }
        };
        let path = self.seeds.join(plan.instance.to_string());
        fail::around("seed.writing", "seed.written", || durable::write(&path, &disk))
            .map_err(|error| failed(&error))
    }

    fn config(&self, plan: &MachinePlan, network: Option<&Network>) -> VmConfig {
        let disk = |disk: &compute::outside::DiskPlan| Disk {
            id: disk.volume.to_string(),
            source: DiskSource::Path(self.volumes.join(disk.volume.to_string())),
            read_only: disk.read_only,
            direct: None,
        };
        let mut disks: Vec<Disk> = plan.disks.iter().map(disk).collect();
        if plan.seed != SeedPlan::None {
            let path = self.seeds.join(plan.instance.to_string());
            disks.push(Disk {
                id: "seed".to_owned(),
                source: DiskSource::Path(path),
                read_only: true,
                direct: None,
            });
        }
        VmConfig {
            vcpus: plan.vcpus,
            threads_per_core: 1,
            memory: Memory { size_mib: plan.memory_mib, shared: false, huge_pages: false },
            boot: match plan.boot.clone() {
                BootPlan::Disk => Boot::Disk(DiskBoot::default()),
                BootPlan::Kernel { kernel, initrd, cmdline } => {
                    Boot::Kernel(KernelBoot { kernel, initrd, cmdline })
                }
            },
            disks,
            nics: network.map_or_else(Vec::new, |network| {
                plan.nics.iter().map(|nic| self.nic(network, nic)).collect()
            }),
            console: ConsoleConfig::default(),
            smbios: smbios(&plan.smbios),
        }
    }

    fn nic(&self, network: &Network, nic: &NicPlan) -> Nic {
        Nic {
            tap: TapSource::Name(network.tap_name(nic.interface.number())),
            mac: Some(MacAddress(nic.mac)),
            mtu: Some(nic.mtu),
            metadata: Some(MetadataRelay {
                socket: self.metadata.path(nic.interface),
                addresses: METADATA.to_vec(),
                hop_limit: nic.hop_limit,
            }),
            guard: Some(Guard { addresses: vec![nic.address.into()], ipv6: false }),
            dhcp: Some(Dhcp {
                address: nic.address,
                prefix_len: nic.prefix_len,
                router: nic.router,
                dns: nic.dns.clone(),
                ntp: time_servers(nic),
                host_name: nic.name.split('.').next().map(str::to_owned),
                domain: nic.name.split_once('.').map(|(_, domain)| domain.to_owned()),
                mtu: Some(nic.mtu),
                lease_seconds: LEASE_SECONDS,
                routes: Vec::new(),
            }),
        }
    }
}

impl Machines for HostMachines {
    fn boot<'a>(&'a self, plan: &'a MachinePlan) -> Answer<'a, Result<(), HostError>> {
        Box::pin(async move {
            let network = self.make_taps(plan).await?;
            for nic in &plan.nics {
                self.metadata.serve(plan.instance, nic.interface).map_err(|error| failed(&error))?;
            }
            self.make_seed(plan).await?;
            let limits = CgroupLimits { memory_mib: plan.memory_mib, vcpus: plan.vcpus };
            let config = self.config(plan, network.as_deref());
            let namespace = network.as_ref().and_then(|network| network.namespace());
            self.vmms.boot_in(plan.instance, config, limits, namespace).await
        })
    }

    fn look(&self, instance: InstanceId) -> Answer<'_, Sight> {
        Box::pin(async move {
            for interface in self.taps_of(instance).unwrap_or_default().iter().filter_map(Tap::interface) {
                if let Err(error) = self.metadata.serve(instance, interface) {
                    log::error!("{instance}: cannot serve its metadata: {error}");
                }
            }
            let sight = self.vmms.look(instance).await;
            // The daemon before may have been killed while the guest stood still for a snapshot. One that does not answer
            // would not do this either.
            let answers = sight.report == Report::Running && sight.reason.is_empty();
            if answers && let Err(error) = self.vmms.resume(instance).await {
                log::warn!("{instance}: {error}");
            }
            sight
        })
    }

    fn press_power_button(&self, instance: InstanceId) -> Answer<'_, Result<(), Sight>> {
        Box::pin(moments("button.pressing", "button.pressed", self.vmms.press_power_button(instance)))
    }

    fn reset(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(moments("reset.asking", "reset.done", self.vmms.reset(instance)))
    }

    fn pause(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(moments("pause.asking", "pause.done", self.vmms.pause(instance)))
    }

    fn resume(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(moments("resume.asking", "resume.done", self.vmms.resume(instance)))
    }

    fn set_hop_limit(
        &self,
        instance: InstanceId,
        nics: usize,
        hop_limit: u8,
    ) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.vmms.set_hop_limit(instance, nics, hop_limit))
    }

    fn kill(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.vmms.kill(instance))
    }

    fn clean_up(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move {
            self.vmms.clean_up(instance).await?;
            for tap in self.taps_of(instance)? {
                if let Some(interface) = tap.interface() {
                    self.metadata.end(interface).map_err(|error| failed(&error))?;
                }
                // With its network, it would be gone too.
                if let Some(network) = self.networks.find(tap.network).await? {
                    fail::point("tap.detaching");
                    network.detach(&tap.name).await.map_err(|error| failed(&error))?;
                    fail::point("tap.detached");
                }
            }
            // The note of the taps last: by it all this is found.
            durable::remove(&self.seeds.join(instance.to_string())).map_err(|error| failed(&error))?;
            fail::point("seed.removed");
            durable::remove(&self.note(instance)).map_err(|error| failed(&error))?;
            fail::point("tap.unnoted");
            Ok(())
        })
    }

    fn forget(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(moments("console.forgetting", "console.forgotten", self.vmms.forget(instance)))
    }

    fn console(
        &self,
        instance: InstanceId,
        offset: Option<u64>,
        limit: usize,
    ) -> Answer<'_, Result<ConsoleOutput, HostError>> {
        Box::pin(self.vmms.console(instance, offset, limit))
    }

    fn wait_console(&self, instance: InstanceId, offset: u64) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.vmms.wait_console(instance, offset))
    }

    fn attach_console(
        &self,
        instance: InstanceId,
        offset: Option<u64>,
    ) -> Answer<'_, Result<Box<dyn Console>, HostError>> {
        Box::pin(async move {
            let stream = self.vmms.attach_console(instance, offset).await?;
            Ok(Box::new(stream) as Box<dyn Console>)
        })
    }

    fn metrics(&self, instance: InstanceId) -> Answer<'_, Result<MachineMetrics, HostError>> {
        Box::pin(self.vmms.usage(instance))
    }

    fn present(&self) -> Answer<'_, Result<Vec<InstanceId>, HostError>> {
        Box::pin(async move {
            let mut all = self.vmms.present().await?;
            all.extend(self.noted()?);
            all.sort_unstable();
            all.dedup();
            Ok(all)
        })
    }
}

/// Asks a VMM, with a moment before and one after.
async fn moments<T>(before: &'static str, after: &'static str, asked: impl Future<Output = T>) -> T {
    fail::point(before);
    let answer = asked.await;
    fail::point(after);
    answer
}

/// Without the router while nobody keeps the clock that it tells of: guests look elsewhere only if they are told none.
fn time_servers(nic: &NicPlan) -> Vec<Ipv4Addr> {
    let is_good = |server: &Ipv4Addr| *server != nic.router || hostnet::clock_is_kept();
    nic.ntp.iter().copied().filter(is_good).collect()
}

fn smbios(plan: &SmbiosPlan) -> Smbios {
    Smbios {
        manufacturer: plan.manufacturer.clone(),
        product: plan.product.clone(),
        serial: plan.serial.clone(),
        uuid: plan.uuid,
        asset_tag: plan.asset_tag.clone(),
        ..Smbios::default()
    }
}

/// With all its causes, as nobody sees them afterwards.
pub(crate) fn failed(error: &dyn std::error::Error) -> HostError {
    HostError::Failed(chain(error))
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
