//! Reads what a boot disk boots: kernel, initrds and command line.
//!
//! Over a socket the helper gets the disk and two empty memory files for kernel and initrd, and answers in JSON.
//! Called by `vmm::machine` at each boot, so that a kernel which the guest installed is the one that boots next.

use super::helper::live;
use super::process::{Deadline, Helper, HelperError, start_error};
use super::sandbox::Rights;
use crate::boot_disk::{
    self, BootEntry, DiskFile, MAX_CMDLINE_BYTES, MAX_INITRD_BYTES, MAX_KERNEL_BYTES, printable,
};
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{File, OpenOptions};
use std::io::Seek;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// Processor time of the helper, for a disk that is made to take long. A large image takes less than a second.
const MAX_CPU_SECONDS: u64 = 60;
/// Most bytes of a title or path, for people.
const MAX_NAME_BYTES: usize = 512;
/// Most initrds listed.
const MAX_NAMES: usize = 16;

/// First argument of a program that is to be the helper.
pub const HELPER_ARGUMENT: &str = "read-boot-disk";

/// What a disk boots.
#[derive(Debug)]
pub struct BootFiles {
    /// Where it came from, and the command line.
    pub entry: BootEntry,
    /// The kernel: a sealed memory file, positioned at its start.
    pub kernel: File,
    /// All initrds, one after the other, in a sealed memory file like the kernel's.
    pub initrd: Option<File>,
}

/// Why a disk could not be read, or has nothing to boot.
#[derive(Debug, thiserror::Error)]
pub enum ReadBootDiskError {
    /// The disk was read: this is what was found in place of something to boot.
    #[error("{0}")]
    NothingToBoot(String),
    /// The process that reads the disk did not do so.
    #[error(transparent)]
    Helper(#[from] HelperError),
}

/// Finds what `disk` boots, reading it in a confined process. `disk` may be open for writing, without the page cache, and
/// locked: the helper gets its own descriptor, and the file position stays.
///
/// Returns when the helper is gone: after `timeout` at the latest, if the kernel lets go of it.
///
/// # Errors
/// Says what was found on the disk instead, or what happened to the helper.
pub fn read_boot_files(disk: &File, timeout: Duration) -> Result<BootFiles, ReadBootDiskError> {
    read_boot_files_as(HELPER_ARGUMENT, disk, timeout)
}

/// [`read_boot_files`] with another argument to the program, whose helper may then misbehave: for tests.
#[doc(hidden)]
pub fn read_boot_files_as(
    argument: &str,
    disk: &File,
    timeout: Duration,
) -> Result<BootFiles, ReadBootDiskError> {
    let deadline = Deadline::after(timeout);
    let disk = reopen(disk)?;
    let memory_file = |name: &str| {
        memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
            .map(File::from)
            .map_err(|errno| start_error("make a memory file")(errno.into()))
    };
    let kernel = memory_file("kernel")?;
    let initrd = memory_file("initrd")?;
    let helper = Helper::start(argument)?;
    helper.send(&[disk.as_raw_fd(), kernel.as_raw_fd(), initrd.as_raw_fd()]);
    let entry = helper.answer(deadline)?.map(checked).map_err(ReadBootDiskError::NothingToBoot)?;
    let has_initrd = !entry.initrds.is_empty();
    Ok(BootFiles {
        entry,
        kernel: seal(kernel, 1, MAX_KERNEL_BYTES)?,
        initrd: if has_initrd { Some(seal(initrd, 1, MAX_INITRD_BYTES)?) } else { None },
    })
}

/// The disk once more, with none of the flags of the given descriptor: the helper has no need to write, and reads best
/// through the page cache. A VMM that was handed the disk by somebody with more rights cannot open it: then the helper
/// gets the VMM's own descriptor, which its filter allows to read only.
fn reopen(disk: &File) -> Result<OwnedFd, HelperError> {
    let path = format!("/proc/self/fd/{}", disk.as_raw_fd());
    // Not blocking: opening a pipe that somebody gave for a disk would wait for a writer.
    match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(reopened) => Ok(reopened.into()),
        Err(_) => disk.try_clone().map(OwnedFd::from).map_err(start_error("open the disk once more")),
    }
}

