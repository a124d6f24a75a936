//! The superblock of ext2/3/4, as far as reading files takes: that its numbers fit the disk, that it has no feature we
//! would misread, where inodes and the journal are. <https://docs.kernel.org/filesystems/ext4/globals.html>

use super::bytes::{high_low, le16, le32};
use crc::{CRC_32_ISCSI, Crc};

/// Where the superblock starts, in bytes from the start of the file system.
pub(crate) const OFFSET_BYTES: u64 = 1024;
/// How long it is.
pub(crate) const SIZE_BYTES: usize = 1024;

const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_JOURNAL_DEVICE: u32 = 0x8;
const INCOMPAT_64BIT: u32 = 0x80;
/// What does not change how files are read, or only those that use it: filetype, recover, extents, 64bit, mmp, flex_bg,
/// ea_inode, csum_seed, large_dir, inline_data, encrypt, casefold. Missing are compression, meta_bg and dirdata.
const INCOMPAT_READABLE: u32 = 0x3_e7c6;

const FEATURE_INCOMPAT_AT: usize = 0x60;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// ext4's and jbd2's checksum: CRC-32C started at `seed` and not inverted at the end.
pub(crate) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    // The crate reverses the bits of a given start, and inverts at the end.
    let mut digest = CRC32C.digest_with_initial(seed.reverse_bits());
    digest.update(bytes);
    !digest.finalize()
}

/// What a file system says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) block_bytes: u64,
    pub(crate) blocks: u64,
    pub(crate) inodes_per_group: u32,
    pub(crate) inode_bytes: u64,
    /// Where group descriptors start, in bytes.
    pub(crate) group_descriptors_at: u64,
    pub(crate) group_descriptor_bytes: u64,
    pub(crate) is_64bit: bool,
    /// Inode of the journal, when there is something in it that belongs to the file system.
    pub(crate) journal_inode: Option<u32>,
    pub(crate) uuid: String,
}

/// Why a superblock is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SuperblockError {
    #[error("the file system is {fs_mib} MiB but there are {disk_mib} MiB for it: the image is truncated")]
    Truncated { fs_mib: u64, disk_mib: u64 },
    #[error("its journal is on another device")]
    JournalElsewhere,
    #[error("it has features that are not supported: {0:#x}")]
    Unsupported(u32),
    #[error("its superblock is damaged: {0}")]
    Damaged(&'static str),
}

impl Superblock {
    /// Reads and checks a superblock of `SIZE_BYTES`, of a file system with `size_bytes` of disk.
    pub(crate) fn parse(bytes: &[u8], size_bytes: u64) -> Result<Self, SuperblockError> {
        let incompat = le32(bytes, FEATURE_INCOMPAT_AT);
        let is_64bit = incompat & INCOMPAT_64BIT != 0;
        let log_block_kib = le32(bytes, 0x18);
        if log_block_kib > 6 {
            return Err(SuperblockError::Damaged("blocks larger than 64 KiB"));
        }
        let block_bytes = 1024 << log_block_kib;
        let blocks = high_low(if is_64bit { le32(bytes, 0x150) } else { 0 }, le32(bytes, 0x4));
        let inodes_per_group = le32(bytes, 0x28);
        if inodes_per_group == 0 {
            return Err(SuperblockError::Damaged("empty block groups"));
        }
        let Some(fs_bytes) = blocks.checked_mul(block_bytes) else {
            return Err(SuperblockError::Damaged("more blocks than can be"));
        };
        if fs_bytes > size_bytes {
            return Err(SuperblockError::Truncated { fs_mib: fs_bytes >> 20, disk_mib: size_bytes >> 20 });
        }
        let has_revision = le32(bytes, 0x4c) > 0;
        let needs_recovery = le32(bytes, 0x5c) & COMPAT_HAS_JOURNAL != 0 && incompat & INCOMPAT_RECOVER != 0;
        if incompat & INCOMPAT_JOURNAL_DEVICE != 0 {
            return Err(SuperblockError::JournalElsewhere);
        }
        if incompat & !INCOMPAT_READABLE != 0 {
            return Err(SuperblockError::Unsupported(incompat & !INCOMPAT_READABLE));
        }
        Ok(Self {
            block_bytes,
            blocks,
            inodes_per_group,
            inode_bytes: if has_revision { le16(bytes, 0x58).into() } else { 128 },
            // In the block after this one. Not after the first data block, which bigalloc counts in another way.
            group_descriptors_at: (OFFSET_BYTES / block_bytes + 1) * block_bytes,
            group_descriptor_bytes: if is_64bit { le16(bytes, 0xfe).into() } else { 32 },
            is_64bit,
            journal_inode: needs_recovery.then(|| le32(bytes, 0xe0)),
            uuid: uuid(&bytes[0x68..0x78]),
        })
    }
}

/// A UUID as text, as `root=UUID=` takes it.
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checksum_is_the_one_of_ext4() {
        // CRC-32C of "123456789" is e3069283; ext4 leaves out the last inversion.
        assert_eq!(crc32c(!0, b"123456789"), !0xe306_9283);
        assert_eq!(crc32c(crc32c(!0, b"1234"), b"56789"), crc32c(!0, b"123456789"));
    }

    fn superblock() -> Vec<u8> {
        let mut bytes = vec![0; SIZE_BYTES];
        for (at, value) in [(0x4, 64_u32), (0x14, 1), (0x20, 8192), (0x28, 16), (0x4c, 1), (0x60, 0x2)] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes[0x58] = 128;
        bytes
    }

    #[test]
    fn checks_what_would_hurt() {
        let good = superblock();
        assert_eq!(Superblock::parse(&good, 65536).unwrap().group_descriptors_at, 2048);
        let cases: &[(usize, u32, &str)] = &[
            (0x18, 7, "larger than 64 KiB"),
            (0x28, 0, "empty block groups"),
            (0x4, 65, "truncated"),
            (0x60, 0x8, "another device"),
            (0x60, 0x10, "not supported: 0x10"),
        ];
        for (at, value, expected) in cases {
            let mut bytes = good.clone();
            bytes[*at..at + 4].copy_from_slice(&value.to_le_bytes());
            let error = Superblock::parse(&bytes, 65536).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), SIZE_BYTES), size in any::<u64>()) {
            let _ = Superblock::parse(&bytes, size);
        }
    }
}
