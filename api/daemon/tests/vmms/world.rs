//! A host for one test: folders of its own, the fake VMM as the program, a cgroup folder where there is one, and what was
//! told. When it goes, nothing may be left of its VMMs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bothyd::vmms::{CgroupChoice, CgroupLimits, Vmms, VmmsConfig};
use compute::id::{Id, Instance};
use compute::lifecycle::Report;
use compute::outside::{HostError, Sight};
use vmm_api::{Client, VmConfig};

use crate::host;
pub use crate::host::{cgroup, fake_vmm};

/// Longest that a test waits for a state.
const PATIENCE: Duration = Duration::from_secs(30);

pub const LIMITS: CgroupLimits = CgroupLimits { memory_mib: 64, vcpus: 1 };

/// What was told, in order.
pub type Told = Arc<Mutex<Vec<(Id<Instance>, Sight)>>>;

pub struct World {
    pub folder: tempfile::TempDir,
    pub cgroup: CgroupChoice,
    pub told: Told,
}

impl World {
    pub fn new(cgroup: CgroupChoice) -> Self {
        // Short, as sockets' paths are.
        let folder = tempfile::Builder::new().prefix("vmms").tempdir().unwrap();
        Self { folder, cgroup, told: Told::default() }
    }

    /// Without cgroups.
    pub fn bare() -> Self {
        Self::new(CgroupChoice::None)
    }

    pub fn config(&self) -> VmmsConfig {
        config(self.folder.path(), self.cgroup.clone())
    }

    /// A daemon's VMMs.
    pub async fn open(&self) -> Vmms {
        self.open_with(self.config()).await
    }

    pub async fn open_with(&self, config: VmmsConfig) -> Vmms {
        let told = Arc::clone(&self.told);
        let tell = Arc::new(move |id, sight| told.lock().unwrap().push((id, sight)));
        Vmms::open(config, tell).await.unwrap()
    }

    pub fn run_folder(&self, id: Id<Instance>) -> PathBuf {
        self.folder.path().join("run").join(id.to_string())
    }

    pub fn client(&self, id: Id<Instance>) -> Client {
        Client::new(self.run_folder(id).join("control"))
    }

    /// What was told of an instance.
    pub fn told(&self, id: Id<Instance>) -> Vec<Sight> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|(of, _)| *of == id).map(|(_, sight)| sight.clone()).collect()
    }

    /// Waits until something was told of an instance, and gives the last of it.
    pub async fn wait_told(&self, id: Id<Instance>, report: Report) -> Sight {
        until(&format!("{report:?} of {id}"), || {
            self.told(id).into_iter().find(|sight| sight.report == report)
        })
        .await
    }

    /// Processes of VMMs and launchers, by instance.
    pub fn processes(&self) -> BTreeMap<Id<Instance>, Vec<u32>> {
        let found = host::processes(&self.folder.path().join("run"), true);
        found.into_iter().filter_map(|(id, pids)| Some((id.parse().ok()?, pids))).collect()
    }

    pub fn pid(&self, id: Id<Instance>) -> u32 {
        let processes = self.processes();
        let [pid] = processes[&id][..] else { panic!("{processes:?}") };
        pid
    }

    /// Ends all there is, by what a daemon would do, and sees that nothing is left.
    pub async fn end(self, vmms: Vmms) {
        for id in vmms.present().await.unwrap() {
            remove(&vmms, id).await.unwrap();
        }
        self.nothing_is_left(&vmms).await;
    }

    pub async fn nothing_is_left(&self, vmms: &Vmms) {
        assert_eq!(vmms.present().await.unwrap(), []);
        assert_eq!(self.processes(), BTreeMap::new());
        let left = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(self.folder.path().join(folder)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        assert_eq!(left("run"), ["lock"]);
        assert_eq!(left("consoles"), [""; 0]);
        if let CgroupChoice::Cgroup2(parent) = &self.cgroup {
            let folders =
                fs::read_dir(parent).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
            assert_eq!(folders.count(), 0);
        }
        until("an end of all zombies", || zombies().is_empty().then_some(())).await;
    }
}

impl Drop for World {
    /// A test that failed leaves nothing either.
    fn drop(&mut self) {
        for pid in self.processes().into_values().flatten() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        if let CgroupChoice::Cgroup2(parent) = &self.cgroup {
            let _ = fs::write(parent.join("cgroup.kill"), "1");
            // Busy until what was in it is waited for.
            for _ in 0..200 {
                for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                    let _ = fs::remove_dir(entry.path());
                }
                if fs::remove_dir(parent).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

pub async fn remove(vmms: &Vmms, id: Id<Instance>) -> Result<(), HostError> {
    vmms.kill(id).await?;
    vmms.clean_up(id).await?;
    vmms.forget(id).await
}

pub fn config(folder: &Path, cgroup: CgroupChoice) -> VmmsConfig {
    VmmsConfig {
        launcher: vec![std::env::current_exe().unwrap().into(), "vmm-launcher".into()],
        run_folder: folder.join("run"),
        console_folder: folder.join("consoles"),
        cgroup,
        answer_limit: Duration::from_secs(5),
        ..VmmsConfig::new(fake_vmm())
    }
}

/// A small machine that behaves as the words say.
pub fn vm(words: &str) -> VmConfig {
    let boot = serde_json::json!({"kernel": {"kernel": "/no/kernel", "cmdline": words}});
    serde_json::from_value(serde_json::json!({"vcpus": 1, "memory": {"size_mib": 64}, "boot": boot})).unwrap()
}

/// Waits for something to be there; a test that waits in vain says for what.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Children of this process that ended and were not waited for.
pub fn zombies() -> Vec<u32> {
    let own = std::process::id().to_string();
    let is_zombie = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        (fields.next() == Some("Z") && fields.next() == Some(own.as_str())).then_some(pid)
    };
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter_map(is_zombie)
        .collect()
}

/// This test as a daemon, in a group of its own so that it is a daemon's end and nobody else's when it is killed.
pub fn daemon(arguments: &[&std::ffi::OsStr]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).process_group(0);
    command
}
