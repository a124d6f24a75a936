//! The journal of a file system that was not cleanly unmounted, read without writing: which blocks of the file system
//! are to be read from the journal instead. <https://docs.kernel.org/filesystems/ext4/journal.html>
//!
//! The disk of a guest that was killed is the everyday case: a ring that wraps around, revoked and escaped blocks, every
//! kind of checksum, and a last transaction that never was committed.
//!
//! Fast commits (not on by default anywhere) are left out: the disk reads as of the last full commit.

use super::blocks::{Blocks, ReadBlocksError};
use super::bytes::{be16, be32, high_low};
use super::superblock::crc32c;
use std::collections::BTreeMap;

/// Longest journal read, in blocks: mke2fs makes them up to 1 GiB, so this is four times that.
const MAX_JOURNAL_BLOCKS: u64 = 1 << 20;

/// Most revocations kept.
const MAX_REVOKED: usize = 1 << 20;

const MAGIC: u32 = 0xc03b_3998;
const HEADER_BYTES: usize = 12;

const BLOCK_DESCRIPTOR: u32 = 1;
const BLOCK_COMMIT: u32 = 2;
const BLOCK_SUPERBLOCK_V1: u32 = 3;
const BLOCK_SUPERBLOCK_V2: u32 = 4;
const BLOCK_REVOKE: u32 = 5;

const INCOMPAT_64BIT: u32 = 0x2;
const INCOMPAT_CSUM_V2: u32 = 0x8;
const INCOMPAT_CSUM_V3: u32 = 0x10;
const INCOMPAT_FAST_COMMIT: u32 = 0x20;
const INCOMPAT_KNOWN: u32 = 0x3f;

const TAG_ESCAPED: u32 = 0x1;
const TAG_SAME_UUID: u32 = 0x2;
const TAG_LAST: u32 = 0x8;

/// Blocks per fast-commit area when the superblock leaves it at zero.
const DEFAULT_FAST_COMMIT_BLOCKS: u64 = 256;

/// Why a journal could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadJournalError {
    #[error("cannot read the journal")]
    Read(#[from] ReadBlocksError),
    #[error("the journal is damaged: {0}")]
    Damaged(&'static str),
    #[error("the journal has features nobody here knows: {0:#x}")]
    Unknown(u32),
}

/// A block that stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournaledBlock {
    /// Where in the file system the journal keeps it.
    pub(crate) stored_in: u64,
    /// It began with the journal's own magic number, which was taken out.
    pub(crate) escaped: bool,
}

/// The bytes an escaped block begins with.
pub(crate) const ESCAPED_BYTES: [u8; 4] = MAGIC.to_be_bytes();

/// Block of the file system → its newest committed content.
pub(crate) type Overlay = BTreeMap<u64, JournaledBlock>;

/// Reads the journal in `inode`. Damaged tails end it, as in the kernel: what was not committed never happened.
/// `fs` has no overlay yet: the journal itself is never journaled.
pub(crate) fn read(fs: &Blocks, inode: u32) -> Result<Overlay, ReadJournalError> {
    let reader = Reader { fs, blocks: journal_blocks(fs, inode)? };
    let Some(log) = Log::open(&reader)? else { return Ok(Overlay::new()) };
    let (end_sequence, revoked) = log.scan(&reader)?;
    log.replay(&reader, end_sequence, &revoked)
}

/// Blocks of the journal by their number in it.
struct Reader<'a> {
    fs: &'a Blocks,
    blocks: Vec<u64>,
}

impl Reader<'_> {
    fn block(&self, number: u64) -> Result<Vec<u8>, ReadJournalError> {
        let stored_in = self.stored_in(number)?;
        Ok(self.fs.block(stored_in, "its blocks")?)
    }

    fn stored_in(&self, number: u64) -> Result<u64, ReadJournalError> {
        let stored_in = usize::try_from(number).ok().and_then(|number| self.blocks.get(number));
        match stored_in {
            Some(0) | None => Err(ReadJournalError::Damaged("it is shorter than it says")),
            Some(stored_in) => Ok(*stored_in),
        }
    }
}

/// The journal's superblock, checked.
struct Log {
    first: u64,
    /// One past the last block of the ring.
    end: u64,
    start: u64,
    sequence: u32,
    incompat: u32,
    checksum_seed: u32,
}

/// Revoked block → the newest transaction that revoked it.
type Revoked = BTreeMap<u64, u32>;

