//! What tests of the daemon need of a host: the fake VMM, a place for cgroups, and a look at which VMMs there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use bothyd::vmms::{CgroupChoice, LAUNCHER_WORD};

/// The fake VMM, which lies beside this test; made as the sources are now, which a test of another crate is not.
pub fn fake_vmm() -> &'static Path {
    static FAKE: OnceLock<PathBuf> = OnceLock::new();
    FAKE.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        let path = own.ancestors().nth(2).unwrap().join("fake-vmm");
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let status = Command::new(cargo).args(["build", "--quiet", "-p", "fake-vmm"]).status().unwrap();
        assert!(status.success() && path.exists(), "cargo build -p fake-vmm made no {}", path.display());
        path
    })
}

/// A folder for cgroups of this test, or why there is none.
pub fn cgroup() -> Result<CgroupChoice, String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4)).flatten()
    });
    let mount = mount.ok_or("no cgroup v2 tree is mounted")?;
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let parent = Path::new(mount).join(format!("bothy-test-{}-{count}", std::process::id()));
    fs::create_dir(&parent).map_err(|error| format!("cannot make {}: {error}", parent.display()))?;
    Ok(CgroupChoice::Cgroup2(parent))
}

/// Processes whose control socket is below `folder`, by the id that they were given. Those that are not VMMs yet count, if
/// `launchers` says so.
pub fn processes(folder: &Path, launchers: bool) -> BTreeMap<String, Vec<u32>> {
    let mut found = BTreeMap::<_, Vec<u32>>::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Some(pid) = entry.unwrap().file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<&str> = line.split('\0').collect();
        let id = words.windows(4).find_map(|words| match words {
            ["--id", id, "--control", path] if Path::new(path).starts_with(folder) => Some((*id).to_owned()),
            _ => None,
        });
        if let Some(id) = id
            && (launchers || words.get(1) != Some(&LAUNCHER_WORD))
        {
            found.entry(id).or_default().push(pid);
        }
    }
    found
}
