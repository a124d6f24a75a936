//! A disk as bytes at offsets. Everything in [`boot_disk`](super) reads through these types and nothing else.
//!
//! Never moves a file position: the descriptor is shared with the VMM, which is why this is not `Read + Seek`.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::rc::Rc;

/// Bytes read from the disk at once. Large, because each read of a cold image costs a round trip to its storage.
const CHUNK_BYTES: u64 = 1 << 20;

/// Chunks kept. A file system walk touches few places again and again: inode tables, directories, the extent tree.
const CACHED_CHUNKS: usize = 24;

/// Most bytes ever read from one disk, so that one made of links back to itself ends: every kernel and initrd we accept,
/// twice, and room for metadata.
const MAX_READ_BYTES: u64 = 4 << 30;

/// Most bytes ever asked for, cached or not: what bounds the time that such a disk can take.
const MAX_ASKED_BYTES: u64 = 8 << 30;

/// What O_DIRECT asks of offset, length and memory: the largest logical block that disks have.
const DIRECT_ALIGNMENT: usize = 4096;

/// Something with bytes at offsets and a size that does not change.
pub trait ReadAt {
    /// Size in bytes.
    fn size_bytes(&self) -> u64;

    /// Fills `buffer` from `offset` (bytes).
    ///
    /// # Errors
    /// `UnexpectedEof` when the range ends beyond [`size_bytes`](Self::size_bytes), else what the device says.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A raw image file or a block device, possibly open with O_DIRECT.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    size_bytes: u64,
    is_direct: bool,
}

impl DiskFile {
    /// Takes the disk and asks for its size once.
    ///
    /// # Errors
    /// `InvalidInput` when `file` is neither a regular file nor a block device; else what the kernel says.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let size_bytes = if metadata.file_type().is_file() {
            metadata.len()
        } else if metadata.file_type().is_block_device() {
            block_device_bytes(&file)?
        } else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "neither a regular file nor a block device",
            ));
        };
        let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
        Ok(Self { file, size_bytes, is_direct: flags.contains(OFlag::O_DIRECT) })
    }

    /// Reads whole blocks into memory of its own, and copies out what was asked for.
    fn read_direct(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let before = (offset % DIRECT_ALIGNMENT as u64) as usize;
        let start = offset - before as u64;
        let wanted = before + buffer.len();
        let mut space = vec![0; wanted.next_multiple_of(DIRECT_ALIGNMENT) + DIRECT_ALIGNMENT];
        let shift = space.as_ptr().align_offset(DIRECT_ALIGNMENT);
        let blocks = &mut space[shift..][..wanted.next_multiple_of(DIRECT_ALIGNMENT)];
        let mut filled = 0;
        while filled < wanted {
            // A read that ended within a block has met the end of the file; there is nothing to go on from.
            match self.file.read_at(&mut blocks[filled..], start + filled as u64) {
                Ok(length) if length > 0 && filled % DIRECT_ALIGNMENT == 0 => filled += length,
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.copy_from_slice(&blocks[before..wanted]);
        Ok(())
    }
}

impl ReadAt for DiskFile {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.is_direct {
            true => self.read_direct(buffer, offset),
            false => self.file.read_exact_at(buffer, offset),
        }
    }
}

nix::ioctl_read!(
    /// BLKGETSIZE64, `linux/fs.h`: the size in bytes, without moving the file position as lseek would.
    blkgetsize64,
    0x12,
    114,
    u64
);

fn block_device_bytes(file: &File) -> io::Result<u64> {
    let mut size_bytes = 0;
    // SAFETY: the descriptor is open and `size_bytes` is a u64 that outlives the call, which is all BLKGETSIZE64 writes.
    unsafe { blkgetsize64(file.as_raw_fd(), &raw mut size_bytes) }?;
    Ok(size_bytes)
}

/// The whole disk, read in large pieces and with an end to how much is read.
pub(crate) struct CachedDisk {
    disk: Box<dyn ReadAt>,
    /// Most recently used first; the number is the chunk's index on the disk.
    chunks: RefCell<VecDeque<(u64, Vec<u8>)>>,
    read_bytes: Cell<u64>,
    asked_bytes: Cell<u64>,
}

