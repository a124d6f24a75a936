//! Disks of guests that were killed: what counts is in the journal, and the file system proper is out of date.
//!
//! debugfs writes the journals. Each test takes two states of one file system and puts the blocks in which the second
//! differs into the journal of the first.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod images;

use images::*;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const OLD: &str = "6.1.0-10-amd64";
const NEW: &str = "6.1.0-11-amd64";
/// What blocks of a journal begin with; data that begins like this has to be escaped there.
const JOURNAL_MAGIC: [u8; 4] = [0xc0, 0x3b, 0x39, 0x98];

/// A file system before and after a kernel was installed.
struct Update {
    folder: TempDir,
    image: PathBuf,
    block_bytes: usize,
    /// Numbers and new content of the blocks that changed.
    changed: Vec<(usize, Vec<u8>)>,
}

fn new_kernel() -> Vec<u8> {
    let mut content = kernel(NEW);
    content[..4].copy_from_slice(&JOURNAL_MAGIC);
    content[20_480..20_484].copy_from_slice(&JOURNAL_MAGIC);
    content
}

impl Update {
    fn new(block_bytes: usize, options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let size = block_bytes.to_string();
        let before = debian_root().ext(16384, &[&["-b", &size, "-J", "size=4"], options].concat());
        fs::write(path("image"), &before).unwrap();
        fs::write(path("after"), &before).unwrap();
        fs::write(path("kernel"), new_kernel()).unwrap();
        fs::write(path("initrd"), initrd(NEW)).unwrap();
        fs::write(path("menu"), debian_grub_cfg("/boot", ROOT_UUID, &[OLD, NEW])).unwrap();
        let host = folder.path().display();
        debugfs(
            &path("after"),
            &format!(
                "cd /boot\nwrite {host}/kernel vmlinuz-{NEW}\nwrite {host}/initrd initrd.img-{NEW}\n\
                 cd grub\nrm grub.cfg\nwrite {host}/menu grub.cfg\n"
            ),
        );
        let after = fs::read(path("after")).unwrap();
        let blocks = before.chunks(block_bytes).zip(after.chunks(block_bytes)).enumerate();
        // Not the superblock, where debugfs notes when it was used last.
        let changed: Vec<_> = blocks
            .filter(|(number, (old, new))| old != new && *number > 1)
            .map(|(number, (_, new))| (number, new.to_vec()))
            .collect();
        assert!(changed.len() > 10);
        Self { image: path("image"), folder, block_bytes, changed }
    }

    /// Runs debugfs with the journal open. `open` are options for opening it.
    fn journal(&self, open: &str, commands: &str) {
        debugfs(&self.image, &format!("journal_open {open}\n{commands}journal_close\n"));
    }

    /// The command that writes a transaction with these changed blocks.
    fn transaction(&self, options: &str, changed: &[(usize, Vec<u8>)]) -> String {
        let numbers: Vec<_> = changed.iter().map(|(number, _)| number.to_string()).collect();
        let content: Vec<u8> = changed.iter().flat_map(|(_, block)| block.clone()).collect();
        let (_, path) = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap().keep().unwrap();
        fs::write(&path, content).unwrap();
        format!("journal_write {options} -b {} {}\n", numbers.join(","), path.display())
    }

    fn bytes(&self) -> Vec<u8> {
        let bytes = fs::read(&self.image).unwrap();
        let incompat = bytes[1024 + 0x60];
        assert!(incompat & 0x4 != 0, "debugfs should have marked the file system as needing its journal");
        bytes
    }

    /// Moves the log in its ring so that it wraps around after its first block.
    fn wrapped(&self) -> Vec<u8> {
        let mut bytes = self.bytes();
        let list = run(tool("debugfs").args(["-R", "blocks <8>"]).arg(&self.image));
        let journal: Vec<usize> = list.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let superblock =
            journal.iter().find(|block| bytes[*block * self.block_bytes..].starts_with(&JOURNAL_MAGIC));
        let superblock = *superblock.unwrap() * self.block_bytes;
        let field = |bytes: &[u8], at: usize| {
            u32::from_be_bytes(bytes[superblock + at..][..4].try_into().unwrap()) as usize
        };
        let (length, first, start) = (field(&bytes, 0x10), field(&bytes, 0x14), field(&bytes, 0x1c));
        let data = &journal[journal.len() - length + first..];
        let old = bytes.clone();
        let shift = length - 1 - start;
        for (at, block) in data.iter().enumerate() {
            let target = data[(at + shift) % data.len()];
            bytes[target * self.block_bytes..][..self.block_bytes]
                .copy_from_slice(&old[block * self.block_bytes..][..self.block_bytes]);
        }
        bytes[superblock + 0x1c..][..4].copy_from_slice(&((length - 1) as u32).to_be_bytes());
        bytes
    }
}

#[track_caller]
fn assert_boots(disk: Vec<u8>, version: &str) {
    let booted = read(disk).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(booted.entry.version, version);
    assert_eq!(booted.kernel, if version == NEW { new_kernel() } else { kernel(OLD) });
    assert_eq!(booted.initrd, padded(&[initrd(version)]));
}

