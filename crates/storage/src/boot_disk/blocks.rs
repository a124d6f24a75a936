//! Blocks and inodes of an ext2/3/4 file system: the part that reading its journal and reading its files share.
//!
//! Everything here is bounded: a tree of blocks that loops or lies ends in an error. Checksums of metadata are not
//! verified; a wrong number does no harm here beyond a wrong answer about a hostile disk.

use super::bytes::{high_low, le16, le32};
use super::disk::Extent;
use super::journal::{ESCAPED_BYTES, Overlay};
use super::superblock::Superblock;
use std::io;

/// Most blocks of one file's extent tree or block map that are looked at: 2 GiB in the worst order of 1 KiB blocks.
const MAX_TREE_NODES: u32 = 8192;
/// Most stretches one file may be scattered over.
const MAX_RUNS: usize = 1 << 20;
/// Deepest extent tree, as in the kernel.
const MAX_EXTENT_DEPTH: u16 = 5;

const EXTENT_MAGIC: u16 = 0xf30a;
const FLAG_EXTENTS: u32 = 0x8_0000;
const FLAG_INLINE_DATA: u32 = 0x1000_0000;

/// Why blocks or an inode could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadBlocksError {
    #[error("cannot read {what}")]
    Read { what: &'static str, source: io::Error },
    #[error("the file system is damaged: {0}")]
    Damaged(&'static str),
    #[error("its content is stored inside its inode (inline_data), which is not supported")]
    Inline,
}

/// The blocks of one file system, those in its journal replaced by what the journal says.
pub(crate) struct Blocks {
    pub(crate) extent: Extent,
    pub(crate) superblock: Superblock,
    pub(crate) overlay: Overlay,
}

/// What an inode says, as far as anybody here asks.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) kind: Kind,
    pub(crate) size_bytes: u64,
    flags: u32,
    /// Root of the block tree, or the target of a short symbolic link.
    pub(crate) root: [u8; 60],
}

/// Kinds of inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Directory,
    Symlink,
    Other,
}

/// Blocks of a file that follow each other on the disk as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Number of its first block in the file.
    pub(crate) first: u64,
    /// Where that is in the file system.
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl Blocks {
    /// Fills `buffer` from `offset`, in bytes from the start of the file system.
    pub(crate) fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        let block_bytes = self.superblock.block_bytes;
        while !buffer.is_empty() {
            let block = offset / block_bytes;
            let within = offset % block_bytes;
            // Up to the next block that stands in the journal, or just that block.
            let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
            let next = self.overlay.range(block..=(end - 1) / block_bytes).next();
            let (length, journaled) = match next {
                Some((at, journaled)) if *at == block => {
                    ((block_bytes - within).min(end - offset), Some(journaled))
                }
                Some((at, _)) => (at * block_bytes - offset, None),
                None => (end - offset, None),
            };
            let (now, later) = buffer.split_at_mut(length as usize);
            let from = match journaled {
                Some(journaled) => journaled.stored_in * block_bytes + within,
                None => offset,
            };
            self.extent.read_exact_at(now, from)?;
            if journaled.is_some_and(|journaled| journaled.escaped) {
                for (byte, at) in now.iter_mut().zip(within as usize..) {
                    *byte = *ESCAPED_BYTES.get(at).unwrap_or(byte);
                }
            }
            buffer = later;
            offset += length;
        }
        Ok(())
    }

    pub(crate) fn block(&self, number: u64, what: &'static str) -> Result<Vec<u8>, ReadBlocksError> {
        if number >= self.superblock.blocks {
            return Err(ReadBlocksError::Damaged("a block is out of bounds"));
        }
        let mut bytes = vec![0; self.superblock.block_bytes as usize];
        self.read_exact_at(&mut bytes, number * self.superblock.block_bytes)
            .map_err(|source| ReadBlocksError::Read { what, source })?;
        Ok(bytes)
    }

    pub(crate) fn inode(&self, number: u32) -> Result<Inode, ReadBlocksError> {
        let damaged = || ReadBlocksError::Damaged("an inode is out of bounds");
        let superblock = &self.superblock;
        let index = number.checked_sub(1).ok_or_else(damaged)?;
        let group = u64::from(index / superblock.inodes_per_group);
        let within = u64::from(index % superblock.inodes_per_group);
        let mut descriptor = [0; 64];
        let length = superblock.group_descriptor_bytes.clamp(32, 64) as usize;
        let at = group
            .checked_mul(superblock.group_descriptor_bytes)
            .and_then(|offset| offset.checked_add(superblock.group_descriptors_at))
            .ok_or_else(damaged)?;
        self.read_exact_at(&mut descriptor[..length], at)
            .map_err(|source| ReadBlocksError::Read { what: "a group descriptor", source })?;
        let table_high = if superblock.is_64bit { le32(&descriptor, 0x28) } else { 0 };
        let at = high_low(table_high, le32(&descriptor, 0x8))
            .checked_mul(superblock.block_bytes)
            .and_then(|offset| offset.checked_add(within * superblock.inode_bytes))
            .ok_or_else(damaged)?;
        let mut bytes = [0; 128];
        self.read_exact_at(&mut bytes, at)
            .map_err(|source| ReadBlocksError::Read { what: "an inode", source })?;
        let kind = match le16(&bytes, 0) & 0xf000 {
            0x8000 => Kind::Regular,
            0x4000 => Kind::Directory,
            0xa000 => Kind::Symlink,
            _ => Kind::Other,
        };
        // Of old, the high half meant something else unless the inode is a regular file.
        let size_high = if kind == Kind::Regular { le32(&bytes, 0x6c) } else { 0 };
        Ok(Inode {
            kind,
            size_bytes: high_low(size_high, le32(&bytes, 0x4)),
            flags: le32(&bytes, 0x20),
            root: bytes[0x28..0x28 + 60].try_into().expect("the range has 60 bytes"),
        })
    }

    /// Where the content of `inode` is, in the order of the file. What no run covers reads as zeros.
    pub(crate) fn runs(&self, inode: &Inode) -> Result<Vec<Run>, ReadBlocksError> {
        if inode.flags & FLAG_INLINE_DATA != 0 {
            return Err(ReadBlocksError::Inline);
        }
        let blocks = inode.size_bytes.div_ceil(self.superblock.block_bytes);
        let mut tree = Tree { blocks: self, wanted: blocks, runs: Vec::new(), nodes: 0 };
        if inode.flags & FLAG_EXTENTS != 0 {
            tree.extents(&inode.root, MAX_EXTENT_DEPTH + 1)?;
        } else {
            tree.block_map(&inode.root)?;
        }
        Ok(tree.runs)
    }
}

