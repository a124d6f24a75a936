//! Which names there are and where they lead, as the core's records have it: read once, then followed, so that a change is
//! known a moment after it is on record, and a question costs the store nothing.
//!
//! Records of each kind come in their own order, and those of two kinds in none: an instance may be known before its
//! interface and after it. So each is kept by itself, and what is derived is derived anew when one of them comes or goes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use compute::dns::Domains;
use compute::id::{AddressId, InstanceId, InterfaceId, VpcId};
use compute::resource::{Address, Cloud, Instance, Interface, NetworkOf, Resource};
use compute::store::{Change, Key, Revision, Store, TypedError, WatchError, list};
use tokio::task::JoinSet;

/// How long to wait before the records are read again, when that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Names, followed for as long as this is there.
pub struct Directory {
    tables: Arc<RwLock<Tables>>,
    _followers: JoinSet<()>,
}

/// What is known.
pub struct Tables {
    domains: Domains,
    instances: HashMap<InstanceId, Named>,
    interfaces: HashMap<InterfaceId, Placed>,
    publics: HashMap<AddressId, Public>,
    // Derived.
    by_address: HashMap<(NetworkOf, Ipv4Addr), InterfaceId>,
    by_public: HashMap<Ipv4Addr, AddressId>,
    first_of: HashMap<InstanceId, InterfaceId>,
    by_host_name: HashMap<(VpcId, String), BTreeSet<InstanceId>>,
}

/// An instance.
struct Named {
    cloud: Cloud,
    host_name: String,
    /// Under which VPC and label it is filed, if it is.
    filed: Option<(VpcId, String)>,
}

/// A network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its network.
    pub network: NetworkOf,
    /// Its VPC.
    pub vpc: VpcId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its instance, and whether it is the first of that.
    instance: Option<(InstanceId, bool)>,
}

/// A public address.
struct Public {
    address: Ipv4Addr,
    interface: Option<InterfaceId>,
}

impl Directory {
    /// Reads the records, and follows them.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn open(store: &Arc<dyn Store>, domains: Domains) -> Result<Self, TypedError> {
        let tables = Arc::new(RwLock::new(Tables::new(domains)));
        let mut followers = JoinSet::new();
        follow::<Instance>(&tables, store, &mut followers).await?;
        follow::<Interface>(&tables, store, &mut followers).await?;
        follow::<Address>(&tables, store, &mut followers).await?;
        Ok(Self { tables, _followers: followers })
    }

    /// What is known at this moment.
    pub fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kind of records that names are made of.
trait Followed: Resource {
    /// The last word of a key.
    type Id: std::str::FromStr;

    /// What is now on record under an id.
    fn set(tables: &mut Tables, id: Self::Id, record: Option<Self>);
}

/// Reads all records of a kind, and then follows them on a task.
async fn follow<T: Followed>(
    tables: &Arc<RwLock<Tables>>,
    store: &Arc<dyn Store>,
    followers: &mut JoinSet<()>,
) -> Result<(), TypedError> {
    let (tables, store, known) = (Arc::clone(tables), Arc::clone(store), HashSet::new());
    let mut follower = Follower { tables, store, known };
    let read = follower.read::<T>().await?;
    followers.spawn(follower.run::<T>(read));
    Ok(())
}

struct Follower {
    tables: Arc<RwLock<Tables>>,
    store: Arc<dyn Store>,
    /// The keys of all records that are known.
    known: HashSet<Key>,
}

impl Follower {
    async fn run<T: Followed>(mut self, mut since: Revision) {
        let prefix = format!("{}/", T::WORD);
        loop {
            let mut watch = self.store.watch(&prefix, since);
            let why = loop {
                match watch.next().await {
                    Ok(changes) => changes.into_iter().for_each(|change| self.apply::<T>(change)),
                    Err(error) => break error,
                }
            };
            if let WatchError::Failed(error) = &why {
                log::error!("cannot follow the records of names, and tries again: {error}");
                tokio::time::sleep(PAUSE).await;
            }
            since = loop {
                match self.read::<T>().await {
                    Ok(revision) => break revision,
                    Err(error) => log::error!("cannot read the records of names, and tries again: {error}"),
                }
                tokio::time::sleep(PAUSE).await;
            };
        }
    }

