//! Reads a boot disk in a process of its own, which is confined before it sees the first byte of the disk.
//!
//! The helper is this same program, started anew with [`HELPER_ARGUMENT`]; its `main` has to call [`helper_main`] then.
//! Over a socket it gets the disk and two empty memory files for kernel and initrd, and answers in JSON. What it answers
//! is believed as little as the disk itself: everything is limited and checked again here.
//!
//! Called by `vmm::machine` at each boot, so that a kernel which the guest installed is the one that boots next.

mod answer;
mod helper;
mod sandbox;

pub use helper::{helper_main, helper_main_doing};

use crate::boot_disk::{BootEntry, MAX_INITRD_BYTES, MAX_KERNEL_BYTES};
use answer::{Answer, MAX_ANSWER_BYTES};
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// First argument of a program that is to be the helper.
pub const HELPER_ARGUMENT: &str = "read-boot-disk";

/// Longest time that anybody can mean to wait.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

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
    /// The process that reads the disk did not start.
    #[error("cannot {what} for the process that reads the disk")]
    Start {
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// It could not give up its rights, and did not read the disk with them.
    #[error("the process that reads the disk cannot confine itself: {0}")]
    Unconfined(String),
    /// It took too long, and was killed.
    #[error("reading the disk took more than {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// It did what nobody needs to do who reads a disk, and was killed.
    #[error(
        "the process that reads the disk was killed when it left its confinement: does the disk attack it?"
    )]
    Forbidden,
    /// It died of a signal.
    #[error("the process that reads the disk was killed by {0}")]
    Killed(String),
    /// It failed in a way that is a mistake of ours.
    #[error("the process that reads the disk crashed: {0}")]
    Crashed(String),
    /// It answered what no helper answers.
    #[error("the process that reads the disk answered nonsense: {0}")]
    Nonsense(&'static str),
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
    let deadline = Instant::now() + timeout.min(MAX_TIMEOUT);
    let disk = reopen(disk)?;
    let memory_file = |name: &str| {
        memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
            .map(File::from)
            .map_err(|errno| start_error("make a memory file")(errno.into()))
    };
    let kernel = memory_file("kernel")?;
    let initrd = memory_file("initrd")?;
    let mut helper = Helper::start(argument)?;
    // A helper that is gone already says more by how it ended.
    let _ = helper.send(&[disk.as_raw_fd(), kernel.as_raw_fd(), initrd.as_raw_fd()]);
    let received = helper.receive(deadline);
    let status = helper.end().map_err(start_error("wait"))?;
    let bytes = match received {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
            return Err(ReadBootDiskError::TimedOut(timeout));
        }
        Err(error) => return Err(start_error("receive the answer")(error)),
    };
    let entry = read_answer(&bytes, status)?;
    let has_initrd = !entry.initrds.is_empty();
    Ok(BootFiles {
        entry,
        kernel: seal(kernel, 1, MAX_KERNEL_BYTES)?,
        initrd: if has_initrd { Some(seal(initrd, 1, MAX_INITRD_BYTES)?) } else { None },
    })
}

fn start_error(what: &'static str) -> impl Fn(io::Error) -> ReadBootDiskError {
    move |source| ReadBootDiskError::Start { what, source }
}

/// The disk once more, with none of the flags of the given descriptor: the helper has no need to write, and reads best
/// through the page cache. A VMM that was handed the disk by somebody with more rights cannot open it: then the helper
/// gets the VMM's own descriptor, which its filter allows to read only.
fn reopen(disk: &File) -> Result<OwnedFd, ReadBootDiskError> {
    let path = format!("/proc/self/fd/{}", disk.as_raw_fd());
    // Not blocking: opening a pipe that somebody gave for a disk would wait for a writer.
    match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(reopened) => Ok(reopened.into()),
        Err(_) => disk.try_clone().map(OwnedFd::from).map_err(start_error("open the disk once more")),
    }
}

/// The helper process; killed and reaped when dropped.
struct Helper {
    child: Child,
    socket: UnixStream,
}

impl Helper {
    fn start(argument: &str) -> Result<Self, ReadBootDiskError> {
        let (socket, theirs) = UnixStream::pair().map_err(start_error("make a socket"))?;
        // Nothing of ours runs between fork and exec, which is what makes this safe beside other threads, and lets the
        // kernel start it without copying the page tables of a guest. The helper closes what it may have inherited.
        let child = Command::new("/proc/self/exe")
            .arg(argument)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(start_error("start this program anew"))?;
        Ok(Self { child, socket })
    }

    fn send(&self, descriptors: &[i32]) -> nix::Result<usize> {
        let rights = [ControlMessage::ScmRights(descriptors)];
        let byte = [IoSlice::new(&[0])];
        sendmsg::<UnixAddr>(self.socket.as_raw_fd(), &byte, &rights, MsgFlags::MSG_NOSIGNAL, None)
    }

    /// All that the helper says until it ends, and one byte more than is allowed at most.
    fn receive(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while bytes.len() <= MAX_ANSWER_BYTES {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Ended with bytes of ours unread: its exit status tells the rest.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }

    /// Ends the helper if it has not ended by itself. One that closed its socket by ending keeps its own exit status: by
    /// then its fate is settled, and the signal changes nothing.
    fn end(&mut self) -> io::Result<ExitStatus> {
        // A VMM that may not send signals to another user waits for the helper's limit on processor time instead.
        let _ = self.child.kill();
        self.child.wait()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // After `end` both do nothing. Failing means that there is no process to end.
        let _ = self.end();
    }
}

fn read_answer(bytes: &[u8], status: ExitStatus) -> Result<BootEntry, ReadBootDiskError> {
    if bytes.len() > MAX_ANSWER_BYTES {
        return Err(ReadBootDiskError::Nonsense("more than an answer can be"));
    }
    match status.signal() {
        Some(libc::SIGSYS) => return Err(ReadBootDiskError::Forbidden),
        Some(number) => {
            let name =
                Signal::try_from(number).map_or(format!("signal {number}"), |signal| signal.to_string());
            return Err(ReadBootDiskError::Killed(name));
        }
        None => {}
    }
    if bytes.is_empty() {
        let why = format!("no answer, {status}; does this program begin with storage::helper_main?");
        return Err(ReadBootDiskError::Crashed(why));
    }
    let answer = Answer::from_bytes(bytes).ok_or(ReadBootDiskError::Nonsense("not an answer in JSON"))?;
    match answer {
        Answer::Found(entry) => Ok(entry),
        Answer::NothingToBoot(text) => Err(ReadBootDiskError::NothingToBoot(text)),
        Answer::Unconfined(text) => Err(ReadBootDiskError::Unconfined(text)),
        Answer::Panicked(text) => Err(ReadBootDiskError::Crashed(text)),
    }
}

/// Makes what the helper wrote unchangeable. It is gone, so that nobody has it mapped any more.
fn seal(mut file: File, min_bytes: u64, max_bytes: u64) -> Result<File, ReadBootDiskError> {
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))
        .map_err(|errno| start_error("seal a memory file")(errno.into()))?;
    let size_bytes = file.metadata().map_err(start_error("measure a memory file"))?.len();
    if !(min_bytes..=max_bytes).contains(&size_bytes) {
        return Err(ReadBootDiskError::Nonsense("a kernel or initrd of impossible size"));
    }
    // The helper's descriptor shared its position with this one.
    file.rewind().map_err(start_error("rewind a memory file"))?;
    Ok(file)
}
