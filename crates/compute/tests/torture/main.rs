//! The daemon is killed at each moment of each operation, twice in a row, and started again. What was acknowledged is there,
//! nothing is left half done, nothing runs twice, nothing leaks. All in memory: tens of thousands of kills in seconds. The
//! same is done to real processes, at random, by the tests of the daemon.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod scenarios;
mod tags;
mod world;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use compute::capacity::Amounts;
use compute::compute::{Compute, Config, ManualClock, Outside};
use compute::id::{InstanceId, InterfaceId};
use compute::lifecycle::{Limits, State};
use compute::resource::{
    Address, Catalog, Image, ImageState, Instance, Interface, Job, JobState, Snapshot, SnapshotState, Volume,
    VolumeState,
};
use compute::secrets::{SealingKey, SealingKeys};
use compute::store::{MemoryStore, list};
use jiff::Timestamp;
use scenarios::{Log, SCENARIOS, Scenario};
use world::{Life, Real, World};

/// All of the world that outlives a daemon.
struct Host {
    real: Arc<Mutex<Real>>,
    records: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    keys: SealingKeys,
    deaf: bool,
}

const ROOMY: Amounts = Amounts { instances: 1000, vcpus: 1000, memory_mib: 1 << 20, disk_gib: 1 << 20 };

fn config() -> Config {
    Config {
        node: "node".to_owned(),
        catalog: Catalog::default(),
        capacity: ROOMY,
        allowance: Amounts::UNLIMITED,
        network: "10.98.0.0/24".parse().unwrap(),
        dns: vec![],
        ntp: vec![],
        domains: compute::dns::Domains::of_region("local").unwrap(),
        mtu: 1500,
        public_addresses: vec!["203.0.113.0/29".parse().unwrap()],
        limits: Limits::default(),
        charging: Default::default(),
        host_kernel: None,
    }
}

impl Host {
    fn new(deaf: bool) -> Self {
        let start: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        Self {
            real: Arc::default(),
            records: Arc::new(MemoryStore::new()),
            clock: Arc::new(ManualClock::new(start)),
            keys: SealingKeys::new(vec![], SealingKey::generate()),
            deaf,
        }
    }

