//! A host with a core whose machines and disks are only noted, a metadata service in front of it, and instances of each
//! cloud.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use compute::capacity::Amounts;
use compute::charge::Terms;
use compute::compute::{
    Compute, Config as CoreConfig, DiskRequest, ImageChange, InstanceRequest, InterfaceRequest, Launch,
    LaunchInterface, ManualClock, NewImage, Outside, PublicAddress, SourceRequest,
};
use compute::dns::Domains;
use compute::id::{ImageId, InterfaceId};
use compute::identity::{AccountId, Identity};
use compute::lifecycle::{AfterHostReboot, OnFailure, OnPowerOff, Rules};
use compute::outside::ImageSource;
use compute::resource::{Catalog, Cloud, ImageState, Instance, MetadataOptions, Tags, Zone};
use compute::secrets::{SealingKey, SealingKeys};
use compute::store::MemoryStore;
use idle_host::IdleHost;
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
            machines: Arc::new(IdleHost),
            networks: Arc::new(IdleHost),
            disks: Arc::new(IdleHost),
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
            host_kernel: None,
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
            own_names: Vec::new(),
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
            without: Vec::new(),
            zone: None,
            interfaces: vec![InterfaceRequest::New(LaunchInterface {
                address: Some("10.98.0.9".parse().unwrap()),
                ..LaunchInterface::default()
            })],
            public_address: PublicAddress::Always,
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
            interfaces: vec![],
            public_address: PublicAddress::Never,
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
    let (image, _) = compute
        .import_image(account, &new, ImageSource::File("/images/good.raw".into()), None)
        .await
        .unwrap();
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
