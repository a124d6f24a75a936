//! A world for the core to live in: machines and disks that are noted in memory, a console that says what it is told. And a
//! service in front of it, on a unix socket, on TCP and on TLS.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use compute::capacity::Amounts;
use compute::compute::{Compute, Config, ManualClock, Outside};
use compute::id::{InstanceId, InterfaceId, JobId, SnapshotId, VolumeId, VpcId};
use compute::identity::Identity;
use compute::lifecycle::{Limits as LifeLimits, Report};
use compute::outside::{
    Beginning, ConnectError, Connection, Console, ConsoleOutput, DiskContent, Disks, Done, GroupCounts,
    GroupPlan, GuardPlan, HostError, ImportedDisk, MachineMetrics, MachinePlan, Machines, NetworkPlan,
    Networks, PresentDisks, Progressing, Sight, Tell, Traffic, UrlSource,
};
use compute::resource::Catalog;
use compute::secrets::{SealingKey, SealingKeys};
use compute::store::Answer;
use dialects::native::{HostFacts, Limits, Operators, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use super::client::Client;
use store::FailingStore;

#[path = "store.rs"]
pub mod store;

/// What is there.
#[derive(Default)]
pub struct Real {
    pub vms: BTreeSet<InstanceId>,
    /// What each was last built of.
    pub plans: BTreeMap<InstanceId, MachinePlan>,
    pub consoles: BTreeMap<InstanceId, Vec<u8>>,
    pub volumes: BTreeMap<VolumeId, u64>,
    pub snapshots: BTreeSet<SnapshotId>,
    /// What may pass in each network, as was said last.
    pub guards: Vec<(NetworkPlan, GuardPlan)>,
    /// What servers have, by its URL.
    pub served: BTreeMap<String, Vec<u8>>,
    /// What is asked of disks and consoles fails like this.
    pub trouble: Option<HostError>,
}

#[derive(Default)]
pub struct World {
    real: Mutex<Real>,
    printed: Notify,
    tell: OnceLock<Tell>,
}

impl World {
    pub fn real(&self) -> MutexGuard<'_, Real> {
        self.real.lock().unwrap()
    }

    /// A guest prints.
    pub fn print(&self, instance: InstanceId, text: &[u8]) {
        self.real().consoles.entry(instance).or_default().extend_from_slice(text);
        self.printed.notify_waiters();
    }

    fn do_disk<T>(&self, action: impl FnOnce(&mut Real) -> T) -> Result<T, HostError> {
        let mut real = self.real();
        match real.trouble.clone() {
            Some(trouble) => Err(trouble),
            None => Ok(action(&mut real)),
        }
    }

    fn served(&self, source: &UrlSource) -> Result<Vec<u8>, HostError> {
        let served = self.real().served.get(source.url.as_str()).cloned();
        served.ok_or_else(|| {
            HostError::Refused(format!("cannot fetch {}: the server answers 404 Not Found", source.url))
        })
    }

    fn runs(&self, instance: InstanceId) -> Result<(), HostError> {
        let runs = self.real().vms.contains(&instance);
        if runs { Ok(()) } else { Err(HostError::Refused("the instance does not run".to_owned())) }
    }
}

impl Machines for World {
    fn boot<'a>(&'a self, plan: &'a MachinePlan) -> Answer<'a, Result<(), HostError>> {
        Box::pin(async move {
            self.real().vms.insert(plan.instance);
            self.real().plans.insert(plan.instance, plan.clone());
            self.print(plan.instance, b"login: ");
            Ok(())
        })
    }