#[test]
fn what_was_committed_counts() {
    let kinds: &[(usize, &[&str], &str)] = &[
        (4096, &["-t", "ext4"], ""),
        (4096, &["-t", "ext4"], "-c"),
        (4096, &["-t", "ext4"], "-c -v 2"),
        (1024, &["-t", "ext4", "-O", "64bit,metadata_csum"], "-c -v 3"),
        (1024, &["-t", "ext4", "-O", "64bit,metadata_csum"], "-c -v 2"),
        (1024, &["-t", "ext4", "-O", "64bit"], ""),
        (1024, &["-t", "ext3"], ""),
    ];
    for (block_bytes, options, open) in kinds {
        println!("{block_bytes} {options:?} {open}");
        let update = Update::new(*block_bytes, options);
        assert_boots(fs::read(&update.image).unwrap(), OLD);
        let (first, second) = update.changed.split_at(update.changed.len() / 2);
        update.journal(open, &[update.transaction("", first), update.transaction("", second)].concat());
        assert_boots(update.bytes(), NEW);
        // ext3 maps its journal by blocks in between, which the shuffling does not know.
        if options.contains(&"ext4") {
            assert_boots(update.wrapped(), NEW);
        }
    }
}

#[test]
fn what_was_not_committed_never_happened() {
    let update = Update::new(1024, &["-t", "ext4"]);
    let (number, _) = update.changed[0];
    let unchanged = fs::read(&update.image).unwrap()[number * 1024..][..1024].to_vec();
    let committed = update.transaction("", &[(number, unchanged)]);
    update.journal("-c", &[committed, update.transaction("-c", &update.changed[1..])].concat());
    assert_boots(update.bytes(), OLD);
}

#[test]
fn a_damaged_block_ends_the_log() {
    let update = Update::new(1024, &["-t", "ext4"]);
    let garbage: Vec<_> = update.changed.iter().map(|(number, _)| (*number, vec![0xff; 1024])).collect();
    update
        .journal("-c", &[update.transaction("", &update.changed), update.transaction("", &garbage)].concat());
    let mut bytes = update.bytes();
    // The second transaction's descriptor: the last block with the magic, kind 1, that is part of the log.
    let is_descriptor = |block: &[u8]| block.starts_with(&JOURNAL_MAGIC) && block[4..8] == [0, 0, 0, 1];
    let last = bytes.chunks(1024).rposition(is_descriptor).unwrap();
    bytes[last * 1024 + 100] ^= 1;
    assert_boots(bytes, NEW);
}

#[test]
fn the_newest_version_of_a_block_counts_and_revoked_ones_do_not() {
    let update = Update::new(1024, &["-t", "ext4"]);
    let garbage: Vec<_> = update.changed.iter().map(|(number, _)| (*number, vec![0xff; 1024])).collect();
    update.journal("", &[update.transaction("", &garbage), update.transaction("", &update.changed)].concat());
    assert_boots(update.bytes(), NEW);

    let update = Update::new(1024, &["-t", "ext4"]);
    let numbers: Vec<_> = update.changed.iter().map(|(number, _)| number.to_string()).collect();
    let revoke = format!("journal_write -r {}\n", numbers.join(","));
    update.journal("-c", &[update.transaction("", &garbage), revoke].concat());
    assert_boots(update.bytes(), OLD);
}

#[test]
fn a_damaged_journal_is_reported() {
    let update = Update::new(1024, &["-t", "ext4"]);
    update.journal("", &update.transaction("", &update.changed));
    let mut bytes = update.bytes();
    let journal = bytes.chunks(1024).position(|block| block.starts_with(&JOURNAL_MAGIC)).unwrap();
    bytes[journal * 1024] = 0;
    let error = read(bytes).unwrap_err().to_string();
    assert!(error.contains("the journal is damaged: it has no superblock"), "{error}");
}

#[test]
fn survives_a_journal_damaged_at_random() {
    for (options, open) in
        [(&["-t", "ext4", "-O", "64bit"][..], ""), (&["-t", "ext3"][..], ""), (&["-t", "ext4"], "-c")]
    {
        let update = Update::new(1024, options);
        let numbers: Vec<_> = update.changed.iter().map(|(number, _)| number.to_string()).collect();
        let revoke = format!("journal_write -r {}\n", numbers.join(","));
        let write = update.transaction("", &update.changed);
        update.journal(open, &[write.clone(), revoke, write].concat());
        let disk = update.bytes();
        // The journal's own structures, the first blocks of the file system, and the inode of the journal.
        let is_of_journal =
            |at: &usize| disk[at - at % 1024..].starts_with(&JOURNAL_MAGIC) && at % 1024 < 256;
        let used: Vec<usize> =
            (0..disk.len()).filter(|at| disk[*at] != 0 && (is_of_journal(at) || *at < 4096)).collect();
        for seed in 1..=150 {
            survives(Random(seed).damaged(&disk, &used), &format!("{options:?} damaged by seed {seed}"));
        }
    }
}
