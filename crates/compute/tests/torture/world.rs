//! A world for the core to live in: machines and disks that are only noted, a record store in memory, and a life that can be
//! ended before and after each thing that the core does to any of them. Nothing else that it does can be seen from outside,
//! so these are all the moments at which a kill makes a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use compute::id::{InstanceId, InterfaceId, JobId, SnapshotId, VolumeId, VpcId};
use compute::lifecycle::Report;
use compute::outside::{
    Beginning, ConnectError, Connection, Console, ConsoleOutput, DiskContent, Disks, Done, GroupCounts,
    GroupPlan, GuardPlan, HostError, ImportedDisk, MachineMetrics, MachinePlan, Machines, NetworkPlan,
    Networks, PresentDisks, Progressing, Sight, Tell, UrlSource,
};
use compute::store::{
    Answer, CommitError, Key, MemoryStore, Page, ReadError, Record, Revision, Store, Transaction, Watch,
};

/// What is really there. It outlives every daemon.
#[derive(Default)]
pub struct Real {
    pub vms: BTreeMap<InstanceId, Vm>,
    pub paused: BTreeSet<InstanceId>,
    /// Taps, cgroups and sockets.
    pub leavings: BTreeSet<InstanceId>,
    pub consoles: BTreeSet<InstanceId>,
    pub volumes: BTreeMap<VolumeId, u64>,
    pub snapshots: BTreeSet<SnapshotId>,
    pub images: BTreeSet<String>,
    pub files: BTreeSet<PathBuf>,
    /// Jobs for which something was fetched, and whether all of it.
    pub fetched: BTreeMap<JobId, bool>,
    /// What may pass in the host's own network, and in those of VPCs.
    pub guard: GuardPlan,
    pub vpcs: BTreeMap<VpcId, GuardPlan>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vm {
    pub disks: Vec<VolumeId>,
    /// The VMM is still there, the guest is not.
    pub ended: Option<Report>,
}

/// One life of a daemon: it ends at a moment that was chosen before.
pub struct Life {
    moments: AtomicU64,
    last: u64,
    dead: AtomicBool,
    died: tokio::sync::Notify,
}

impl Life {
    pub fn until(last: u64) -> Arc<Self> {
        let (moments, dead) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { moments, last, dead, died: tokio::sync::Notify::new() })
    }

    pub fn for_ever() -> Arc<Self> {
        Self::until(u64::MAX)
    }

    pub fn is_over(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub fn moments(&self) -> u64 {
        self.moments.load(Ordering::SeqCst)
    }

    pub async fn end(&self) {
        while !self.is_over() {
            self.died.notified().await;
        }
    }

    /// A moment passes. Nothing goes on after the last one.
    async fn pass(&self) {
        // Other tasks get their turn where real ones would.
        tokio::task::yield_now().await;
        if self.moments.fetch_add(1, Ordering::SeqCst) >= self.last {
            self.dead.store(true, Ordering::SeqCst);
            self.died.notify_waiters();
        }
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }
}

/// The world as one life of a daemon has it.
pub struct World {
    pub real: Arc<Mutex<Real>>,
    pub records: Arc<MemoryStore>,
    pub life: Arc<Life>,
    pub tell: std::sync::OnceLock<Tell>,
    /// Guests that do not care for the power button.
    pub deaf: bool,
}

impl World {
    pub fn real(&self) -> MutexGuard<'_, Real> {
        self.real.lock().unwrap()
    }

    /// Does something, with a moment before and one after.
    async fn act<T>(&self, action: impl FnOnce(&mut Real) -> T) -> T {
        self.life.pass().await;
        let result = action(&mut self.real());
        self.life.pass().await;
        result
    }

    /// Something happens to a guest by itself.
    pub fn happens(&self, instance: InstanceId, report: Report) {
        let found = self.real().vms.get_mut(&instance).is_some_and(|vm| {
            if vm.ended.is_none() && report != Report::GuestRebooted {
                vm.ended = Some(report);
            }
            true
        });
        if found && !self.life.is_over() {
            let sight = Sight { report, reason: "by itself".to_owned() };
            self.tell.get().expect("the world is open")(instance, sight);
        }
    }
}

