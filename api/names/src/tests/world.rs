//! A host with a core whose machines, networks and disks are only noted, and the name service in front of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use compute::capacity::Amounts;
use compute::charge::Terms;
use compute::compute::{
    Compute, Config as CoreConfig, DiskRequest, InstanceRequest, Launch, ManualClock, NewImage, NewSubnet,
    NewVpc, Outside, Protection, PublicAddress,
};
use compute::dns::Domains;
use compute::id::{ImageId, InstanceId, SubnetId};
use compute::lifecycle::{Action, AfterHostReboot, OnFailure, OnPowerOff, Rules};
use compute::outside::ImageSource;
use compute::resource::{Catalog, Cloud, ImageState, Instance, MetadataOptions, NetworkOf, Tags};
use compute::secrets::{SealingKey, SealingKeys};
use compute::store::MemoryStore;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use idle_host::IdleHost;
use ipnet::Ipv4Net;
use tokio::time::timeout;

use crate::message::Transport;
use crate::service::{Here, Outcome};
use crate::{Config, Limits, Network, Service};

/// Longest that a test waits for a state.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A host.
pub struct Host {
    pub compute: Arc<Compute>,
    pub service: Service,
    image: ImageId,
}

/// A VPC of the one account that most tests have.
pub const ACCOUNT: &str = "acme";
/// Another account.
pub const OTHER_ACCOUNT: &str = "other";

impl Host {
    /// With a plain network of loopback addresses, which a test can send from, and these resolvers.
    pub async fn start(resolvers: Vec<SocketAddr>, limits: Limits) -> Self {
        let outside = Outside {
            store: Arc::new(MemoryStore::new()),
            machines: Arc::new(IdleHost),
            networks: Arc::new(IdleHost),
            disks: Arc::new(IdleHost),
            clock: Arc::new(ManualClock::new("2026-11-24T00:00:00Z".parse().unwrap())),
            keys: SealingKeys::new(vec![], SealingKey::generate()),
        };
        let config = CoreConfig {
            node: "node".to_owned(),
            catalog: Catalog::default(),
            capacity: Amounts { instances: 1000, vcpus: 1000, memory_mib: 1 << 20, disk_gib: 1 << 20 },
            allowance: Amounts::UNLIMITED,
            network: "127.98.0.0/22".parse().unwrap(),
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
        let image = image(&compute).await;
        let config = Config { resolvers: Box::new(move || resolvers.clone()), limits };
        let service = Service::open(&compute, config).await.unwrap();
        Self { compute, service, image }
    }

    pub async fn plain() -> Self {
        Self::start(vec![], Limits::default()).await
    }

    /// A VPC with a subnet of all its addresses.
    pub async fn vpc(&self, cidr: &str) -> (Network, SubnetId) {
        let (cidr, name, description): (Ipv4Net, _, _) =
            (cidr.parse().unwrap(), String::new(), String::new());
        let tags = Tags::default();
        let new = NewVpc { cidr, name: name.clone(), description: description.clone(), tags: tags.clone() };
        let vpc = self.compute.create_vpc(ACCOUNT, &new).await.unwrap().id;
        let new = NewSubnet { vpc, cidr, zone: None, private: false, name, description, tags };
        let subnet = self.compute.create_subnet(ACCOUNT, &new).await.unwrap();
        (Network { network: NetworkOf::Vpc(vpc), cidr }, subnet.id)
    }

    /// The plain network.
    pub fn network(&self) -> Network {
        Network { network: NetworkOf::Host, cidr: self.compute.config().network }
    }

    /// An instance in the plain network, of no cloud and without a name or a public address.
    pub fn request(&self) -> InstanceRequest {
        InstanceRequest {
            min: 1,
            max: 1,
            cloud: Cloud::Native,
            config_drive: false,
            image: self.image,
            instance_type: "tiny".to_owned(),
            name: String::new(),
            description: String::new(),
            host_name: None,
            own_names: Vec::new(),
            key_pair: None,
            password: None,
            user_data: vec![],
            metadata: BTreeMap::new(),
            metadata_options: MetadataOptions::default(),
            role: None,
            system_disk: DiskRequest::default(),
            disks: vec![],
            without: Vec::new(),
            zone: None,
            interfaces: vec![],
            public_address: PublicAddress::Never,
            tags: Tags::default(),
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

    pub async fn launch(&self, request: InstanceRequest) -> Instance {
        self.launch_for(ACCOUNT, request).await
    }

    /// Launches an instance, and waits until its names are known.
    pub async fn launch_for(&self, account: &str, request: InstanceRequest) -> Instance {
        let launch = Launch {
            account: account.to_owned(),
            token: None,
            kinds: vec![request],
            allowance: Amounts::UNLIMITED,
            dry_run: false,
        };
        let instance = self.compute.launch(&launch).await.unwrap().instances.remove(0);
        until("its names", || self.service.directory().tables().knows(instance.id)).await;
        instance
    }

    /// Terminates an instance.
    pub async fn terminate(&self, id: InstanceId) {
        let (action, protection) = (Action::Terminate, Protection::Respected);
        self.compute.act(ACCOUNT, id, action, Amounts::UNLIMITED, protection).await.unwrap();
    }

    /// What is answered to a guest without asking anybody; `None` for nothing.
    pub fn answer(&self, network: Network, from: Ipv4Addr, question: &[u8]) -> Option<Vec<u8>> {
        match Here::new(&self.service, network).outcome(from, question, Transport::Udp) {
            Outcome::Answer(answer) => Some(answer),
            Outcome::Nothing => None,
            Outcome::Ask(..) => panic!("somebody else is to be asked"),
        }
    }

    /// What this guest is told of a name.
    pub fn ask(&self, network: Network, from: Ipv4Addr, name: &str, kind: RecordType) -> Message {
        let answer = self.answer(network, from, &question(name, kind).to_vec().unwrap()).expect("an answer");
        Message::from_vec(&answer).unwrap()
    }

    /// The addresses behind a name for this guest, or those that are called so.
    pub fn look(&self, network: Network, from: Ipv4Addr, name: &str) -> Vec<String> {
        let kind = if name.ends_with(".arpa") { RecordType::PTR } else { RecordType::A };
        data(&self.ask(network, from, name, kind))
    }

    /// Whether a question of this guest is for the host's resolvers.
    pub fn passes_on(&self, network: Network, from: Ipv4Addr, name: &str) -> bool {
        let question = question(name, RecordType::A).to_vec().unwrap();
        let outcome = Here::new(&self.service, network).outcome(from, &question, Transport::Udp);
        matches!(outcome, Outcome::Ask(..))
    }
}

/// Asks for a name as resolvers do.
pub fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message
}

/// What an answer says, as text.
pub fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

/// Waits for something to be so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

async fn image(compute: &Arc<Compute>) -> ImageId {
    let new = NewImage { name: "debian".to_owned(), public: true, ..NewImage::default() };
    let (image, _) = compute
        .import_image(ACCOUNT, &new, ImageSource::File("/images/good.raw".into()), None)
        .await
        .unwrap();
    let id = image.unwrap().id;
    let available = async {
        while compute.image(ACCOUNT, id).await.unwrap().state != ImageState::Available {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, available).await.expect("the image is imported in time");
    id
}