impl Log {
    /// `None` when the journal has nothing in it.
    fn open(reader: &Reader) -> Result<Option<Self>, ReadJournalError> {
        let bytes = reader.block(0)?;
        let kind = be32(&bytes, 4);
        if be32(&bytes, 0) != MAGIC || !matches!(kind, BLOCK_SUPERBLOCK_V1 | BLOCK_SUPERBLOCK_V2) {
            return Err(ReadJournalError::Damaged("it has no superblock"));
        }
        if u64::from(be32(&bytes, 0xc)) != reader.fs.superblock.block_bytes {
            return Err(ReadJournalError::Damaged("its blocks are not those of the file system"));
        }
        let incompat = if kind == BLOCK_SUPERBLOCK_V2 { be32(&bytes, 0x28) } else { 0 };
        if incompat & !INCOMPAT_KNOWN != 0 {
            return Err(ReadJournalError::Unknown(incompat & !INCOMPAT_KNOWN));
        }
        let mut end = u64::from(be32(&bytes, 0x10));
        if incompat & INCOMPAT_FAST_COMMIT != 0 {
            let area = u64::from(be32(&bytes, 0x54));
            end = end.saturating_sub(if area == 0 { DEFAULT_FAST_COMMIT_BLOCKS } else { area });
        }
        let log = Self {
            first: be32(&bytes, 0x14).into(),
            end,
            start: be32(&bytes, 0x1c).into(),
            sequence: be32(&bytes, 0x18),
            incompat,
            checksum_seed: crc32c(!0, &bytes[0x30..0x40]),
        };
        if log.start == 0 {
            return Ok(None);
        }
        if log.end > reader.blocks.len() as u64 || !(log.first..log.end).contains(&log.start) {
            return Err(ReadJournalError::Damaged("its bounds contradict each other"));
        }
        Ok(Some(log))
    }

