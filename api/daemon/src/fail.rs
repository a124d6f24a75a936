//! Fail points: moments at which a test lets the daemon die, before and after each thing that it does to the world. With
//! the feature `fail-points`, `BOTHY_DIE_AT=NAME` or `BOTHY_DIE_AT=NAME:N` in the environment ends the process as
//! `kill -9` does when it comes to that point for the first or Nth time, and `BOTHY_PASSED=FILE` notes each point that was
//! passed. Without the feature, as it is installed, there is nothing of it.

#[cfg(feature = "fail-points")]
pub use at_work::{POINTS, point};

/// A moment. Nothing happens.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn point(_: &str) {}

/// Does something, with a moment before and one after.
#[inline(always)]
pub(crate) fn around<T>(before: &'static str, after: &'static str, work: impl FnOnce() -> T) -> T {
    point(before);
    let result = work();
    point(after);
    result
}

#[cfg(feature = "fail-points")]
mod at_work {
    use std::collections::HashMap;
    use std::fs::File;
    use std::io::Write;
    use std::sync::{Mutex, PoisonError};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    /// All points, in the order in which a daemon comes to them, more or less.
    pub const POINTS: &[&str] = &[
        // Its start.
        "node.folders_made",
        "node.records_opened",
        "host_key.writing",
        "host_key.written",
        "host_key.named",
        "node.store_opened",
        "node.network_opened",
        "node.vmms_opened",
        "node.recovered",
        "node.strays_removed",
        "listen.socket_removed",
        "listen.bound",
        "node.account_made",
        "node.ready",
        // Every change of a record.
        "records.committing",
        "records.committed",
        // Images.
        "image.fetching",
        "image.receiving",
        "image.fetched",
        "image.importing",
        "image.converting",
        "image.imported",
        "image.copying",
        "image.copied",
        "image.deleting",
        "image.deleted",
        "kernel.keeping",
        "kernel.kept",
        "kernel.deleting",
        "kernel.deleted",
        // Volumes and snapshots.
        "disk.creating",
        "disk.created",
        "disk.growing",
        "disk.grown",
        "disk.deleting",
        "disk.deleted",
        "snapshot.taking",
        "snapshot.taken",
        "snapshot.deleting",
        "snapshot.deleted",
        // What may pass in a network changes.
        "vpc.making",
        "vpc.made",
        "rules.changing",
        "rules.changed",
        "vpc.removing",
        "vpc.removed",
        // A machine comes up.
        "tap.noting",
        "tap.noted",
        "tap.attaching",
        "tap.attached",
        "metadata.bound",
        "seed.writing",
        "seed.written",
        "vmm.folder_made",
        "console.begun",
        "cgroup.made",
        "launcher.started",
        "vmm.recorded",
        "vmm.released",
        "vmm.connected",
        "vmm.configured",
        "vmm.booted",
        "vmm.noted_booted",
        // It runs.
        "button.pressing",
        "button.pressed",
        "reset.asking",
        "reset.done",
        "pause.asking",
        "pause.done",
        "resume.asking",
        "resume.done",
        "reboot.telling",
        "reboot.told",
        "reboot.recorded",
        "end.telling",
        "end.told",
        "end.recorded",
        // It goes.
        "vmm.killing",
        "vmm.killed",
        "vmm.unrecorded",
        "cgroup.removed",
        "vmm.folder_removed",
        "tap.detaching",
        "tap.detached",
        "metadata.removed",
        "seed.removed",
        "tap.unnoted",
        "console.forgetting",
        "console.forgotten",
        // The host is cleared.
        "clear.opened",
        "clear.killed",
        "clear.cleaned",
        "clear.cgroup_removed",
        "clear.network_closed",
        "clear.folder_removed",
    ];

    /// How often each point was passed.
    static PASSED: Mutex<Option<HashMap<&'static str, u32>>> = Mutex::new(None);

    /// A moment, which may be the last one.
    pub fn point(name: &'static str) {
        assert!(POINTS.contains(&name), "{name} is not in the list of fail points");
        let times = {
            let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
            let times = passed.get_or_insert_default().entry(name).or_default();
            *times += 1;
            *times
        };
        if let Some(path) = std::env::var_os("BOTHY_PASSED") {
            let file = File::options().create(true).append(true).open(path);
            let noted = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
            noted.expect("a test says where to note it");
        }
        let Ok(chosen) = std::env::var("BOTHY_DIE_AT") else { return };
        let (at, nth) = chosen.split_once(':').unwrap_or((&chosen, "1"));
        if at == name && nth.parse() == Ok(times) {
            log::warn!("dies at {name}, the {times}. time");
            kill(Pid::this(), Signal::SIGKILL).expect("whoever lives may kill himself");
            // Nothing goes on, wherever the signal is delivered.
            loop {
                std::thread::park();
            }
        }
    }
}
