//! A cgroup for each VMM, which limits what its guest can take from the host and says who belongs to it: a scope of
//! systemd's where it runs, a folder in a cgroup v2 tree elsewhere, none where there is no such tree.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use compute::id::{Id, Instance};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::launcher::NO_CGROUP;
use super::process::waitable;

/// What a VMM may take beyond its guest's memory, in MiB: its own, its queues', the kernel's for it, and enough page cache
/// that a guest's writes do not wait for each other.
const OVERHEAD_MIB: u64 = 256;
/// For page tables and the like: one in so many MiB of guest memory on top.
const OVERHEAD_PER_MIB: u64 = 64;
/// Threads and processes of a VMM beyond its vCPUs: workers of 60 disks and 16 interfaces, and the disk helper.
const OVERHEAD_TASKS: u64 = 512;
/// The period of CPU limits, in microseconds: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

const SLICE: &str = "bothy.slice";
const SCOPE_PREFIX: &str = "bothy-vmm-";
const SCOPE_SUFFIX: &str = ".scope";

/// Which cgroups VMMs get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupChoice {
    /// Systemd's if it runs, else `bothy` at the root of the cgroup v2 tree if there is one that can be used, else none.
    Auto,
    /// A transient scope each, in `bothy.slice`.
    Systemd,
    /// A folder each in this one, which is made if it is not there. No process may be in it.
    Cgroup2(PathBuf),
    /// None: nothing keeps a VMM from taking all of the host, and an out-of-memory kill cannot be told from any other.
    None,
}

/// How large the guest is that a VMM is limited by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupLimits {
    /// Guest memory, in MiB.
    pub memory_mib: u64,
    /// vCPUs.
    pub vcpus: u32,
}

impl CgroupLimits {
    fn memory_bytes(self) -> u64 {
        let mib =
            self.memory_mib.saturating_add(OVERHEAD_MIB).saturating_add(self.memory_mib / OVERHEAD_PER_MIB);
        mib.saturating_mul(1 << 20)
    }

    /// Each vCPU weighs as much as a process of the host's by default.
    fn cpu_weight(self) -> u64 {
        (u64::from(self.vcpus) * 100).clamp(1, 10_000)
    }

    /// Processors' worth of time: one beyond the vCPUs, for the queues.
    fn cpus(self) -> u64 {
        u64::from(self.vcpus) + 1
    }

    fn tasks(self) -> u64 {
        u64::from(self.vcpus) + OVERHEAD_TASKS
    }
}

/// The cgroup of one VMM, as it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Where its files are.
    folder: PathBuf,
    /// The scope, if systemd made it. Each boot has a new one: systemd forgets an old one in its own time.
    scope: Option<String>,
}

/// Where cgroups are made.
#[derive(Debug)]
pub(super) enum Cgroups {
    Systemd { slice: PathBuf },
    Folder { parent: PathBuf, is_ours: bool },
    None,
}

impl Cgroups {
    /// Finds out what there is. An error is for people, and says what to do.
    pub fn open(choice: &CgroupChoice) -> Result<Self, String> {
        match choice {
            CgroupChoice::None => Ok(Self::None),
            CgroupChoice::Systemd => systemd(),
            CgroupChoice::Cgroup2(parent) => folder(parent, false),
            CgroupChoice::Auto if Path::new("/run/systemd/system").is_dir() => systemd(),
            CgroupChoice::Auto => {
                let made = mount_point().and_then(|mount| folder(&mount.join("bothy"), true));
                Ok(made.unwrap_or_else(|message| {
                    log::warn!("VMMs run without cgroups of their own, and so without limits: {message}");
                    Self::None
                }))
            }
        }
    }

    /// Makes the cgroup of a VMM. A scope comes into being with its process.
    pub fn make(&self, instance: Id<Instance>, limits: CgroupLimits) -> io::Result<Option<Place>> {
        match self {
            Self::None => Ok(None),
            Self::Systemd { slice } => {
                let boot = uuid::Uuid::new_v4().simple();
                let scope = format!("{SCOPE_PREFIX}{instance}-{boot}{SCOPE_SUFFIX}");
                Ok(Some(Place { folder: slice.join(&scope), scope: Some(scope) }))
            }
            Self::Folder { parent, .. } => {
                let folder = parent.join(instance.to_string());
                match fs::create_dir(&folder) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
                let quota = limits.cpus() * CPU_PERIOD_US;
                for (file, value) in [
                    ("memory.max", limits.memory_bytes().to_string()),
                    // A VMM without its helper, or a helper without its VMM, is of no use.
                    ("memory.oom.group", "1".to_owned()),
                    ("cpu.weight", limits.cpu_weight().to_string()),
                    ("cpu.max", format!("{quota} {CPU_PERIOD_US}")),
                    ("pids.max", limits.tasks().to_string()),
                ] {
                    let path = folder.join(file);
                    // What is missing was said when the parent was opened.
                    if path.exists() {
                        fs::write(path, value)?;
                    }
                }
                Ok(Some(Place { folder, scope: None }))
            }
        }
    }

