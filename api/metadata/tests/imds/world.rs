//! A host with a core whose machines and disks are only noted, a metadata service in front of it, and instances of each
//! cloud.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use compute::capacity::Amounts;
use compute::charge::Terms;
use compute::compute::{
    Compute, Config as CoreConfig, DiskRequest, ImageChange, InstanceRequest, Launch, ManualClock, NewImage,
    Outside, SourceRequest,
};
use compute::dns::Domains;
use compute::id::{ImageId, InstanceId, InterfaceId, SnapshotId, VolumeId, VpcId};
use compute::identity::{AccountId, Identity};
use compute::lifecycle::{AfterHostReboot, OnFailure, OnPowerOff, Report, Rules};
use compute::outside::{
    ConnectError, Connection, Console, ConsoleOutput, DiskContent, Disks, GroupCounts, GroupPlan, GuardPlan,
    HostError, ImportedDisk, MachineMetrics, MachinePlan, Machines, NetworkPlan, Networks, PresentDisks,
    Progressing, Sight,
};
use compute::resource::{Catalog, Cloud, ImageState, Instance, MetadataOptions, Tags, Zone};
use compute::secrets::{SealingKey, SealingKeys};
use compute::store::{Answer, MemoryStore};
use jiff::Timestamp;
use metadata::{Config, Limits, Service, Whose};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::http::{Guest, PATIENCE};

pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG23mmeBrmSMoxAutXAVGYBT84gGlPNzySG1hZFFPGj7";
pub const USER_DATA: &[u8] = b"#!/bin/sh\n# not text: \xff\xfe\0\r\n";
/// Trusts everybody who runs instances.
pub const TRUST: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
    "Principal":{"Service":["ecs.aliyuncs.com","ec2.amazonaws.com","op_svc_ecs"]}}]}"#;

/// Whatever is asked is done.
struct Nothing;

type Did<'a, T> = Answer<'a, Result<T, HostError>>;

fn did<'a, T: Send + 'a>(value: T) -> Did<'a, T> {
    Box::pin(async { Ok(value) })
}

impl Machines for Nothing {
    fn boot<'a>(&'a self, _: &'a MachinePlan) -> Did<'a, ()> {
        did(())
    }
    fn look(&self, _: InstanceId) -> Answer<'_, Sight> {
        Box::pin(async { Sight { report: Report::Running, reason: String::new() } })
    }
    fn press_power_button(&self, _: InstanceId) -> Answer<'_, Result<(), Sight>> {
        Box::pin(async { Ok(()) })
    }
    fn reset(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn pause(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn resume(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn set_hop_limit(&self, _: InstanceId, _: usize, _: u8) -> Did<'_, ()> {
        did(())
    }
    fn kill(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn clean_up(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn forget(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn console(&self, _: InstanceId, _: Option<u64>, _: usize) -> Did<'_, ConsoleOutput> {
        did(ConsoleOutput::default())
    }
    fn wait_console(&self, _: InstanceId, _: u64) -> Did<'_, ()> {
        did(())
    }
    fn attach_console(&self, _: InstanceId, _: Option<u64>) -> Did<'_, Box<dyn Console>> {
        Box::pin(async { Err(HostError::Refused("there is none".to_owned())) })
    }
    fn metrics(&self, _: InstanceId) -> Did<'_, MachineMetrics> {
        did(MachineMetrics::default())
    }
    fn present(&self) -> Did<'_, Vec<InstanceId>> {
        did(Vec::new())
    }
}

impl Networks for Nothing {
    fn guard<'a>(&'a self, _: NetworkPlan, _: &'a GuardPlan) -> Did<'a, ()> {
        did(())
    }
    fn counts<'a>(&'a self, _: NetworkPlan, _: &'a GroupPlan) -> Did<'a, GroupCounts> {
        did(GroupCounts::default())
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
    fn remove(&self, _: VpcId) -> Did<'_, ()> {
        did(())
    }
    fn present(&self) -> Did<'_, Vec<VpcId>> {
        did(Vec::new())
    }
}

