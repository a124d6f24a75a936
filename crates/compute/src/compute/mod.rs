//! The core itself: what dialects call. Each operation is a method of `Compute`, in the file that is named after what it is
//! about; each instance that has something to do has a driver; each long operation is a job.
//!
//! Every method takes the account, and none sees another's resources. Whether the caller may do it was asked before
//! (`crate::access`). What is answered with success is on record; what is refused has changed nothing.

mod addresses;
mod advance;
mod clear;
mod clock;
mod connect;
mod details;
mod driver;
mod effects;
mod error;
mod guard;
mod image_disks;
mod images;
mod instances;
mod interfaces;
mod jobs;
mod key_pairs;
mod launch;
mod ledger;
mod networks;
mod records;
mod recovery;
mod security_groups;
mod snapshots;
mod tagging;
mod timer;
mod tokens;
mod volumes;

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::Ipv4Net;
use tokio::sync::RwLock;
use tokio_util::task::TaskTracker;

pub use clear::ClearError;
pub use clock::{Clock, HostClock, ManualClock};
pub use connect::ConnectInstanceError;
pub use details::{Counts, InstanceView};
pub use effects::uuid_of;
pub use error::ComputeError;
pub use image_disks::{ImageDiskContent, NewImageDisk};
pub use images::{ImageChange, NewImage};
pub use instances::{InstanceChange, InstanceFilter, Protection};
pub use interfaces::{InterfaceChange, MAX_INTERFACES, NewInterface};
pub use key_pairs::NewKey;
pub use launch::{
    DiskRequest, InstanceRequest, InterfaceRequest, Launch, LaunchInterface, Launched, MAX_LAUNCH,
    MAX_USER_DATA, OwnNames, PublicAddress, SourceRequest,
};
pub use networks::{NewSubnet, NewVpc};
pub use records::{Listed, WordsChange};
pub use recovery::RecoverError;
pub use security_groups::NewSecurityGroup;
pub use snapshots::NewSnapshot;
pub use tagging::{TagChange, Taggable};
pub use tokens::Token;
pub use volumes::{MAX_ATTACHED, NewVolume, VolumeChange};

use crate::capacity::Amounts;
use crate::charge;
use crate::dns::Domains;
use crate::id::InstanceId;
use crate::lifecycle::Limits;
use crate::outside::{Disks, Machines, Networks, Sight};
use crate::resource::{Catalog, HostKernel, Subnet};
use crate::secrets::SealingKeys;
use crate::store::Store;

/// What is chosen for a host.
#[derive(Clone, Debug)]
pub struct Config {
    /// The host's name among those that share a store.
    pub node: String,
    /// What is offered.
    pub catalog: Catalog,
    /// What the host may promise, over-commit included.
    pub capacity: Amounts,
    /// What an account may have, unless it is allowed something else.
    pub allowance: Amounts,
    /// The plain network that default VPCs are in.
    pub network: Ipv4Net,
    /// Name servers that guests are told; none for the router of each one's subnet, which serves the names of its network.
    pub dns: Vec<Ipv4Addr>,
    /// Time servers that guests are told; none for the router, too.
    pub ntp: Vec<Ipv4Addr>,
    /// The domains of their names.
    pub domains: Domains,
    /// The MTU that guests are told.
    pub mtu: u16,
    /// Public addresses that can be allocated.
    pub public_addresses: Vec<Ipv4Net>,
    /// How long things may take.
    pub limits: Limits,
    /// How subscriptions are dealt with.
    pub charging: charge::Policy,
    /// What images are booted with that are bare file systems and name no kernel; none where there can be no such images.
    pub host_kernel: Option<HostKernel>,
}

impl Config {
    /// The name servers that guests of a subnet are told.
    pub fn name_servers(&self, subnet: &Subnet) -> Vec<Ipv4Addr> {
        or_router(&self.dns, subnet)
    }

    /// The time servers that guests of a subnet are told.
    pub fn time_servers(&self, subnet: &Subnet) -> Vec<Ipv4Addr> {
        or_router(&self.ntp, subnet)
    }
}

fn or_router(chosen: &[Ipv4Addr], subnet: &Subnet) -> Vec<Ipv4Addr> {
    if chosen.is_empty() { vec![subnet.router()] } else { chosen.to_vec() }
}

/// The world outside.
#[derive(Clone)]
pub struct Outside {
    /// Where records are kept.
    pub store: Arc<dyn Store>,
    /// The machines of instances.
    pub machines: Arc<dyn Machines>,
    /// The networks that they are in.
    pub networks: Arc<dyn Networks>,
    /// The disks behind volumes.
    pub disks: Arc<dyn Disks>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What secrets are sealed with.
    pub keys: SealingKeys,
}

/// The core of one host.
pub struct Compute {
    config: Config,
    store: Arc<dyn Store>,
    machines: Arc<dyn Machines>,
    networks: Arc<dyn Networks>,
    guards: guard::Guards,
    disks: Arc<dyn Disks>,
    clock: Arc<dyn Clock>,
    keys: SealingKeys,
    ledger: Arc<ledger::Ledger>,
    drivers: Mutex<HashMap<InstanceId, driver::Inbox>>,
    /// Held to read by whatever writes a reference to a resource, and to write by whatever removes resources that others
    /// may refer to.
    references: RwLock<()>,
    /// Held to read while an image's content is made, and to write while one is removed.
    contents: RwLock<()>,
    /// Accounts that are known to have their default network.
    with_network: Mutex<HashSet<String>>,
    /// Whatever runs by itself.
    tasks: TaskTracker,
}

impl Compute {
    /// The core, with nothing of its records looked at yet: `recover` does.
    pub fn new(config: Config, outside: Outside) -> Arc<Self> {
        let Outside { store, machines, networks, disks, clock, keys } = outside;
        let ledger = ledger::Ledger::new(config.capacity);
        Arc::new(Self {
            config,
            store,
            machines,
            networks,
            guards: guard::Guards::default(),
            disks,
            clock,
            keys,
            ledger,
            drivers: Mutex::default(),
            references: RwLock::new(()),
            contents: RwLock::new(()),
            with_network: Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// What is chosen for this host.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The record store, for whoever watches it or keeps other records there.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The keys that secrets are sealed with.
    pub fn keys(&self) -> &SealingKeys {
        &self.keys
    }

    /// The machines, for consoles and metrics.
    pub fn machines(&self) -> &Arc<dyn Machines> {
        &self.machines
    }

    /// What the host may promise, and what is used of it.
    pub fn capacity(&self) -> (Amounts, Amounts) {
        self.ledger.usage()
    }

    /// What an account uses.
    pub fn usage_of(&self, account: &str) -> Amounts {
        self.ledger.usage_of(account)
    }

    /// Whose an instance is; `None` when its record is gone.
    pub fn account_of(&self, instance: InstanceId) -> Option<String> {
        self.ledger.account_of(instance)
    }

    /// Takes what was seen of an instance's machine; given to `Machines` as what they tell.
    pub fn saw(self: &Arc<Self>, instance: InstanceId, sight: Sight) {
        // A machine of no instance is a leaving, which is removed when the daemon starts.
        if let Some(account) = self.ledger.account_of(instance) {
            self.tell(&account, instance, driver::Message::saw(sight));
        }
    }

    /// Whether nothing is being done: no driver has work and no job runs. For tests and for an orderly end.
    pub fn is_at_rest(&self) -> bool {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner).is_empty() && self.tasks.is_empty()
    }
}