    fn look(&self, instance: InstanceId) -> Answer<'_, Sight> {
        Box::pin(async move {
            let report = if self.real().vms.contains(&instance) { Report::Running } else { Report::Lost };
            Sight { report, reason: String::new() }
        })
    }

    fn press_power_button(&self, instance: InstanceId) -> Answer<'_, Result<(), Sight>> {
        Box::pin(async move {
            let sight = |report| Sight { report, reason: String::new() };
            if !self.real().vms.contains(&instance) {
                return Err(sight(Report::Lost));
            }
            self.tell.get().unwrap()(instance, sight(Report::PoweredOff));
            Ok(())
        })
    }

    fn reset(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move { self.runs(instance) })
    }

    fn pause(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move { self.runs(instance) })
    }

    fn resume(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move { self.runs(instance) })
    }

    fn set_hop_limit(&self, instance: InstanceId, _: usize, _: u8) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move { self.runs(instance) })
    }

    fn kill(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move {
            self.real().vms.remove(&instance);
            Ok(())
        })
    }

    fn clean_up(&self, _: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async { Ok(()) })
    }

    fn forget(&self, instance: InstanceId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move {
            self.real().consoles.remove(&instance);
            Ok(())
        })
    }

    fn console(
        &self,
        instance: InstanceId,
        offset: Option<u64>,
        limit: usize,
    ) -> Answer<'_, Result<ConsoleOutput, HostError>> {
        Box::pin(async move {
            let real = self.real();
            let bytes = real.consoles.get(&instance).cloned().unwrap_or_default();
            if let Some(trouble) = real.trouble.clone() {
                return Err(trouble);
            }
            let from = usize::try_from(offset.unwrap_or(0)).unwrap().min(bytes.len());
            let bytes = bytes[from..].iter().copied().take(limit).collect();
            Ok(ConsoleOutput { offset: from as u64, bytes })
        })
    }

    fn wait_console(&self, instance: InstanceId, offset: u64) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move {
            loop {
                let printed = self.printed.notified();
                tokio::pin!(printed);
                printed.as_mut().enable();
                if self.real().consoles.get(&instance).is_some_and(|bytes| bytes.len() as u64 > offset) {
                    return Ok(());
                }
                printed.await;
            }
        })
    }

    fn attach_console(
        &self,
        instance: InstanceId,
        offset: Option<u64>,
    ) -> Answer<'_, Result<Box<dyn Console>, HostError>> {
        Box::pin(async move {
            self.runs(instance)?;
            let (ours, mut guest) = tokio::io::duplex(4096);
            // A guest that prints what is typed, in capitals.
            tokio::spawn(async move {
                guest.write_all(format!("from {offset:?}\n").as_bytes()).await.unwrap();
                let mut buffer = [0; 256];
                while let Ok(count @ 1..) = guest.read(&mut buffer).await {
                    guest.write_all(&buffer[..count].to_ascii_uppercase()).await.unwrap();
                }
            });
            Ok(Box::new(ours) as Box<dyn Console>)
        })
    }

    fn metrics(&self, instance: InstanceId) -> Answer<'_, Result<MachineMetrics, HostError>> {
        Box::pin(async move {
            self.runs(instance)?;
            Ok(MachineMetrics { cpu_ms: 7, net_send_packets: 9, ..MachineMetrics::default() })
        })
    }

    fn present(&self) -> Answer<'_, Result<Vec<InstanceId>, HostError>> {
        Box::pin(async { Ok(self.real().vms.iter().copied().collect()) })
    }
}

impl Networks for World {
    fn guard<'a>(&'a self, network: NetworkPlan, plan: &'a GuardPlan) -> Answer<'a, Result<(), HostError>> {
        Box::pin(async move {
            let mut real = self.real();
            real.guards.retain(|(other, _)| *other != network);
            real.guards.push((network, plan.clone()));
            Ok(())
        })
    }

