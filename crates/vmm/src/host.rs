//! What a machine takes of the host and keeps over its resets: open and locked disks, attached taps.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use devices::virtio::block::{Disk, OpenDiskError};
use devices::virtio::net::{OpenTapError, Tap};
use vmm_api::{DiskSource, Nic, TapSource, VmConfig};

/// Disks and taps of one machine, in the order of the configuration.
pub struct HostResources {
    /// Open disks.
    pub disks: Vec<Disk>,
    /// Attached taps.
    pub taps: Vec<Tap>,
}

/// Why the host's side of a machine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenResourcesError {
    /// A disk.
    #[error("cannot open disk {id:?}")]
    Disk {
        /// Its id.
        id: String,
        /// Why.
        source: OpenDiskError,
    },
    /// A tap.
    #[error("cannot open tap {name}")]
    Tap {
        /// Its name or number.
        name: String,
        /// Why.
        source: OpenTapError,
    },
    /// An inherited descriptor.
    #[error("descriptor {fd} was not inherited")]
    Descriptor {
        /// Its number.
        fd: i32,
        /// Why.
        source: io::Error,
    },
}

impl HostResources {
    /// Opens everything; if something fails, what was opened is closed again.
    pub fn open(config: &VmConfig) -> Result<Self, OpenResourcesError> {
        let disks = config.disks.iter().map(open_disk).collect::<Result<_, _>>()?;
        let taps = config.nics.iter().map(open_tap).collect::<Result<_, _>>()?;
        Ok(Self { disks, taps })
    }
}

fn open_disk(disk: &vmm_api::Disk) -> Result<Disk, OpenResourcesError> {
    let opened = match &disk.source {
        DiskSource::Path(path) => Disk::open(path, disk.read_only, disk.direct),
        DiskSource::Fd(fd) => Disk::from_file(inherited(*fd)?, disk.read_only, disk.direct),
    };
    opened.map_err(|source| OpenResourcesError::Disk { id: disk.id.clone(), source })
}

fn open_tap(nic: &Nic) -> Result<Tap, OpenResourcesError> {
    let (opened, name) = match &nic.tap {
        TapSource::Name(name) => (Tap::open(name), format!("{name:?}")),
        TapSource::Fd(fd) => (Tap::from_file(inherited(*fd)?), format!("on descriptor {fd}")),
    };
    opened.map_err(|source| OpenResourcesError::Tap { name, source })
}

/// A copy of a descriptor that this process was started with, so that the original serves the next boot too.
fn inherited(fd: i32) -> Result<File, OpenResourcesError> {
    let refused = |source| OpenResourcesError::Descriptor { fd, source };
    if fd < 0 {
        return Err(refused(io::Error::from_raw_os_error(libc::EBADF)));
    }
    // SAFETY: borrowed only for the next line; a number that is no descriptor makes the copy fail.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let copy = borrowed.try_clone_to_owned().map_err(refused)?;
    debug_assert_ne!(copy.as_raw_fd(), fd);
    Ok(File::from(copy))
}