    /// Reads all, and forgets what is not there any more.
    async fn read<T: Followed>(&mut self) -> Result<Revision, TypedError> {
        let (all, revision) = list::<T>(&*self.store, &format!("{}/", T::WORD)).await?;
        let found: HashSet<Key> = all.iter().map(|kept| kept.key.clone()).collect();
        let gone: Vec<Key> = self.known.difference(&found).cloned().collect();
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        gone.iter().for_each(|key| set::<T>(&mut tables, key, None));
        for kept in all {
            set(&mut tables, &kept.key, Some(kept.value));
        }
        self.known = found;
        Ok(revision)
    }

    fn apply<T: Followed>(&mut self, change: Change) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in change.records {
            let record = value.and_then(|bytes| match serde_json::from_slice::<T>(&bytes) {
                Ok(record) => Some(record),
                Err(error) => {
                    log::error!("the record {key} cannot be understood: {error}");
                    None
                }
            });
            // Keys of what is gone would add up for as long as the daemon runs.
            match &record {
                Some(_) => self.known.insert(key.clone()),
                None => self.known.remove(&key),
            };
            set(&mut tables, &key, record);
        }
    }
}

fn set<T: Followed>(tables: &mut Tables, key: &Key, record: Option<T>) {
    let id = key.as_str().rsplit('/').next().and_then(|id| id.parse().ok());
    if let Some(id) = id {
        T::set(tables, id, record);
    }
}

impl Followed for Instance {
    type Id = InstanceId;

    fn set(tables: &mut Tables, id: InstanceId, record: Option<Self>) {
        // Most changes of an instance are none of its name.
        let is_same = |known: &Named, record: &Self| {
            (known.cloud, &known.host_name) == (record.cloud, &record.host_name)
        };
        if let (Some(known), Some(record)) = (tables.instances.get(&id), &record)
            && is_same(known, record)
        {
            return;
        }
        tables.unfile(id);
        match record {
            Some(Self { cloud, host_name, .. }) => {
                tables.instances.insert(id, Named { cloud, host_name, filed: None });
            }
            None => drop(tables.instances.remove(&id)),
        }
        tables.file(id);
    }
}

impl Followed for Interface {
    type Id = InterfaceId;

    fn set(tables: &mut Tables, id: InterfaceId, record: Option<Self>) {
        if let Some(known) = tables.interfaces.remove(&id) {
            if tables.by_address.get(&(known.network, known.address)) == Some(&id) {
                tables.by_address.remove(&(known.network, known.address));
            }
            if let Some((instance, true)) = known.instance
                && tables.first_of.get(&instance) == Some(&id)
            {
                tables.unfile(instance);
                tables.first_of.remove(&instance);
            }
        }
        let Some(record) = record else { return };
        let instance = record.instance.map(|instance| (instance, record.index == 0));
        let Self { network, vpc, address, .. } = record;
        tables.interfaces.insert(id, Placed { network, vpc, address, instance });
        tables.by_address.insert((network, address), id);
        if let Some((instance, true)) = instance {
            tables.unfile(instance);
            tables.first_of.insert(instance, id);
            tables.file(instance);
        }
    }
}

impl Followed for Address {
    type Id = AddressId;

    fn set(tables: &mut Tables, id: AddressId, record: Option<Self>) {
        if let Some(known) = tables.publics.remove(&id)
            && tables.by_public.get(&known.address) == Some(&id)
        {
            tables.by_public.remove(&known.address);
        }
        if let Some(Self { address, interface, .. }) = record {
            tables.publics.insert(id, Public { address, interface });
            tables.by_public.insert(address, id);
        }
    }
}

impl Tables {
    fn new(domains: Domains) -> Self {
        Self {
            domains,
            instances: HashMap::new(),
            interfaces: HashMap::new(),
            publics: HashMap::new(),
            by_address: HashMap::new(),
            by_public: HashMap::new(),
            first_of: HashMap::new(),
            by_host_name: HashMap::new(),
        }
    }

    /// Whether all is known that an instance's names are made of.
    #[cfg(test)]
    pub fn knows(&self, id: InstanceId) -> bool {
        self.instances.contains_key(&id) && self.first_of.contains_key(&id)
    }