/// The mapping of one file, being read.
struct Tree<'a> {
    blocks: &'a Blocks,
    /// Length of the file in blocks; what is mapped beyond it is left out.
    wanted: u64,
    runs: Vec<Run>,
    nodes: u32,
}

impl Tree<'_> {
    fn node(&mut self, block: u64) -> Result<Vec<u8>, ReadBlocksError> {
        self.nodes += 1;
        if self.nodes > MAX_TREE_NODES {
            return Err(ReadBlocksError::Damaged("a file is scattered without end"));
        }
        self.blocks.block(block, "where a file is stored")
    }

    /// Adds one run. They come in the order of the file: copying and directories rely on it.
    fn push(&mut self, run: Run) -> Result<(), ReadBlocksError> {
        let length = run.length.min(self.wanted.saturating_sub(run.first));
        if length == 0 {
            return Ok(());
        }
        if run.start.checked_add(length).is_none_or(|end| end > self.blocks.superblock.blocks) {
            return Err(ReadBlocksError::Damaged("a file lies beyond the end of its file system"));
        }
        if let Some(last) = self.runs.last_mut() {
            if run.first < last.first + last.length {
                return Err(ReadBlocksError::Damaged("a file overlaps itself"));
            }
            if run.first == last.first + last.length && run.start == last.start + last.length {
                last.length += length;
                return Ok(());
            }
        }
        if self.runs.len() >= MAX_RUNS {
            return Err(ReadBlocksError::Damaged("a file is scattered without end"));
        }
        self.runs.push(Run { length, ..run });
        Ok(())
    }

    /// One node of an extent tree. `above` is the depth of the node that led here: each must be lower than the last.
    fn extents(&mut self, node: &[u8], above: u16) -> Result<(), ReadBlocksError> {
        let depth = le16(node, 6);
        if le16(node, 0) != EXTENT_MAGIC || depth >= above {
            return Err(ReadBlocksError::Damaged("an extent tree makes no sense"));
        }
        for entry in node.chunks_exact(12).skip(1).take(le16(node, 2).into()) {
            let first = u64::from(le32(entry, 0));
            if depth > 0 {
                let child = self.node(high_low(le16(entry, 8).into(), le32(entry, 4)))?;
                self.extents(&child, depth)?;
                continue;
            }
            let start = high_low(le16(entry, 6).into(), le32(entry, 8));
            // Above 32768 the extent is allocated but was never written: it reads as zeros.
            if let length @ 1..=0x8000 = le16(entry, 4) {
                self.push(Run { first, start, length: length.into() })?;
            }
        }
        Ok(())
    }

    /// The older way: twelve blocks, then one, two and three levels of lists of blocks.
    fn block_map(&mut self, root: &[u8; 60]) -> Result<(), ReadBlocksError> {
        let mut next = 0;
        for (index, entry) in root.chunks_exact(4).enumerate() {
            self.indirect(le32(entry, 0).into(), index.saturating_sub(11) as u32, &mut next)?;
        }
        Ok(())
    }

    fn indirect(&mut self, block: u64, level: u32, next: &mut u64) -> Result<(), ReadBlocksError> {
        if *next >= self.wanted {
            return Ok(());
        }
        if block == 0 {
            let entries = self.blocks.superblock.block_bytes / 4;
            // At most (64 KiB / 4)³, far from overflowing.
            *next += entries.pow(level);
            return Ok(());
        }
        if level == 0 {
            let first = *next;
            *next += 1;
            return self.push(Run { first, start: block, length: 1 });
        }
        let list = self.node(block)?;
        for entry in list.chunks_exact(4) {
            self.indirect(le32(entry, 0).into(), level - 1, next)?;
        }
        Ok(())
    }
}
