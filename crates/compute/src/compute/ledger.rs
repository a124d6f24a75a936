//! What is used up, in memory: amounts of the host and of each account, addresses, and when each instance's terms are next to
//! be looked at. Made anew from the records when the daemon starts, and told of each record that is written afterwards.
//!
//! What a request is about to take is held until its records are written, so that two requests never count on the same room.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::ComputeError;
use crate::capacity::{Amounts, Ask, Room, Shortage, grant};
use crate::id::{InstanceId, VolumeId};
use crate::lifecycle::State;
use crate::resource::{Instance, NetworkOf, Subnet, Volume};

/// The books of a host.
pub struct Ledger {
    /// What the host may promise.
    capacity: Amounts,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    instances: HashMap<InstanceId, Entry>,
    /// Those of each account that are not going and not gone.
    listed: HashMap<String, BTreeSet<InstanceId>>,
    volumes: HashMap<VolumeId, (String, u64)>,
    /// All that is used or held.
    host: Amounts,
    accounts: HashMap<String, Amounts>,
    addresses: HashMap<NetworkOf, HashSet<u32>>,
    /// Where the search for a free address goes on, so that one just given back is not given away at once.
    next: HashMap<NetworkOf, u32>,
}

struct Entry {
    account: String,
    amounts: Amounts,
    due: Option<Timestamp>,
    ended: Option<Timestamp>,
}

/// Amounts that a request is about to take; given back when this is dropped.
pub struct Hold {
    ledger: Arc<Ledger>,
    account: String,
    amounts: Amounts,
}

/// An address that a request is about to take; given back when this is dropped, unless it is kept.
pub struct AddressHold {
    ledger: Arc<Ledger>,
    network: NetworkOf,
    address: Ipv4Addr,
    kept: bool,
}

