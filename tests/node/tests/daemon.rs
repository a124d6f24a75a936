//! The real daemon with the real VMM and real guests: killed at moments of chance, while it is asked for things and while it
//! is not. The guests must not notice, and a host that was cleared must be as it was.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine};
use native_api::{
    ClientError, Instance, InstanceId, InstanceState, Launched, Operation, Page, Snapshot, SnapshotState,
};
use node::{BOOT, Images, Network, Node, call, on_host, sparse_file, vmms};
use serde_json::{Value, json};

/// Guests.
const GUESTS: u32 = 3;
/// How often the daemon is killed while they come up, and then while they run.
const KILLS: [u32; 2] = [3, 8];
/// Longest time between a daemon's start and its end, in milliseconds.
const LONGEST_LIFE_MS: u64 = 1500;

/// What each guest does: says once which boot it is, and then that it goes on.
const COMMAND: &str = "echo BOOT $(cat /proc/sys/kernel/random/boot_id); n=0; while sleep 1; do n=$((n + 1)); echo TICK $n; done";

#[test]
fn guests_do_not_notice_that_their_daemon_is_killed() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("daemon");
    on_host(&network, images, "", async move |images, node| story(images, node).await);
}

async fn story(images: &Images, node: &mut Node) {
    let mut chance = Chance::new();
    node.start().await;
    let disk = sparse_file(node.folder.join("disk"), 1 << 20);
    let (kernel, initrd) = (&images.kernel, &images.initrd);
    let cmdline = format!("console=ttyS0 panic=-1 bothy.run={}", BASE64_STANDARD.encode(COMMAND));
    let source =
        json!({"file_system": {"path": disk, "kernel": kernel, "initrd": initrd, "cmdline": cmdline}});
    let import = json!({"name": "tiny", "source": source, "client_token": "import"});
    chance.interrupted(node, Operation::ImportImage, &import).await;
    let image = node.import(&import, BOOT).await;

    // Killed while they come up, each time in the midst of the same request.
    let launch = json!({"image": image, "instance_type": "tiny", "count": {"min": GUESTS, "max": GUESTS},
        "name": "guest", "client_token": "launch"});
    for _ in 0..KILLS[0] {
        chance.interrupted(node, Operation::LaunchInstances, &launch).await;
    }
    let launched: Launched = node.call(Operation::LaunchInstances, &[], &launch).await.expect("it is taken");
    let ids: Vec<InstanceId> = launched.instances.into_iter().map(|instance| instance.id).collect();
    assert_eq!(ids.len(), GUESTS as usize);
    let runs = |instance: &Instance| instance.state == InstanceState::Running;
    for id in &ids {
        node.wait("a guest", BOOT, Operation::GetInstance, id.as_str(), runs).await;
    }
    let all: Page<Instance> = node.call(Operation::ListInstances, &[], &Value::Null).await.expect("a list");
    assert_eq!(all.items.len(), ids.len(), "launched once");
    let mut guests = BTreeMap::new();
    for id in &ids {
        guests.insert(id.clone(), guest(node, id, 0).await);
    }

    // Killed while they run, whatever it does.
    for round in 0..KILLS[1] {
        let system = {
            let instance: Instance = node
                .call(Operation::GetInstance, &[ids[0].as_str()], &Value::Null)
                .await
                .expect("it is there");
            instance.disks[0].volume.clone()
        };
        let token = format!("round-{round}");
        let (operation, body) = match round % 3 {
            0 => (Operation::CreateSnapshot, json!({"volume": system, "client_token": token})),
            1 => (Operation::CreateVolume, json!({"size_gib": 1, "client_token": token})),
            _ => (Operation::ListInstances, Value::Null),
        };
        chance.interrupted(node, operation, &body).await;
        node.call::<Value>(operation, &[], &body).await.expect("it is taken, or was");
        for (id, before) in &mut guests {
            let instance: Instance =
                node.call(Operation::GetInstance, &[id.as_str()], &Value::Null).await.expect("it is there");
            assert_eq!(instance.state, InstanceState::Running, "{:?}", instance.state_reason);
            let now = guest(node, id, before.ticks).await;
            assert_eq!((&now.boot_id, now.vmm), (&before.boot_id, before.vmm), "round {round}: {id}");
            assert!(now.ticks > before.ticks, "{id} went on");
            *before = now;
        }
        assert_eq!(vmms(node).len(), ids.len(), "round {round}: {:?}", vmms(node));
    }
    let said = node.bothy(&["ls"]);
    assert!(ids.iter().all(|id| said.contains(id.as_str())), "{said}");

    // The end of it all.
    let snapshots: Page<Snapshot> =
        node.call(Operation::ListSnapshots, &[], &Value::Null).await.expect("a list");
    assert_eq!(snapshots.items.len(), KILLS[1].div_ceil(3) as usize, "each was taken once");
    for snapshot in &snapshots.items {
        let there = |snapshot: &Snapshot| snapshot.state == SnapshotState::Available;
        node.wait("a snapshot", BOOT, Operation::GetSnapshot, snapshot.id.as_str(), there).await;
    }
    let names: Vec<&str> = ids.iter().map(InstanceId::as_str).collect();
    node.bothy(&[&["terminate"], &names[..], &["--wait", "--timeout", "120"]].concat());
    assert!(vmms(node).is_empty(), "{:?}", vmms(node));
    node.end();
}

/// What is seen of a guest.
struct Guest {
    vmm: u32,
    boot_id: String,
    ticks: u64,
}

/// The moments at which the daemon is killed.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = std::env::var("BOTHY_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let seed = seed.unwrap_or_else(|| u64::try_from(now()).unwrap_or(1)).max(1);
        println!("moments of chance: BOTHY_SEED={seed} for the same again");
        Self(seed)
    }

    /// Asks for something, kills the daemon some time later, whether it has answered or not, and starts the next one.
    async fn interrupted(&mut self, node: &mut Node, operation: Operation, body: &Value) {
        let (client, life) = (node.client.clone(), self.some_time());
        let asked = async {
            let _: Result<Value, ClientError> = call(&client, operation, &[], body).await;
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(life, asked).await;
        node.kill();
        node.start().await;
    }

    /// Short times more often than long ones: what is done at once is over soon.
    fn some_time(&mut self) -> Duration {
        // Marsaglia's xorshift64.
        for (left, by) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << by } else { self.0 >> by };
        }
        let longest = LONGEST_LIFE_MS >> (self.0 % 5);
        Duration::from_millis((self.0 >> 8) % longest)
    }
}

/// Looks at a guest, once it has said which boot it is and has gone on since `ticks`.
async fn guest(node: &Node, id: &InstanceId, ticks: u64) -> Guest {
    let seen = |console: &str| {
        let last = |prefix| console.lines().rev().find_map(|line| line.trim().strip_prefix(prefix));
        let now = last("TICK ")?.parse().ok().filter(|now: &u64| *now > ticks)?;
        // One that came up while its daemon was killed may have been begun again; never one that ran.
        Some((last("BOOT ").expect("it ticks after that").to_owned(), now))
    };
    let (boot_id, ticks) = node.printed("a tick of a guest", BOOT, id, seen).await;
    let vmms = vmms(node);
    let vmm = *vmms.get(id.as_str()).unwrap_or_else(|| panic!("no VMM of {id} in {vmms:?}"));
    Guest { vmm, boot_id, ticks }
}