/// What the helper found, short and printable, whatever it sent.
fn checked(entry: BootEntry) -> BootEntry {
    let name = |name: String| printable(&name, MAX_NAME_BYTES);
    BootEntry {
        title: name(entry.title),
        version: name(entry.version),
        kernel: name(entry.kernel),
        initrds: entry.initrds.into_iter().take(MAX_NAMES).map(name).collect(),
        cmdline: printable(&entry.cmdline, MAX_CMDLINE_BYTES),
    }
}

/// Makes what the helper wrote unchangeable. It is gone, so that nobody has it mapped any more.
fn seal(mut file: File, min_bytes: u64, max_bytes: u64) -> Result<File, HelperError> {
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))
        .map_err(|errno| start_error("seal a memory file")(errno.into()))?;
    let size_bytes = file.metadata().map_err(start_error("measure a memory file"))?.len();
    if !(min_bytes..=max_bytes).contains(&size_bytes) {
        return Err(HelperError::Nonsense("a kernel or initrd of impossible size"));
    }
    // The helper's descriptor shared its position with this one.
    file.rewind().map_err(start_error("rewind a memory file"))?;
    Ok(file)
}

/// What the helper works on.
#[doc(hidden)]
pub struct Task {
    /// The disk, already measured.
    pub disk: DiskFile,
    /// Where the kernel goes.
    pub kernel: File,
    /// Where the initrds go.
    pub initrd: File,
}

/// The helper's whole life. Call it first thing in `main` when the first argument is [`HELPER_ARGUMENT`].
pub fn helper_main() -> ! {
    helper_main_doing(|mut task| {
        boot_disk::read(Box::new(task.disk), &mut task.kernel, &mut task.initrd)
            .map_err(|error| boot_disk::chain(&error))
    })
}

/// [`helper_main`] doing something else once it is confined: for tests of the confinement.
#[doc(hidden)]
pub fn helper_main_doing(work: fn(Task) -> Result<BootEntry, String>) -> ! {
    live(prepare, work)
}

fn prepare([disk, kernel, initrd]: [OwnedFd; 3]) -> Result<(Task, Rights), String> {
    let rights = Rights {
        read: disk.as_raw_fd(),
        seek: false,
        write: vec![kernel.as_raw_fd(), initrd.as_raw_fd()],
        file_bytes: MAX_INITRD_BYTES,
        cpu_seconds: MAX_CPU_SECONDS,
    };
    let disk = DiskFile::new(File::from(disk)).map_err(|error| format!("cannot use the disk: {error}"))?;
    Ok((Task { disk, kernel: kernel.into(), initrd: initrd.into() }, rights))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confined::answer::{Answer, MAX_ANSWER_BYTES};

    #[test]
    fn a_lying_helper_is_cut_short() {
        let read = checked(BootEntry {
            title: "\u{1b}[31m".repeat(1000),
            version: "6.1".to_owned(),
            kernel: "/boot/vmlinuz-6.1".to_owned(),
            initrds: vec!["x".to_owned(); 100],
            cmdline: "a\nb".repeat(9999),
        });
        assert!(read.title.len() <= MAX_NAME_BYTES && !read.title.contains('\u{1b}'));
        assert_eq!(read.initrds.len(), MAX_NAMES);
        assert!(read.cmdline.len() <= MAX_CMDLINE_BYTES && !read.cmdline.contains('\n'));
    }

    #[test]
    fn an_entry_has_the_fields_it_has() {
        let extra = r#"{"done":{"title":"","version":"","kernel":"","initrds":[],"cmdline":"","run":"rm"}}"#;
        assert_eq!(Answer::<BootEntry>::from_bytes(extra.as_bytes()), None);
    }

    #[test]
    fn the_largest_honest_answer_fits() {
        let entry = BootEntry {
            title: "\"".repeat(MAX_NAME_BYTES),
            version: "\"".repeat(MAX_NAME_BYTES),
            kernel: "\"".repeat(MAX_NAME_BYTES),
            initrds: vec!["\"".repeat(MAX_NAME_BYTES); MAX_NAMES],
            cmdline: "\"".repeat(MAX_CMDLINE_BYTES),
        };
        assert!(Answer::Done(entry).to_bytes().len() <= MAX_ANSWER_BYTES);
    }
}
