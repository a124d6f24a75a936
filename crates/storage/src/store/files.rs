//! Files that are there whole or not at all, and copies of sparse files.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FcntlArg, RenameFlags, fcntl, renameat2};
use nix::unistd::{Whence, lseek};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Makes a folder for its owner only, if it is not there.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A folder, open to be synced.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file: File,
}

impl Folder {
    /// Makes it if need be; the folder above is then to be synced.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        make_folder(&path)?;
        Ok(Self { file: File::open(&path)?, path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all that is in it. Names that are not UTF-8 are left out: none of ours are.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    /// Removes all that is in it.
    pub fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        self.file.sync_all()
    }

    /// Removes a file, for good. One that is not there is success: it may have been removed before a crash, and is
    /// removed for good then too.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file.sync_all()
    }

    /// Makes sure that what has its name already keeps it: whoever gave it may not have come to that.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// A new file under a temporary name, which is removed when this is dropped.
pub(super) struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    pub fn create(folder: &Folder, name: &str) -> io::Result<Self> {
        let path = folder.path.join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, for good. False if something else has the name, which is left as it is.
    pub fn publish(self, folder: &Folder, name: &str) -> io::Result<bool> {
        self.file.sync_all()?;
        let named = folder.path.join(name);
        let result = renameat2(AT_FDCWD, &self.path, AT_FDCWD, &named, RenameFlags::RENAME_NOREPLACE);
        match result {
            Ok(()) => {}
            Err(Errno::EEXIST) => {
                folder.sync()?;
                return Ok(false);
            }
            Err(errno) => return Err(errno.into()),
        }
        folder.sync()?;
        Ok(true)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Has its final name, or is removed when the store is opened next.
        let _ = fs::remove_file(&self.path);
    }
}

/// A temporary folder, which is removed when this is dropped.
pub(super) struct TemporaryFolder(pub PathBuf);

impl TemporaryFolder {
    pub fn create(folder: &Folder, name: &str) -> io::Result<Self> {
        let path = folder.path.join(name);
        DirBuilder::new().mode(0o755).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where the next data is in the first `size_bytes` of `file`, at or after `offset`; the rest is holes.
pub(crate) fn next_data(file: &File, offset: u64, size_bytes: u64) -> io::Result<Option<Range<u64>>> {
    if offset >= size_bytes {
        return Ok(None);
    }
    let seek = |offset: u64, whence| {
        let offset = i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
        // The kernel answers no negative offset.
        lseek(file, offset, whence).map(|at| at as u64)
    };
    let start = match seek(offset, Whence::SeekData) {
        Ok(start) if start < size_bytes => start,
        Ok(_) | Err(Errno::ENXIO) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let end = match seek(start, Whence::SeekHole) {
        Ok(end) => end,
        // It became shorter since.
        Err(Errno::ENXIO) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    Ok(Some(start..end.min(size_bytes)))
}

/// Most bytes copied by one call.
const COPY_BYTES: usize = 64 << 20;

/// Makes `to`, which is empty, a reflink of `from`. False if the file system has none.
pub(super) fn reflink(from: &File, to: &File) -> io::Result<bool> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(errno) if is_unsupported(errno) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// What file systems and kernels answer that do not have a way of copying.
fn is_unsupported(errno: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(errno, Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::NOSYS | Errno::XDEV)
}

/// Copies the first `bytes` of `from` to `to`, which is empty; holes stay holes.
pub(super) fn copy_sparse(from: &File, to: &File, bytes: u64) -> io::Result<()> {
    to.set_len(bytes)?;
    let mut offset = 0;
    while let Some(data) = next_data(from, offset, bytes)? {
        copy_range(from, to, data.clone())?;
        offset = data.end;
    }
    Ok(())
}

fn copy_range(from: &File, to: &File, range: Range<u64>) -> io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let length = (range.end - offset).min(COPY_BYTES as u64) as usize;
        let (mut here, mut there) = (offset, offset);
        match rustix::fs::copy_file_range(from, Some(&mut here), to, Some(&mut there), length) {
            // The file became shorter: what is left reads as zeroes, as it would there.
            Ok(0) => return Ok(()),
            Ok(copied) => offset += copied as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) if is_unsupported(errno) => {
                return copy_by_hand(from, to, offset..range.end);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(from: &File, to: &File, range: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let mut offset = range.start;
    while offset < range.end {
        let length = (range.end - offset).min(buffer.len() as u64) as usize;
        match from.read_at(&mut buffer[..length], offset) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                to.write_all_at(&buffer[..read], offset)?;
                offset += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Tries whether files in `folder` can be reflinks of each other. A full disk cannot be asked: there, copies are made.
pub(super) fn can_reflink(folder: &Folder) -> io::Result<bool> {
    let (from, to) = (Temporary::create(folder, "reflink-from")?, Temporary::create(folder, "reflink-to")?);
    match from.file.write_all_at(&[1; 4096], 0).and_then(|()| reflink(&from.file, &to.file)) {
        Ok(can) => Ok(can),
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A lock of the whole file as VMMs take them: on the open file, until it is closed. False if another's is in the way.
/// Needs a descriptor that is open for writing, if `exclusive`.
pub(super) fn lock(file: &File, exclusive: bool) -> io::Result<bool> {
    let kind = if exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
    let request = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&request)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