impl Machines for World {
    fn boot<'a>(&'a self, plan: &'a MachinePlan) -> Answer<'a, Result<(), HostError>> {
        Box::pin(self.act(|real| {
            let disks: Vec<VolumeId> = plan.disks.iter().map(|disk| disk.volume).collect();
            for disk in &disks {
                assert!(real.volumes.contains_key(disk), "booted without {disk}");
                let other = real.vms.iter().find(|(id, vm)| **id != plan.instance && vm.disks.contains(disk));
                assert!(other.is_none(), "{disk} is in two machines");
            }
            for nic in &plan.nics {
                let guard = match nic.network {
                    NetworkPlan::Host => &real.guard,
                    NetworkPlan::Vpc { vpc, .. } => &real.vpcs[&vpc],
                };
                let is_member = guard.members.iter().any(|member| member.interface == nic.interface);
                assert!(is_member, "booted before the rules of {} are in force", nic.interface);
            }
            real.leavings.insert(plan.instance);
            real.consoles.insert(plan.instance);
            match real.vms.get(&plan.instance) {
                Some(Vm { ended: Some(_), .. }) => Err(HostError::Failed("the machine has ended".to_owned())),
                Some(_) => Ok(()),
                None => {
                    real.vms.insert(plan.instance, Vm { disks, ended: None });
                    Ok(())
                }
            }
        }))
    }

    fn look(&self, instance: InstanceId) -> Answer<'_, Sight> {
        Box::pin(self.act(move |real| {
            real.paused.remove(&instance);
            let report = match real.vms.get(&instance) {
                Some(Vm { ended: None, .. }) => Report::Running,
                Some(Vm { ended: Some(report), .. }) => *report,
                None => Report::Lost,
            };
            Sight { report, reason: String::new() }
        }))
    }

    fn press_power_button(&self, instance: InstanceId) -> Answer<'_, Result<(), Sight>> {
        Box::pin(async move {
            let found = self
                .act(|real| match real.vms.get(&instance) {
                    Some(Vm { ended: None, .. }) => Ok(()),
                    Some(Vm { ended: Some(report), .. }) => Err(*report),
                    None => Err(Report::Lost),
                })
                .await;
            if found.is_ok() && !self.deaf {
                self.happens(instance, Report::PoweredOff);
            }
            found.map_err(|report| Sight { report, reason: String::new() })
        })
    }

    fn reset(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| match real.vms.get(&instance) {
            Some(Vm { ended: None, .. }) => Ok(()),
            Some(_) | None => Err(HostError::Failed("there is no VM".to_owned())),
        }))
    }

    fn pause(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.paused.insert(instance);
            Ok(())
        }))
    }

    fn resume(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.paused.remove(&instance);
            Ok(())
        }))
    }

    fn set_hop_limit(&self, _: InstanceId, _: usize, _: u8) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(|_| Ok(())))
    }

    fn kill(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.vms.remove(&instance);
            real.paused.remove(&instance);
            Ok(())
        }))
    }

    fn clean_up(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            assert!(!real.vms.contains_key(&instance), "took the tap from a VM");
            real.leavings.remove(&instance);
            Ok(())
        }))
    }

    fn forget(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.consoles.remove(&instance);
            Ok(())
        }))
    }

    fn console(
        &self,
        _: InstanceId,
        _: Option<u64>,
        _: usize,
    ) -> Answer<'_, Result<ConsoleOutput, HostError>> {
        Box::pin(async { Ok(ConsoleOutput::default()) })
    }

    fn wait_console(&self, _: InstanceId, _: u64) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async { Ok(()) })
    }

    fn attach_console(
        &self,
        _: InstanceId,
        _: Option<u64>,
    ) -> Answer<'_, Result<Box<dyn Console>, HostError>> {
        Box::pin(async { Err(HostError::Refused("nobody types here".to_owned())) })
    }

    fn metrics(&self, _: InstanceId) -> Answer<'_, Result<MachineMetrics, HostError>> {
        Box::pin(async { Ok(MachineMetrics::default()) })
    }

    fn present(&self) -> Answer<'_, Result<Vec<InstanceId>, HostError>> {
        Box::pin(self.act(|real| {
            let all = real.vms.keys().chain(&real.leavings).chain(&real.consoles);
            let all: BTreeSet<InstanceId> = all.copied().collect();
            Ok(all.into_iter().collect())
        }))
    }
}

