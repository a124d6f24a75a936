//! Disk images for tests: file trees put into real file systems by mke2fs, and partition tables around them.
//!
//! Needs e2fsprogs. Partition tables are written here, since not every machine has a tool for them.

#![allow(dead_code)] // Each test program uses its own part of this.

use crc::{CRC_32_ISO_HDLC, Crc};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use storage::boot_disk::{self, BootEntry, ReadAt, ReadBootEntryError};
use tempfile::TempDir;

/// UUID of the file system that most tests call root.
pub const ROOT_UUID: &str = "5a0f1c2e-1111-4000-8000-000000000001";
/// UUID of a file system for /boot.
pub const BOOT_UUID: &str = "5a0f1c2e-2222-4000-8000-000000000002";

/// A file tree to be.
pub struct Tree(TempDir);

impl Tree {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Where `path` of the image lies in this machine, its folder made.
    fn place(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.place(path);
        fs::write(path, content).unwrap();
        self
    }

    /// A file with a size and no content.
    pub fn sparse_file(self, path: &str, size_bytes: u64) -> Self {
        let path = self.place(path);
        fs::File::create(path).unwrap().set_len(size_bytes).unwrap();
        self
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        let path = self.place(path);
        symlink(target, path).unwrap();
        self
    }

    /// A kernel and its initrd, told apart by their version, with what Debian calls them.
    pub fn debian_kernel(self, folder: &str, version: &str) -> Self {
        self.file(&format!("{folder}/vmlinuz-{version}"), kernel(version))
            .file(&format!("{folder}/initrd.img-{version}"), initrd(version))
    }

    /// The tree as a file system of `size_kib`, made by mke2fs with `options`.
    pub fn ext(&self, size_kib: u32, options: &[&str]) -> Vec<u8> {
        let image = self.0.path().with_extension("img");
        // Or else mke2fs reads past the end of what it has written so far, if the file system is tiny.
        fs::File::create(&image).unwrap().set_len(u64::from(size_kib) << 10).unwrap();
        let mut command = tool("mke2fs");
        // A fixed seed for the hashes of directories, so that images are the same each time but for their times.
        command
            .args(["-q", "-F", "-E", "hash_seed=5a0f1c2e-3333-4000-8000-000000000003", "-d"])
            .arg(self.0.path());
        let has_uuid = options.contains(&"-U");
        command.args(if has_uuid { [].as_slice() } else { &["-U", ROOT_UUID] });
        run(command.args(options).arg(&image).arg(format!("{size_kib}k")));
        let bytes = fs::read(&image).unwrap();
        fs::remove_file(image).unwrap();
        bytes
    }

    /// As most distributions make it.
    pub fn ext4(&self) -> Vec<u8> {
        self.ext(8192, &["-t", "ext4"])
    }
}

pub fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    // Where distributions keep these, and where users of `su` do not look.
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    command
}

pub fn run(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?} (is e2fsprogs installed?): {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {text}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs debugfs commands on the file system in `image`.
pub fn debugfs(image: &Path, commands: &str) -> String {
    let script = image.with_extension("debugfs");
    fs::write(&script, commands).unwrap();
    run(tool("debugfs").arg("-w").arg("-f").arg(script).arg(image))
}

/// Some bytes for a kernel: not aligned to anything.
pub fn kernel(version: &str) -> Vec<u8> {
    format!("kernel {version}; ").repeat(3001).into_bytes()
}

/// Some bytes for an initrd, of a length that needs padding.
pub fn initrd(version: &str) -> Vec<u8> {
    format!("initrd {version}! ").repeat(2001).into_bytes().into_iter().chain([0; 3]).take(30_001).collect()
}

/// What several initrds are when they follow each other.
pub fn padded(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend(part);
        all.resize(all.len().next_multiple_of(4), 0);
    }
    all
}

pub const LINUX_TYPE: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];
pub const EFI_TYPE: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
pub const BIOS_BOOT_TYPE: [u8; 16] =
    [0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49];

const MIB: usize = 1 << 20;

