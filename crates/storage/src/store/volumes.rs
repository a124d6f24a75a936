//! Volumes: made, made larger, removed, opened.

use super::error::{StoreError, failed};
use super::files::{self, Temporary};
use super::{Store, file_bytes, fresh, images, is_id, not_found, snapshots};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// What a new volume has on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Zeroes.
    Blank,
    /// An image's content, and zeroes behind it.
    Image {
        /// The image: the hash of its content.
        sha256: &'a str,
    },
    /// A snapshot's content, and zeroes behind it.
    Snapshot {
        /// Its id.
        snapshot: &'a str,
    },
    /// An ext3 file system, of at least 16 MiB.
    Ephemeral {
        /// Goes into the file `openssh_id.pub` in its root, as a line.
        public_key: Option<&'a str>,
    },
    /// A swap area, of at least ten pages.
    Swap,
}

/// Refuses what is no volume's id.
pub(super) fn check_id(id: &str) -> Result<(), StoreError> {
    if is_id(id, "vol") { Ok(()) } else { Err(bad_name("volume's id", id)) }
}

pub(super) fn bad_name(what: &'static str, text: &str) -> StoreError {
    StoreError::Name { what, text: text.chars().take(80).collect() }
}

impl Store {
    /// Makes a volume. One that is there, of this size, is success, whatever is on it.
    ///
    /// # Errors
    /// When the size is not of whole sectors of 512 bytes, or less than the content has, or when there is no such content;
    /// [`StoreError::OtherSize`] when it is there with another size.
    pub fn create_volume(&self, id: &str, bytes: u64, content: &Content<'_>) -> Result<(), StoreError> {
        check_id(id)?;
        check_size(bytes)?;
        if self.has_volume(id, bytes)? {
            return self.volumes.sync().map_err(failed(format!("sync volume {id}")));
        }
        let new = self.temporary(id)?;
        match content {
            Content::Blank => {}
            Content::Image { sha256 } => {
                images::check_hash(sha256)?;
                self.fill(&new, "image", sha256, self.images.path().join(sha256), bytes)?;
            }
            Content::Snapshot { snapshot } => {
                snapshots::check_id(snapshot)?;
                self.fill(&new, "snapshot", snapshot, self.snapshots.path().join(snapshot), bytes)?;
            }
            Content::Ephemeral { .. } | Content::Swap => {}
        }
        new.file().set_len(bytes).map_err(failed(format!("make volume {id} of {bytes} bytes")))?;
        match content {
            Content::Ephemeral { public_key } => {
                fresh::make_ephemeral(&new, bytes, *public_key, &self.temporary, &self.temporary_name(id))?;
            }
            Content::Swap => fresh::make_swap(new.file(), bytes)?,
            Content::Blank | Content::Image { .. } | Content::Snapshot { .. } => {}
        }
        if !new.publish(&self.volumes, id).map_err(failed(format!("make volume {id}")))? {
            // Another thread was asked the same.
            self.has_volume(id, bytes)?;
        }
        Ok(())
    }

    /// Makes a volume larger; what is new reads as zeroes. It may be in use: whoever has it open does not see it by
    /// itself. One of this size is success.
    ///
    /// # Errors
    /// [`StoreError::Smaller`] when it is larger already.
    pub fn grow_volume(&self, id: &str, bytes: u64) -> Result<(), StoreError> {
        check_size(bytes)?;
        let file = self.open_volume(id, false)?;
        let doing = || failed(format!("make volume {id} larger"));
        // There is nothing behind this lock that could be half done.
        let _growing = self.growing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let present = file.metadata().map_err(doing())?.len();
        if bytes < present {
            return Err(StoreError::Smaller { of: format!("volume {id}"), present, wanted: bytes });
        }
        if bytes > present {
            file.set_len(bytes).map_err(doing())?;
        }
        file.sync_all().map_err(doing())
    }

    /// Removes a volume. One that is not there is success.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when a VMM has it.
    pub fn delete_volume(&self, id: &str) -> Result<(), StoreError> {
        check_id(id)?;
        let doing = || failed(format!("delete volume {id}"));
        // Held until it is gone: nobody boots from what is being deleted.
        let _lock = match OpenOptions::new().read(true).write(true).open(self.volumes.path().join(id)) {
            Ok(file) if files::lock(&file, true).map_err(doing())? => Some(file),
            Ok(_) => {
                let hint = "detach it, or stop the instance that has it";
                return Err(StoreError::InUse { name: format!("volume {id}"), hint });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(doing()(error)),
        };
        self.volumes.remove(id).map_err(doing())
    }

    /// Opens a volume, for a VMM to be handed. Takes no lock: the VMM does.
    ///
    /// # Errors
    /// When there is none.
    pub fn open_volume(&self, id: &str, read_only: bool) -> Result<File, StoreError> {
        check_id(id)?;
        let path = self.volumes.path().join(id);
        OpenOptions::new()
            .read(true)
            .write(!read_only)
            .open(path)
            .map_err(|error| not_found(error, "volume", id))
    }

    /// A volume's size in bytes.
    ///
    /// # Errors
    /// When there is none.
    pub fn volume_bytes(&self, id: &str) -> Result<u64, StoreError> {
        check_id(id)?;
        file_bytes(&self.volumes.path().join(id), "volume", id)
    }

    /// Bytes that a volume takes on the host's disk. What it shares with others by reflinks counts as its own.
    ///
    /// # Errors
    /// When there is none.
    pub fn allocated_bytes(&self, id: &str) -> Result<u64, StoreError> {
        let file = self.open_volume(id, true)?;
        let metadata = file.metadata().map_err(failed(format!("measure volume {id}")))?;
        // The unit of `st_blocks` is 512 bytes whatever the file system's is.
        Ok(metadata.blocks() * 512)
    }

    /// Whether it is there, with this size.
    fn has_volume(&self, id: &str, bytes: u64) -> Result<bool, StoreError> {
        match self.volume_bytes(id) {
            Ok(present) if present == bytes => Ok(true),
            Ok(present) => {
                Err(StoreError::OtherSize { name: format!("volume {id}"), present, wanted: bytes })
            }
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn fill(
        &self,
        new: &Temporary,
        what: &'static str,
        name: &str,
        path: PathBuf,
        bytes: u64,
    ) -> Result<(), StoreError> {
        let from = File::open(path).map_err(|error| not_found(error, what, name))?;
        let doing = || failed(format!("copy {what} {name}"));
        let present = from.metadata().map_err(doing())?.len();
        if bytes < present {
            return Err(StoreError::Smaller { of: format!("{what} {name}"), present, wanted: bytes });
        }
        if !(self.reflinks && files::reflink(&from, new.file()).map_err(doing())?) {
            files::copy_sparse(&from, new.file(), present).map_err(doing())?;
        }
        Ok(())
    }

    /// A temporary file, for something of this name.
    pub(super) fn temporary(&self, name: &str) -> Result<Temporary, StoreError> {
        Temporary::create(&self.temporary, &self.temporary_name(name))
            .map_err(failed("make a temporary file in the store".to_owned()))
    }

    /// A name that nothing else has: the folder was empty when the store was opened, which nobody else has open.
    pub(super) fn temporary_name(&self, name: &str) -> String {
        format!("{name}.{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }
}

fn check_size(bytes: u64) -> Result<(), StoreError> {
    let why = match bytes {
        0 => "it has none",
        _ if !bytes.is_multiple_of(512) => "it is no multiple of 512",
        _ if i64::try_from(bytes).is_err() => "no file is so large",
        _ => return Ok(()),
    };
    Err(StoreError::Size { bytes, why })
}