    /// One life of the daemon: it recovers, does what `body` says, and settles or is killed. Whether it lived to the end.
    fn live<F: Future<Output = ()>>(
        &self,
        life: &Arc<Life>,
        body: impl FnOnce(Arc<Compute>, Arc<World>) -> F,
    ) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = Arc::new(World {
            real: Arc::clone(&self.real),
            records: Arc::clone(&self.records),
            life: Arc::clone(life),
            tell: OnceLock::new(),
            deaf: self.deaf,
        });
        let outside = Outside {
            store: world.clone(),
            machines: world.clone(),
            networks: world.clone(),
            disks: world.clone(),
            clock: self.clock.clone(),
            keys: self.keys.clone(),
        };
        let compute = Compute::new(config(), outside);
        let weak = Arc::downgrade(&compute);
        let told: compute::outside::Tell = Arc::new(move |instance, sight| {
            if let Some(compute) = weak.upgrade() {
                compute.saw(instance, sight);
            }
        });
        assert!(world.tell.set(told).is_ok());
        let clock = Arc::clone(&self.clock);
        scenarios::TURN.set(Some(Box::new(move |by| clock.advance(by))));
        let lived = runtime.block_on(async {
            let story = async {
                compute.recover().await.unwrap();
                body(Arc::clone(&compute), world).await;
                self.settle(&compute).await;
            };
            tokio::select! {
                biased;
                () = life.end() => false,
                () = story => true,
            }
        });
        // All that it was doing is dropped where it stands.
        drop(runtime);
        lived
    }

    /// Waits until nothing is being done any more; time passes when nothing else happens.
    async fn settle(&self, compute: &Arc<Compute>) {
        for _ in 0..2000 {
            for _ in 0..200 {
                if compute.is_at_rest() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            self.clock.advance(Duration::from_secs(1));
        }
        panic!("no rest");
    }

    fn all<T: compute::resource::Resource>(&self) -> Vec<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let prefix = format!("{}/", T::WORD);
        let (all, _) = runtime.block_on(list::<T>(&*self.records, &prefix)).unwrap();
        all.into_iter().map(|kept| kept.value).collect()
    }

    /// What must be so whenever nothing is being done.
    fn check(&self, log: &Log, place: &str) {
        let real = self.real.lock().unwrap();
        let instances = self.all::<Instance>();
        assert!(real.paused.is_empty(), "{place}: a guest stands still");
        let running: BTreeSet<InstanceId> =
            instances.iter().filter(|it| it.state() == State::Running).map(|it| it.id).collect();
        let machines: BTreeSet<InstanceId> = real.vms.keys().copied().collect();
        assert_eq!(machines, running, "{place}: machines are those of running instances");
        assert!(real.vms.values().all(|vm| vm.ended.is_none()), "{place}");
        assert_eq!(real.leavings, running, "{place}: taps are those of running instances");
        let guards = std::iter::once(&real.guard).chain(real.vpcs.values());
        let members = guards.flat_map(|guard| &guard.members).map(|member| member.interface).collect();
        let with_rules: BTreeSet<InterfaceId> = instances
            .iter()
            .filter(|it| running.contains(&it.id))
            .flat_map(|it| it.interfaces.iter().copied())
            .collect();
        assert_eq!(with_rules, members, "{place}: rules are those of running instances");
        for instance in &instances {
            let rests = [
                State::Created,
                State::Running,
                State::Stopped,
                State::Locked,
                State::Terminated,
                State::Failed,
            ];
            assert!(rests.contains(&instance.state()), "{place}: {:?}", instance.progress);
            let is_used = matches!(instance.state(), State::Running);
            assert_eq!(instance.usage.is_some(), is_used, "{place}: usage of {:?}", instance.state());
        }

        let volumes = self.all::<Volume>();
        let rests = [VolumeState::Available, VolumeState::InUse, VolumeState::Failed];
        for volume in &volumes {
            assert!(rests.contains(&volume.state), "{place}: {volume:?}");
            let owner = volume.attachment.as_ref().map(|attached| attached.instance);
            let holders: Vec<InstanceId> = instances
                .iter()
                .filter(|it| it.state() != State::Terminated)
                .filter(|it| it.disks.iter().any(|disk| disk.volume == volume.id))
                .map(|it| it.id)
                .collect();
            assert_eq!(owner.into_iter().collect::<Vec<_>>(), holders, "{place}: {}", volume.id);
            assert_eq!(owner.is_some(), volume.state == VolumeState::InUse, "{place}");
        }
        let sizes = volumes.iter().filter(|it| it.state != VolumeState::Failed).map(|it| (it.id, it.bytes()));
        assert_eq!(real.volumes, sizes.collect(), "{place}: disks are those of volumes");

        let snapshots = self.all::<Snapshot>();
        assert!(
            snapshots.iter().all(|it| matches!(it.state, SnapshotState::Completed | SnapshotState::Failed)),
            "{place}"
        );
        let whole = snapshots.iter().filter(|it| it.state == SnapshotState::Completed).map(|it| it.id);
        assert_eq!(real.snapshots, whole.collect(), "{place}");
        assert!(real.fetched.is_empty(), "{place}: what was fetched is of jobs that are not over");
        let images = self.all::<Image>();
        assert!(
            images.iter().all(|image| match image.state {
                ImageState::Pending => false,
                ImageState::Available => image.disk.is_some(),
                ImageState::Deregistered => image.disk.is_none(),
            }),
            "{place}"
        );
        let contents = images.iter().filter_map(|image| image.disk.as_ref()).map(|disk| disk.sha256.clone());
        assert_eq!(real.images, contents.collect(), "{place}");
        assert!(
            self.all::<Job>().iter().all(|job| !matches!(job.state, JobState::Running { .. })),
            "{place}"
        );

        let interfaces = self.all::<Interface>();
        let live = instances.iter().filter(|it| it.state() != State::Terminated);
        let needed: BTreeSet<_> =
            live.flat_map(|it| it.interfaces.iter().map(|interface| (*interface, Some(it.id)))).collect();
        let made: BTreeSet<InterfaceId> = log.interfaces();
        // One that was made by itself may be nobody's, whether that was acknowledged or not.
        let there = interfaces.iter().filter(|it| it.instance.is_some() || it.delete_with_instance);
        assert_eq!(there.map(|it| (it.id, it.instance)).collect::<BTreeSet<_>>(), needed, "{place}");
        let there = |id: &InterfaceId| interfaces.iter().any(|it| it.id == *id);
        assert!(made.iter().all(there), "{place}: what outlives its instances is there");
        let needed: BTreeSet<InterfaceId> = needed.into_iter().map(|(interface, _)| interface).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let used =
            runtime.block_on(list::<serde_json::Value>(&*self.records, "address-use/host/")).unwrap().0;
        assert_eq!(used.len(), interfaces.len(), "{place}: addresses are those of interfaces");
        let addresses = self.all::<Address>();
        for address in &addresses {
            let leads = address.interface.is_none_or(|it| needed.contains(&it));
            assert!(leads, "{place}: {address:?}");
        }
        let public =
            runtime.block_on(list::<serde_json::Value>(&*self.records, "address-use/public/")).unwrap().0;
        assert_eq!(public.len(), addresses.len(), "{place}");

        log.check(&instances, &volumes, &snapshots, &images, place);
    }

    /// What the books of a new daemon say is what the records say.
    fn check_books(&self, place: &str) {
        let mut used = Amounts::default();
        for instance in self.all::<Instance>() {
            used = used.and(instance.amounts());
        }
        for volume in self.all::<Volume>() {
            used = used.and(Amounts { disk_gib: volume.size_gib(), ..Amounts::default() });
        }
        let lived = self.live(&Life::for_ever(), |compute, _| async move {
            assert_eq!(compute.capacity().1, used, "{place}");
        });
        assert!(lived);
    }
}

