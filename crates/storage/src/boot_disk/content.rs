//! What a stretch of disk holds, told by its magic numbers. Used to find ext file systems, and to say in an error what
//! was found instead. Looks at fixed offsets only and believes what it sees: it decides nothing but wording.

use super::bytes::{le16, le32};
use super::disk::Extent;
use std::fmt;
use std::io;

/// Bytes looked at: up to and including the magic of btrfs at 64 KiB.
const LOOKED_AT_BYTES: usize = 66 << 10;

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// ext2, ext3 or ext4.
    Ext,
    /// Something known that cannot be booted from here, by name.
    Other(&'static str),
    /// A disk image in a format other than raw; `convert` is qemu-img's name for it.
    ImageFormat {
        /// What people call it.
        name: &'static str,
        /// What `qemu-img convert -f` calls it.
        convert: &'static str,
    },
    /// A compressed file.
    Compressed(&'static str),
    /// Nothing but zero bytes at the start.
    Zero,
    /// None of these.
    Unknown,
}

impl fmt::Display for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Ext => formatter.write_str("ext2/3/4"),
            Self::Other(name) | Self::Compressed(name) | Self::ImageFormat { name, .. } => {
                formatter.write_str(name)
            }
            Self::Zero => formatter.write_str("empty"),
            Self::Unknown => formatter.write_str("unknown"),
        }
    }
}

/// Magic bytes at an offset, and what they mean. The first match counts.
const MAGICS: &[(usize, &[u8], Content)] = &[
    (0, b"QFI\xfb", Content::ImageFormat { name: "qcow2", convert: "qcow2" }),
    (0, b"QED\0", Content::ImageFormat { name: "QED", convert: "qed" }),
    (0, b"KDMV", Content::ImageFormat { name: "VMDK", convert: "vmdk" }),
    (0, b"# Disk DescriptorFile", Content::ImageFormat { name: "VMDK", convert: "vmdk" }),
    (0, b"vhdxfile", Content::ImageFormat { name: "VHDX", convert: "vhdx" }),
    (0, b"conectix", Content::ImageFormat { name: "VHD", convert: "vpc" }),
    (64, b"\x7f\x10\xda\xbe", Content::ImageFormat { name: "VDI", convert: "vdi" }),
    (0, b"\x1f\x8b\x08", Content::Compressed("gzip")),
    (0, b"\xfd7zXZ\0", Content::Compressed("xz")),
    (0, b"\x28\xb5\x2f\xfd", Content::Compressed("zstd")),
    (0, b"BZh", Content::Compressed("bzip2")),
    (0, b"LUKS\xba\xbe", Content::Other("LUKS (encrypted)")),
    (0, b"XFSB", Content::Other("xfs")),
    (0x1_0040, b"_BHRfS_M", Content::Other("btrfs")),
    (0x218, b"LVM2 001", Content::Other("LVM2 physical volume")),
    (0x18, b"LVM2 001", Content::Other("LVM2 physical volume")),
    (4096, b"\xfc\x4e\x2b\xa9", Content::Other("Linux RAID member")),
    (0, b"\xfc\x4e\x2b\xa9", Content::Other("Linux RAID member")),
    (4086, b"SWAPSPACE2", Content::Other("swap")),
    (4086, b"SWAP-SPACE", Content::Other("swap")),
    (0, b"hsqs", Content::Other("squashfs")),
    (1024, b"\x10\x20\xf5\xf2", Content::Other("f2fs")),
    (1024, b"\xe2\xe1\xf5\xe0", Content::Other("erofs")),
    (3, b"NTFS    ", Content::Other("ntfs")),
    (3, b"EXFAT   ", Content::Other("exfat")),
    (0x52, b"FAT32   ", Content::Other("vfat")),
    (0x36, b"FAT16   ", Content::Other("vfat")),
    (0x36, b"FAT12   ", Content::Other("vfat")),
];

/// Magic of ext2/3/4, in the superblock at 1024.
const EXT_MAGIC: u16 = 0xef53;

/// Tells what `extent` holds.
pub(crate) fn identify(extent: &Extent) -> io::Result<Content> {
    let length = extent.size_bytes.min(LOOKED_AT_BYTES as u64) as usize;
    let mut bytes = vec![0; length];
    extent.read_exact_at(&mut bytes, 0)?;
    Ok(of_bytes(&bytes))
}

/// Whether `extent` is an image of a CD. Apart from [`identify`], because such images carry a partition table as well.
pub(crate) fn is_iso9660(extent: &Extent) -> bool {
    let mut magic = [0; 5];
    extent.read_exact_at(&mut magic, 0x8001).is_ok() && &magic == b"CD001"
}

fn of_bytes(bytes: &[u8]) -> Content {
    // Before the table: mke2fs leaves the first sector alone, and a boot loader there may look like FAT.
    if le16(bytes, 1024 + 56) == EXT_MAGIC && le32(bytes, 1024) != 0 {
        return Content::Ext;
    }
    let found = MAGICS.iter().find(|(at, magic, _)| bytes.get(*at..at + magic.len()) == Some(*magic));
    match found {
        Some((_, _, content)) => *content,
        None if bytes.iter().all(|byte| *byte == 0) => Content::Zero,
        None => Content::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_each_magic() {
        for (at, magic, content) in MAGICS {
            let mut bytes = vec![0; LOOKED_AT_BYTES];
            bytes[*at..at + magic.len()].copy_from_slice(magic);
            assert_eq!(of_bytes(&bytes), *content);
        }
        let mut ext = vec![0; 2048];
        ext[1024] = 16;
        ext[1080..1082].copy_from_slice(&EXT_MAGIC.to_le_bytes());
        assert_eq!(of_bytes(&ext), Content::Ext);
        assert_eq!(of_bytes(&[0; 5000]), Content::Zero);
        assert_eq!(of_bytes(&[]), Content::Zero);
        assert_eq!(of_bytes(&[1; 5000]), Content::Unknown);
    }
}