impl CachedDisk {
    pub(crate) fn new(disk: Box<dyn ReadAt>) -> Self {
        Self {
            disk,
            chunks: RefCell::new(VecDeque::new()),
            read_bytes: Cell::new(0),
            asked_bytes: Cell::new(0),
        }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    pub(crate) fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.size_bytes() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        count(&self.asked_bytes, buffer.len() as u64, MAX_ASKED_BYTES)?;
        while !buffer.is_empty() {
            let index = offset / CHUNK_BYTES;
            let within = (offset % CHUNK_BYTES) as usize;
            let mut chunks = self.chunks.borrow_mut();
            match chunks.iter().position(|(cached, _)| *cached == index) {
                Some(0) => {}
                Some(place) => {
                    let chunk = chunks.remove(place).expect("found at this place just above");
                    chunks.push_front(chunk);
                }
                None => {
                    let mut bytes = if chunks.len() >= CACHED_CHUNKS { chunks.pop_back() } else { None }
                        .unwrap_or_default()
                        .1;
                    self.read_chunk(index, &mut bytes)?;
                    chunks.push_front((index, bytes));
                }
            }
            let available = chunks[0].1.get(within..).ok_or(io::ErrorKind::UnexpectedEof)?;
            let length = available.len().min(buffer.len());
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (now, later) = buffer.split_at_mut(length);
            now.copy_from_slice(&available[..length]);
            buffer = later;
            offset += length as u64;
        }
        Ok(())
    }

    fn read_chunk(&self, index: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let start = index * CHUNK_BYTES;
        let length = CHUNK_BYTES.min(self.size_bytes() - start);
        count(&self.read_bytes, length, MAX_READ_BYTES)?;
        bytes.resize(length as usize, 0);
        self.disk.read_exact_at(bytes, start)
    }
}

fn count(total: &Cell<u64>, more: u64, limit: u64) -> io::Result<()> {
    total.set(total.get() + more);
    if total.get() > limit {
        return Err(io::Error::other("more was read than any bootable disk needs: its structures loop"));
    }
    Ok(())
}

/// A stretch of the disk: one partition, or all of it.
#[derive(Clone)]
pub(crate) struct Extent {
    pub(crate) disk: Rc<CachedDisk>,
    pub(crate) start_bytes: u64,
    pub(crate) size_bytes: u64,
}

impl Extent {
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let start = self.start_bytes.checked_add(offset).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.disk.read_exact_at(buffer, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_chunks_and_refuses_to_read_past_the_end() {
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES + 17).map(|at| (at % 251) as u8).collect();
        let disk = CachedDisk::new(Box::new(bytes.clone()));
        for (offset, length) in
            [(0, 1), (CHUNK_BYTES - 3, 9), (5, 2 * CHUNK_BYTES), (3 * CHUNK_BYTES + 10, 7)]
        {
            let mut read = vec![0; length as usize];
            disk.read_exact_at(&mut read, offset).unwrap();
            assert_eq!(read, bytes[offset as usize..(offset + length) as usize], "{length} at {offset}");
        }
        for (offset, length) in [(3 * CHUNK_BYTES + 10, 8), (u64::MAX, 1), (3 * CHUNK_BYTES + 17, 1)] {
            let mut read = vec![0; length as usize];
            assert!(disk.read_exact_at(&mut read, offset).is_err(), "{length} at {offset}");
        }
    }

    #[test]
    fn an_extent_ends_where_it_ends() {
        let disk = Rc::new(CachedDisk::new(Box::new(vec![7; 4096])));
        let extent = Extent { disk, start_bytes: 1024, size_bytes: 1024 };
        assert!(extent.read_exact_at(&mut [0; 1024], 0).is_ok());
        assert!(extent.read_exact_at(&mut [0; 1024], 1).is_err());
        assert!(extent.read_exact_at(&mut [0; 1], u64::MAX).is_err());
    }

    #[test]
    fn reads_past_the_page_cache() {
        use std::os::unix::fs::OpenOptionsExt;
        // In the build folder, since O_DIRECT does not work on every /tmp.
        let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let path = tempfile::NamedTempFile::new_in(folder).unwrap().into_temp_path();
        let bytes: Vec<u8> = (0..20_001).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let open = std::fs::OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECT.bits()).open(&path);
        let Ok(file) = open else {
            eprintln!("skipped: no O_DIRECT on this file system");
            return;
        };
        let disk = DiskFile::new(file).unwrap();
        for (offset, length) in [(0, 4096), (1, 1), (4095, 9000), (8192, 11_809), (20_000, 1), (0, 20_001)] {
            let mut read = vec![0; length];
            disk.read_exact_at(&mut read, offset as u64).unwrap();
            assert_eq!(read, bytes[offset..offset + length], "{length} at {offset}");
        }
        for (offset, length) in [(20_001, 1), (0, 20_002), (30_000, 1)] {
            let error = disk.read_exact_at(&mut vec![0; length], offset).unwrap_err();
            assert!(matches!(error.kind(), io::ErrorKind::UnexpectedEof), "{length} at {offset}: {error}");
        }
    }

    #[test]
    fn a_directory_is_no_disk() {
        let error = DiskFile::new(File::open("/").unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
