//! The real daemon with the real VMM and real guests: killed at moments of chance, while it is asked for things and while it
//! is not. The guests must not notice, and a host that was cleared must be as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine};
use native_api::{
    Client, ClientError, Endpoint, Instance, InstanceId, InstanceState, Job, JobState, Launched, Operation,
    Options, Page, Snapshot, SnapshotState,
};
use node::{BOOT, Images, Network, sparse_file};
use serde_json::{Value, json};

/// Guests.
const GUESTS: u32 = 3;
/// How often the daemon is killed while they come up, and then while they run.
const KILLS: [u32; 2] = [3, 8];
/// Longest time between a daemon's start and its end, in milliseconds.
const LONGEST_LIFE_MS: u64 = 1500;
/// How often a state is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What each guest does: says once which boot it is, and then that it goes on.
const COMMAND: &str = "echo BOOT $(cat /proc/sys/kernel/random/boot_id); n=0; while sleep 1; do n=$((n + 1)); echo TICK $n; done";

#[test]
fn guests_do_not_notice_that_their_daemon_is_killed() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("daemon");
    // In the network of this test, which is all that the daemon sees.
    let test = network.enter(move || {
        let before = leavings();
        let folder = images.folder();
        {
            let mut node = Node::new(&images, folder.path());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(story(&mut node));
        }
        let left: Vec<String> = leavings().difference(&before).cloned().collect();
        assert!(left.is_empty(), "left on the host: {left:#?}");
    });
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}

async fn story(node: &mut Node) {
    node.start().await;
    let (disk, kernel, initrd) = (&node.disk, &node.kernel, &node.initrd);
    let cmdline = format!("console=ttyS0 panic=-1 bothy.run={}", BASE64_STANDARD.encode(COMMAND));
    let source =
        json!({"file_system": {"path": disk, "kernel": kernel, "initrd": initrd, "cmdline": cmdline}});
    let import = json!({"name": "tiny", "source": source, "client_token": "import"});
    node.interrupted(Operation::ImportImage, &import).await;
    let job: Job = node.call(Operation::ImportImage, &[], &import).await.expect("it is taken");
    let image = job.image.clone().expect("it makes one");
    let is_done = |job: &Job| job.state.is_final();
    let job = node.wait("the import", BOOT, Operation::GetJob, job.id.as_str(), is_done).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);

    // Killed while they come up, each time in the midst of the same request.
    let launch = json!({"image": image, "instance_type": "tiny", "count": {"min": GUESTS, "max": GUESTS},
        "name": "guest", "client_token": "launch"});
    for _ in 0..KILLS[0] {
        node.interrupted(Operation::LaunchInstances, &launch).await;
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
        guests.insert(id.clone(), node.guest(id, 0).await);
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
        node.interrupted(operation, &body).await;
        node.call::<Value>(operation, &[], &body).await.expect("it is taken, or was");
        for (id, before) in &mut guests {
            let instance: Instance =
                node.call(Operation::GetInstance, &[id.as_str()], &Value::Null).await.expect("it is there");
            assert_eq!(instance.state, InstanceState::Running, "{:?}", instance.state_reason);
            let now = node.guest(id, before.ticks).await;
            assert_eq!((&now.boot_id, now.vmm), (&before.boot_id, before.vmm), "round {round}: {id}");
            assert!(now.ticks > before.ticks, "{id} went on");
            *before = now;
        }
        assert_eq!(node.vmms().len(), ids.len(), "round {round}: {:?}", node.vmms());
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
    assert!(node.vmms().is_empty(), "{:?}", node.vmms());
    node.end();
}

/// What is seen of a guest.
struct Guest {
    vmm: u32,
    boot_id: String,
    ticks: u64,
}

/// A host's daemon, and who asks it.
struct Node {
    bothyd: PathBuf,
    bothy: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    disk: PathBuf,
    folder: PathBuf,
    daemon: Option<Child>,
    client: Client,
    /// State of the moments of chance.
    chance: u64,
}

