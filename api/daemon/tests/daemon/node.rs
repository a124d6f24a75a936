//! A host for one test: folders of its own, a network namespace of its own, a daemon that is started, killed and started
//! again, and a look at everything that it could leave.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bothyd::vmms::CgroupChoice;
use native_api::{Client, Endpoint, Options};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{cgroup, fake_vmm, processes};

/// Longest that a test waits for a state.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often a state is looked at.
pub const LOOK: Duration = Duration::from_millis(10);

/// How much of its log is shown of a daemon that did wrong.
const LOG_LINES: usize = 60;

/// What is set in the environment of a daemon.
pub type Environment = Vec<(&'static str, OsString)>;

/// A host.
pub struct Node {
    folder: tempfile::TempDir,
    cgroup: Option<PathBuf>,
    daemon: Option<Child>,
    client: Client,
}

/// Runs a test on a thread with namespaces of its own for the network and for mounts, or says why not.
pub fn in_namespace<T: Future<Output = ()>>(test: impl FnOnce() -> T + Send + 'static) {
    if may_run() {
        spawn_in_namespace(test).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

/// Starts a thread with such namespaces.
pub fn spawn_in_namespace<T: Future<Output = ()>>(
    test: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        run("mount", &["--make-rprivate", "/"]);
        ip(&["link", "set", "lo", "up"]);
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    })
}

/// Whether this machine lets a test have a network of its own.
pub fn may_run() -> bool {
    let found = nix::unistd::geteuid().is_root()
        && File::open("/dev/net/tun").is_ok()
        && ["nft", "ip"].iter().all(|program| Command::new(program).arg("-V").output().is_ok());
    if !found {
        eprintln!("SKIPPED: needs root, /dev/net/tun, and the packages nftables and iproute2");
    }
    found
}

impl Node {
    /// A host with a daemon that is not started yet.
    pub fn new() -> Self {
        let cgroup = match cgroup() {
            Ok(CgroupChoice::Cgroup2(folder)) => Some(folder),
            Ok(_) => unreachable!("it gives no other"),
            Err(_) => None,
        };
        // Short, as sockets' paths are.
        let folder = tempfile::Builder::new().prefix("bothyd").tempdir().unwrap();
        // The same wherever the test runs: it has no reflinks, so that guests are paused for snapshots.
        mount_tmpfs(folder.path(), "mode=700");
        let endpoint = Endpoint::Unix(folder.path().join("run/api.sock"));
        let node =
            Self { folder, cgroup, daemon: None, client: Client::new(endpoint, Options::default()).unwrap() };
        node.configure();
        node
    }

    fn configure(&self) {
        let cgroup = self.cgroup.as_deref().unwrap_or(Path::new("none"));
        let text = format!(
            "state_folder = '{0}/state'\nrun_folder = '{0}/run'\nhost_key = '{0}/key/host-key'\nvmm = '{1}'\n\
             cgroup = '{2}'\n[api]\nsocket = '{0}/run/api.sock'\n[capacity]\nvcpus = 64\nmemory_mib = 65536\ndisk_gib = 1000\n\
             [limits]\nstart = 30\nstop = 30\nreboot = 30\nterminate = 30\n",
            self.path().display(),
            fake_vmm().display(),
            cgroup.display(),
        );
        fs::write(self.config(), text).unwrap();
    }

    /// Everything of the test is below it.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The daemon's configuration.
    pub fn config(&self) -> PathBuf {
        self.path().join("bothyd.toml")
    }

    /// The daemon's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The end of what daemons of this host have logged.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// The program, to be run on this host with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let log = File::options().create(true).append(true).open(self.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bothyd"));
        command.arg("--config").arg(self.config()).args(arguments).env("RUST_LOG", "debug");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Starts the daemon, and says whether it lived until it took requests.
    pub async fn start(&mut self, environment: &Environment) -> bool {
        assert!(self.daemon.is_none(), "a daemon is there already");
        let mut command = self.command(&[]);
        command.envs(environment.iter().cloned());
        self.daemon = Some(command.spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.client.get_health().await.is_ok() {
                return true;
            }
            if self.has_ended() {
                return false;
            }
            assert!(Instant::now() < deadline, "the daemon is never ready:\n{}", self.log());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Starts a daemon that must come up.
    pub async fn must_start(&mut self) {
        assert!(self.start(&Vec::new()).await, "the daemon does not start:\n{}", self.log());
    }

    fn has_ended(&mut self) -> bool {
        self.daemon.as_mut().is_none_or(|daemon| daemon.try_wait().unwrap().is_some())
    }

    /// Waits for the daemon's end.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "the daemon does not end:\n{}", self.log());
            tokio::time::sleep(LOOK).await;
        }
        self.daemon.take().expect("it was started").wait().unwrap()
    }

    /// Kills the daemon as nobody can prepare for.
    pub async fn kill(&mut self) {
        self.daemon.as_mut().expect("it was started").kill().unwrap();
        assert_eq!(self.ended().await.signal(), Some(9));
    }

    /// Tells the daemon to end, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        let pid = self.daemon.as_ref().expect("it was started").id();
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).unwrap();
        self.ended().await
    }

    /// Clears the host.
    pub fn clear(&self, environment: &Environment) -> ExitStatus {
        let mut command = self.command(&["clear-host"]);
        command.envs(environment.iter().cloned()).status().unwrap()
    }

    /// The VMMs that run, by instance.
    pub fn vmms(&self) -> BTreeMap<String, Vec<u32>> {
        processes(self.path(), false)
    }

    /// As if the power had failed: no process is left, no tap, and nothing of what is kept in memory.
    pub async fn lose_power(&mut self) {
        self.kill().await;
        for pid in processes(self.path(), true).into_values().flatten() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        let path = self.path().to_owned();
        until("the VMMs' end", || processes(&path, true).is_empty().then_some(())).await;
        self.remove_cgroups();
        fs::remove_dir_all(self.path().join("run")).unwrap();
        for link in links() {
            ip(&["link", "delete", &link]);
        }
        run("nft", &["flush", "ruleset"]);
    }

    fn remove_cgroups(&self) {
        let Some(parent) = &self.cgroup else { return };
        // Busy until what was in it is waited for.
        for _ in 0..1000 {
            let mut folders = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path());
            if folders.by_ref().filter(|path| path.is_dir()).all(|path| fs::remove_dir(path).is_ok()) {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Images, kernels, volumes, snapshots and downloads that are there, and what is not finished of any.
    pub fn disks(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for folder in ["images", "kernels", "volumes", "snapshots", "downloads", "temporary"] {
            files(&self.path().join("state").join(folder), &mut all);
        }
        all
    }

    /// What a daemon that was ended, on a host that was cleared, has left and should not have.
    pub fn leavings(&self) -> BTreeSet<String> {
        let mut left = BTreeSet::new();
        left.extend(processes(self.path(), true).into_keys().map(|id| format!("process of {id}")));
        left.extend(links().into_iter().map(|link| format!("link {link}")));
        for (what, command) in [
            ("rule", vec!["nft", "list", "ruleset"]),
            ("route", vec!["ip", "-4", "route", "show"]),
            ("neighbour", vec!["ip", "neighbour", "show", "nud", "permanent"]),
        ] {
            let text = run(command[0], &command[1..]);
            left.extend(text.lines().map(|line| format!("{what} {line}")));
        }
        if let Some(parent) = &self.cgroup {
            let folders = fs::read_dir(parent).unwrap().filter_map(|entry| {
                let path = entry.unwrap().path();
                path.is_dir().then(|| format!("cgroup {}", path.display()))
            });
            left.extend(folders);
        }
        files(self.path(), &mut left);
        // What the test made; the records; and of instances that are terminated, for as long as they are shown, what was on
        // their consoles.
        let stays = |file: &str| {
            let file = file.strip_prefix("file ").unwrap_or(file);
            [
                "bothyd.toml",
                "log",
                "passed",
                "key/host-key",
                "state/records.sqlite",
                "state/records.sqlite.lock",
            ]
            .contains(&file)
                || ["source/", "older/"].iter().any(|folder| file.starts_with(folder))
                || file.strip_prefix("state/consoles/i-").is_some_and(|id| !id.ends_with(".new"))
        };
        left.retain(|what| !stays(what));
        left
    }
}

impl Drop for Node {
    /// A test that failed leaves nothing either.
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        for pid in processes(self.path(), true).into_values().flatten() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        self.remove_cgroups();
        if let Some(parent) = &self.cgroup {
            let _ = fs::remove_dir(parent);
        }
        let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(self.path()).status();
    }
}

/// A file system in memory at a folder, which goes with the namespace of mounts that it is in.
pub fn mount_tmpfs(folder: &Path, options: &str) {
    run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", &folder.display().to_string()]);
}

/// Waits for something to be there; a test that waits in vain says for what.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// All links of the namespace but its loopback.
fn links() -> Vec<String> {
    let text = run("ip", &["-oneline", "-brief", "link"]);
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "lo").map(str::to_owned).collect()
}

fn ip(arguments: &[&str]) {
    run("ip", arguments);
}

/// Runs a program that must succeed, and gives what it printed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Files below a folder, however deep; folders are none.
fn files(folder: &Path, all: &mut BTreeSet<String>) {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    all.insert(format!("file {name}"));
                }
            }
        }
    }
}
