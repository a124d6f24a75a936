//! The file or block device behind a virtio-blk device: opened, checked, locked and measured. Called by `vmm::host`
//! before a machine is built; a `Disk` outlives machines. Raw contents only: no image format is interpreted here.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The unit of capacity and addresses in virtio-blk, whatever the block size (VIRTIO 1.2, 5.2.4).
pub const SECTOR_BYTES: u64 = 512;

/// The largest block a guest is asked to work in.
const MAX_BLOCK_BYTES: u32 = 4096;

/// Memory alignment assumed for direct I/O where the kernel does not tell (before Linux 6.1).
const UNTOLD_MEMORY_ALIGN: u32 = 4096;

/// Why a disk cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenDiskError {
    /// Somebody else has it.
    #[error("it is in use by another process")]
    InUse,
    /// The host refused.
    #[error("the host refused to open it")]
    Open(#[source] io::Error),
    /// A directory, pipe, socket or character device.
    #[error("it is {0}, not a regular file or block device")]
    WrongKind(&'static str),
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// Not a whole number of blocks.
    #[error("its size of {size} bytes is not a multiple of {block}")]
    OddSize {
        /// Its size in bytes.
        size: u64,
        /// The block size in bytes.
        block: u32,
    },
    /// A descriptor that was opened for less than what is wanted.
    #[error("the descriptor is not open for {0}")]
    WrongAccess(&'static str),
    /// Its file system has no direct I/O.
    #[error("its file system has no direct I/O (O_DIRECT): leave `direct` out or set it to false")]
    DirectUnsupported,
    /// Direct I/O only in units that the guest does not know of.
    #[error("direct I/O on it works in units of {0} bytes, not 512: leave `direct` out or set it to false")]
    DirectAlignment(u32),
    /// A block device whose blocks no guest understands.
    #[error("its logical blocks of {0} bytes are not supported, only 512 and 4096")]
    BlockSize(u32),
    /// Its size or properties could not be read.
    #[error("cannot {what}")]
    Query {
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// What requests are checked against, and what the guest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Size in bytes, a multiple of `block_bytes`.
    pub bytes: u64,
    /// Logical block size; all offsets and lengths are multiples of it.
    pub block_bytes: u32,
    /// What is written without reading first; at least `block_bytes`.
    pub physical_bytes: u32,
    /// Alignment of buffers and their lengths; 1 unless I/O is direct.
    pub memory_align: u32,
    /// Whether the guest may not write.
    pub read_only: bool,
}

/// An open disk, locked as long as it or a clone of it lives: exclusively if it can be written, else shared.
#[derive(Debug)]
pub struct Disk {
    file: File,
    direct: bool,
    geometry: Geometry,
}

impl Disk {
    /// Opens a regular file or block device. `direct` bypasses the host's page cache (O_DIRECT); left out: on for a
    /// block device, off for a file.
    pub fn open(path: &Path, read_only: bool, direct: Option<bool>) -> Result<Self, OpenDiskError> {
        // Looked at before it is opened: opening some devices has effects, and opening a pipe waits.
        let is_device = checked_kind(&path.metadata().map_err(OpenDiskError::Open)?)?;
        // Writing to a device that is mounted, or part of a volume group, would destroy it.
        let exclusive = if is_device && !read_only { libc::O_EXCL } else { 0 };
        let file = OpenOptions::new()
            .read(true)
            .write(!read_only)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK | exclusive)
            .open(path)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EBUSY) => OpenDiskError::InUse,
                _ => OpenDiskError::Open(error),
            })?;
        Self::from_file(file, read_only, direct)
    }

    /// Takes over an open descriptor. Its status flags (O_APPEND, O_NONBLOCK, O_DIRECT) are set as needed, which shows
    /// in every copy of it.
    pub fn from_file(file: File, read_only: bool, direct: Option<bool>) -> Result<Self, OpenDiskError> {
        let metadata = file.metadata().map_err(query("read its properties"))?;
        let is_device = checked_kind(&metadata)?;
        let access = status_flags(&file).map_err(query("read its flags"))? & libc::O_ACCMODE;
        if access == libc::O_WRONLY {
            return Err(OpenDiskError::WrongAccess("reading"));
        }
        if !read_only && access != libc::O_RDWR {
            return Err(OpenDiskError::WrongAccess("writing: attach the disk read-only"));
        }
        lock(&file, read_only)?;
        set_direct(&file, false).map_err(query("set its flags"))?;
        let direct = direct.unwrap_or(is_device);
        let align = if direct { Some(direct_alignment(&file, is_device)?) } else { None };
        let geometry = measure(&file, &metadata, is_device, align, read_only)?;
        Ok(Self { file, direct, geometry })
    }

    /// The same disk again, under the same lock.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, direct: self.direct, geometry: self.geometry })
    }

    /// The file, for positioned reads of any alignment while no machine runs from it.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Switches to direct I/O if that was chosen, or back. Only on while a queue runs: the flag belongs to the open file
    /// that all copies share, and whoever reads boot files from `file` does so without regard to alignment.
    pub(super) fn set_running(&self, running: bool) -> io::Result<()> {
        if self.direct { set_direct(&self.file, running) } else { Ok(()) }
    }
}

/// True for a block device, false for a regular file.
fn checked_kind(metadata: &std::fs::Metadata) -> Result<bool, OpenDiskError> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => Ok(false),
        () if kind.is_block_device() => Ok(true),
        () if kind.is_dir() => Err(OpenDiskError::WrongKind("a directory")),
        () if kind.is_fifo() => Err(OpenDiskError::WrongKind("a pipe")),
        () if kind.is_socket() => Err(OpenDiskError::WrongKind("a socket")),
        () => Err(OpenDiskError::WrongKind("a character device")),
    }
}

