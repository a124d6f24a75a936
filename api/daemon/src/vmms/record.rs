//! What is on disk of a VMM: which process it is, in which boot of the host, and how far it came. Written before the VM is
//! booted, so that no daemon that comes later takes another process for it or boots a second one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use compute::lifecycle::Report;
use serde::{Deserialize, Serialize};

use super::cgroup::Place;
use super::process::Identity;
use crate::durable;

/// The record's file in the instance's run folder.
pub(super) const FILE: &str = "vmm.json";

/// What is known of a VMM. A newer daemon's additions are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The host's boot: pids and start times mean nothing in another one.
    pub boot_id: String,
    /// The process, which is also the leader of a session of its own.
    pub process: Identity,
    /// Its cgroup, if it has one.
    pub place: Option<Place>,
    /// Whether its VM was seen to run.
    pub booted: bool,
    /// Number of the last event of the VMM's that was dealt with.
    pub seen: u64,
    /// How its VM ended, once that was told.
    pub end: Option<(Report, String)>,
}

impl Record {
    /// Reads the record of a run folder. `None` if there is none, or it cannot be one: then the process has to be found in
    /// other ways.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text)
                .inspect_err(|error| {
                    log::warn!("{} is not a record of a VMM: {error}", folder.join(FILE).display());
                })
                .ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it, whole or not at all, and returns when it is on disk. Takes microseconds, as a run folder is in memory.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(FILE)).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    }

    /// Removes the record of a run folder; none is success.
    pub fn remove(folder: &Path) -> io::Result<()> {
        durable::remove(&folder.join(FILE))
    }
}

/// Names the host's boot.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}
