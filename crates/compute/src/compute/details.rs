//! Instances with what a dialect shows of them besides their own records: disks with their sizes, interfaces, public
//! addresses. Read a page at a time, not an instance at a time. And how many there are of what, for metrics.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{Compute, ComputeError, Listed};
use crate::dns::Domains;
use crate::id::{InstanceId, InterfaceId, ReservationId};
use crate::lifecycle::State;
use crate::resource::{
    Address, Instance, Interface, Job, JobState, Reservation, Resource, Subnet, UsageRecord, owned_key,
};
use crate::store::{Kept, Key, MAX_PAGE, Revision, get_all};

/// An instance with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceView {
    /// Its record.
    pub instance: Instance,
    /// When that was last written.
    pub modified: Revision,
    /// The sizes of its disks in GiB, in their order; 0 of one that is gone.
    pub disk_gib: Vec<u64>,
    /// Its interfaces in their order, with their public addresses.
    pub interfaces: Vec<(Interface, Option<Address>)>,
}

impl InstanceView {
    /// The name by which its own network knows it, of its first interface's address, as the name service answers it. `None`
    /// while it has no interface, as when it is terminated.
    pub fn private_name(&self, domains: &Domains) -> Option<String> {
        let (interface, _) = self.interfaces.first()?;
        Some(domains.of_private(self.instance.cloud, interface.address))
    }

    /// The name of the public address that leads to its first interface, if one does. The name service answers it with the
    /// private address in the instance's own network, and with the public one elsewhere.
    pub fn public_name(&self, domains: &Domains) -> Option<String> {
        let (_, public) = self.interfaces.first()?;
        public.as_ref().map(|public| domains.of_public(public.address))
    }
}

/// How many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instances by their states.
    pub instances: HashMap<State, u64>,
    /// Jobs that are being done.
    pub jobs: u64,
}