impl Ledger {
    /// Empty books of a host that may promise this much.
    pub fn new(capacity: Amounts) -> Arc<Self> {
        Arc::new(Self { capacity, books: Mutex::default() })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an instance's record, and of when its terms are to be looked at.
    pub fn note_instance(&self, instance: &Instance, due: Option<Timestamp>) {
        let mut books = self.books();
        let amounts = instance.amounts();
        books.list(instance);
        let entry = Entry { account: instance.account.clone(), amounts, due, ended: instance.ended };
        let before = books.instances.insert(instance.id, entry);
        books.add(&instance.account, amounts);
        if let Some(before) = before {
            books.subtract(&instance.account, before.amounts);
        }
    }

    /// Takes note that an instance's record is gone.
    pub fn forget_instance(&self, instance: InstanceId) {
        let mut books = self.books();
        if let Some(entry) = books.instances.remove(&instance) {
            books.unlist(&entry.account, instance);
            books.subtract(&entry.account, entry.amounts);
        }
    }

    /// Takes note of a volume's record.
    pub fn note_volume(&self, volume: &Volume) {
        let mut books = self.books();
        let before = books.volumes.insert(volume.id, (volume.account.clone(), volume.size_gib()));
        books.add(&volume.account, disk(volume.size_gib()));
        if let Some((account, gib)) = before {
            books.subtract(&account, disk(gib));
        }
    }

    /// Takes note of a volume's size, unless it is gone already.
    pub fn resize_volume(&self, volume: &Volume) {
        let mut books = self.books();
        let Some((_, gib)) = books.volumes.get_mut(&volume.id) else { return };
        let before = std::mem::replace(gib, volume.size_gib());
        books.add(&volume.account, disk(volume.size_gib()));
        books.subtract(&volume.account, disk(before));
    }

    /// Takes note that a volume's record is gone.
    pub fn forget_volume(&self, volume: VolumeId) {
        let mut books = self.books();
        if let Some((account, gib)) = books.volumes.remove(&volume) {
            books.subtract(&account, disk(gib));
        }
    }

    /// How many instances an account has that are not going and not gone, and those of one page of them.
    pub fn instances_of(&self, account: &str, skip: usize, limit: usize) -> (usize, Vec<InstanceId>) {
        let books = self.books();
        let Some(listed) = books.listed.get(account) else { return (0, Vec::new()) };
        (listed.len(), listed.iter().skip(skip).take(limit).copied().collect())
    }

    /// The account that an instance belongs to, if it is on record.
    pub fn account_of(&self, instance: InstanceId) -> Option<String> {
        self.books().instances.get(&instance).map(|entry| entry.account.clone())
    }

    /// Whether an instance is on record.
    pub fn has_instance(&self, instance: InstanceId) -> bool {
        self.books().instances.contains_key(&instance)
    }

    /// The size of a volume that is on record, in GiB.
    pub fn volume_gib(&self, volume: VolumeId) -> Option<u64> {
        self.books().volumes.get(&volume).map(|(_, gib)| *gib)
    }

    /// Whether a volume is on record.
    pub fn has_volume(&self, volume: VolumeId) -> bool {
        self.books().volumes.contains_key(&volume)
    }

    /// Instances whose terms are to be looked at by now, with their accounts.
    pub fn due(&self, now: Timestamp) -> Vec<(InstanceId, String)> {
        let books = self.books();
        let is_due = |entry: &Entry| entry.due.is_some_and(|due| due <= now);
        let due = books.instances.iter().filter(|(_, entry)| is_due(entry));
        due.map(|(id, entry)| (*id, entry.account.clone())).collect()
    }

    /// Instances that ended by then, with their accounts.
    pub fn ended(&self, by: Timestamp) -> Vec<(InstanceId, String)> {
        let books = self.books();
        let has_ended = |entry: &Entry| entry.ended.is_some_and(|ended| ended <= by);
        let ended = books.instances.iter().filter(|(_, entry)| has_ended(entry));
        ended.map(|(id, entry)| (*id, entry.account.clone())).collect()
    }

    /// What the host may promise, and what is used or held of it.
    pub fn usage(&self) -> (Amounts, Amounts) {
        (self.capacity, self.books().host)
    }

    /// What an account uses or holds.
    pub fn usage_of(&self, account: &str) -> Amounts {
        self.books().accounts.get(account).copied().unwrap_or_default()
    }

    /// Holds what `asks` get, if there is room for the least of each.
    ///
    /// # Errors
    ///
    /// There is not, of the host's or of the account's allowance. Nothing is held then.
    pub fn reserve(
        self: &Arc<Self>,
        account: &str,
        allowance: Amounts,
        asks: &[Ask],
    ) -> Result<(Vec<u32>, Hold), Shortage> {
        let mut books = self.books();
        let used = books.accounts.get(account).copied().unwrap_or_default();
        let room = Room { host: self.capacity.without(books.host), account: allowance.without(used) };
        let counts = grant(asks, room)?;
        let amounts = asks
            .iter()
            .zip(&counts)
            .fold(Amounts::default(), |sum, (ask, count)| sum.and(ask.each.times(u64::from(*count))));
        books.add(account, amounts);
        Ok((counts, Hold { ledger: Arc::clone(self), account: account.to_owned(), amounts }))
    }

    /// Holds an address of a subnet: this one, or any.
    ///
    /// # Errors
    ///
    /// It is taken, or none is free, or it is not of the subnet.
    pub fn hold_address(
        self: &Arc<Self>,
        subnet: &Subnet,
        wanted: Option<Ipv4Addr>,
    ) -> Result<AddressHold, ComputeError> {
        let range = subnet.assignable();
        let mut books = self.books();
        let next = books.next.get(&subnet.network).copied().unwrap_or_default();
        let used = books.addresses.entry(subnet.network).or_default();
        let address = match wanted.map(Ipv4Addr::to_bits) {
            Some(address) if !range.contains(&address) => {
                let why = format!(
                    "{} is no address for instances in {}",
                    Ipv4Addr::from_bits(address),
                    subnet.cidr
                );
                return Err(ComputeError::invalid("private_address", why));
            }
            Some(address) if used.contains(&address) => {
                let why = format!("the address {} is taken", Ipv4Addr::from_bits(address));
                return Err(ComputeError::Address { why, taken: true });
            }
            Some(address) => address,
            None => {
                let from = if range.contains(&next) { next } else { range.start };
                let free = (from..range.end).chain(range.start..from).find(|address| !used.contains(address));
                free.ok_or_else(|| ComputeError::Address {
                    why: format!("no address is left in {}", subnet.cidr),
                    taken: false,
                })?
            }
        };
        used.insert(address);
        books.next.insert(subnet.network, address.saturating_add(1));
        let address = Ipv4Addr::from_bits(address);
        Ok(AddressHold { ledger: Arc::clone(self), network: subnet.network, address, kept: false })
    }

    /// How many of a subnet's addresses are used or held.
    pub fn taken_addresses(&self, subnet: &Subnet) -> u64 {
        let (books, range) = (self.books(), subnet.assignable());
        let used = books.addresses.get(&subnet.network);
        used.map_or(0, |used| used.iter().filter(|address| range.contains(address)).count() as u64)
    }

    /// Takes note that an address is used.
    pub fn note_address(&self, network: NetworkOf, address: Ipv4Addr) {
        self.books().addresses.entry(network).or_default().insert(address.to_bits());
    }

    /// Takes note that an address is free again.
    pub fn forget_address(&self, network: NetworkOf, address: Ipv4Addr) {
        if let Some(used) = self.books().addresses.get_mut(&network) {
            used.remove(&address.to_bits());
        }
    }
}

fn disk(gib: u64) -> Amounts {
    Amounts { disk_gib: gib, ..Amounts::default() }
}

impl Books {
    /// An instance is listed until it is first said to be going. Whoever says otherwise afterwards read before that.
    fn list(&mut self, instance: &Instance) {
        if matches!(instance.state(), State::Terminating | State::Terminated) {
            self.unlist(&instance.account, instance.id);
        } else if !self.instances.contains_key(&instance.id) {
            self.listed.entry(instance.account.clone()).or_default().insert(instance.id);
        }
    }

    fn unlist(&mut self, account: &str, instance: InstanceId) {
        if let Some(listed) = self.listed.get_mut(account) {
            listed.remove(&instance);
            if listed.is_empty() {
                self.listed.remove(account);
            }
        }
    }

    fn add(&mut self, account: &str, amounts: Amounts) {
        self.host = self.host.and(amounts);
        match self.accounts.get_mut(account) {
            Some(used) => *used = used.and(amounts),
            None => drop(self.accounts.insert(account.to_owned(), amounts)),
        }
    }

    fn subtract(&mut self, account: &str, amounts: Amounts) {
        self.host = self.host.without(amounts);
        if let Some(used) = self.accounts.get_mut(account) {
            *used = used.without(amounts);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.ledger.books().subtract(&self.account, self.amounts);
    }
}

impl AddressHold {
    /// The address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// It is on record now.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for AddressHold {
    fn drop(&mut self) {
        if !self.kept {
            self.ledger.forget_address(self.network, self.address);
        }
    }
}