/// Runs a scenario once without a kill, and says how many moments it has.
fn moments_of(scenario: &Scenario) -> u64 {
    let (host, log, life) = (Host::new(scenario.deaf), Log::default(), Life::for_ever());
    let lived = host.live(&life, |compute, world| (scenario.run)(compute, world, log.clone()));
    assert!(lived);
    host.check(&log, scenario.name);
    assert!(log.is_done(), "{}: it came to its end", scenario.name);
    life.moments()
}

fn torture(scenario: &Scenario) -> u64 {
    let moments = moments_of(scenario);
    let mut kills = 0;
    for first in 0..=moments {
        // The second life ends at each of a few moments, the first ones above all: they are those of recovery.
        for second in [u64::MAX, first % 7, 3 + first % 11, 10 + first % 29] {
            let place = format!("{}, killed at {first} and {second}", scenario.name);
            let (host, log) = (Host::new(scenario.deaf), Log::default());
            let life = Life::until(first);
            kills +=
                u64::from(!host.live(&life, |compute, world| (scenario.run)(compute, world, log.clone())));
            kills += u64::from(!host.live(&Life::until(second), |_, _| async {}));
            assert!(host.live(&Life::for_ever(), |_, _| async {}), "{place}");
            host.check(&log, &place);
            host.check_books(&place);
        }
    }
    kills
}

#[test]
fn a_daemon_may_be_killed_at_any_moment() {
    for scenario in SCENARIOS {
        let kills = torture(scenario);
        println!("{}: {kills} kills", scenario.name);
    }
}

#[test]
fn after_a_reboot_of_the_host_instances_go_on_as_they_were_told_to() {
    let (host, log) = (Host::new(false), Log::default());
    assert!(host.live(&Life::for_ever(), |compute, world| scenarios::one_of_each_rule(
        compute,
        world,
        log.clone()
    )));
    {
        let mut real = host.real.lock().unwrap();
        real.vms.clear();
        real.leavings.clear();
    }
    assert!(host.live(&Life::for_ever(), |_, _| async {}));
    host.check(&log, "after the reboot");
    let mut states: Vec<(String, State)> =
        host.all::<Instance>().into_iter().map(|it| (it.name.clone(), it.state())).collect();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("start", State::Running), ("stop", State::Stopped), ("terminate", State::Terminated)];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));
}

#[test]
fn an_unpaid_subscription_is_locked_and_released_and_a_renewed_one_goes_on() {
    let (host, log) = (Host::new(false), Log::default());
    let begin = std::time::Instant::now();
    assert!(host.live(&Life::for_ever(), |compute, world| scenarios::three_years(
        compute,
        world,
        log.clone()
    )));
    host.check(&log, "three years later");
    println!("three years took {:?}", begin.elapsed());
}