impl Compute {
    /// An instance with what belongs to it.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn instance_view(&self, account: &str, id: InstanceId) -> Result<InstanceView, ComputeError> {
        let kept = self.get_owned::<Instance>(account, &id.to_string()).await?;
        let mut views = self.views(account, vec![kept]).await?;
        views.pop().ok_or_else(|| ComputeError::NotFound { what: Instance::NAME, id: id.to_string() })
    }

    /// Instances of an account with what belongs to them, in the order of their ids: those that `wanted` takes.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn instance_views(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&Instance) -> bool,
    ) -> Result<Listed<InstanceView>, ComputeError> {
        let prefix = format!("{}/{account}/", Instance::WORD);
        let Listed { items, next, revision } = self.list_kept(&prefix, after, limit, wanted).await?;
        Ok(Listed { items: self.views(account, items).await?, next, revision })
    }

    /// How many instances an account has, and those of one page of them, in the order of their ids. Those that are being
    /// terminated, or were, are none of these. No record is read but the page's.
    ///
    /// # Errors
    ///
    /// The store does not do its part.
    pub async fn instance_view_page(
        &self,
        account: &str,
        skip: usize,
        limit: usize,
    ) -> Result<(usize, Vec<InstanceView>), ComputeError> {
        let (count, ids) = self.ledger.instances_of(account, skip, limit.clamp(1, MAX_PAGE));
        // What was ended since it was listed is not shown.
        let is_there =
            |instance: &Instance| !matches!(instance.state(), State::Terminating | State::Terminated);
        Ok((count, self.instance_views_of(account, &ids, is_there).await?))
    }

    /// Those of these instances that are there, with what belongs to them, in the order asked.
    ///
    /// # Errors
    ///
    /// The store does not do its part.
    pub async fn instance_views_of(
        &self,
        account: &str,
        ids: &[InstanceId],
        mut wanted: impl FnMut(&Instance) -> bool,
    ) -> Result<Vec<InstanceView>, ComputeError> {
        let keys: Vec<Key> =
            ids.iter().map(|id| owned_key(Instance::WORD, account, &id.to_string())).collect();
        let found = get_all::<Instance>(&*self.store, &keys).await?;
        let found = found.into_iter().flatten().filter(|kept| wanted(&kept.value)).collect();
        self.views(account, found).await
    }

    async fn views(
        &self,
        account: &str,
        instances: Vec<Kept<Instance>>,
    ) -> Result<Vec<InstanceView>, ComputeError> {
        let ids = instances.iter().flat_map(|kept| &kept.value.interfaces);
        let keys: Vec<Key> = ids.map(|id| owned_key(Interface::WORD, account, &id.to_string())).collect();
        let mut interfaces: HashMap<InterfaceId, Interface> = HashMap::with_capacity(keys.len());
        let mut publics: HashMap<InterfaceId, Address> = HashMap::new();
        if !keys.is_empty() {
            let found = get_all::<Interface>(&*self.store, &keys).await?.into_iter().flatten();
            interfaces.extend(found.map(|kept| (kept.value.id, kept.value)));
            let leads = |address: &Address| address.interface.is_some_and(|id| interfaces.contains_key(&id));
            let found = self.all_owned::<Address>(account, leads).await?;
            publics.extend(found.into_iter().filter_map(|address| Some((address.interface?, address))));
        }
        let view = |kept: Kept<Instance>| {
            let instance = kept.value;
            let size =
                |disk: &crate::resource::InstanceDisk| self.ledger.volume_gib(disk.volume).unwrap_or(0);
            let disk_gib = instance.disks.iter().map(size).collect();
            let with_public = |id| {
                // What outlived one that was terminated may be another's, of the same page.
                let is_its = |interface: &Interface| interface.instance == Some(instance.id);
                let interface = interfaces.get(id).filter(|interface| is_its(interface)).cloned()?;
                Some((interface, publics.remove(id)))
            };
            let interfaces = instance.interfaces.iter().filter_map(with_public).collect();
            InstanceView { instance, modified: kept.modified, disk_gib, interfaces }
        };
        Ok(instances.into_iter().map(view).collect())
    }

    /// The launch of this id.
    ///
    /// # Errors
    ///
    /// There is none of this id in this account.
    pub async fn reservation_of(
        &self,
        account: &str,
        id: ReservationId,
    ) -> Result<Reservation, ComputeError> {
        Ok(self.get_owned::<Reservation>(account, &id.to_string()).await?.value)
    }

    /// Those of these reservations that are there, by their ids.
    ///
    /// # Errors
    ///
    /// The store does not do its part.
    pub async fn reservations_of(
        &self,
        account: &str,
        ids: impl IntoIterator<Item = ReservationId>,
    ) -> Result<BTreeMap<ReservationId, Reservation>, ComputeError> {
        let key = |id: ReservationId| owned_key(Reservation::WORD, account, &id.to_string());
        let keys: Vec<Key> = ids.into_iter().map(key).collect();
        let found = get_all::<Reservation>(&*self.store, &keys).await?;
        Ok(found.into_iter().flatten().map(|kept| (kept.value.id, kept.value)).collect())
    }

    /// Jobs of an account that `wanted` takes.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn jobs_that(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&Job) -> bool,
    ) -> Result<Listed<Job>, ComputeError> {
        self.list_owned(account, after, limit, wanted).await
    }

    /// Usage of an account that has ended and that `wanted` takes, in the order of its beginnings.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn usage_that(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&UsageRecord) -> bool,
    ) -> Result<Listed<UsageRecord>, ComputeError> {
        self.list_owned(account, after, limit, wanted).await
    }

    /// Why something could not be made, as the job says that was to make it; `None` if that is not on record any more.
    ///
    /// # Errors
    ///
    /// The store does not do its part.
    pub async fn failure_of(&self, account: &str, subject: &str) -> Result<Option<String>, ComputeError> {
        let made = |job: &Job| matches!(job.state, JobState::Failed(_)) && job.kind.subject() == subject;
        let found = self.all_owned::<Job>(account, made).await?.pop();
        Ok(found.and_then(|job| match job.state {
            JobState::Failed(error) => Some(error.message),
            JobState::Running { .. } | JobState::Succeeded {} => None,
        }))
    }

    /// How many of a subnet's addresses are taken or about to be.
    pub fn taken_addresses(&self, subnet: &Subnet) -> u64 {
        self.ledger.taken_addresses(subnet)
    }

    /// The public addresses of an account that lead somewhere.
    ///
    /// # Errors
    ///
    /// The store does not do its part.
    pub async fn addresses_by_interface(
        &self,
        account: &str,
    ) -> Result<HashMap<InterfaceId, Address>, ComputeError> {
        let all = self.all_owned::<Address>(account, |address| address.interface.is_some()).await?;
        Ok(all.into_iter().filter_map(|address| Some((address.interface?, address))).collect())
    }

    /// How many instances and jobs there are on this store.
    ///
    /// # Errors
    ///
    /// The store does not do its part.
    pub async fn counts(&self) -> Result<Counts, ComputeError> {
        /// Of an instance only its state, of a job only its end.
        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            progress: Option<Where>,
            #[serde(default)]
            ended: Option<jiff::Timestamp>,
        }
        #[derive(Deserialize)]
        struct Where {
            state: State,
        }
        let mut counts = Counts::default();
        for word in ["instance/", "job/"] {
            let mut after = None;
            loop {
                let page = self.store.range(word, after.as_ref(), MAX_PAGE).await?;
                for record in &page.records {
                    match serde_json::from_slice(&record.value) {
                        Ok(Part { progress: Some(progress), .. }) => {
                            *counts.instances.entry(progress.state).or_default() += 1;
                        }
                        Ok(Part { progress: None, ended: None }) => counts.jobs += 1,
                        // One that cannot be understood is told about where it is used.
                        Ok(Part { progress: None, ended: Some(_) }) | Err(_) => {}
                    }
                }
                after = page.records.into_iter().next_back().map(|record| record.key);
                if !page.more {
                    break;
                }
            }
        }
        Ok(counts)
    }

    /// Bytes that the host has left for new disks.
    ///
    /// # Errors
    ///
    /// The host does not do its part.
    pub async fn free_disk_bytes(&self) -> Result<u64, ComputeError> {
        Ok(self.disks.free_bytes().await?)
    }
}
