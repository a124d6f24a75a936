//! Finds the kernel that a raw disk boots: the newest one, with its initrds and command line, and copies both out.
//!
//! ```text
//! disk ─► partitions ─► superblock, journal, blocks ─► ext4 ─► bls, grub_cfg, extlinux, default_grub ─► choose
//! ```
//!
//! Reads GPT, MBR and bare disks with ext2/3/4, from the disk as it stands: also after the guest was killed, when the
//! truth is still in the journal. Plain computation over hostile bytes: it ends, does not panic, and allocates little
//! whatever the disk says. The VMM nevertheless runs it only in the process that [`confined`](crate::confined) makes.
//!
//! Never writes to the disk, runs no boot loader and no script, and does not look into a kernel or an initrd.

mod blocks;
mod bls;
mod bytes;
mod choose;
mod content;
mod default_grub;
mod disk;
mod ext4;
mod extlinux;
mod grub_cfg;
mod journal;
mod layout;
mod menu;
mod partitions;
mod script;
mod superblock;
mod version;

pub use disk::{DiskFile, ReadAt};
pub use partitions::ReadPartitionsError;

use disk::{CachedDisk, Extent};
use layout::Layout;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::rc::Rc;

/// Largest kernel copied; distributions' have some 15 MiB.
pub const MAX_KERNEL_BYTES: u64 = 256 << 20;
/// Most bytes of all initrds of one entry together.
pub const MAX_INITRD_BYTES: u64 = 1 << 30;
/// Longest command line; Linux takes 2048 bytes on x86.
pub const MAX_CMDLINE_BYTES: usize = 4096;

/// Initrds that follow each other start at multiples of this (`Documentation/driver-api/early-userspace`).
const INITRD_ALIGNMENT: u64 = 4;

/// What a disk boots. Texts have no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootEntry {
    /// What the boot menu calls it; empty where there is no menu. For people.
    pub title: String,
    /// Version of the kernel as configuration or file name state it; may be empty. For people.
    pub version: String,
    /// Path of the kernel in its file system. For people.
    pub kernel: String,
    /// Paths of the initrds in the same file system. For people.
    pub initrds: Vec<String>,
    /// Command line for the kernel.
    pub cmdline: String,
}

/// Why a disk does not boot, in terms of what was found on it.
#[derive(Debug, thiserror::Error)]
pub enum ReadBootEntryError {
    /// The device failed.
    #[error("cannot read the disk")]
    ReadDisk(#[source] io::Error),
    /// An image, but not a raw one.
    #[error("the disk is a {name} image: convert it with qemu-img convert -f {convert} -O raw")]
    ImageFormat {
        /// What people call the format.
        name: &'static str,
        /// What qemu-img calls it.
        convert: &'static str,
    },
    /// A compressed image.
    #[error("the disk is compressed with {0}: unpack it first")]
    Compressed(&'static str),
    /// Nothing on it.
    #[error("the disk is empty: it has neither partitions nor a file system")]
    Empty,
    /// The partition table is damaged.
    #[error(transparent)]
    Partitions(ReadPartitionsError),
    /// There are volumes, but no kernel in them that could be booted.
    #[error("no kernel to boot: the disk has {layout}{}", passed_over(notes))]
    NothingToBoot {
        /// What there is.
        layout: String,
        /// Why entries that were found do not count.
        notes: Vec<String>,
    },
    /// A chosen file could not be copied out.
    #[error("cannot copy {path}: {why}")]
    Copy {
        /// Which file.
        path: String,
        /// Why, in words.
        why: String,
    },
}

fn passed_over(notes: &[String]) -> String {
    if notes.is_empty() { String::new() } else { format!("; passed over: {}", notes.join("; ")) }
}

/// Finds what `disk` boots, and writes the kernel to `kernel` and its initrds, one after the other, to `initrd`. Nothing
/// is written to `initrd` when the entry has none.
///
/// # Errors
/// Says what was found instead. Something may have been written when copying failed.
pub fn read(
    disk: Box<dyn ReadAt>,
    kernel: &mut dyn Write,
    initrd: &mut dyn Write,
) -> Result<BootEntry, ReadBootEntryError> {
    let size_bytes = disk.size_bytes();
    let whole = Extent { disk: Rc::new(CachedDisk::new(disk)), start_bytes: 0, size_bytes };
    let layout = Layout::read(&whole)?;
    let chosen = choose::choose(&layout)
        .map_err(|notes| ReadBootEntryError::NothingToBoot { layout: layout.to_string(), notes })?;
    let copy_error = |path: &str, why: String| ReadBootEntryError::Copy { path: path.to_owned(), why };
    let copy = |found: &ext4::Found, out: &mut dyn Write| {
        let copied = chosen.fs.copy(&found.inode, out);
        copied.map_err(|error| copy_error(&printable(&found.path, MAX_CMDLINE_BYTES), chain(&error)))
    };
    copy(&chosen.kernel, kernel)?;
    for found in &chosen.initrds {
        copy(found, initrd)?;
        let size_bytes = found.inode.size_bytes;
        let padding = size_bytes.next_multiple_of(INITRD_ALIGNMENT) - size_bytes;
        initrd
            .write_all(&[0; INITRD_ALIGNMENT as usize][..padding as usize])
            .map_err(|error| copy_error("the end of an initrd", error.to_string()))?;
    }
    Ok(chosen.entry)
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// At most `max_bytes` of `text`, fit for a log and for a command line: without anything that controls a terminal.
pub(crate) fn printable(text: &str, max_bytes: usize) -> String {
    let mut printable = String::new();
    for sign in text.chars() {
        // U+2028 to U+202E break lines and turn the direction of writing.
        let is_control = sign.is_control() || ('\u{2028}'..='\u{202e}').contains(&sign);
        let sign = if is_control { ' ' } else { sign };
        if printable.len() + sign.len_utf8() > max_bytes {
            break;
        }
        printable.push(sign);
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_is_short_and_calm() {
        assert_eq!(printable("Debian\u{1b}[2J\nGNU", 100), "Debian [2J GNU");
        assert_eq!(printable("ääää", 5), "ää");
        assert_eq!(printable("a\u{202e}b\u{0}", 9), "a b ");
    }
}