    /// The interface that has an address in a network.
    pub fn at(&self, network: NetworkOf, address: Ipv4Addr) -> Option<&Placed> {
        self.interfaces.get(self.by_address.get(&(network, address))?)
    }

    /// The interface of a network that has a MAC address.
    pub fn with_mac(&self, network: NetworkOf, mac: [u8; 6]) -> Option<&Placed> {
        let [_, _, a, b, c, d] = mac;
        let id = InterfaceId::new(u32::from_be_bytes([a, b, c, d]));
        let placed = self.interfaces.get(&id).filter(|_| Interface::mac_of(id) == mac)?;
        (placed.network == network).then_some(placed)
    }

    /// The first interface of the instance of a VPC that alone has this host name, in small letters.
    pub fn with_host_name(&self, vpc: VpcId, label: &str) -> Option<&Placed> {
        let instances = self.by_host_name.get(&(vpc, label.to_owned()))?;
        let mut instances = instances.iter();
        match (instances.next(), instances.next()) {
            (Some(instance), None) => self.interfaces.get(self.first_of.get(instance)?),
            _ => None,
        }
    }

    /// Whether this is a public address of somebody's; and the interface to which it leads.
    pub fn public(&self, address: Ipv4Addr) -> Option<Option<&Placed>> {
        let public = self.publics.get(self.by_public.get(&address)?)?;
        Some(public.interface.and_then(|interface| self.interfaces.get(&interface)))
    }

    /// What an interface is called by those of a VPC: as its instance calls itself, if they find it by that; else by its
    /// address.
    pub fn name_of(&self, placed: &Placed, vpc: VpcId) -> String {
        let named = placed.instance.and_then(|(instance, _)| self.instances.get(&instance));
        let cloud = named.map_or(Cloud::Native, |named| named.cloud);
        let by_host_name = named.filter(|named| {
            let filed = named.filed.as_ref().filter(|(of, _)| *of == vpc);
            filed.and_then(|(_, label)| self.with_host_name(vpc, label)) == Some(placed)
        });
        match by_host_name {
            Some(named) => self.domains.of_host(cloud, &named.host_name),
            None => self.domains.of_private(cloud, placed.address),
        }
    }

    /// Files an instance by its host name, if all is known that this takes.
    fn file(&mut self, id: InstanceId) {
        let Some(vpc) =
            self.first_of.get(&id).and_then(|first| self.interfaces.get(first)).map(|first| first.vpc)
        else {
            return;
        };
        let Some(named) = self.instances.get_mut(&id) else { return };
        let Some(label) = self.domains.label_of(&named.host_name) else { return };
        self.by_host_name.entry((vpc, label.clone())).or_default().insert(id);
        named.filed = Some((vpc, label));
    }

    fn unfile(&mut self, id: InstanceId) {
        let Some(filed) = self.instances.get_mut(&id).and_then(|named| named.filed.take()) else { return };
        if let Some(instances) = self.by_host_name.get_mut(&filed) {
            instances.remove(&id);
            if instances.is_empty() {
                self.by_host_name.remove(&filed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use compute::resource::Tags;
    use compute::store::MemoryStore;

    use super::*;

    #[test]
    fn nothing_is_kept_of_what_is_gone() {
        let domains = Domains::of_region("local").unwrap();
        let tables = Arc::new(RwLock::new(Tables::new(domains)));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let mut follower = Follower { tables: Arc::clone(&tables), store, known: HashSet::new() };
        let address = Address {
            id: AddressId::draw(),
            account: "acme".to_owned(),
            name: String::new(),
            address: Ipv4Addr::new(203, 0, 113, 5),
            interface: None,
            release_with_interface: false,
            bandwidth_mbps: 0,
            tags: Tags::default(),
            created: "2026-11-24T00:00:00Z".parse().unwrap(),
        };
        let mut tell = |value| {
            let records = vec![(address.key(), value)];
            follower.apply::<Address>(Change { revision: Revision(1), records });
            (follower.known.len(), tables.read().unwrap().public(address.address).is_some())
        };
        assert_eq!(tell(Some(serde_json::to_vec(&address).unwrap())), (1, true));
        assert_eq!(tell(None), (0, false));
    }
}