impl Networks for World {
    fn guard<'a>(&'a self, network: NetworkPlan, plan: &'a GuardPlan) -> Answer<'a, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            let addresses: BTreeSet<_> = plan.members.iter().map(|member| member.address).collect();
            assert_eq!(addresses.len(), plan.members.len(), "two members with one address");
            match network {
                NetworkPlan::Host => real.guard = plan.clone(),
                NetworkPlan::Vpc { vpc, .. } => {
                    real.vpcs.insert(vpc, plan.clone());
                }
            }
            Ok(())
        }))
    }

    fn counts<'a>(&'a self, _: NetworkPlan, _: &'a GroupPlan) -> Answer<'a, Result<GroupCounts, HostError>> {
        Box::pin(async { Ok(GroupCounts::default()) })
    }

    fn connect(
        &self,
        _: NetworkPlan,
        _: InterfaceId,
        _: SocketAddrV4,
        _: Duration,
    ) -> Answer<'_, Result<Box<dyn Connection>, ConnectError>> {
        Box::pin(async { Err(ConnectError::Refused) })
    }

    fn remove(&self, vpc: VpcId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.vpcs.remove(&vpc);
            Ok(())
        }))
    }

    fn present(&self) -> Answer<'_, Result<Vec<VpcId>, HostError>> {
        Box::pin(self.act(|real| Ok(real.vpcs.keys().copied().collect())))
    }
}