impl Node {
    fn new(images: &Images, folder: &Path) -> Self {
        let text = format!(
            "state_folder = '{0}/state'\nrun_folder = '{0}/run'\nhost_key = '{0}/key/host-key'\nvmm = '{1}'\n[api]\n\
             socket = '{0}/run/api.sock'\n[capacity.overcommit]\nvcpus = 1000\n[limits]\nstart = 600\nterminate = 2\n",
            folder.display(),
            images.vmm.display(),
        );
        fs::write(folder.join("bothyd.toml"), text).expect("the scratch disk has room");
        let seed = std::env::var("BOTHY_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let seed = seed.unwrap_or_else(|| u64::try_from(now()).unwrap_or(1)).max(1);
        println!("moments of chance: BOTHY_SEED={seed} for the same again");
        let endpoint = Endpoint::Unix(folder.join("run/api.sock"));
        Self {
            bothyd: images.bothyd.clone(),
            bothy: images.bothy.clone(),
            kernel: images.kernel.clone(),
            initrd: images.initrd.clone(),
            disk: sparse_file(folder.join("disk"), 1 << 20),
            folder: folder.to_owned(),
            daemon: None,
            client: Client::new(endpoint, Options::default()).expect("a unix socket needs no certificates"),
            chance: seed,
        }
    }

    fn command(&self) -> Command {
        let log = File::options().create(true).append(true).open(self.folder.join("log"));
        let mut command = Command::new(&self.bothyd);
        command.arg("--config").arg(self.folder.join("bothyd.toml")).stdin(Stdio::null());
        command.env("RUST_LOG", "debug").stderr(log.expect("the scratch disk has room"));
        command
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(100)..].join("\n")
    }

    /// Starts the daemon, and waits until it takes requests.
    async fn start(&mut self) {
        let deadline = Instant::now() + BOOT;
        let mut daemon = self.command().spawn().expect("bothyd starts");
        while self.client.get_health().await.is_err() {
            let ended = daemon.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "bothyd ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "bothyd is not ready within {BOOT:?}:\n{}", self.log());
            tokio::time::sleep(LOOK).await;
        }
        self.daemon = Some(daemon);
    }

    /// Asks for something, kills the daemon some time later, whether it has answered or not, and starts the next one.
    async fn interrupted(&mut self, operation: Operation, body: &Value) {
        let (client, life) = (self.client.clone(), self.some_time());
        let asked = async {
            let _: Result<Value, ClientError> = call(&client, operation, &[], body).await;
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(life, asked).await;
        let mut daemon = self.daemon.take().expect("it was started");
        daemon.kill().and_then(|()| daemon.wait()).expect("it is our child");
        self.start().await;
    }

    /// Short times more often than long ones: what is done at once is over soon.
    fn some_time(&mut self) -> Duration {
        // Marsaglia's xorshift64.
        for (left, by) in [(true, 13), (false, 7), (true, 17)] {
            self.chance ^= if left { self.chance << by } else { self.chance >> by };
        }
        let longest = LONGEST_LIFE_MS >> (self.chance % 5);
        Duration::from_millis((self.chance >> 8) % longest)
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
        body: &Value,
    ) -> Result<T, ClientError> {
        call(&self.client, operation, path, body).await
    }

    /// Waits until a thing is as it should be.
    async fn wait<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        limit: Duration,
        operation: Operation,
        id: &str,
        wanted: impl Fn(&T) -> bool,
    ) -> T {
        let look = async || self.call::<T>(operation, &[id], &Value::Null).await;
        let found = self.client.wait_until(what, limit, look, wanted).await;
        found.unwrap_or_else(|error| panic!("{what} {id}: {error}\n{}", self.log()))
    }

