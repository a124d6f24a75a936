//! A bothy-vmm process for the tests of its control socket, and raw HTTP for what no client would send.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vmm_api::{Client, ErrorBody, ErrorCode};

/// Longest wait for anything that should happen at once. Machines that run tests can be slow.
pub const SOON: Duration = Duration::from_secs(30);

/// A VMM without a machine, killed at the end of its test.
pub struct Process {
    child: Child,
    pub dir: tempfile::TempDir,
    pub client: Client,
}

/// The command that starts a VMM.
pub fn command(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bothy-vmm"));
    command.args(["--id", "test", "--log-level", "off", "--control"]).arg(socket).stdin(Stdio::null());
    command
}

/// Starts a VMM that is expected to give up.
pub fn refused(socket: &Path) -> Output {
    command(socket).output().unwrap()
}

impl Process {
    /// A VMM that answers.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (child, client) = start(&dir.path().join("control")).await;
        Self { child, dir, client }
    }

    /// Kills it without a chance to tidy up, and starts another on the same socket.
    pub async fn crash_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.client) = start(&self.dir.path().join("control")).await;
    }

    /// Asks it to end, as an operator would.
    pub fn terminate(&mut self) -> ExitStatus {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
        wait("the end of the VMM", || self.child.try_wait().unwrap())
    }

    fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }

    /// How many descriptors it has.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Waits until it has no more descriptors than `before`: what ended may take a moment to be closed.
    #[track_caller]
    pub fn wait_for_descriptors(&self, before: usize) {
        let start = Instant::now();
        while self.descriptors() > before {
            let files = std::fs::read_dir(self.proc("fd")).unwrap();
            let files: Vec<_> =
                files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok()).collect();
            assert!(start.elapsed() < SOON, "more than {before} descriptors stay open: {files:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// A connection on which nothing was said yet.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.client.path()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// Sends `request` on a connection of its own, and gives the answer.
    pub fn exchange(&self, request: &str) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        Reply::read(&mut stream)
    }

    /// A request by its first line and its body, if that is not empty.
    pub fn ask(&self, line: &str, body: &str) -> Reply {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.exchange(&format!("{line} HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n{length}\r\n{body}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start(socket: &Path) -> (Child, Client) {
    let child = command(socket).spawn().unwrap();
    let client = Client::connect_when_ready(socket, SOON).await.unwrap();
    (child, client)
}

/// Looks until `happened` gives something.
pub fn wait<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = happened() {
            return result;
        }
        assert!(start.elapsed() < SOON, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    /// One answer. Reads up to the length it announces, or to the end of the connection.
    pub fn read(stream: &mut UnixStream) -> Self {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(reply) = Self::parse(&bytes, false) {
                return reply;
            }
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("no answer: {error}, after {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
        Self::parse(&bytes, true).unwrap_or_else(|| panic!("the connection ended after {bytes:?}"))
    }

    fn parse(bytes: &[u8], ended: bool) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let head = head.to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if length.is_some_and(|length| body.len() < length) || length.is_none() && !ended {
            return None;
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, body: body.to_owned(), head })
    }

    /// The refusal that it must be, with all that belongs to one.
    pub fn refusal(&self, code: ErrorCode) -> ErrorBody {
        let error: ErrorBody =
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        check_refusal(&error, code);
        assert_eq!(self.status, code.status());
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        error
    }
}

/// A code, a message and a hint.
pub fn check_refusal(error: &ErrorBody, code: ErrorCode) {
    assert_eq!(error.code, code, "{error}");
    assert!(!error.message.is_empty() && !error.hint.is_empty(), "{error:?}");
}