impl Disks for World {
    fn create<'a>(
        &'a self,
        volume: VolumeId,
        bytes: u64,
        content: &'a DiskContent,
    ) -> Answer<'a, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            match content {
                DiskContent::Image { sha256 } if !real.images.contains(sha256) => {
                    return Err(HostError::Refused(format!("there is no image {sha256}")));
                }
                DiskContent::Snapshot { snapshot } if !real.snapshots.contains(snapshot) => {
                    return Err(HostError::Refused(format!("there is no {snapshot}")));
                }
                _ => {}
            }
            real.volumes.insert(volume, bytes);
            Ok(())
        }))
    }

    fn grow(&self, volume: VolumeId, bytes: u64) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            let Some(size) = real.volumes.get_mut(&volume) else {
                return Err(HostError::Refused(format!("there is no {volume}")));
            };
            assert!(*size <= bytes, "{volume} shrinks");
            *size = bytes;
            Ok(())
        }))
    }

    fn delete(&self, volume: VolumeId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            assert!(!real.vms.values().any(|vm| vm.disks.contains(&volume)), "took {volume} from a VM");
            real.volumes.remove(&volume);
            Ok(())
        }))
    }

    fn snapshots_at_once(&self) -> bool {
        false
    }

    fn snapshot(&self, volume: VolumeId, snapshot: SnapshotId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            if !real.volumes.contains_key(&volume) && !real.snapshots.contains(&snapshot) {
                return Err(HostError::Refused(format!("there is no {volume}")));
            }
            real.snapshots.insert(snapshot);
            Ok(())
        }))
    }

    fn delete_snapshot(&self, snapshot: SnapshotId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.snapshots.remove(&snapshot);
            Ok(())
        }))
    }

    fn import<'a>(
        &'a self,
        file: &'a Path,
        _: Option<&'a str>,
        progress: Progressing,
    ) -> Answer<'a, Result<ImportedDisk, HostError>> {
        Box::pin(self.act(move |real| {
            if file.starts_with("/fetched") {
                let whole = real.fetched.iter().any(|(job, whole)| file.ends_with(job.to_string()) && *whole);
                assert!(whole, "imports {}, which is not there whole", file.display());
            }
            if file.ends_with("broken.qcow2") {
                return Err(HostError::Refused("the image is broken".to_owned()));
            }
            progress(Done { bytes: 1 << 20, of: 2 << 20 });
            let sha256 = format!("{:064x}", 0xabc);
            real.images.insert(sha256.clone());
            Ok(ImportedDisk { sha256, bytes: 2 << 30 })
        }))
    }

    fn peek<'a>(&'a self, _: &'a UrlSource, _: usize) -> Answer<'a, Result<Beginning, HostError>> {
        Box::pin(async { Ok(Beginning { bytes: Vec::new(), of: None }) })
    }

    fn fetch<'a>(
        &'a self,
        job: JobId,
        source: &'a UrlSource,
        progress: Progressing,
    ) -> Answer<'a, Result<PathBuf, HostError>> {
        Box::pin(async move {
            self.act(|real| *real.fetched.entry(job).or_default()).await;
            progress(Done { bytes: 1 << 20, of: 4 << 20 });
            if source.url.file_name() == "missing.raw" {
                return Err(HostError::Refused("it is not there".to_owned()));
            }
            self.act(|real| real.fetched.insert(job, true)).await;
            Ok(Path::new("/fetched").join(job.to_string()))
        })
    }

    fn delete_fetched(&self, job: JobId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.fetched.remove(&job);
            Ok(())
        }))
    }

    fn image_of(&self, snapshot: SnapshotId, _: Progressing) -> Answer<'_, Result<ImportedDisk, HostError>> {
        Box::pin(self.act(move |real| {
            if !real.snapshots.contains(&snapshot) {
                return Err(HostError::Refused(format!("there is no {snapshot}")));
            }
            let sha256 = format!("{:064x}", snapshot.number());
            real.images.insert(sha256.clone());
            Ok(ImportedDisk { sha256, bytes: 1 << 30 })
        }))
    }

    fn delete_image<'a>(&'a self, sha256: &'a str) -> Answer<'a, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.images.remove(sha256);
            Ok(())
        }))
    }

    fn keep_file<'a>(&'a self, file: &'a Path) -> Answer<'a, Result<PathBuf, HostError>> {
        Box::pin(self.act(move |real| {
            let kept = Path::new("/kept").join(file.file_name().expect("it has a name"));
            real.files.insert(kept.clone());
            Ok(kept)
        }))
    }

    fn delete_file<'a>(&'a self, kept: &'a Path) -> Answer<'a, Result<(), HostError>> {
        Box::pin(self.act(move |real| {
            real.files.remove(kept);
            Ok(())
        }))
    }

    fn present(&self) -> Answer<'_, Result<PresentDisks, HostError>> {
        Box::pin(self.act(|real| {
            Ok(PresentDisks {
                volumes: real.volumes.keys().copied().collect(),
                snapshots: real.snapshots.iter().copied().collect(),
                images: real.images.iter().cloned().collect(),
                files: real.files.iter().cloned().collect(),
                fetched: real.fetched.keys().copied().collect(),
            })
        }))
    }

    fn free_bytes(&self) -> Answer<'_, Result<u64, HostError>> {
        Box::pin(async { Ok(1 << 50) })
    }
}

impl Store for World {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Result<Option<Record>, ReadError>> {
        Box::pin(async move {
            // Reading changes nothing, but the dead do not read.
            if self.life.is_over() {
                std::future::pending::<()>().await;
            }
            self.records.get(key).await
        })
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Key>,
        limit: usize,
    ) -> Answer<'a, Result<Page, ReadError>> {
        self.records.range(prefix, after, limit)
    }

    fn commit(&self, transaction: Transaction) -> Answer<'_, Result<Revision, CommitError>> {
        Box::pin(async move {
            self.life.pass().await;
            let result = self.records.commit(transaction).await;
            self.life.pass().await;
            result
        })
    }

    fn watch(&self, prefix: &str, after: Revision) -> Box<dyn Watch> {
        self.records.watch(prefix, after)
    }
}