/// A disk with a GPT and these (number, type, content), each starting at a whole MiB.
pub fn gpt(sector_bytes: usize, partitions: &[(usize, [u8; 16], &[u8])]) -> Vec<u8> {
    const ENTRIES: usize = 128;
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let mut disk = vec![0; MIB];
    let mut entries = vec![0; ENTRIES * 128];
    for (number, kind, content) in partitions {
        let first = (disk.len() / sector_bytes) as u64;
        disk.extend_from_slice(content);
        disk.resize(disk.len().next_multiple_of(MIB), 0);
        let last = first + (content.len().div_ceil(sector_bytes)) as u64 - 1;
        let entry = &mut entries[(number - 1) * 128..][..128];
        entry[..16].copy_from_slice(kind);
        entry[16..32].fill(*number as u8);
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&last.to_le_bytes());
    }
    disk.resize(disk.len() + MIB, 0);
    let last_sector = disk.len() / sector_bytes - 1;
    let header = |own: usize, other: usize, table: usize| {
        let mut header = vec![0; 92];
        header[..8].copy_from_slice(b"EFI PART");
        header[8..12].copy_from_slice(&0x1_0000_u32.to_le_bytes());
        header[12..16].copy_from_slice(&92_u32.to_le_bytes());
        header[24..32].copy_from_slice(&(own as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(other as u64).to_le_bytes());
        header[72..80].copy_from_slice(&(table as u64).to_le_bytes());
        header[80..84].copy_from_slice(&(ENTRIES as u32).to_le_bytes());
        header[84..88].copy_from_slice(&128_u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc.checksum(&entries).to_le_bytes());
        let checksum = crc.checksum(&header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        header
    };
    let table_sectors = entries.len() / sector_bytes;
    let copies = [(1, last_sector, 2), (last_sector, 1, last_sector - table_sectors)];
    for (own, other, table) in copies {
        disk[own * sector_bytes..][..92].copy_from_slice(&header(own, other, table));
        disk[table * sector_bytes..][..entries.len()].copy_from_slice(&entries);
    }
    put_mbr(&mut disk, &[(0xee, 1, u32::MAX)]);
    disk
}

/// A disk with an MBR and these contents as primary partitions.
pub fn mbr(partitions: &[&[u8]]) -> Vec<u8> {
    let mut disk = vec![0; MIB];
    let mut entries = Vec::new();
    for content in partitions {
        entries.push((0x83, (disk.len() / 512) as u32, content.len().div_ceil(512) as u32));
        disk.extend_from_slice(content);
        disk.resize(disk.len().next_multiple_of(MIB), 0);
    }
    put_mbr(&mut disk, &entries);
    disk
}

fn put_mbr(disk: &mut [u8], entries: &[(u8, u32, u32)]) {
    disk[440..444].copy_from_slice(&0xb077_ab1e_u32.to_le_bytes());
    for (entry, (kind, first, length)) in disk[446..510].chunks_exact_mut(16).zip(entries) {
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..16].copy_from_slice(&length.to_le_bytes());
    }
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
}

/// What a disk gave.
#[derive(Debug, PartialEq)]
pub struct Booted {
    pub entry: BootEntry,
    pub kernel: Vec<u8>,
    pub initrd: Vec<u8>,
}

/// Reads a disk in this process.
pub fn read(disk: impl ReadAt + 'static) -> Result<Booted, ReadBootEntryError> {
    let (mut kernel, mut initrd) = (Vec::new(), Vec::new());
    let entry = boot_disk::read(Box::new(disk), &mut kernel, &mut initrd)?;
    Ok(Booted { entry, kernel, initrd })
}

/// The menu that Debian's grub-mkconfig writes, shortened, for kernels in `folder` of the file system `fs_uuid`.
pub fn debian_grub_cfg(folder: &str, fs_uuid: &str, versions: &[&str]) -> String {
    let mut text = String::from("set default=\"0\"\nif [ x$a = xy ]; then\n  insmod gzio\nfi\n");
    for version in versions {
        for (title, options) in [("", "ro quiet"), (" (recovery mode)", "ro single")] {
            text += &format!(
                "menuentry 'Debian GNU/Linux, with Linux {version}{title}' --class debian {{\n\
                 \tload_video\n\tsearch --no-floppy --fs-uuid --set=root {fs_uuid}\n\
                 \tlinux\t{folder}/vmlinuz-{version} root=UUID={ROOT_UUID} {options}\n\
                 \tinitrd\t{folder}/initrd.img-{version}\n}}\n"
            );
        }
    }
    text
}

/// Debian's root file system with all of /boot in it.
pub fn debian_root() -> Tree {
    Tree::new()
        .file("boot/grub/grub.cfg", debian_grub_cfg("/boot", ROOT_UUID, &["6.1.0-9-amd64", "6.1.0-10-amd64"]))
        .debian_kernel("boot", "6.1.0-9-amd64")
        .debian_kernel("boot", "6.1.0-10-amd64")
        .file("etc/fstab", "")
}

/// No small disk takes as long as this, on a slow machine and without optimisation.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Takes what it is given, up to a limit: a damaged size makes a file of nothing but a gigabyte of holes.
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a disk of any content, soon and without a panic or much memory; tells whether it boots.
pub fn survives(disk: Vec<u8>, what: &str) -> bool {
    let started = Instant::now();
    let sink = || Sink(16 << 20);
    let result = boot_disk::read(Box::new(disk), &mut sink(), &mut sink());
    assert!(started.elapsed() < MAX_TIME, "{what} took {:?}", started.elapsed());
    if let Err(error) = &result {
        assert!(error.to_string().len() < 1 << 16, "{what}: an endless error");
    }
    result.is_ok()
}

/// A random number generator that gives the same numbers each time (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    /// `disk` with some bytes changed, at or shortly after one of the places in `near`.
    pub fn damaged(&mut self, disk: &[u8], near: &[usize]) -> Vec<u8> {
        let mut damaged = disk.to_vec();
        for _ in 0..1 << self.below(8) {
            let at = near[self.below(near.len())] + self.below(16);
            if let Some(byte) = damaged.get_mut(at) {
                *byte = [0, 0xff, 0x80, *byte ^ 1, self.below(256) as u8][self.below(5)];
            }
        }
        damaged
    }
}