    /// Lets systemd forget what it keeps of scopes of an instance that are gone and have failed.
    pub async fn forget(&self, instance: Id<Instance>) {
        if matches!(self, Self::Systemd { .. }) {
            let scopes = format!("{SCOPE_PREFIX}{instance}-*{SCOPE_SUFFIX}");
            systemctl(&["--quiet", "reset-failed", "--", &scopes]).await;
        }
    }

    /// Removes the folder of them all if nobody chose it, unless something is in it. Systemd's slice goes by itself.
    pub fn close(&self) -> io::Result<()> {
        match self {
            Self::Folder { parent, is_ours: true } => match fs::remove_dir(parent) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            Self::Folder { is_ours: false, .. } | Self::Systemd { .. } | Self::None => Ok(()),
        }
    }

    /// All cgroups of VMMs that are there.
    pub fn found(&self) -> io::Result<Vec<(Id<Instance>, Place)>> {
        let (folder, is_scope) = match self {
            Self::None => return Ok(vec![]),
            Self::Systemd { slice } => (slice, true),
            Self::Folder { parent, .. } => (parent, false),
        };
        let entries = match fs::read_dir(folder) {
            // The slice comes with its first scope.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            let id = if is_scope { instance_of_scope(&name) } else { name.parse().ok() };
            let place = Place { folder: folder.join(&name), scope: is_scope.then_some(name) };
            found.extend(id.map(|id| (id, place)));
        }
        Ok(found)
    }
}

fn instance_of_scope(name: &str) -> Option<Id<Instance>> {
    let name = name.strip_prefix(SCOPE_PREFIX)?.strip_suffix(SCOPE_SUFFIX)?;
    name.rsplit_once('-')?.0.parse().ok()
}

/// What the launcher is told: the `cgroup.procs` to enter, and the words in front of the program.
pub(super) fn launch_words(
    place: Option<&Place>,
    instance: Id<Instance>,
    limits: CgroupLimits,
) -> Vec<OsString> {
    let Some(place) = place else { return vec![NO_CGROUP.into()] };
    let Some(scope) = &place.scope else { return vec![place.folder.join("cgroup.procs").into()] };
    // It asks systemd for a scope around its own process, and then becomes the program: the pid stays.
    let mut words = vec![
        NO_CGROUP.to_owned(),
        "systemd-run".to_owned(),
        "--scope".to_owned(),
        "--quiet".to_owned(),
        "--no-ask-password".to_owned(),
        format!("--unit={scope}"),
        format!("--slice={SLICE}"),
        format!("--description=Virtual machine of {instance}"),
    ];
    for property in [
        format!("MemoryMax={}", limits.memory_bytes()),
        format!("CPUWeight={}", limits.cpu_weight()),
        format!("CPUQuota={}%", limits.cpus() * 100),
        format!("TasksMax={}", limits.tasks()),
        // When the host goes down, the helper goes with its VMM.
        "KillMode=control-group".to_owned(),
    ] {
        words.push(format!("--property={property}"));
    }
    words.push("--".to_owned());
    words.into_iter().map(OsString::from).collect()
}

