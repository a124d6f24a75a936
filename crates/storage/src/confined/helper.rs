//! The helper process: takes the files it is handed, gives up its rights, works, answers, ends.
//!
//! Runs as the first thing in a program started for it, before it has threads or open files of its own.

use super::answer::Answer;
use super::sandbox::{self, Rights};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use serde::Serialize;
use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// The helper's whole life, around `work`. `prepare` takes the files that came and says which rights they need; what it
/// refuses, and what `work` refuses, is answered in its words.
pub(crate) fn live<const N: usize, T, R: Serialize>(
    prepare: impl FnOnce([OwnedFd; N]) -> Result<(T, Rights), String>,
    work: impl FnOnce(T) -> Result<R, String>,
) -> ! {
    let closed = sandbox::close_all_from(libc::STDERR_FILENO + 1);
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { exit(2) };
    // One descriptor for all, for as long as the process lives: its number will be in the filter.
    let socket: &'static File = Box::leak(Box::new(File::from(socket)));
    report_panics(socket);
    // Hash maps take their seed from the kernel once a thread, by a call that the filter does not allow.
    let _ = std::hash::RandomState::new();
    let task = closed.map_err(Answer::Unconfined).and_then(|()| confine(socket, prepare));
    let answer = match task.map(work) {
        Ok(Ok(done)) => Answer::Done(done),
        Ok(Err(why)) => Answer::words(Answer::Refused, &why),
        Err(answer) => answer,
    };
    let written = (&*socket).write_all(&answer.to_bytes());
    exit(if written.is_ok() { 0 } else { 2 })
}

fn exit(status: i32) -> ! {
    // SAFETY: _exit takes any status and does not return. Unlike `std::process::exit` it runs no handlers, which would
    // make calls that the filter does not allow.
    unsafe { libc::_exit(status) }
}

/// Panics are answers too; unwinding or aborting afterwards would only hide them.
fn report_panics(socket: &'static File) {
    std::panic::set_hook(Box::new(move |panic| {
        let answer: Answer<()> = Answer::words(Answer::Panicked, &panic.to_string());
        let _ = (&*socket).write_all(&answer.to_bytes());
        exit(2)
    }));
}

/// Receives the files and gives up everything else; answers why it did not.
fn confine<const N: usize, T, R>(
    socket: &File,
    prepare: impl FnOnce([OwnedFd; N]) -> Result<(T, Rights), String>,
) -> Result<T, Answer<R>> {
    let unconfined = |why: String| Answer::words(Answer::Unconfined, &why);
    let files = receive(socket).map_err(|error| unconfined(format!("cannot receive files: {error}")))?;
    let (task, mut rights) = prepare(files).map_err(|why| Answer::words(Answer::Refused, &why))?;
    rights.write.extend([socket.as_raw_fd(), libc::STDERR_FILENO]);
    sandbox::enter(&rights).map_err(unconfined)?;
    Ok(task)
}

fn receive<const N: usize>(socket: &File) -> io::Result<[OwnedFd; N]> {
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([libc::c_int; 8]);
    let message =
        recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made these descriptors for this process, and nobody else knows their numbers.
            let owned = numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) });
            let count = |_| io::Error::other(format!("not {N} of them"));
            return owned.collect::<Vec<_>>().try_into().map_err(count);
        }
    }
    Err(io::Error::other("none came"))
}