impl Disks for Nothing {
    fn create<'a>(&'a self, _: VolumeId, _: u64, _: &'a DiskContent) -> Did<'a, ()> {
        did(())
    }
    fn grow(&self, _: VolumeId, _: u64) -> Did<'_, ()> {
        did(())
    }
    fn delete(&self, _: VolumeId) -> Did<'_, ()> {
        did(())
    }
    fn snapshots_at_once(&self) -> bool {
        true
    }
    fn snapshot(&self, _: VolumeId, _: SnapshotId) -> Did<'_, ()> {
        did(())
    }
    fn delete_snapshot(&self, _: SnapshotId) -> Did<'_, ()> {
        did(())
    }
    fn import<'a>(&'a self, _: &'a Path, _: Option<&'a str>, _: Progressing) -> Did<'a, ImportedDisk> {
        did(ImportedDisk { sha256: format!("{:064x}", 0xabc), bytes: 1 << 30 })
    }
    fn image_of(&self, _: SnapshotId, _: Progressing) -> Did<'_, ImportedDisk> {
        did(ImportedDisk { sha256: format!("{:064x}", 0xdef), bytes: 1 << 30 })
    }
    fn delete_image<'a>(&'a self, _: &'a str) -> Did<'a, ()> {
        did(())
    }
    fn keep_file<'a>(&'a self, file: &'a Path) -> Did<'a, PathBuf> {
        did(file.to_owned())
    }
    fn delete_file<'a>(&'a self, _: &'a Path) -> Did<'a, ()> {
        did(())
    }
    fn present(&self) -> Did<'_, PresentDisks> {
        did(PresentDisks::default())
    }
    fn free_bytes(&self) -> Did<'_, u64> {
        did(1 << 40)
    }
}

/// A host.
pub struct Host {
    pub compute: Arc<Compute>,
    pub identity: Arc<Identity>,
    pub clock: Arc<ManualClock>,
    pub service: Service,
    pub account: AccountId,
    pub image: ImageId,
    pub folder: tempfile::TempDir,
    pub ending: watch::Sender<bool>,
}

impl Host {
    pub async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub async fn start_with(limits: Limits) -> Self {
        Self::start_at(limits, "2026-11-24T00:00:00Z".parse().unwrap()).await
    }

    pub async fn start_at(limits: Limits, now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let keys = SealingKeys::new(vec![], SealingKey::generate());
        let outside = Outside {
            store: Arc::new(MemoryStore::new()),
            machines: Arc::new(Nothing),
            networks: Arc::new(Nothing),
            disks: Arc::new(Nothing),
            clock: clock.clone(),
            keys: keys.clone(),
        };
        let config = CoreConfig {
            node: "node".to_owned(),
            catalog: Catalog {
                region: "eu-west-1".to_owned(),
                // A region and a letter: EC2's clients take the letter away to know the region.
                zones: vec![Zone { name: "eu-west-1a".to_owned() }],
                ..Catalog::default()
            },
            capacity: Amounts { instances: 1000, vcpus: 1000, memory_mib: 1 << 20, disk_gib: 1 << 20 },
            allowance: Amounts::UNLIMITED,
            network: "10.98.0.0/22".parse().unwrap(),
            dns: vec!["10.98.0.2".parse().unwrap(), "10.98.0.3".parse().unwrap()],
            ntp: vec!["10.98.0.2".parse().unwrap()],
            domains: Domains::new("compute.internal", "compute.example").unwrap(),
            mtu: 1500,
            public_addresses: vec!["203.0.113.0/29".parse().unwrap()],
            limits: Default::default(),
            charging: Default::default(),
        };
        let compute = Compute::new(config, outside);
        compute.recover().await.unwrap();
        let identity = Arc::new(Identity::new(compute.store().clone(), keys));
        let account = identity.create_account("acme", Amounts::UNLIMITED, now).await.unwrap().id;
        let image = image(&compute, &account.to_string()).await;
        compute.import_key_pair(&account.to_string(), "my key", KEY, Tags::default()).await.unwrap();
        let config = Config { package_mirror: Some("http://mirror.example".to_owned()), limits };
        let service = Service::new(compute.clone(), identity.clone(), config);
        let (ending, _) = watch::channel(false);
        Self {
            compute,
            identity,
            clock,
            service,
            account,
            image,
            folder: tempfile::tempdir().unwrap(),
            ending,
        }
    }

