//! The store of images, volumes and snapshots: raw files below one folder. Called by the daemon, which has it for itself;
//! it knows neither instances nor records, and nothing here waits for a guest.
//!
//! ```text
//! images/SHA256      an image's content, named by its hash; never changed
//! kernels/SHA256     a kernel or an initial RAM disk, likewise
//! volumes/vol-…      a volume: exactly as long as its disk, locked by the VMM that has it
//! snapshots/snap-…   what was on a volume at some time; never changed
//! downloads/job-…    what a job fetched, whole or in part
//! temporary/         what is not finished; emptied when the store is opened
//! ```
//!
//! What holds, whenever the process is killed or the power fails:
//!
//! - A file has its name only when it is whole and on disk: it is written under `temporary`, synced, renamed, and its
//!   folder is synced. What was acknowledged stays; what was not is there whole or not at all.
//! - Everything may be asked twice, and finds its own earlier result.
//! - A name is never given to another file while it is in use: renaming replaces nothing.
//! - Nobody reads what others left. New files are holes, which read as zeroes, or what was written to them; the file
//!   system gives out no block with its old content. All files are for their owner only.
//!
//! Copies are reflinks where the file system can (XFS, btrfs): at once, and sharing space until one side is written.
//! Elsewhere they are copies of the data, without its holes.

mod convert;
mod downloads;
mod error;
pub(crate) mod files;
mod fresh;
pub mod image;
mod images;
mod kernels;
mod snapshots;
mod sparse;
mod volumes;

pub use convert::{CONVERT_ARGUMENT, convert_main};
#[doc(hidden)]
pub use convert::{ConvertTask, convert_main_doing};
pub use downloads::{Download, Version};
pub use error::{Fault, ImportError, OpenStoreError, StoreError};
pub use images::Imported;
pub use snapshots::WhileInUse;
pub use volumes::Content;

use crate::ownership;
use error::failed;
use files::Folder;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What the store allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest disk of an image, in bytes, as the guest sees it.
    pub max_image_bytes: u64,
    /// Longest time that converting an image may take.
    pub import_timeout: Duration,
    /// Argument that makes this program the helper: for tests, whose helpers misbehave.
    #[doc(hidden)]
    pub convert_argument: &'static str,
}

impl Default for Limits {
    /// 2 TiB and an hour.
    fn default() -> Self {
        Self {
            max_image_bytes: 2 << 40,
            import_timeout: Duration::from_secs(3600),
            convert_argument: CONVERT_ARGUMENT,
        }
    }
}

/// All names that are there, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Ids of volumes.
    pub volumes: Vec<String>,
    /// Ids of snapshots.
    pub snapshots: Vec<String>,
    /// Hashes of images.
    pub images: Vec<String>,
    /// Copies of kernels and initial RAM disks.
    pub kernels: Vec<PathBuf>,
    /// Ids of jobs for which something was downloaded.
    pub downloads: Vec<String>,
}

/// The store. May be used by several threads at once; its calls block for as long as the disk takes.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    images: Folder,
    kernels: Folder,
    volumes: Folder,
    snapshots: Folder,
    downloads: Folder,
    temporary: Folder,
    reflinks: bool,
    /// For the names of temporary files.
    counter: AtomicU64,
    /// Held while a volume's size is read and then set: two who make it larger must not make it smaller.
    growing: Mutex<()>,
    /// Held as long as the store is open.
    _lock: File,
}

impl Store {
    /// Opens the store below `folder`, making what is missing, and removes what earlier ones left unfinished.
    ///
    /// # Errors
    /// When another process has it open and keeps it for seconds, or the system refuses something.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, OpenStoreError> {
        let error = |what: &'static str| {
            let path = folder.to_owned();
            move |source| OpenStoreError::Io { what, path, source }
        };
        files::make_folder(folder).map_err(error("make the store's folder"))?;
        // Before anything is removed: what is temporary may belong to another process.
        let lock = File::open(folder).map_err(error("open the store's folder"))?;
        if !ownership::take(&lock).map_err(error("lock the store's folder"))? {
            return Err(OpenStoreError::InUse(folder.to_owned()));
        }
        let open = |name: &str| Folder::open(folder.join(name)).map_err(error("make a folder of the store"));
        let (images, kernels, volumes) = (open("images")?, open("kernels")?, open("volumes")?);
        let (snapshots, downloads, temporary) = (open("snapshots")?, open("downloads")?, open("temporary")?);
        lock.sync_all().map_err(error("sync the store's folder"))?;
        temporary.empty().map_err(error("remove what is temporary in the store"))?;
        let reflinks = files::can_reflink(&temporary).map_err(error("try what the file system can do"))?;
        Ok(Self {
            limits,
            images,
            kernels,
            volumes,
            snapshots,
            downloads,
            temporary,
            reflinks,
            counter: AtomicU64::new(0),
            growing: Mutex::new(()),
            _lock: lock,
        })
    }

    /// Whether copies are made at once, by the file system: see [`snapshot`](Self::snapshot).
    pub fn reflinks(&self) -> bool {
        self.reflinks
    }

    /// All that is there. Files whose names are none of ours are not told.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn present(&self) -> Result<Present, StoreError> {
        let names = |folder: &Folder, is_ours: fn(&str) -> bool| {
            let mut names = folder.names().map_err(failed(format!("list {}", folder.path().display())))?;
            names.retain(|name| is_ours(name));
            Ok::<_, StoreError>(names)
        };
        Ok(Present {
            volumes: names(&self.volumes, |name| volumes::check_id(name).is_ok())?,
            snapshots: names(&self.snapshots, |name| snapshots::check_id(name).is_ok())?,
            images: names(&self.images, |name| images::check_hash(name).is_ok())?,
            kernels: names(&self.kernels, |name| images::check_hash(name).is_ok())?
                .into_iter()
                .map(|name| self.kernels.path().join(name))
                .collect(),
            downloads: self
                .present_downloads()
                .map_err(failed("list the downloads of the store".to_owned()))?,
        })
    }

    /// Bytes that the file system has left for us.
    ///
    /// # Errors
    /// When it does not say.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let path = self.volumes.path();
        let status = nix::sys::statvfs::statvfs(path);
        let status = status.map_err(|errno| failed("ask how much space is left".to_owned())(errno.into()))?;
        Ok(status.blocks_available() * status.fragment_size())
    }
}

/// The size of a file of the store, which must be there.
fn file_bytes(path: &PathBuf, what: &'static str, name: &str) -> Result<u64, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) => Err(not_found(error, what, name)),
    }
}

/// The error of opening a file of the store.
fn not_found(error: std::io::Error, what: &'static str, name: &str) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::NotFound => StoreError::NotFound { what, name: name.to_owned() },
        _ => failed(format!("open {what} {name}"))(error),
    }
}

/// Whether `name` is `prefix`, a hyphen and 8 to 32 hexadecimal digits: nothing that leads out of a folder.
fn is_id(name: &str, prefix: &str) -> bool {
    let digits = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| (8..=32).contains(&digits.len()) && digits.bytes().all(is_digit))
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
