//! The host: idle, but for noting what may pass in its networks.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use compute::capacity::Amounts;
use compute::charge::Terms;
use compute::compute::{
    Compute, ComputeError, Config, DiskRequest, InstanceRequest, Launch, Launched, ManualClock, NewImage,
    Outside, PublicAddress,
};
use compute::dns::Domains;
use compute::id::{ImageId, InterfaceId, VpcId};
use compute::identity::{AccountId, Identity};
use compute::lifecycle::{Rules, State};
use compute::outside::{
    ConnectError, Connection, GroupCounts, GroupPlan, GuardPlan, HostError, ImageSource, NetworkPlan,
    Networks,
};
use compute::resource::{Catalog, Cloud, Instance, Tags, Zone};
use compute::secrets::{SealingKey, SealingKeys};
use compute::store::{
    Answer, CommitError, Key, MemoryStore, Page, ReadError, Record, Revision, Store, Transaction, Watch,
};
use idle_host::IdleHost;

/// A core with two accounts.
pub struct Host {
    pub compute: Arc<Compute>,
    pub identity: Identity,
    pub records: Arc<LossyStore>,
    pub clock: Arc<ManualClock>,
    pub networks: Arc<NotedNetworks>,
    pub accounts: [String; 2],
}

/// Networks in which the last rules that were put in force are noted.
#[derive(Default)]
pub struct NotedNetworks(Mutex<Option<GuardPlan>>);

impl NotedNetworks {
    /// What may pass in the network that changed last.
    pub fn in_force(&self) -> GuardPlan {
        self.0.lock().unwrap().clone().unwrap_or_default()
    }
}

impl Networks for NotedNetworks {
    fn guard<'a>(&'a self, _: NetworkPlan, plan: &'a GuardPlan) -> Answer<'a, Result<(), HostError>> {
        *self.0.lock().unwrap() = Some(plan.clone());
        Box::pin(async { Ok(()) })
    }
    fn counts<'a>(
        &'a self,
        network: NetworkPlan,
        group: &'a GroupPlan,
    ) -> Answer<'a, Result<GroupCounts, HostError>> {
        IdleHost.counts(network, group)
    }
    fn connect(
        &self,
        network: NetworkPlan,
        interface: InterfaceId,
        address: SocketAddrV4,
        limit: Duration,
    ) -> Answer<'_, Result<Box<dyn Connection>, ConnectError>> {
        IdleHost.connect(network, interface, address, limit)
    }
    fn remove(&self, vpc: VpcId) -> Answer<'_, Result<(), HostError>> {
        IdleHost.remove(vpc)
    }
    fn present(&self) -> Answer<'_, Result<Vec<VpcId>, HostError>> {
        Networks::present(&IdleHost)
    }
}

/// A store whose answer to a commit can be lost: it was done, and nobody hears of it.
#[derive(Default)]
pub struct LossyStore {
    records: MemoryStore,
    losing: Mutex<Option<Key>>,
}

impl LossyStore {
    /// Loses the answer to the next commit that writes under this key.
    pub fn lose(&self, key: Key) {
        *self.losing.lock().unwrap() = Some(key);
    }

    /// Whether it was lost.
    pub fn has_lost(&self) -> bool {
        self.losing.lock().unwrap().is_none()
    }
}

impl Store for LossyStore {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Result<Option<Record>, ReadError>> {
        self.records.get(key)
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
        let lost = {
            let mut losing = self.losing.lock().unwrap();
            let writes_it = |losing: &Key| transaction.writes.iter().any(|write| write.key() == losing);
            losing.take_if(|losing| writes_it(losing)).is_some()
        };
        Box::pin(async move {
            let done = self.records.commit(transaction).await;
            let why = "the answer was lost".to_owned();
            if lost { Err(CommitError::Failed(ReadError::Unavailable { why })) } else { done }
        })
    }
    fn watch(&self, prefix: &str, after: Revision) -> Box<dyn Watch> {
        self.records.watch(prefix, after)
    }
}