impl Place {
    /// Sends SIGKILL to all that are in it.
    pub fn kill(&self) -> io::Result<()> {
        match fs::write(self.folder.join("cgroup.kill"), "1") {
            Err(error) if is_gone(&error) && self.folder.exists() => self.kill_each(),
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Kernels before 5.14 have no `cgroup.kill`.
    fn kill_each(&self) -> io::Result<()> {
        for pid in self.pids()? {
            match kill_process(pid, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn pids(&self) -> io::Result<Vec<Pid>> {
        let text = match fs::read_to_string(self.folder.join("cgroup.procs")) {
            Err(error) if is_gone(&error) => return Ok(vec![]),
            text => text?,
        };
        Ok(text.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw).collect())
    }

    /// Whether no process is in it; zombies count as gone.
    pub fn is_empty(&self) -> io::Result<bool> {
        match fs::read_to_string(self.folder.join("cgroup.events")) {
            Ok(text) => Ok(!text.lines().any(|line| line == "populated 1")),
            Err(error) if is_gone(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Removes it; must be empty. Waits a moment for the kernel to agree.
    pub async fn remove(&self) -> io::Result<()> {
        if self.scope.is_some() {
            // Systemd removes an empty one by itself.
            return Ok(());
        }
        for _ in 0..100 {
            match fs::remove_dir(&self.folder) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => {
                    sleep(Duration::from_millis(5)).await
                }
                Err(error) if !is_gone(&error) => return Err(error),
                _ => return Ok(()),
            }
        }
        Err(Errno::BUSY.into())
    }

    /// How many processes of it the out-of-memory killer ended; `None` if that cannot be known any more.
    pub fn oom_kills(&self) -> Option<u64> {
        let text = fs::read_to_string(self.folder.join("memory.events")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
    }

    /// Whether systemd (from version 253 on) says that the scope, which may be gone, had to do with the out-of-memory killer.
    pub async fn scope_ran_out_of_memory(&self) -> bool {
        let Some(scope) = &self.scope else { return false };
        systemctl(&["show", "--property=Result", "--value", "--", scope]).await.trim_ascii() == b"oom-kill"
    }

    /// Tells when `oom_kills` changed. A scope is gone as soon as its processes are, and its count with it.
    pub fn watch_oom(&self) -> Option<OomWatch> {
        self.scope.as_ref()?;
        let file = fs::File::open(self.folder.join("memory.events")).ok()?;
        waitable(file.into(), Interest::PRIORITY).ok().map(OomWatch)
    }
}

/// What systemctl says; nothing if it fails, which it says in the log.
async fn systemctl(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("systemctl");
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    match output {
        Ok(Ok(output)) => output.stdout,
        Ok(Err(error)) => {
            log::warn!("cannot start systemctl: {error}");
            vec![]
        }
        Err(error) => {
            log::warn!("cannot wait for systemctl: {error}");
            vec![]
        }
    }
}

/// See `Place::watch_oom`.
pub(super) struct OomWatch(AsyncFd<OwnedFd>);

impl OomWatch {
    /// Returns when the file has changed since it was read last.
    pub async fn changed(&self) {
        if let Ok(mut ready) = self.0.ready(Interest::PRIORITY).await {
            ready.clear_ready();
        }
    }
}

/// No such file, or its cgroup was removed while it was open.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::NODEV)
}

fn systemd() -> Result<Cgroups, String> {
    Ok(Cgroups::Systemd { slice: mount_point()?.join(SLICE) })
}

fn folder(parent: &Path, is_ours: bool) -> Result<Cgroups, String> {
    let failed = |error: io::Error| format!("cannot use the cgroup {}: {error}", parent.display());
    fs::create_dir_all(parent).map_err(failed)?;
    if !parent.join("cgroup.procs").exists() {
        return Err(format!(
            "{} is not in a cgroup v2 tree: mount one, or choose another folder",
            parent.display()
        ));
    }
    const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];
    let control = parent.join("cgroup.subtree_control");
    for controller in CONTROLLERS {
        // One that cannot be had is seen below.
        for folder in parent.parent().into_iter().chain([parent]) {
            let _ = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    let enabled = fs::read_to_string(control).map_err(failed)?;
    let missing: Vec<&str> = CONTROLLERS
        .into_iter()
        .filter(|controller| !enabled.split_whitespace().any(|enabled| enabled == *controller))
        .collect();
    if !missing.is_empty() {
        let (missing, parent) = (missing.join(", "), parent.display());
        log::warn!("{parent} has no controllers {missing}: VMMs run without these limits");
    }
    Ok(Cgroups::Folder { parent: parent.to_owned(), is_ours })
}

/// Where the cgroup v2 tree is mounted.
fn mount_point() -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo");
    let mounts = mounts.map_err(|error| format!("cannot read /proc/self/mountinfo: {error}"))?;
    let found = mounts.lines().find_map(|line| {
        // proc_pid_mountinfo(5): the type follows a hyphen, the mount point is the fifth field.
        let (mount, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4)).flatten().map(PathBuf::from)
    });
    found.ok_or_else(|| "no cgroup v2 tree is mounted: mount -t cgroup2 none /sys/fs/cgroup".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CgroupLimits = CgroupLimits { memory_mib: 1024, vcpus: 2 };

    #[test]
    fn a_scope_is_asked_for_with_its_limits_and_known_again() {
        let id = Id::new(0xab);
        let cgroups = Cgroups::Systemd { slice: "/cg/bothy.slice".into() };
        let place = cgroups.make(id, LIMITS).unwrap().unwrap();
        let scope = place.scope.clone().unwrap();
        assert_eq!(instance_of_scope(&scope), Some(id));
        assert_ne!(cgroups.make(id, LIMITS).unwrap().unwrap(), place, "each boot has its own");
        let words = launch_words(Some(&place), id, LIMITS);
        for word in
            ["--scope", "--property=MemoryMax=1358954496", "--property=CPUQuota=300%", "--slice=bothy.slice"]
        {
            assert!(words.iter().any(|have| have == word), "{word} in {words:?}");
        }
        assert_eq!(words.last().unwrap(), "--");
        for name in
            ["bothy-vmm-i-000000ab.scope", "bothy-vmm-x-1.scope", "session-1.scope", "bothy-vmm-i-000000ab-1"]
        {
            assert_eq!(instance_of_scope(name), None, "{name}");
        }
    }

    #[test]
    fn an_oom_kill_is_read_out_of_the_kernels_words() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path().to_owned(), scope: None };
        assert_eq!(place.oom_kills(), None);
        fs::write(
            folder.path().join("memory.events"),
            "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n",
        )
        .unwrap();
        assert_eq!(place.oom_kills(), Some(3));
    }

    #[test]
    fn limits_cannot_overflow() {
        let limits = CgroupLimits { memory_mib: u64::MAX, vcpus: u32::MAX };
        assert_eq!(limits.memory_bytes(), u64::MAX);
        assert_eq!(limits.cpu_weight(), 10_000);
        assert_eq!(CgroupLimits { memory_mib: 0, vcpus: 0 }.cpu_weight(), 1);
    }
}