    fn has_checksums(&self) -> bool {
        self.incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3) != 0
    }

    /// The block `count` further on in the ring. `count` is at most a block's tags, so one subtraction may not do.
    fn advance(&self, block: u64, count: u64) -> u64 {
        self.first + (block - self.first + count) % (self.end - self.first)
    }

    /// Goes over all blocks of the log in order. `visit` sees each block that is part of the journal's own structure and
    /// says how many data blocks follow it, or `None` to stop. Ends by itself after one time around the ring.
    fn walk(
        &self,
        reader: &Reader,
        mut visit: impl FnMut(&Reader, &JournalBlock) -> Result<Option<u64>, ReadJournalError>,
    ) -> Result<(), ReadJournalError> {
        let mut number = self.start;
        let mut sequence = self.sequence;
        let mut seen = 0;
        while seen < self.end - self.first {
            let bytes = reader.block(number)?;
            let kind = be32(&bytes, 4);
            if be32(&bytes, 0) != MAGIC || be32(&bytes, 8) != sequence {
                return Ok(());
            }
            let block = JournalBlock { number, sequence, kind, bytes };
            let Some(data_blocks) = visit(reader, &block)? else { return Ok(()) };
            if kind == BLOCK_COMMIT {
                sequence = sequence.wrapping_add(1);
            }
            seen += 1 + data_blocks;
            number = self.advance(number, 1 + data_blocks);
        }
        Ok(())
    }

    /// First pass: the sequence number after the last committed transaction, and what was revoked until then.
    fn scan(&self, reader: &Reader) -> Result<(u32, Revoked), ReadJournalError> {
        let mut end_sequence = self.sequence;
        let mut revoked = Revoked::new();
        let mut pending: Vec<(u64, u32)> = Vec::new();
        self.walk(reader, |_, block| {
            Ok(match block.kind {
                BLOCK_DESCRIPTOR if self.tail_is_right(&block.bytes) => {
                    Some(self.tags(&block.bytes).len() as u64)
                }
                BLOCK_REVOKE if self.tail_is_right(&block.bytes) => {
                    pending.extend(self.revocations(&block.bytes).map(|fs_block| (fs_block, block.sequence)));
                    if pending.len() + revoked.len() > MAX_REVOKED {
                        return Err(ReadJournalError::Damaged("it revokes without end"));
                    }
                    Some(0)
                }
                BLOCK_COMMIT if self.commit_is_right(&block.bytes) => {
                    revoked.extend(pending.drain(..));
                    end_sequence = block.sequence.wrapping_add(1);
                    Some(0)
                }
                _ => None,
            })
        })?;
        Ok((end_sequence, revoked))
    }

    /// Second pass: where the newest version of each block is.
    fn replay(
        &self,
        reader: &Reader,
        end_sequence: u32,
        revoked: &Revoked,
    ) -> Result<Overlay, ReadJournalError> {
        let mut overlay = Overlay::new();
        self.walk(reader, |reader, block| {
            if block.sequence == end_sequence {
                return Ok(None);
            }
            if block.kind != BLOCK_DESCRIPTOR {
                return Ok(Some(0));
            }
            let tags = self.tags(&block.bytes);
            for (tag, data_blocks_before) in tags.iter().zip(1..) {
                // Revoked by this transaction or a later one; sequence numbers may wrap.
                let is_revoked =
                    revoked.get(&tag.fs_block).is_some_and(|by| by.wrapping_sub(block.sequence) as i32 >= 0);
                let number = self.advance(block.number, data_blocks_before);
                if !is_revoked && self.data_is_right(reader, block.sequence, tag, number)? {
                    let stored_in = reader.stored_in(number)?;
                    overlay.insert(
                        tag.fs_block,
                        JournaledBlock { stored_in, escaped: tag.flags & TAG_ESCAPED != 0 },
                    );
                }
            }
            Ok(Some(tags.len() as u64))
        })?;
        Ok(overlay)
    }

    /// The tags of a descriptor block, one for each data block that follows it.
    fn tags(&self, bytes: &[u8]) -> Vec<Tag> {
        let is_64bit = self.incompat & INCOMPAT_64BIT != 0;
        let tag_bytes = match self.incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3) {
            0 if is_64bit => 12,
            0 => 8,
            INCOMPAT_CSUM_V2 if is_64bit => 14,
            INCOMPAT_CSUM_V2 => 10,
            _ => 16,
        };
        let end = bytes.len() - if self.has_checksums() { 4 } else { 0 };
        let mut tags = Vec::new();
        let mut at = HEADER_BYTES;
        while at + tag_bytes <= end {
            let tag = if self.incompat & INCOMPAT_CSUM_V3 != 0 {
                let fs_block = high_low(if is_64bit { be32(bytes, at + 8) } else { 0 }, be32(bytes, at));
                Tag { fs_block, flags: be32(bytes, at + 4), checksum: be32(bytes, at + 12) }
            } else {
                let fs_block = high_low(if is_64bit { be32(bytes, at + 8) } else { 0 }, be32(bytes, at));
                Tag { fs_block, flags: be16(bytes, at + 6).into(), checksum: be16(bytes, at + 4).into() }
            };
            at += tag_bytes + if tag.flags & TAG_SAME_UUID == 0 { 16 } else { 0 };
            let is_last = tag.flags & TAG_LAST != 0;
            tags.push(tag);
            if is_last {
                break;
            }
        }
        tags
    }

    fn revocations<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = u64> + 'a {
        let is_64bit = self.incompat & INCOMPAT_64BIT != 0;
        let entry_bytes = if is_64bit { 8 } else { 4 };
        let room = bytes.len() - if self.has_checksums() { 4 } else { 0 };
        let end = (be32(bytes, HEADER_BYTES) as usize).min(room);
        let entries = bytes.get(HEADER_BYTES + 4..end).unwrap_or(&[]).chunks_exact(entry_bytes);
        entries.map(move |entry| match is_64bit {
            true => high_low(be32(entry, 0), be32(entry, 4)),
            false => be32(entry, 0).into(),
        })
    }

    /// Checks the checksum in the last four bytes of a descriptor or revocation block.
    fn tail_is_right(&self, bytes: &[u8]) -> bool {
        let at = bytes.len() - 4;
        !self.has_checksums() || crc32c(crc32c(self.checksum_seed, &bytes[..at]), &[0; 4]) == be32(bytes, at)
    }

    fn commit_is_right(&self, bytes: &[u8]) -> bool {
        const AT: usize = 16;
        if !self.has_checksums() {
            return true;
        }
        let checksum = crc32c(self.checksum_seed, &bytes[..AT]);
        let checksum = crc32c(checksum, &[0; 4]);
        crc32c(checksum, &bytes[AT + 4..]) == be32(bytes, AT)
    }

    fn data_is_right(
        &self,
        reader: &Reader,
        sequence: u32,
        tag: &Tag,
        number: u64,
    ) -> Result<bool, ReadJournalError> {
        if !self.has_checksums() {
            return Ok(true);
        }
        let bytes = reader.block(number)?;
        let checksum = crc32c(crc32c(self.checksum_seed, &sequence.to_be_bytes()), &bytes);
        let kept = if self.incompat & INCOMPAT_CSUM_V3 != 0 { checksum } else { checksum & 0xffff };
        Ok(kept == tag.checksum)
    }
}

struct JournalBlock {
    number: u64,
    sequence: u32,
    kind: u32,
    bytes: Vec<u8>,
}

struct Tag {
    fs_block: u64,
    flags: u32,
    checksum: u32,
}

/// Where the journal's blocks are; zero for a hole.
fn journal_blocks(fs: &Blocks, inode: u32) -> Result<Vec<u64>, ReadJournalError> {
    let inode = fs.inode(inode)?;
    let length = inode.size_bytes / fs.superblock.block_bytes;
    if length > MAX_JOURNAL_BLOCKS {
        return Err(ReadJournalError::Damaged("it is larger than any journal is made"));
    }
    let mut blocks = vec![0; length as usize];
    for run in fs.runs(&inode)? {
        for (block, place) in
            (run.start..).zip(blocks.iter_mut().skip(run.first as usize).take(run.length as usize))
        {
            *place = block;
        }
    }
    Ok(blocks)
}
