//! A bothyd that a developer command drives: its configuration, its process, and clients of it.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use native_api::{AccountId, Client, Credentials, Endpoint, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest time for a daemon to answer, or to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(2);
/// Lines of its log that are shown.
const TAIL_LINES: usize = 40;
/// Where the daemon listens for callers with access keys.
const LISTEN: &str = "127.0.0.1:8775";
/// Where it serves Alibaba Cloud's API.
pub const ALIBABA: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8776);
/// Where it serves Amazon EC2's.
pub const EC2: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8773);

/// A host's daemon: where its things are, whether it runs or not.
pub struct Node {
    bothyd: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    /// Its state folder.
    pub state: PathBuf,
    /// Its run folder.
    pub run: PathBuf,
}

impl Node {
    /// Writes the configuration of a daemon with its state in `disk` and its sockets in `run`, whose path must be short;
    /// `more` is TOML: keys, then tables.
    pub fn new(bothyd: &Path, vmm: &Path, disk: &Path, run: &Path, more: &str) -> anyhow::Result<Self> {
        let node = Self {
            bothyd: bothyd.to_owned(),
            config: disk.join("bothyd.toml"),
            socket: run.join("api.sock"),
            log: disk.join("bothyd.log"),
            state: disk.join("state"),
            run: run.join("run"),
        };
        let text = format!(
            "node = 'node'\nstate_folder = '{}'\nrun_folder = '{}'\nhost_key = '{}'\nvmm = '{}'\n{more}\n\
             [api]\nsocket = '{}'\nlisten = ['{LISTEN}']\nalibaba = ['{ALIBABA}']\nec2 = ['{EC2}']\n",
            node.state.display(),
            node.run.display(),
            disk.join("key/host-key").display(),
            vmm.display(),
            node.socket.display(),
        );
        std::fs::write(&node.config, text).context("writing the daemon's configuration")?;
        Ok(node)
    }

    /// Where the native API is served to the operator.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A client: the operator, for `account` or for the default one.
    pub fn operator(&self, account: Option<AccountId>) -> anyhow::Result<Client> {
        let options = Options { account, ..Options::default() };
        Client::new(Endpoint::Unix(self.socket.clone()), options).context("making a client")
    }

    /// A client with an access key, over TCP.
    pub fn with_key(&self, credentials: Credentials) -> anyhow::Result<Client> {
        let endpoint = format!("http://{LISTEN}").parse().context("reading an endpoint")?;
        let options = Options { credentials: Some(credentials), ..Options::default() };
        Client::new(endpoint, options).context("making a client")
    }

    /// Starts the daemon.
    pub fn spawn(&self) -> anyhow::Result<Daemon> {
        let log = File::options().create(true).append(true).open(&self.log).context("opening the log")?;
        let mut command = Command::new(&self.bothyd);
        command.arg("--config").arg(&self.config).stdin(std::process::Stdio::null());
        // Not of the terminal's group: Ctrl-C is ours to deal with.
        command.stdout(log.try_clone().context("opening the log")?).stderr(log).process_group(0);
        Ok(Daemon(command.spawn().context("starting bothyd")?))
    }

    /// Waits until the daemon answers.
    pub async fn ready(&self, daemon: &mut Daemon) -> anyhow::Result<()> {
        let (client, deadline) = (self.operator(None)?, Instant::now() + PATIENCE);
        while let Err(error) = client.get_health().await {
            if let Some(status) = daemon.ended()? {
                bail!("bothyd ended by itself ({status}); its log:\n{}", self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("bothyd does not answer within {PATIENCE:?} ({error}); its log:\n{}", self.log_tail());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Starts the daemon, and waits until it answers.
    pub async fn start(&self) -> anyhow::Result<Daemon> {
        let mut daemon = self.spawn()?;
        self.ready(&mut daemon).await?;
        Ok(daemon)
    }

    /// Removes what the daemon made on the host but its state.
    pub fn clear(&self) -> anyhow::Result<()> {
        let output = Command::new(&self.bothyd).arg("--config").arg(&self.config).arg("clear-host").output();
        let output = output.context("running bothyd")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "bothyd clear-host failed:\n{said}");
        Ok(())
    }

    /// The last lines of the daemon's log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// A daemon's process; dropping it kills it.
pub struct Daemon(Child);

impl Daemon {
    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.0.try_wait().context("looking at bothyd")
    }

    /// `kill -9`. An error if it had ended by itself.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill().context("killing bothyd")?;
        let status = self.0.wait().context("waiting for bothyd")?;
        ensure!(status.signal() == Some(9), "bothyd ended by itself: {status}");
        Ok(())
    }

    /// Tells it to end, and waits until it did.
    pub async fn end(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).context("telling bothyd to end")?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.ended()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "bothyd does not end within {PATIENCE:?}");
            tokio::time::sleep(LOOK).await;
        };
        ensure!(status.success(), "bothyd did not end well: {status}");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