    /// The first rule counts one, the second two, and each is of ten bytes.
    fn counts<'a>(
        &'a self,
        _: NetworkPlan,
        group: &'a GroupPlan,
    ) -> Answer<'a, Result<GroupCounts, HostError>> {
        Box::pin(async {
            let traffic = |packets: u64| Traffic { packets, bytes: packets * 10 };
            let rules = (1..).zip(&group.rules).map(|(number, _)| traffic(number)).collect();
            Ok(GroupCounts { rules, dropped_in: traffic(100), dropped_out: traffic(200) })
        })
    }

    /// On port 22 is one who says nothing until all was said, and then repeats it in capitals. On port 7 nobody answers, and
    /// all others are closed.
    fn connect(
        &self,
        _: NetworkPlan,
        _: InterfaceId,
        to: SocketAddrV4,
        limit: Duration,
    ) -> Answer<'_, Result<Box<dyn Connection>, ConnectError>> {
        Box::pin(async move {
            match to.port() {
                22 => {
                    let (ours, mut guest) = tokio::io::duplex(4096);
                    tokio::spawn(async move {
                        let mut heard = String::new();
                        guest.read_to_string(&mut heard).await.unwrap();
                        // Whoever wanted to hear it may be gone.
                        let _ = guest.write_all(format!("{to}: {}", heard.to_uppercase()).as_bytes()).await;
                    });
                    Ok(Box::new(ours) as Box<dyn Connection>)
                }
                7 => {
                    tokio::time::sleep(limit).await;
                    Err(ConnectError::Silent)
                }
                _ => Err(ConnectError::Refused),
            }
        })
    }

    fn remove(&self, _: VpcId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async { Ok(()) })
    }

    fn present(&self) -> Answer<'_, Result<Vec<VpcId>, HostError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl Disks for World {
    fn create<'a>(
        &'a self,
        volume: VolumeId,
        bytes: u64,
        _: &'a DiskContent,
    ) -> Answer<'a, Result<(), HostError>> {
        Box::pin(async move { self.do_disk(|real| real.volumes.insert(volume, bytes)).map(|_| ()) })
    }

    fn grow(&self, volume: VolumeId, bytes: u64) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move { self.do_disk(|real| real.volumes.insert(volume, bytes)).map(|_| ()) })
    }

    fn delete(&self, volume: VolumeId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move {
            self.real().volumes.remove(&volume);
            Ok(())
        })
    }

    fn snapshots_at_once(&self) -> bool {
        true
    }

    fn snapshot(&self, _: VolumeId, snapshot: SnapshotId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move { self.do_disk(|real| real.snapshots.insert(snapshot)).map(|_| ()) })
    }

    fn delete_snapshot(&self, snapshot: SnapshotId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async move {
            self.real().snapshots.remove(&snapshot);
            Ok(())
        })
    }

    fn import<'a>(
        &'a self,
        file: &'a Path,
        _: Option<&'a str>,
        _: Progressing,
    ) -> Answer<'a, Result<ImportedDisk, HostError>> {
        Box::pin(async move {
            if file.ends_with("broken.qcow2") {
                return Err(HostError::Refused("the image is broken".to_owned()));
            }
            self.do_disk(|_| ImportedDisk { sha256: format!("{:064x}", 0xabc), bytes: 2 << 30 })
        })
    }

    fn peek<'a>(&'a self, source: &'a UrlSource, bytes: usize) -> Answer<'a, Result<Beginning, HostError>> {
        Box::pin(async move {
            let content = self.do_disk(|_| ()).and_then(|()| self.served(source))?;
            let of = Some(content.len() as u64);
            Ok(Beginning { bytes: content.into_iter().take(bytes).collect(), of })
        })
    }

    fn fetch<'a>(
        &'a self,
        job: JobId,
        source: &'a UrlSource,
        progress: Progressing,
    ) -> Answer<'a, Result<PathBuf, HostError>> {
        Box::pin(async move {
            progress(Done { bytes: 1 << 20, of: 4 << 20 });
            self.served(source)?;
            Ok(PathBuf::from(format!("/fetched/{job}")))
        })
    }

    fn delete_fetched(&self, _: JobId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(async { Ok(()) })
    }

    fn image_of(&self, snapshot: SnapshotId, _: Progressing) -> Answer<'_, Result<ImportedDisk, HostError>> {
        Box::pin(async move {
            self.do_disk(|_| ImportedDisk { sha256: format!("{:064x}", snapshot.number()), bytes: 1 << 30 })
        })
    }

    fn delete_image<'a>(&'a self, _: &'a str) -> Answer<'a, Result<(), HostError>> {
        Box::pin(async { Ok(()) })
    }

    fn keep_file<'a>(&'a self, file: &'a Path) -> Answer<'a, Result<PathBuf, HostError>> {
        Box::pin(async move { Ok(Path::new("/kept").join(file.file_name().unwrap())) })
    }

    fn delete_file<'a>(&'a self, _: &'a Path) -> Answer<'a, Result<(), HostError>> {
        Box::pin(async { Ok(()) })
    }

    fn present(&self) -> Answer<'_, Result<PresentDisks, HostError>> {
        Box::pin(async { Ok(PresentDisks::default()) })
    }

    fn free_bytes(&self) -> Answer<'_, Result<u64, HostError>> {
        Box::pin(async { self.do_disk(|_| 1 << 40) })
    }
}

