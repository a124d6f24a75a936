//! A thousand VMMs: how long a new daemon takes to adopt them, which is printed, and that it loses none.

use std::sync::Arc;
use std::time::Instant;

use bothyd::vmms::{Vmms, raise_descriptor_limit};
use compute::id::{Id, Instance};
use compute::lifecycle::Report;
use compute::outside::HostError;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::world::{LIMITS, World, remove, until, vm};

const MACHINES: u32 = 1000;

/// At once, when each starts a process: more only wait for each other.
const AT_ONCE: usize = 16;

pub async fn a_thousand() {
    raise_descriptor_limit().unwrap();
    let world = World::bare();
    let vmms = Arc::new(world.open().await);
    let start = Instant::now();
    each(&vmms, |vmms, id| async move { vmms.boot(id, vm(""), LIMITS).await }).await;
    println!("  {MACHINES} booted in {:?}", start.elapsed());
    assert_eq!(world.processes().len(), MACHINES as usize);
    close(vmms).await;

    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let start = Instant::now();
    let vmms = Arc::new(world.open().await);
    println!("  opened in {:?}", start.elapsed());
    let present = vmms.present().await.unwrap();
    assert_eq!(present.len(), MACHINES as usize);
    println!("  {MACHINES} found in {:?}", start.elapsed());
    let mut looks = JoinSet::new();
    for id in present {
        let vmms = Arc::clone(&vmms);
        looks.spawn(async move { vmms.look(id).await.report });
    }
    let reports = looks.join_all().await;
    println!("  {MACHINES} adopted in {:?}", start.elapsed());
    assert!(reports.iter().all(|report| *report == Report::Running));
    // A process and a request that waits, each.
    until("no more than two descriptors for each", || {
        (descriptors() - before <= 2 * MACHINES as usize + 50).then_some(())
    })
    .await;

    let start = Instant::now();
    each(&vmms, |vmms, id| async move {
        vmms.press_power_button(id).await.map_err(|sight| HostError::Failed(sight.reason))
    })
    .await;
    until("each to be told once", || (world.told.lock().unwrap().len() >= MACHINES as usize).then_some(()))
        .await;
    println!("  {MACHINES} powered off and told in {:?}", start.elapsed());
    let start = Instant::now();
    each(&vmms, |vmms, id| async move { remove(&vmms, id).await }).await;
    println!("  {MACHINES} removed in {:?}", start.elapsed());
    assert_eq!(world.told.lock().unwrap().len(), MACHINES as usize);
    world.end(Arc::into_inner(vmms).unwrap()).await;
}

/// Does something with each machine, some at once.
async fn each<F: Future<Output = Result<(), HostError>> + Send + 'static>(
    vmms: &Arc<Vmms>,
    what: fn(Arc<Vmms>, Id<Instance>) -> F,
) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut works = JoinSet::new();
    for id in (0..MACHINES).map(Id::new) {
        let (vmms, turns) = (Arc::clone(vmms), Arc::clone(&turns));
        works.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            what(vmms, id).await.unwrap();
        });
    }
    works.join_all().await;
}

/// As a daemon that ends.
async fn close(vmms: Arc<Vmms>) {
    drop(Arc::into_inner(vmms).unwrap());
}
