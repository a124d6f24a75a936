//! Files of an ext2/3/4 file system by their path: looked up, listed, read and copied.
//!
//! Written here because the reader at hand, the crate `ext4-view`, panics on some damaged directories, allocates what a
//! file claims to measure, reads blocks that were only reserved, and loses parts of a journal. Searches directories from
//! front to back, hashed or not: those that matter to booting are short. Encrypted and inline content is not read.

use super::blocks::{Blocks, Inode, Kind, ReadBlocksError};
use super::bytes::{le16, le32};
use super::disk::Extent;
use super::journal::{self, Overlay, ReadJournalError};
use super::superblock::{self, Superblock, SuperblockError};
use std::io::{self, Write};

/// Largest directory read. Large ones have about 30 bytes for each file.
const MAX_DIRECTORY_BYTES: u64 = 16 << 20;
/// Longest path, in bytes, as in Linux; also the most that symbolic links may make of one.
const MAX_PATH_BYTES: usize = 4096;
/// Most symbolic links followed on the way to one file, as in Linux.
const MAX_SYMLINKS: u32 = 40;
/// Longest target of a symbolic link that is kept in the inode itself.
const MAX_INLINE_TARGET_BYTES: u64 = 59;
/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;

const ROOT_INODE: u32 = 2;

/// Why a file system could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("cannot read its superblock")]
    Read(#[source] io::Error),
    #[error(transparent)]
    Superblock(#[from] SuperblockError),
    #[error(transparent)]
    Journal(#[from] ReadJournalError),
}

/// Why a path led nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("it does not exist")]
    NotFound,
    #[error("too many symbolic links lead to it")]
    SymlinkLoop,
    #[error("its path is too long")]
    PathTooLong,
    #[error("it is not a {0}")]
    WrongKind(&'static str),
    #[error("it measures {size_bytes} bytes, more than the {limit_bytes} that are allowed")]
    TooLarge { size_bytes: u64, limit_bytes: u64 },
    #[error(transparent)]
    Blocks(#[from] ReadBlocksError),
}

/// Why a file could not be copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error(transparent)]
    Blocks(#[from] ReadBlocksError),
    #[error("cannot write the copy")]
    Write(#[source] io::Error),
}

/// A file system, read-only.
pub(crate) struct Ext4 {
    blocks: Blocks,
}

/// A file that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its path with all symbolic links followed.
    pub(crate) path: String,
    pub(crate) inode: Inode,
}

impl Ext4 {
    /// Opens the file system in `extent` as it is after its journal: nothing is written, the journal's blocks are read in
    /// place of the old ones.
    pub(crate) fn open(extent: Extent) -> Result<Self, OpenError> {
        let mut bytes = vec![0; superblock::SIZE_BYTES];
        extent.read_exact_at(&mut bytes, superblock::OFFSET_BYTES).map_err(OpenError::Read)?;
        let superblock = Superblock::parse(&bytes, extent.size_bytes)?;
        let mut blocks = Blocks { extent, superblock, overlay: Overlay::new() };
        if let Some(inode) = blocks.superblock.journal_inode {
            blocks.overlay = journal::read(&blocks, inode)?;
        }
        Ok(Self { blocks })
    }

    /// The UUID, as `root=UUID=` takes it.
    pub(crate) fn uuid(&self) -> &str {
        &self.blocks.superblock.uuid
    }

    /// Follows `path` from the root, symbolic links included. They cannot lead out: `..` of the root is the root.
    pub(crate) fn lookup(&self, path: &str) -> Result<Found, LookupError> {
        let root = self.blocks.inode(ROOT_INODE)?;
        let mut above: Vec<(Vec<u8>, Inode)> = Vec::new();
        let mut pending = path.as_bytes().to_vec();
        let mut symlinks = 0;
        while !pending.is_empty() {
            if pending.len() > MAX_PATH_BYTES {
                return Err(LookupError::PathTooLong);
            }
            let end = pending.iter().position(|byte| *byte == b'/').unwrap_or(pending.len());
            let rest = pending.get(end + 1..).unwrap_or(&[]).to_vec();
            pending.truncate(end);
            let name = std::mem::replace(&mut pending, rest);
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    above.pop();
                    continue;
                }
                _ => {}
            }
            let folder = above.last().map_or(&root, |(_, inode)| inode);
            let inode = self.blocks.inode(self.find(folder, &name)?)?;
            if inode.kind != Kind::Symlink {
                above.push((name, inode));
                continue;
            }
            symlinks += 1;
            if symlinks > MAX_SYMLINKS {
                return Err(LookupError::SymlinkLoop);
            }
            let mut target = self.symlink_target(&inode)?;
            if target.starts_with(b"/") {
                above.clear();
            }
            target.push(b'/');
            target.append(&mut pending);
            pending = target;
        }
        let mut path = String::new();
        for (name, _) in &above {
            path.push('/');
            path.push_str(&String::from_utf8_lossy(name));
        }
        Ok(Found { path, inode: above.pop().map_or(root, |(_, inode)| inode) })
    }

    /// [`lookup`](Self::lookup) of a regular file of at most `limit_bytes`.
    pub(crate) fn lookup_file(&self, path: &str, limit_bytes: u64) -> Result<Found, LookupError> {
        let found = self.lookup(path)?;
        if found.inode.kind != Kind::Regular {
            return Err(LookupError::WrongKind("regular file"));
        }
        if found.inode.size_bytes > limit_bytes {
            return Err(LookupError::TooLarge { size_bytes: found.inode.size_bytes, limit_bytes });
        }
        Ok(found)
    }

    /// The content of a text file. What is not UTF-8 in it is replaced: somebody's menu title may be in Latin-1.
    pub(crate) fn read_text(&self, path: &str, limit_bytes: u64) -> Result<String, LookupError> {
        let found = self.lookup_file(path, limit_bytes)?;
        Ok(String::from_utf8_lossy(&self.content(&found.inode)?).into_owned())
    }

    /// Names in the directory at `path`, sorted; those that are not UTF-8 are left out.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<String>, LookupError> {
        let folder = self.lookup(path)?;
        let mut names = Vec::new();
        self.each_entry(&folder.inode, |name, _| {
            if let Ok(name) = std::str::from_utf8(name) {
                names.push(name.to_owned());
            }
            false
        })?;
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Ok(names)
    }

    /// Copies the content of a regular file, holes as zeros. The caller has limited its size.
    pub(crate) fn copy(&self, inode: &Inode, out: &mut dyn Write) -> Result<(), CopyError> {
        let block_bytes = self.blocks.superblock.block_bytes;
        let mut buffer = Vec::new();
        let mut at = 0;
        let mut write = |from: Option<u64>, length: u64| {
            let mut done = 0;
            while done < length {
                let now = COPY_BYTES.min(length - done);
                buffer.clear();
                buffer.resize(now as usize, 0);
                if let Some(from) = from {
                    let read = self.blocks.read_exact_at(&mut buffer, from + done);
                    read.map_err(|source| ReadBlocksError::Read { what: "a file", source })?;
                }
                out.write_all(&buffer).map_err(CopyError::Write)?;
                done += now;
            }
            Ok::<(), CopyError>(())
        };
        for run in self.blocks.runs(inode)? {
            let start = run.first * block_bytes;
            let end = (start + run.length * block_bytes).min(inode.size_bytes);
            write(None, start - at)?;
            write(Some(run.start * block_bytes), end - start)?;
            at = end;
        }
        write(None, inode.size_bytes - at)
    }

    /// All of a small file; the caller has limited its size.
    fn content(&self, inode: &Inode) -> Result<Vec<u8>, ReadBlocksError> {
        let mut content = Vec::with_capacity(inode.size_bytes as usize);
        match self.copy(inode, &mut content) {
            Ok(()) => Ok(content),
            Err(CopyError::Blocks(error)) => Err(error),
            Err(CopyError::Write(source)) => Err(ReadBlocksError::Read { what: "a file", source }),
        }
    }

    fn symlink_target(&self, inode: &Inode) -> Result<Vec<u8>, LookupError> {
        match inode.size_bytes {
            0 => Err(ReadBlocksError::Damaged("a symbolic link is empty").into()),
            inline @ 1..=MAX_INLINE_TARGET_BYTES => Ok(inode.root[..inline as usize].to_vec()),
            long if long <= MAX_PATH_BYTES as u64 => Ok(self.content(inode)?),
            _ => Err(LookupError::PathTooLong),
        }
    }

    /// The inode number of `name` in `folder`.
    fn find(&self, folder: &Inode, name: &[u8]) -> Result<u32, LookupError> {
        let mut found = Err(LookupError::NotFound);
        self.each_entry(folder, |entry, inode| {
            if entry == name {
                found = Ok(inode);
            }
            found.is_ok()
        })?;
        found
    }

    /// Calls `visit` with name and inode number of each entry until it says `true`.
    fn each_entry(
        &self,
        folder: &Inode,
        mut visit: impl FnMut(&[u8], u32) -> bool,
    ) -> Result<(), LookupError> {
        if folder.kind != Kind::Directory {
            return Err(LookupError::WrongKind("directory"));
        }
        if folder.size_bytes > MAX_DIRECTORY_BYTES {
            let limit_bytes = MAX_DIRECTORY_BYTES;
            return Err(LookupError::TooLarge { size_bytes: folder.size_bytes, limit_bytes });
        }
        for run in self.blocks.runs(folder)? {
            for number in run.start..run.start + run.length {
                let block = self.blocks.block(number, "a directory")?;
                if visit_block(&block, &mut visit)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Entries of one block of a directory. Inner nodes of a hashed directory look like a block of one unused entry.
fn visit_block(block: &[u8], visit: &mut impl FnMut(&[u8], u32) -> bool) -> Result<bool, ReadBlocksError> {
    const HEADER_BYTES: usize = 8;
    let mut at = 0;
    while at + HEADER_BYTES <= block.len() {
        let inode = le32(block, at);
        // With blocks of 64 KiB the length of an entry that fills one does not fit.
        let length = match le16(block, at + 4) {
            0 | 0xffff => block.len(),
            length => length.into(),
        };
        let name = block.get(at + HEADER_BYTES..at + HEADER_BYTES + usize::from(block[at + 6]));
        let (Some(name), HEADER_BYTES..) = (name, length) else {
            return Err(ReadBlocksError::Damaged("an entry of a directory makes no sense"));
        };
        if inode != 0 && visit(name, inode) {
            return Ok(true);
        }
        at += length;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(block: &[u8]) -> Result<Vec<(String, u32)>, ReadBlocksError> {
        let mut names = Vec::new();
        visit_block(block, &mut |name, inode| {
            names.push((String::from_utf8_lossy(name).into_owned(), inode));
            false
        })?;
        Ok(names)
    }

    /// Entries of (inode, length, name), in a block of 1 KiB.
    fn block(entries: &[(u32, u16, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (inode, length, name) in entries {
            let start = block.len();
            block.extend(inode.to_le_bytes());
            block.extend(length.to_le_bytes());
            block.extend([name.len() as u8, 1]);
            block.extend(name.as_bytes());
            block.resize(start + usize::from(*length).max(8), 0);
        }
        block.resize(1024, 0);
        block
    }

    #[test]
    fn reads_a_directory() {
        let found = names(&block(&[(2, 12, "."), (0, 16, "removed"), (7, 996, "vmlinuz")])).unwrap();
        assert_eq!(found, [(".".to_owned(), 2), ("vmlinuz".to_owned(), 7)]);
        // How an inner node of a hashed directory looks.
        assert_eq!(names(&block(&[(0, 1024, "")])).unwrap(), []);
        assert!(names(&block(&[(2, 4, "a")])).is_err());
        let mut long_name = block(&[(2, 1016, "a"), (3, 8, "")]);
        long_name[1016 + 6] = 200;
        assert!(names(&long_name).is_err());
    }

    proptest! {
        #[test]
        fn no_directory_panics(mut block in proptest::collection::vec(any::<u8>(), 1024), length in 0_u8..40) {
            block[4..6].copy_from_slice(&[length, 0]);
            let _ = names(&block);
        }
    }
}
