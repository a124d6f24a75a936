//! A running `bothy-vmm run` with a micro-guest in it.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vmm_api::Client;

use crate::program;

/// How long a guest may take for anything. They take milliseconds; a loaded machine takes longer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A micro-guest in its VMM. Dropping it kills the VMM.
pub struct Vm {
    child: Child,
    output: Receiver<Vec<u8>>,
    seen: String,
    dir: TempDir,
}

/// How it ended.
#[derive(Debug)]
pub struct Finished {
    /// What the guest printed.
    pub output: String,
    /// What the VMM said.
    pub stderr: String,
    /// Whether its exit status was 0.
    pub success: bool,
}

impl Vm {
    /// Boots `kernel` with 64 MiB and one vCPU; `arguments` are more options of `bothy-vmm run`. `None`, and a line that
    /// says so, where there is no usable `/dev/kvm`: the test is skipped. With `BOTHY_REQUIRE_KVM` set it fails instead.
    pub fn start(kernel: &[u8], arguments: &[&str]) -> Option<Self> {
        if let Err(error) = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
            assert!(std::env::var_os("BOTHY_REQUIRE_KVM").is_none(), "KVM was promised: /dev/kvm: {error}");
            eprintln!("skipped: /dev/kvm: {error}");
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("kernel");
        fs::write(&path, kernel).expect("a file in a temporary folder");
        let mut child = Command::new(program())
            .args(["run", "--memory-mib", "64", "--kernel"])
            .arg(&path)
            .arg("--control")
            .arg(dir.path().join("control"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("stderr")).expect("a file in a temporary folder"))
            .spawn()
            .expect("bothy-vmm was built");
        let mut stdout = child.stdout.take().expect("it is piped");
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, output, seen: String::new(), dir })
    }

    /// Where the control socket is.
    pub fn control(&self) -> PathBuf {
        self.dir.path().join("control")
    }

    /// A folder of this test's own.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Runs `body` with a client of the VM's control socket.
    pub fn ask<T>(&self, body: impl AsyncFnOnce(Client) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(body(Client::new(self.control())))
    }

    /// Types `text` on the guest's console.
    pub fn send(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("the VMM reads its input");
    }

    /// Waits until the guest has printed `text`, `times` times in all.
    pub fn wait_for(&mut self, text: &str, times: usize) {
        let deadline = Instant::now() + TIMEOUT;
        while self.seen.matches(text).count() < times {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} within {TIMEOUT:?}: {}", self.report()),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {text:?}: {}", self.report()),
            }
        }
    }

    /// Waits until the VMM ends.
    pub fn finish(mut self) -> Finished {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => panic!("did not end within {TIMEOUT:?}: {}", self.report()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().expect("the VMM is our child");
        Finished { output: self.seen.clone(), stderr: self.stderr(), success: status.success() }
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    fn report(&self) -> String {
        format!("the guest printed {:?}, the VMM said {:?}", self.seen, self.stderr())
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
