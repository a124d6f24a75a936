//! Processes of VMMs: held by pidfd, known again by pid and start time. They may be children of this daemon or of one before it; only how they end can be told apart.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Which process: a pid alone is given to another one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub pid: u32,
    /// When it started, in clock ticks since the host's boot (proc_pid_stat(5), field 22).
    pub started: u64,
}

/// A process, held by a descriptor that stays its own when its pid is given to another.
#[derive(Debug)]
pub(super) struct Process {
    identity: Identity,
    // Only `drop` takes it.
    pidfd: Option<AsyncFd<OwnedFd>>,
    is_child: bool,
    status: Mutex<Option<ExitStatus>>,
}

impl Process {
    /// The process with this pid, if it is the one that started then. Must run in a runtime.
    pub fn open(identity: Identity) -> io::Result<Option<Self>> {
        let Some(pidfd) = open_pidfd(identity.pid)? else { return Ok(None) };
        // Read after the descriptor was opened: whoever has this start time has had the pid all along.
        match read_stat(identity.pid)? {
            Some(stat) if stat.started == identity.started => Ok(Some(Self::new(identity, pidfd, false)?)),
            _ => Ok(None),
        }
    }

    /// A child of this process that nobody else waits for. Must run in a runtime.
    pub fn of_child(pid: u32) -> io::Result<Self> {
        let gone = || io::Error::other("a child is gone that nobody waited for");
        let pidfd = open_pidfd(pid)?.ok_or_else(gone)?;
        let started = read_stat(pid)?.ok_or_else(gone)?.started;
        Self::new(Identity { pid, started }, pidfd, true)
    }

    fn new(identity: Identity, pidfd: OwnedFd, is_child: bool) -> io::Result<Self> {
        let pidfd = waitable(pidfd, Interest::READABLE)?;
        Ok(Self { identity, pidfd: Some(pidfd), is_child, status: Mutex::new(None) })
    }

    pub fn identity(&self) -> Identity {
        self.identity
    }

    fn pidfd(&self) -> &AsyncFd<OwnedFd> {
        self.pidfd.as_ref().expect("it is there until drop")
    }

    /// Returns when it has ended.
    pub async fn gone(&self) {
        // Readiness is never cleared: the end is final. Fails only when the runtime ends, and then nothing waits.
        let _ = self.pidfd().readable().await;
    }

    /// Whether it has ended.
    pub fn is_gone(&self) -> bool {
        has_ended(self.pidfd().get_ref())
    }

    /// Sends SIGKILL; no error if it has ended.
    pub fn kill(&self) -> io::Result<()> {
        match pidfd_send_signal(self.pidfd().get_ref(), Signal::KILL) {
            Err(Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes its zombie away and says how it ended; `None` if it has not, or if it is the child of another.
    pub fn reap(&self) -> Option<ExitStatus> {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.is_none() && self.is_child {
            *status = reap(self.pidfd().get_ref());
        }
        *status
    }
}

impl Drop for Process {
    /// A child that still lives is waited for, whoever has lost interest in it.
    fn drop(&mut self) {
        if self.is_child && self.reap().is_none() {
            let pidfd = self.pidfd.take().expect("dropped once");
            // Without a runtime the daemon ends as well, and init waits.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move {
                    let _ = pidfd.readable().await;
                    reap(pidfd.get_ref());
                });
            }
        }
    }
}

/// A descriptor whose readiness can be waited for. Must run in a runtime.
pub(super) fn waitable(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "for types that change their descriptor, which an OwnedFd does not; what replaces it is unsafe for all"
    )]
    AsyncFd::with_interest(descriptor, interest)
}

fn open_pidfd(pid: u32) -> io::Result<Option<OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    matches!(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1))
}

fn reap(pidfd: &OwnedFd) -> Option<ExitStatus> {
    let ended =
        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok()??;
    let raw = match (ended.exit_status(), ended.terminating_signal()) {
        (Some(code), _) => code << 8,
        (None, signal) => signal?,
    };
    Some(ExitStatus::from_raw(raw))
}

/// What is read of `/proc/PID/stat`.
pub(super) struct Stat {
    pub session: u32,
    pub started: u64,
}

/// `None` if there is no such process.
pub(super) fn read_stat(pid: u32) -> io::Result<Option<Stat>> {
    let text = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text,
        Err(error) if is_no_process(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    parse_stat(&text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has another shape")))
}

/// The process ended before or while its file was read.
fn is_no_process(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::SRCH)
}

/// The inner `None` is a process that is being waited for right now, of which nothing but its pid is left.
fn parse_stat(text: &str) -> Option<Option<Stat>> {
    // The second field is the program's name in parentheses, and may have anything in it.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(3);
    let session: i64 = fields.next()?.parse().ok()?;
    let started = fields.nth(22 - 7)?.parse().ok()?;
    // -1: the kernel's do_task_stat() came after release_task().
    Some(u32::try_from(session).ok().map(|session| Stat { session, started }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_hides_nothing() {
        let text = "42 (a) S 1 (b)) S 1 42 43 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1000 2 3";
        let stat = parse_stat(text).unwrap().unwrap();
        assert_eq!((stat.session, stat.started), (43, 777));
        assert!(parse_stat("42 (a) S 1").is_none());
        let own = read_stat(std::process::id()).unwrap().unwrap();
        assert!(own.started > 0);
    }

    #[test]
    fn a_process_that_is_just_going_is_gone() {
        let text = "42 (a) X 0 -1 -1 0 -1 4227084 0 0 0 0 0 0 0 0 20 0 0 0 777 0 0";
        assert!(parse_stat(text).unwrap().is_none());
    }
}
