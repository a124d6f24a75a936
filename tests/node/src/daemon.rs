//! The real daemon with the real VMM, and who asks it.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use native_api::{
    Client, ClientError, ConsoleHistory, Credentials, Endpoint, ImageId, InstanceId, Job, JobState,
    Operation, Options,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{BOOT, Images, Network, leavings};

/// Where a daemon serves Alibaba Cloud's API: each test's network is its own.
pub const ALIBABA: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8014);

/// Where it serves Amazon EC2's.
pub const EC2: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8773);

/// What shows a program another time (package faketime).
const FAKE_TIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// How often it is looked whether the daemon is there.
const LOOK: Duration = Duration::from_millis(100);

/// Where a daemon listens in its network, for callers with keys.
const LISTEN: &str = "127.0.0.1:8775";

/// A host's daemon. Dropping it clears the host: a test that failed leaves no guest.
pub struct Node {
    /// Who asks it, as the operator.
    pub client: Client,
    /// Where all that it has is.
    pub folder: PathBuf,
    bothyd: PathBuf,
    bothy: PathBuf,
    daemon: Option<Child>,
}

impl Node {
    /// A daemon with its state in a folder, and this in its configuration besides what all need. It is not started.
    pub fn new(images: &Images, folder: &Path, more: &str) -> Self {
        let text = format!(
            "state_folder = '{0}/state'\nrun_folder = '{0}/run'\nhost_key = '{0}/key/host-key'\nvmm = '{1}'\n[api]\n\
             socket = '{0}/run/api.sock'\nlisten = ['{LISTEN}']\nalibaba = ['{ALIBABA}']\nec2 = ['{EC2}']\n\
             [capacity.overcommit]\nvcpus = 1000\n[limits]\nstart = 600\nterminate = 2\n\
             {more}",
            folder.display(),
            images.vmm.display(),
        );
        fs::write(folder.join("bothyd.toml"), text).expect("the scratch disk has room");
        let endpoint = Endpoint::Unix(folder.join("run/api.sock"));
        Self {
            client: Client::new(endpoint, Options::default()).expect("a unix socket needs no certificates"),
            folder: folder.to_owned(),
            bothyd: images.bothyd.clone(),
            bothy: images.bothy.clone(),
            daemon: None,
        }
    }

    /// Who asks it with a key.
    pub fn caller(&self, credentials: Credentials) -> Client {
        let endpoint = format!("http://{LISTEN}").parse().expect("it is an endpoint");
        let options = Options { credentials: Some(credentials), ..Options::default() };
        Client::new(endpoint, options).expect("without TLS it needs no certificates")
    }

    fn command(&self) -> Command {
        let log = File::options().create(true).append(true).open(self.folder.join("log"));
        let mut command = Command::new(&self.bothyd);
        command.arg("--config").arg(self.folder.join("bothyd.toml")).stdin(Stdio::null());
        command.env("RUST_LOG", "debug").stderr(log.expect("the scratch disk has room"));
        command
    }