impl Host {
    pub async fn start() -> Self {
        let (networks, records) = (Arc::new(NotedNetworks::default()), Arc::new(LossyStore::default()));
        let clock = Arc::new(ManualClock::new("2026-11-28T00:00:00Z".parse().unwrap()));
        let keys = SealingKeys::new(vec![], SealingKey::generate());
        let outside = Outside {
            store: records.clone(),
            machines: Arc::new(IdleHost),
            networks: networks.clone(),
            disks: Arc::new(IdleHost),
            clock: clock.clone(),
            keys: keys.clone(),
        };
        let config = Config {
            node: "node".to_owned(),
            catalog: Catalog {
                zones: ["local-a", "local-b"].map(|name| Zone { name: name.to_owned() }).into(),
                ..Catalog::default()
            },
            capacity: Amounts { instances: 1000, vcpus: 1000, memory_mib: 1 << 20, disk_gib: 1 << 20 },
            allowance: Amounts::UNLIMITED,
            network: "10.98.0.0/22".parse().unwrap(),
            dns: vec![],
            ntp: vec![],
            domains: Domains::new("eu.compute.internal", "eu.example").unwrap(),
            mtu: 1500,
            public_addresses: vec!["203.0.113.0/29".parse().unwrap()],
            limits: Default::default(),
            charging: Default::default(),
            host_kernel: None,
        };
        let compute = Compute::new(config, outside);
        compute.recover().await.unwrap();
        let identity = Identity::new(records.clone(), keys);
        let now = compute.clock().now();
        let mut accounts = Vec::new();
        for name in ["first", "second"] {
            let made = identity.create_account(name, Amounts::UNLIMITED, now).await.unwrap();
            accounts.push(AccountId::to_string(&made.id));
        }
        Self { compute, identity, records, clock, networks, accounts: accounts.try_into().unwrap() }
    }

    /// An image that everybody may launch: a bare file system if it has a kernel.
    pub async fn image(&self, kernel: Option<&str>) -> ImageId {
        let kernel = kernel.map(|cmdline| (PathBuf::from("/vmlinuz"), None, cmdline.to_owned()));
        let name = if kernel.is_some() { "bare" } else { "disk" };
        let new = NewImage { name: name.to_owned(), kernel, public: true, ..NewImage::default() };
        let made = self
            .compute
            .import_image(&self.accounts[0], &new, ImageSource::File("/image".into()), None)
            .await;
        let (image, job) = made.unwrap();
        while self.compute.job(&self.accounts[0], job.id).await.unwrap().ended.is_none() {
            tokio::task::yield_now().await;
        }
        image.unwrap().id
    }

    /// Launches instances, or hears why that cannot be.
    pub async fn try_launch(
        &self,
        account: &str,
        kinds: Vec<InstanceRequest>,
    ) -> Result<Launched, ComputeError> {
        let (account, allowance) = (account.to_owned(), Amounts::UNLIMITED);
        self.compute.launch(&Launch { account, token: None, kinds, allowance, dry_run: false }).await
    }

    /// Launches an instance, and waits until it runs.
    pub async fn launch(&self, account: &str, request: InstanceRequest) -> Instance {
        let id = self.try_launch(account, vec![request]).await.unwrap().instances[0].id;
        loop {
            let instance = self.compute.instance(account, id).await.unwrap();
            if instance.state() == State::Running {
                return instance;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// One instance of an image, without anything that can be left out.
pub fn request(image: ImageId) -> InstanceRequest {
    InstanceRequest {
        min: 1,
        max: 1,
        cloud: Cloud::Ec2,
        image,
        instance_type: "m1.small".to_owned(),
        name: String::new(),
        description: String::new(),
        host_name: None,
        own_names: vec![],
        key_pair: None,
        password: None,
        user_data: vec![],
        metadata: Default::default(),
        metadata_options: Default::default(),
        config_drive: false,
        role: None,
        system_disk: DiskRequest { delete_with_instance: true, ..DiskRequest::default() },
        disks: vec![],
        without: Vec::new(),
        zone: None,
        interfaces: vec![],
        public_address: PublicAddress::Never,
        tags: Tags::default(),
        volume_tags: Tags::default(),
        terms: Terms::PayAsYouGo { release: None },
        rules: Rules::NOTHING_WITHOUT_VM,
        protected: false,
        dialect: serde_json::Value::Null,
    }
}
