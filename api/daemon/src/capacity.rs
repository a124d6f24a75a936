//! What this host has to give: what the configuration says, and else what can be seen.

use std::io;

use compute::capacity::Amounts;
use storage::store::{Store, StoreError};

use crate::config::Capacity;

/// What the host keeps for itself of its memory, at least.
const LEAST_KEPT_MIB: u64 = 512;

/// Why it cannot be said what the host has.
#[derive(Debug, thiserror::Error)]
pub enum CapacityError {
    /// Its memory cannot be seen.
    #[error("cannot see how much memory the host has")]
    Memory(#[from] io::Error),
    /// The store of volumes does not say what it has.
    #[error("cannot see how much room there is for volumes")]
    Disk(#[from] StoreError),
}

/// What the host may promise, over-commit included.
///
/// # Errors
///
/// It cannot be seen, and the configuration does not say it.
pub fn promised(config: &Capacity, store: &Store) -> Result<Amounts, CapacityError> {
    let vcpus = match config.vcpus {
        Some(vcpus) => vcpus,
        None => std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64),
    };
    let memory_mib = match config.memory_mib {
        Some(memory) => memory,
        None => {
            let total = memory_mib()?;
            total.saturating_sub((total / 10).max(LEAST_KEPT_MIB))
        }
    };
    let disk_gib = match config.disk_gib {
        Some(disk) => disk,
        None => {
            // What volumes take already is promised, and counts again when they are.
            let mut bytes = store.free_bytes()?;
            for volume in store.present()?.volumes {
                bytes = bytes.saturating_add(store.allocated_bytes(&volume)?);
            }
            (bytes - bytes / 20) >> 30
        }
    };
    let host = Amounts { instances: u64::MAX, vcpus, memory_mib, disk_gib };
    Ok(config.overcommit.of(host))
}

/// The host's memory, in MiB.
fn memory_mib() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let kib: Option<u64> = total.and_then(|number| number.trim().parse().ok());
    kib.map(|kib| kib / 1024).ok_or_else(|| io::Error::other("/proc/meminfo has no MemTotal"))
}
