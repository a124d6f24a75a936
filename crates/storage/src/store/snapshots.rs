//! Snapshots: what was on a volume at some time.

use super::error::{StoreError, failed};
use super::volumes::bad_name;
use super::{Store, file_bytes, files, is_id};

/// What to do about a volume that a VMM has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileInUse {
    /// Take the snapshot only if that is done at once.
    AtOnce,
    /// Take it in any case: the caller has seen to it that nothing writes until this is done, by pausing the VM.
    Quiet,
}

/// Refuses what is no snapshot's id.
pub(super) fn check_id(id: &str) -> Result<(), StoreError> {
    if is_id(id, "snap") { Ok(()) } else { Err(bad_name("snapshot's id", id)) }
}

impl Store {
    /// Keeps what is on a volume now. One that is there is success.
    ///
    /// What is guaranteed: the snapshot has all that was flushed before the call.
    ///
    /// - With reflinks ([`reflinks`](Self::reflinks)) the volume may be in use: it is taken at one moment, as if the power
    ///   had failed then, so that a guest's file system is as good as after a crash.
    /// - Without, it is a copy that takes its time. A volume that nobody has is locked meanwhile, against VMMs that want
    ///   to write to it. One that a VMM has is refused with [`WhileInUse::AtOnce`]; with [`WhileInUse::Quiet`] it is
    ///   copied, and is as good as the caller's word.
    ///
    /// # Errors
    /// When there is no such volume, or [`StoreError::InUse`].
    pub fn snapshot(&self, volume: &str, snapshot: &str, in_use: WhileInUse) -> Result<(), StoreError> {
        check_id(snapshot)?;
        let doing = || failed(format!("take snapshot {snapshot} of volume {volume}"));
        if self.snapshots.path().join(snapshot).exists() {
            return self.snapshots.sync().map_err(doing());
        }
        let from = self.open_volume(volume, true)?;
        let new = self.temporary(snapshot)?;
        if !(self.reflinks && files::reflink(&from, new.file()).map_err(doing())?) {
            let is_locked = files::lock(&from, false).map_err(doing())?;
            if !is_locked && in_use == WhileInUse::AtOnce {
                let hint = "this file system cannot copy it at once; pause or stop the instance that has it";
                return Err(StoreError::InUse { name: format!("volume {volume}"), hint });
            }
            let bytes = from.metadata().map_err(doing())?.len();
            files::copy_sparse(&from, new.file(), bytes).map_err(doing())?;
        }
        // One that came to be meanwhile was asked for as well.
        new.publish(&self.snapshots, snapshot).map(drop).map_err(doing())
    }

    /// Removes a snapshot. One that is not there is success; volumes and images made of it stay.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn delete_snapshot(&self, snapshot: &str) -> Result<(), StoreError> {
        check_id(snapshot)?;
        self.snapshots.remove(snapshot).map_err(failed(format!("delete snapshot {snapshot}")))
    }

    /// A snapshot's size in bytes.
    ///
    /// # Errors
    /// When there is none.
    pub fn snapshot_bytes(&self, snapshot: &str) -> Result<u64, StoreError> {
        check_id(snapshot)?;
        file_bytes(&self.snapshots.path().join(snapshot), "snapshot", snapshot)
    }
}