    /// The end of the daemon's log.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(100)..].join("\n")
    }

    /// Starts the daemon, and waits until it takes requests.
    pub async fn start(&mut self) {
        self.spawn(self.command()).await;
    }

    /// The same with a clock that is ahead by so much. What the daemon starts sees that clock too.
    pub async fn start_ahead(&mut self, by: Duration) {
        let mut command = self.command();
        command.env("LD_PRELOAD", FAKE_TIME).env("FAKETIME", format!("+{}s", by.as_secs()));
        // Waits are as long as they are; and what it shares between processes it would leave behind, once killed.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DISABLE_SHM", "1");
        self.spawn(command).await;
    }

    async fn spawn(&mut self, mut command: Command) {
        let deadline = Instant::now() + BOOT;
        let mut daemon = command.spawn().expect("bothyd starts");
        while self.client.get_health().await.is_err() {
            let ended = daemon.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "bothyd ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "bothyd is not ready within {BOOT:?}:\n{}", self.log());
            tokio::time::sleep(LOOK).await;
        }
        self.daemon = Some(daemon);
    }

    /// Kills the daemon.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        daemon.kill().and_then(|()| daemon.wait()).expect("it is our child");
    }

    /// Asks for something.
    ///
    /// # Errors
    ///
    /// The daemon refuses it, or is not there.
    pub async fn call<T: DeserializeOwned>(
        &self,
        operation: Operation,
        path: &[&str],
        body: &Value,
    ) -> Result<T, ClientError> {
        call(&self.client, operation, path, body).await
    }

    /// Asks for something that is not refused.
    pub async fn ask<T: DeserializeOwned>(&self, operation: Operation, path: &[&str], body: &Value) -> T {
        let answer = self.call(operation, path, body).await;
        answer.unwrap_or_else(|error| panic!("{operation:?} {path:?} {body}: {error}\n{}", self.log()))
    }

    /// Waits until a thing is as it should be.
    pub async fn wait<T: DeserializeOwned>(
        &self,
        what: &str,
        limit: Duration,
        operation: Operation,
        id: &str,
        wanted: impl Fn(&T) -> bool,
    ) -> T {
        let look = async || self.call::<T>(operation, &[id], &Value::Null).await;
        let found = self.client.wait_until(what, limit, look, wanted).await;
        found.unwrap_or_else(|error| panic!("{what} {id}: {error}\n{}", self.log()))
    }

    /// Imports an image, and waits until it is there.
    pub async fn import(&self, request: &Value, limit: Duration) -> ImageId {
        let job: Job = self.ask(Operation::ImportImage, &[], request).await;
        let is_done = |job: &Job| job.state.is_final();
        let job = self.wait("the import", limit, Operation::GetJob, job.id.as_str(), is_done).await;
        assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
        job.image.expect("it makes one")
    }

    /// Waits until a guest has printed what is wanted, and says what it finds in all that the guest printed.
    pub async fn printed<T>(
        &self,
        what: &str,
        limit: Duration,
        id: &InstanceId,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> T {
        let text = |console: &ConsoleHistory| String::from_utf8_lossy(&console.bytes).replace('\r', "");
        let look = async || self.client.whole_console(id).await;
        let found =
            self.client.wait_until(what, limit, look, |console| wanted(&text(console)).is_some()).await;
        match found {
            Ok(console) => wanted(&text(&console)).expect("it was waited for"),
            Err(error) => {
                let console = look().await.map(|console| text(&console)).unwrap_or_default();
                panic!("{what} of {id}: {error}\n{}\nits console:\n{console}", self.log())
            }
        }
    }

    /// Runs the command line, and says what it prints.
    pub fn bothy(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.bothy);
        command.args(arguments).env("HOME", &self.folder);
        command.env("BOTHY_ENDPOINT", format!("unix:{}/run/api.sock", self.folder.display()));
        let output = command.stdin(Stdio::null()).output().expect("bothy starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "bothy {arguments:?}: {said}\n{}", self.log());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends the daemon, and clears the host.
    pub fn end(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        let pid = nix::unistd::Pid::from_raw(daemon.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it is our child");
        let status = daemon.wait().expect("it is our child");
        assert!(status.success(), "bothyd did not end well: {status}\n{}", self.log());
        let status = self.command().arg("clear-host").status().expect("bothyd starts");
        assert!(status.success(), "bothyd clear-host: {status}\n{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
            let _ = self.command().arg("clear-host").status();
        }
    }
}

/// Tells a story of a host's daemon in a network, which is all of networks that the daemon sees, with this in its
/// configuration besides what all need. Fails if the story leaves anything on the host.
pub fn on_host(
    network: &Network,
    images: Images,
    more: &'static str,
    story: impl AsyncFnOnce(&Images, &mut Node) + Send + 'static,
) {
    let told = network.enter(move || {
        let before = leavings();
        let folder = images.folder();
        {
            let mut node = Node::new(&images, folder.path(), more);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(story(&images, &mut node));
        }
        let left: Vec<String> = leavings().difference(&before).cloned().collect();
        assert!(left.is_empty(), "left on the host: {left:#?}");
    });
    if let Err(panic) = told.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Asks a daemon for something.
///
/// # Errors
///
/// It refuses it, or is not there.
pub async fn call<T: DeserializeOwned>(
    client: &Client,
    operation: Operation,
    path: &[&str],
    body: &Value,
) -> Result<T, ClientError> {
    client.call(operation, path, None::<&()>, (!body.is_null()).then_some(body)).await
}