    /// What is launched unless a test wants something else: everything that metadata can tell of.
    pub fn request(&self, cloud: Cloud) -> InstanceRequest {
        let disk = |size_gib, content| DiskRequest {
            size_gib: Some(size_gib),
            content,
            name: "a disk".to_owned(),
            ..DiskRequest::default()
        };
        InstanceRequest {
            min: 1,
            max: 1,
            cloud,
            image: self.image,
            instance_type: "m1.small".to_owned(),
            name: "web-1".to_owned(),
            description: String::new(),
            host_name: None,
            key_pair: Some("my key".to_owned()),
            password: None,
            user_data: USER_DATA.to_vec(),
            metadata: BTreeMap::from([("a key".to_owned(), "a value".to_owned())]),
            metadata_options: MetadataOptions::default(),
            config_drive: false,
            role: Some("EcsRamRoleTest".to_owned()),
            system_disk: DiskRequest { device: Some("/dev/sda1".to_owned()), ..DiskRequest::default() },
            disks: vec![
                DiskRequest { device: Some("/dev/sda2".to_owned()), ..disk(4, SourceRequest::Ephemeral) },
                DiskRequest { device: Some("/dev/sda3".to_owned()), ..disk(1, SourceRequest::Swap) },
            ],
            zone: None,
            subnet: None,
            private_address: Some("10.98.0.9".parse().unwrap()),
            public_address: true,
            security_groups: vec![],
            tags: Tags(BTreeMap::from([
                ("Name".to_owned(), "web".to_owned()),
                ("two words".to_owned(), "hidden".to_owned()),
                ("a/b".to_owned(), "hidden".to_owned()),
            ])),
            volume_tags: Tags::default(),
            terms: Terms::PayAsYouGo { release: None },
            rules: Rules {
                start_when_created: true,
                on_power_off: OnPowerOff::Stop,
                on_failure: OnFailure::Report,
                after_host_reboot: AfterHostReboot::Start,
            },
            protected: false,
            dialect: serde_json::Value::Null,
        }
    }

    /// Nothing but what it must have.
    pub fn bare_request(&self, cloud: Cloud) -> InstanceRequest {
        InstanceRequest {
            name: String::new(),
            key_pair: None,
            user_data: vec![],
            metadata: BTreeMap::new(),
            role: None,
            system_disk: DiskRequest::default(),
            disks: vec![],
            private_address: None,
            public_address: false,
            tags: Tags::default(),
            ..self.request(cloud)
        }
    }

    pub async fn launch(&self, request: InstanceRequest) -> Instance {
        let launch = Launch {
            account: self.account.to_string(),
            token: None,
            kinds: vec![request],
            allowance: Amounts::UNLIMITED,
            dry_run: false,
        };
        self.compute.launch(&launch).await.unwrap().instances.remove(0)
    }

    /// Launches an instance, and binds the socket of its interface.
    pub async fn guest(&self, request: InstanceRequest) -> (Instance, Guest) {
        let instance = self.launch(request).await;
        let guest = self.bind(&instance, instance.interfaces[0]);
        (instance, guest)
    }

    pub fn bind(&self, instance: &Instance, interface: InterfaceId) -> Guest {
        let socket = self.folder.path().join(format!("{interface}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let (service, mut end) = (self.service.clone(), self.ending.subscribe());
        let whose = Whose { instance: instance.id, interface };
        tokio::spawn(async move {
            let shutdown = async move {
                let _ = end.wait_for(|ended| *ended).await;
            };
            service.serve(listener, whose, shutdown).await;
        });
        Guest::new(&socket)
    }

    /// Makes the role that instances here have.
    pub async fn role(&self, trust: &str) {
        let now = self.compute.clock().now();
        self.identity.create_role(self.account, "EcsRamRoleTest", "", trust, 3600, now).await.unwrap();
    }
}

async fn image(compute: &Arc<Compute>, account: &str) -> ImageId {
    let new = NewImage {
        name: "spamd".to_owned(),
        location: "my-amis/spamd-image.manifest.xml".to_owned(),
        ..NewImage::default()
    };
    let (image, _) = compute.import_image(account, &new, "/images/good.raw".into(), None).await.unwrap();
    let image = image.unwrap();
    let codes = ImageChange { product_codes: Some(vec!["774F4FF8".to_owned()]), ..ImageChange::default() };
    compute.change_image(account, image.id, &codes).await.unwrap();
    let available = async {
        while compute.image(account, image.id).await.unwrap().state != ImageState::Available {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, available).await.expect("the image is imported in time");
    image.id
}
