//! The helper process: takes the files it is handed, gives up its rights, reads the disk, answers, ends.
//!
//! Runs as the first thing in a program started with [`HELPER_ARGUMENT`](super::HELPER_ARGUMENT), before it has threads
//! or open files of its own.

use super::answer::Answer;
use super::sandbox;
use crate::boot_disk::{self, BootEntry, DiskFile};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

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

/// The helper's whole life. Call it first thing in `main` when the first argument is
/// [`HELPER_ARGUMENT`](super::HELPER_ARGUMENT).
pub fn helper_main() -> ! {
    helper_main_doing(|mut task| {
        boot_disk::read(Box::new(task.disk), &mut task.kernel, &mut task.initrd)
            .map_err(|error| boot_disk::chain(&error))
    })
}

/// [`helper_main`] doing something else once it is confined: for tests of the confinement.
#[doc(hidden)]
pub fn helper_main_doing(work: fn(Task) -> Result<BootEntry, String>) -> ! {
    let closed = sandbox::close_all_from(libc::STDERR_FILENO + 1);
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { exit(2) };
    // One descriptor for all, for as long as the process lives: its number will be in the filter.
    let socket: &'static File = Box::leak(Box::new(File::from(socket)));
    report_panics(socket);
    let answer = match closed.map_err(unconfined).and_then(|()| prepare(socket)) {
        Ok(task) => match work(task) {
            Ok(entry) => Answer::Found(entry),
            Err(why) => Answer::words(Answer::NothingToBoot, &why),
        },
        Err(answer) => answer,
    };
    let written = (&*socket).write_all(&answer.to_bytes());
    exit(if written.is_ok() { 0 } else { 2 })
}

fn unconfined(why: String) -> Answer {
    Answer::words(Answer::Unconfined, &why)
}

fn exit(status: i32) -> ! {
    // SAFETY: _exit takes any status and does not return. Unlike `std::process::exit` it runs no handlers, which would
    // make calls that the filter does not allow.
    unsafe { libc::_exit(status) }
}

/// Panics are answers too; unwinding or aborting afterwards would only hide them.
fn report_panics(socket: &'static File) {
    std::panic::set_hook(Box::new(move |panic| {
        let _ = (&*socket).write_all(&Answer::words(Answer::Panicked, &panic.to_string()).to_bytes());
        exit(2)
    }));
}

/// Receives the files and gives up everything else; answers why it did not.
fn prepare(socket: &File) -> Result<Task, Answer> {
    let [disk, kernel, initrd] =
        receive(socket).map_err(|error| unconfined(format!("cannot receive files: {error}")))?;
    let disk_number = disk.as_raw_fd();
    let disk = DiskFile::new(File::from(disk))
        .map_err(|error| Answer::words(Answer::NothingToBoot, &format!("cannot use the disk: {error}")))?;
    let writable = [kernel.as_raw_fd(), initrd.as_raw_fd(), socket.as_raw_fd(), libc::STDERR_FILENO];
    sandbox::enter(disk_number, &writable).map_err(unconfined)?;
    Ok(Task { disk, kernel: kernel.into(), initrd: initrd.into() })
}

fn receive(socket: &File) -> io::Result<[OwnedFd; 3]> {
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([libc::c_int; 3]);
    let message =
        recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made these descriptors for this process, and nobody else knows their numbers.
            let owned = numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) });
            return owned.collect::<Vec<_>>().try_into().map_err(|_| io::Error::other("not three of them"));
        }
    }
    Err(io::Error::other("none came"))
}
