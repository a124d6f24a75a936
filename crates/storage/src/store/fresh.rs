//! Disks that come with something on them: the ephemeral disk's file system, and swap areas.

use super::error::{StoreError, failed};
use super::files::{Folder, Temporary, TemporaryFolder};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Below, there is no room for a journal, and ext3 would be ext2.
const MIN_EPHEMERAL_BYTES: u64 = 16 << 20;

/// From here on, an inode for 64 KiB rather than 16, and a journal of 64 MiB rather than a GiB: both are allocated when the file
/// system is made.
const LARGE_EPHEMERAL_BYTES: u64 = 16 << 30;

/// Longest time that a file system may take: some megabytes are written, whatever its size.
const MKE2FS_TIMEOUT: Duration = Duration::from_secs(300);
/// How often it is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes that are read of what a program says.
const SAID_BYTES: u64 = 4096;

/// The file in the root of EC2's ephemeral disk of 2007 with the instance's public key.
const PUBLIC_KEY_FILE: &str = "openssh_id.pub";

/// What kernels of 2007 mount, and later ones too; named one by one, so that no host's mke2fs.conf changes it.
const EXT3_FEATURES: &str =
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file";

/// Makes an ext3 file system on `disk`, which is all zeroes. `folder` and `name` are for a temporary folder.
pub(super) fn make_ephemeral(
    disk: &Temporary,
    bytes: u64,
    public_key: Option<&str>,
    folder: &Folder,
    name: &str,
) -> Result<(), StoreError> {
    if bytes < MIN_EPHEMERAL_BYTES {
        return Err(StoreError::Size { bytes, why: "its file system needs 16 MiB" });
    }
    let doing = || failed("make the file system of an ephemeral disk".to_owned());
    let root = TemporaryFolder::create(folder, name).map_err(doing())?;
    if let Some(key) = public_key {
        fs::write(root.0.join(PUBLIC_KEY_FILE), format!("{}\n", key.trim_end())).map_err(doing())?;
    }
    let mut command = Command::new("mke2fs");
    command
        .args(["-q", "-F", "-t", "ext3", "-b", "4096", "-I", "256", "-O", EXT3_FEATURES])
        .args(match bytes {
            0..LARGE_EPHEMERAL_BYTES => &["-i", "16384"][..],
            LARGE_EPHEMERAL_BYTES.. => &["-i", "65536", "-J", "size=64"],
        })
        // The disk reads as zeroes already: the journal need not be written.
        .args(["-E", "root_owner=0:0,nodiscard,lazy_journal_init=1"])
        .arg("-d")
        .arg(&root.0)
        .arg(disk.path())
        .env_clear()
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .env("LC_ALL", "C");
    let Ended { status, said } = run("mke2fs", &mut command, MKE2FS_TIMEOUT)?;
    if status.success() {
        return Ok(());
    }
    let is_full = ["No space left on device", "Disk quota exceeded"].iter().any(|text| said.contains(text));
    Err(match is_full {
        true => StoreError::Full("make the file system of an ephemeral disk".to_owned()),
        false => StoreError::Program { program: "mke2fs", said: format!("{status}, {said}") },
    })
}

/// How a program ended.
struct Ended {
    status: ExitStatus,
    /// The beginning of what it complained of.
    said: String,
}

/// Runs a program of e2fsprogs, which is killed when it takes too long: a disk of the host that does not answer must not hold
/// whoever waits for ever.
fn run(program: &'static str, command: &mut Command, timeout: Duration) -> Result<Ended, StoreError> {
    let doing = || failed(format!("run {program}, of the package e2fsprogs"));
    // What it says stays in a pipe: it says a line or two, and one that says more than a pipe holds takes too long.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(doing())?;
    let deadline = Instant::now() + timeout;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(doing())? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill().and_then(|()| child.wait().map(drop)).map_err(doing())?;
            let said = format!("it took more than {} s, and was killed", timeout.as_secs());
            return Err(StoreError::Program { program, said });
        }
        std::thread::sleep(LOOK);
    };
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(SAID_BYTES).read_to_end(&mut said).map_err(doing())?;
    }
    Ok(Ended { status, said: crate::boot_disk::printable(&String::from_utf8_lossy(&said), 500) })
}

/// The unit of swap areas, on x86.
const PAGE_BYTES: u64 = 4096;
/// As mkswap has it.
const MIN_SWAP_PAGES: u64 = 10;

/// Makes a swap area of version 1 on `disk` (Linux, `include/linux/swap.h`, `union swap_header`).
pub(super) fn make_swap(disk: &File, bytes: u64) -> Result<(), StoreError> {
    let pages = bytes / PAGE_BYTES;
    if pages < MIN_SWAP_PAGES {
        return Err(StoreError::Size { bytes, why: "a swap area needs ten pages of 4096 bytes" });
    }
    // What is more than 16 TiB is not used.
    let last_page = u32::try_from(pages - 1).unwrap_or(u32::MAX);
    let doing = || failed("make a swap area".to_owned());
    let mut header = [0; PAGE_BYTES as usize];
    header[1024..1028].copy_from_slice(&1_u32.to_le_bytes());
    header[1028..1032].copy_from_slice(&last_page.to_le_bytes());
    header[1036..1052].copy_from_slice(&random_uuid().map_err(doing())?);
    header[4086..].copy_from_slice(b"SWAPSPACE2");
    disk.write_all_at(&header, 0).map_err(doing())
}

/// Version 4, so that a guest's fstab can name the area.
fn random_uuid() -> io::Result<[u8; 16]> {
    let mut uuid = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut uuid)?;
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    Ok(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_too_long_is_killed_and_told_of() {
        let started = Instant::now();
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        let error = run("sleep", &mut sleep, Duration::from_millis(50)).err().expect("it takes a minute");
        assert!(matches!(&error, StoreError::Program { said, .. } if said.contains("killed")), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn how_a_program_ended_and_what_it_said_is_told() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo no such thing >&2; exit 3"]);
        let ended = run("sh", &mut shell, MKE2FS_TIMEOUT).expect("it runs");
        assert_eq!((ended.status.code(), ended.said.trim()), (Some(3), "no such thing"));
        let missing = run("mke2fs", &mut Command::new("/nowhere/mke2fs"), MKE2FS_TIMEOUT).err();
        let missing = missing.expect("it is nowhere").to_string();
        assert!(missing.contains("e2fsprogs"), "{missing}");
    }
}
