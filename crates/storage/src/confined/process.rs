//! The process that starts a helper: hands it files, waits for its answer, and sees to it that it ends.

use super::answer::{Answer, MAX_ANSWER_BYTES};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What became of a helper that did not do what it was started for.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
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

/// [`HelperError::Start`], of which `what` failed.
pub(crate) fn start_error(what: &'static str) -> impl Fn(io::Error) -> HelperError {
    move |source| HelperError::Start { what, source }
}

/// When to give up, and how long was given until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    given: Duration,
}

/// Longest time that anybody can mean to wait.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

impl Deadline {
    pub(crate) fn after(given: Duration) -> Self {
        Self { at: Instant::now() + given.min(MAX_TIMEOUT), given }
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Result<Duration, HelperError> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(HelperError::TimedOut(self.given)) } else { Ok(left) }
    }

    /// Reads once from `socket`; 0 at its end.
    pub(crate) fn read(&self, socket: &mut UnixStream, buffer: &mut [u8]) -> Result<usize, HelperError> {
        loop {
            socket.set_read_timeout(Some(self.left()?)).map_err(start_error("limit the wait"))?;
            match socket.read(buffer) {
                Ok(length) => return Ok(length),
                // Out of time is seen when it is asked what is left.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                // Ended with bytes of ours unread: its exit status tells the rest.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(start_error("receive the answer")(error)),
            }
        }
    }
}

/// The helper process; killed and reaped when dropped.
pub(crate) struct Helper {
    child: Child,
    socket: UnixStream,
}

impl Helper {
    /// Starts this program anew with `argument`, upon which its `main` has to become the helper.
    pub(crate) fn start(argument: &str) -> Result<Self, HelperError> {
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

    /// Hands it copies of the descriptors.
    pub(crate) fn send(&self, descriptors: &[i32]) {
        let rights = [ControlMessage::ScmRights(descriptors)];
        let byte = [IoSlice::new(&[0])];
        // A helper that is gone already says more by how it ended.
        let _ = sendmsg::<UnixAddr>(self.socket.as_raw_fd(), &byte, &rights, MsgFlags::MSG_NOSIGNAL, None);
    }

    /// Waits for the helper's answer and for its end: what it did, or why it refused. What it says it did is not checked.
    pub(crate) fn answer<T: DeserializeOwned>(
        mut self,
        deadline: Deadline,
    ) -> Result<Result<T, String>, HelperError> {
        let received = self.receive(deadline);
        let status = self.end().map_err(start_error("wait"))?;
        read_answer(&received?, status)
    }

    /// All that the helper says until it ends, and one byte more than is allowed at most.
    fn receive(&mut self, deadline: Deadline) -> Result<Vec<u8>, HelperError> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while bytes.len() <= MAX_ANSWER_BYTES {
            match deadline.read(&mut self.socket, &mut buffer)? {
                0 => break,
                length => bytes.extend_from_slice(&buffer[..length]),
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

fn read_answer<T: DeserializeOwned>(
    bytes: &[u8],
    status: ExitStatus,
) -> Result<Result<T, String>, HelperError> {
    if bytes.len() > MAX_ANSWER_BYTES {
        return Err(HelperError::Nonsense("more than an answer can be"));
    }
    match status.signal() {
        Some(libc::SIGSYS) => return Err(HelperError::Forbidden),
        Some(number) => {
            let name =
                Signal::try_from(number).map_or(format!("signal {number}"), |signal| signal.to_string());
            return Err(HelperError::Killed(name));
        }
        None => {}
    }
    if bytes.is_empty() {
        let why = format!(
            "no answer, {status}; does this program begin with the helper's main function (storage::helper_main)?"
        );
        return Err(HelperError::Crashed(why));
    }
    let answer = Answer::from_bytes(bytes).ok_or(HelperError::Nonsense("not an answer in JSON"))?;
    match answer {
        Answer::Done(done) => Ok(Ok(done)),
        Answer::Refused(text) => Ok(Err(text)),
        Answer::Unconfined(text) => Err(HelperError::Unconfined(text)),
        Answer::Panicked(text) => Err(HelperError::Crashed(text)),
    }
}