fn measure(
    file: &File,
    metadata: &std::fs::Metadata,
    is_device: bool,
    align: Option<Alignment>,
    read_only: bool,
) -> Result<Geometry, OpenDiskError> {
    let bytes = match is_device {
        // A device's inode has no size. The file position moved by this is used by nobody.
        true => (&*file).seek(SeekFrom::End(0)).map_err(query("read its size"))?,
        false => metadata.len(),
    };
    let (block_bytes, physical_bytes) = match is_device {
        true => (
            device_number(file, libc::BLKSSZGET).map_err(query("read its logical block size"))?,
            device_number(file, libc::BLKPBSZGET).map_err(query("read its physical block size"))?,
        ),
        false => (512, u32::try_from(metadata.blksize()).unwrap_or(4096)),
    };
    if !matches!(block_bytes, 512 | MAX_BLOCK_BYTES) {
        return Err(OpenDiskError::BlockSize(block_bytes));
    }
    if let Some(align) = align.filter(|align| align.offset > block_bytes) {
        return Err(OpenDiskError::DirectAlignment(align.offset));
    }
    if bytes == 0 {
        return Err(OpenDiskError::Empty);
    }
    if !bytes.is_multiple_of(block_bytes.into()) {
        return Err(OpenDiskError::OddSize { size: bytes, block: block_bytes });
    }
    Ok(Geometry {
        bytes,
        block_bytes,
        // Some file systems have "blocks" of megabytes, and none has to be a power of two.
        physical_bytes: if physical_bytes.is_power_of_two() {
            physical_bytes.clamp(block_bytes, 65536)
        } else {
            block_bytes
        },
        memory_align: align.map_or(1, |align| align.memory.max(align.offset).max(block_bytes)),
        read_only,
    })
}

/// What direct I/O asks of its buffers, and of offsets and lengths.
#[derive(Clone, Copy)]
struct Alignment {
    memory: u32,
    offset: u32,
}

fn direct_alignment(file: &File, is_device: bool) -> Result<Alignment, OpenDiskError> {
    // Tried now, so that a file system without it is found before the machine is built.
    set_direct(file, true).and_then(|()| set_direct(file, false)).map_err(|error| {
        match error.raw_os_error() {
            Some(libc::EINVAL | libc::EOPNOTSUPP) => OpenDiskError::DirectUnsupported,
            _ => OpenDiskError::Query { what: "switch it to direct I/O", source: error },
        }
    })?;
    // SAFETY: all-zero bytes are a valid `statx`.
    let mut answer: libc::statx = unsafe { mem::zeroed() };
    let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the path is a constant and `answer` is a `statx` to be written; both live over the call.
    let result =
        unsafe { libc::statx(file.as_raw_fd(), empty, flags, libc::STATX_DIOALIGN, &raw mut answer) };
    if result == 0 && answer.stx_mask & libc::STATX_DIOALIGN != 0 {
        let (memory, offset) = (answer.stx_dio_mem_align, answer.stx_dio_offset_align);
        return if memory == 0 || offset == 0 {
            Err(OpenDiskError::DirectUnsupported)
        } else {
            Ok(Alignment { memory, offset })
        };
    }
    let offset = match is_device {
        true => device_number(file, libc::BLKSSZGET).map_err(query("read its logical block size"))?,
        false => 512,
    };
    Ok(Alignment { memory: UNTOLD_MEMORY_ALIGN, offset })
}

/// Locks the open file, not the process: copies share the lock, and closing any other descriptor does not drop it.
fn lock(file: &File, read_only: bool) -> Result<(), OpenDiskError> {
    let kind = if read_only { libc::F_RDLCK } else { libc::F_WRLCK };
    // SAFETY: all-zero bytes are a valid `flock`: the whole file, and no process.
    let mut request: libc::flock = unsafe { mem::zeroed() };
    request.l_type = kind as libc::c_short;
    request.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: `request` is a valid `flock` that lives over the call.
    match result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const request) }) {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Err(OpenDiskError::InUse)
        }
        Err(source) => Err(OpenDiskError::Query { what: "lock it", source }),
    }
}

fn status_flags(file: &File) -> io::Result<libc::c_int> {
    // SAFETY: takes no pointer.
    result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) })
}

/// Sets O_DIRECT as told, and clears what would make positioned writes append, or operations fail instead of wait.
fn set_direct(file: &File, on: bool) -> io::Result<()> {
    let before = status_flags(file)?;
    let cleared = before & !(libc::O_APPEND | libc::O_NONBLOCK | libc::O_DIRECT);
    let wanted = if on { cleared | libc::O_DIRECT } else { cleared };
    // SAFETY: takes no pointer.
    result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, wanted) }).map(|_| ())
}

/// One of a block device's properties that are a C int.
fn device_number(file: &File, request: libc::Ioctl) -> io::Result<u32> {
    let mut number: libc::c_uint = 0;
    // SAFETY: the requests passed write one int, to `number`.
    result(unsafe { libc::ioctl(file.as_raw_fd(), request, &raw mut number) })?;
    Ok(number)
}

fn result(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

fn query(what: &'static str) -> impl FnOnce(io::Error) -> OpenDiskError {
    move |source| OpenDiskError::Query { what, source }
}