/// A node with its API.
pub struct Node {
    pub world: Arc<World>,
    pub compute: Arc<Compute>,
    pub clock: Arc<ManualClock>,
    pub store: Arc<FailingStore>,
    pub service: Service,
    pub socket: PathBuf,
    pub ending: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

/// What keeps tests short.
pub fn limits() -> Limits {
    Limits { head: Duration::from_millis(500), body: Duration::from_millis(500), ..Limits::default() }
}

impl Node {
    pub async fn start() -> Self {
        Self::start_with(
            limits(),
            Amounts { instances: 1000, vcpus: 1000, memory_mib: 1 << 20, disk_gib: 1 << 20 },
        )
        .await
    }

    pub async fn start_with(limits: Limits, capacity: Amounts) -> Self {
        Self::start_among(limits, capacity, "203.0.113.0/29").await
    }

    /// One with these public addresses.
    pub async fn start_among(limits: Limits, capacity: Amounts, public_addresses: &str) -> Self {
        let (world, store) = (Arc::new(World::default()), Arc::new(FailingStore::default()));
        let clock = Arc::new(ManualClock::new("2026-11-24T00:00:00Z".parse().unwrap()));
        let keys = SealingKeys::new(vec![], SealingKey::generate());
        let outside = Outside {
            store: store.clone(),
            machines: world.clone(),
            networks: world.clone(),
            disks: world.clone(),
            clock: clock.clone(),
            keys: keys.clone(),
        };
        let config = Config {
            node: "node".to_owned(),
            catalog: Catalog::default(),
            capacity,
            allowance: Amounts::UNLIMITED,
            network: "10.98.0.0/22".parse().unwrap(),
            dns: vec![],
            ntp: vec![],
            domains: compute::dns::Domains::of_region("local").unwrap(),
            mtu: 1500,
            public_addresses: vec![public_addresses.parse().unwrap()],
            limits: LifeLimits::default(),
            charging: Default::default(),
            host_kernel: None,
        };
        let compute = Compute::new(config, outside);
        let weak = Arc::downgrade(&compute);
        let told: Tell = Arc::new(move |instance, sight| {
            if let Some(compute) = weak.upgrade() {
                compute.saw(instance, sight);
            }
        });
        assert!(world.tell.set(told).is_ok());
        compute.recover().await.unwrap();
        let identity = Arc::new(Identity::new(compute.store().clone(), keys));
        let facts = HostFacts {
            version: "1.2.3".to_owned(),
            vmm_version: "1.2.3".to_owned(),
            kernel: "6.1".to_owned(),
            started_at: "2026-11-24T00:00:00Z".parse().unwrap(),
            reflink: true,
        };
        let service = Service::new(compute.clone(), identity, facts, limits);
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (ending, end) = watch::channel(false);
        let serving = service.clone();
        tokio::spawn(async move { serving.serve_unix(listener, Operators::default(), until(end)).await });
        Self { world, compute, clock, store, service, socket, ending, _folder: folder }
    }

    /// The operator.
    pub fn operator(&self) -> Client {
        Client::unix(&self.socket)
    }

    /// Serves TCP, with or without TLS, and says where.
    pub async fn serve_tcp(&self, tls: Option<TlsAcceptor>) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (service, end) = (self.service.clone(), self.ending.subscribe());
        tokio::spawn(async move { service.serve_tcp(listener, tls, until(end)).await });
        address
    }

    /// An image that can be launched, of the account that the client acts for.
    pub async fn image(&self, client: &Client, name: &str) -> String {
        let body = serde_json::json!({ "name": name, "source": { "disk": { "path": "/images/good.raw" } } });
        let job = client.post("/v1/image-imports", &body).await.status(202);
        let image = job["image"].as_str().unwrap().to_owned();
        client.until(&format!("/v1/images/{image}"), "/state", "available").await;
        image
    }
}

async fn until(mut end: watch::Receiver<bool>) {
    let _ = end.wait_for(|ended| *ended).await;
}