    /// Looks at a guest, once it has said which boot it is and has gone on since `ticks`.
    async fn guest(&self, id: &InstanceId, ticks: u64) -> Guest {
        let look = async || self.client.whole_console(id).await;
        let ticked =
            |text: &str| text.lines().rev().find_map(|line| line.trim().strip_prefix("TICK ")?.parse().ok());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let wanted = |console: &native_api::ConsoleHistory| {
            ticked(&text(&console.bytes)).is_some_and(|now: u64| now > ticks)
        };
        let console = self.client.wait_until("a tick of a guest", BOOT, look, wanted).await;
        let console = console.unwrap_or_else(|error| panic!("{id}: {error}\n{}", self.log()));
        let console = text(&console.bytes);
        let boots: Vec<&str> = console.lines().filter_map(|line| line.trim().strip_prefix("BOOT ")).collect();
        // One that came up while its daemon was killed may have been begun again; never one that ran.
        let boot_id = (*boots.last().expect("it ticks after that")).to_owned();
        let vmms = self.vmms();
        let vmm = *vmms.get(id.as_str()).unwrap_or_else(|| panic!("no VMM of {id} in {vmms:?}"));
        Guest { vmm, boot_id, ticks: ticked(&console).expect("it was waited for") }
    }

    /// VMMs by instance. None has two.
    fn vmms(&self) -> BTreeMap<String, u32> {
        let mut found = BTreeMap::new();
        for (pid, words) in processes() {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let [_, "--id", id, "--control", control] = words[..] else { continue };
            if Path::new(control).starts_with(&self.folder) {
                let other = found.insert(id.to_owned(), pid);
                assert!(other.is_none(), "{id} runs twice: {pid} and {other:?}\n{}", self.log());
            }
        }
        found
    }

    /// Runs the command line.
    fn bothy(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.bothy);
        command.args(arguments).env("HOME", &self.folder);
        command.env("BOTHY_ENDPOINT", format!("unix:{}/run/api.sock", self.folder.display()));
        let output = command.stdin(Stdio::null()).output().expect("bothy starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "bothy {arguments:?}: {said}\n{}", self.log());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends the daemon, and clears the host.
    fn end(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        let pid = nix::unistd::Pid::from_raw(daemon.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it is our child");
        let status = daemon.wait().expect("it is our child");
        assert!(status.success(), "bothyd did not end well: {status}\n{}", self.log());
        let status = self.command().arg("clear-host").status().expect("bothyd starts");
        assert!(status.success(), "bothyd clear-host: {status}\n{}", self.log());
    }
}

impl Drop for Node {
    /// A test that failed leaves no guest.
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
            let _ = self.command().arg("clear-host").status();
        }
    }
}

async fn call<T: serde::de::DeserializeOwned>(
    client: &Client,
    operation: Operation,
    path: &[&str],
    body: &Value,
) -> Result<T, ClientError> {
    client.call(operation, path, None::<&()>, (!body.is_null()).then_some(body)).await
}

/// Processes of programs, with their words.
fn processes() -> Vec<(u32, Vec<String>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("there is a /proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        found.push((pid, words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()));
    }
    found
}

/// All that a daemon may make outside of its own folders: links, routes, neighbours and rules of this network; cgroups; VMMs.
fn leavings() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for command in [
        &["ip", "-oneline", "-brief", "link"][..],
        &["ip", "-4", "route", "show", "table", "all"],
        &["ip", "neighbour", "show", "nud", "permanent"],
        &["nft", "list", "ruleset"],
    ] {
        let output =
            Command::new(command[0]).args(&command[1..]).output().expect("iproute2 and nftables are there");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        all.extend(text.lines().map(|line| format!("{}: {}", command[0], line.trim())));
    }
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        let inside = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        folders.extend(inside.filter(|path| path.is_dir() && !path.is_symlink()));
        if folder.file_name().is_some_and(|name| name.to_string_lossy().contains("bothy")) {
            all.insert(format!("cgroup: {}", folder.display()));
        }
    }
    let is_vmm = |words: &[String]| words.iter().any(|word| word == "--control");
    all.extend(
        processes().into_iter().filter(|(_, words)| is_vmm(words)).map(|(pid, _)| format!("VMM: {pid}")),
    );
    all
}
