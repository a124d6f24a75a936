//! The tier `contract`: a running bothyd is held against `api/contracts/native.json` by schemathesis, which makes requests of
//! the document, right ones and wrong ones, and looks whether the answers are what it says. Everything runs in a network
//! namespace and a folder of its own, with VMMs that have no VM.
//!
//! What schemathesis is told besides the document is in `tests/contract`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sched::CloneFlags;

use crate::progress::Step;
use crate::run::{quietly, watched};
use crate::{build, packages, tree};

/// From the Python package index.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Where the daemon serves callers with access keys, in the namespace.
const NETWORK: &str = "127.0.0.1:8775";
/// Where the relay to its unix socket is, as schemathesis speaks TCP only.
const OPERATOR: &str = "127.0.0.1:8776";

/// Requests that are made up for each operation, besides examples and edge cases: as the operator, and with a key.
const EXAMPLES: [&str; 2] = ["15", "5"];

/// Longest time for the daemon to be ready.
const READY: Duration = Duration::from_secs(60);

/// Longest time for a run of schemathesis; a hanging answer ends it earlier.
const RUN_SECONDS: &str = "600";

/// Runs the tier.
pub fn run() -> anyhow::Result<()> {
    packages::ensure(&["e2fsprogs", "iproute2", "nftables", "python3-venv"])?;
    ensure!(nix::unistd::geteuid().is_root(), "a network namespace is made by root only: use sudo -E");
    let schemathesis = install()?;
    build::daemon()?;
    // What a thread of the namespace starts is in it too; this one stays where it is.
    std::thread::scope(|scope| match scope.spawn(|| in_namespace(&schemathesis)).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Installs schemathesis into a folder below `target`, if it is not there, and says where the program is.
fn install() -> anyhow::Result<PathBuf> {
    let folder = tree::target().join("python").join(SCHEMATHESIS);
    let (program, finished) = (folder.join("bin/schemathesis"), folder.join("finished"));
    if !finished.exists() {
        let step = Step::new(format!("installing {SCHEMATHESIS}"));
        watched(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), &step)?;
        let mut pip = Command::new(folder.join("bin/python"));
        watched(pip.args(["-m", "pip", "install", "--disable-pip-version-check", SCHEMATHESIS]), &step)?;
        std::fs::write(&finished, "").with_context(|| format!("writing {}", finished.display()))?;
        step.done();
    }
    Ok(program)
}

fn in_namespace(schemathesis: &Path) -> anyhow::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
    quietly(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    let folder = tempfile::Builder::new().prefix("contract").tempdir().context("making a folder")?;
    let mut host = Host::start(folder.path())?;
    let key = host.prepare()?;
    let [many, few] = EXAMPLES;
    check(schemathesis, folder.path(), "operator", OPERATOR, many, &[])?;
    check(schemathesis, folder.path(), "network", NETWORK, few, &["--auth", &key])?;
    host.is_well()
}

/// Runs schemathesis with the settings of this name.
fn check(
    program: &Path,
    folder: &Path,
    name: &str,
    address: &str,
    examples: &str,
    more: &[&str],
) -> anyhow::Result<()> {
    let ours = tree::root().join("tests/contract");
    let mut command = Command::new("timeout");
    command.arg(RUN_SECONDS).arg(program).arg("--config-file").arg(ours.join(format!("{name}.toml")));
    command.arg("run").arg(tree::root().join("api/contracts/native.json"));
    command.args(["--url", &format!("http://{address}"), "--max-examples", examples, "--seed", "1"]);
    command.args(["--request-timeout", "20", "--generation-database", "none", "--no-color"]);
    command.args(["--warnings", "off", "--suppress-health-check", "all", "--continue-on-failure"]);
    command.args(more);
    // It keeps notes where it is started.
    command.current_dir(folder);
    command.env("SCHEMATHESIS_HOOKS", ours.join("hooks.py"));
    command.env("BOTHY_CONTRACT_URL", format!("http://{OPERATOR}"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let status = command.stdin(Stdio::null()).status().context("running schemathesis")?;
    ensure!(status.success(), "the API does not do what its contract says (as {name}): {status}");
    Ok(())
}

/// A daemon with a folder of its own.
struct Host<'a> {
    folder: &'a Path,
    config: PathBuf,
    daemon: Child,
}

impl<'a> Host<'a> {
    fn start(folder: &'a Path) -> anyhow::Result<Self> {
        let programs = tree::target().join("debug");
        let config = folder.join("bothyd.toml");
        // More than can be asked for, so that nothing is refused for what else was.
        let text = format!(
            "state_folder = \"{at}/state\"\nrun_folder = \"{at}/run\"\nhost_key = \"{at}/etc/host-key\"\n\
             vmm = \"{vmm}\"\ncgroup = \"none\"\n\
             [api]\nsocket = \"{at}/run/api.sock\"\nlisten = [\"{NETWORK}\"]\n\
             [network]\npublic_addresses = [\"198.18.0.0/16\"]\n\
             [capacity]\nvcpus = 100000\nmemory_mib = 100000000\ndisk_gib = 100000000\n\
             [quota]\ninstances = 60\nvcpus = 500\nmemory_mib = 1000000\ndisk_gib = 200000\n",
            at = folder.display(),
            vmm = programs.join("fake-vmm").display(),
        );
        std::fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
        let log = std::fs::File::create(folder.join("bothyd.log")).context("making the log")?;
        let mut command = Command::new(programs.join("bothyd"));
        command.arg("--config").arg(&config).stdin(Stdio::null());
        command.stdout(log.try_clone().context("sharing the log")?).stderr(log);
        let daemon = command.spawn().context("starting bothyd")?;
        let mut host = Self { folder, config, daemon };
        host.wait_until_ready()?;
        relay(host.socket())?;
        Ok(host)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("run/api.sock")
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.bothy(&["host", "--quiet"]).is_err() {
            if self.daemon.try_wait().context("looking at bothyd")?.is_some() || began.elapsed() > READY {
                bail!("bothyd is not ready:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// An image that requests cannot delete, since it is of another account; and an access key, as `ID:SECRET`.
    fn prepare(&self) -> anyhow::Result<String> {
        let disk = self.folder.join("disk.raw");
        std::fs::File::create(&disk).and_then(|file| file.set_len(16 << 20)).context("making a disk")?;
        let disk = disk.to_string_lossy();
        let account = self.json(&["account", "create", "images"])?;
        let account = account["id"].as_str().context("an account has an id")?.to_owned();
        let image = self.json(&["--account", &account, "image", "import", &disk, "--name", "a", "--wait"])?;
        let image = image["id"].as_str().context("an image has an id")?.to_owned();
        self.bothy(&["--account", &account, "image", "set", &image, "--public", "true"])?;
        let key = self.json(&["access-key", "create"])?;
        match (key["access_key"]["id"].as_str(), key["secret"].as_str()) {
            (Some(id), Some(secret)) => Ok(format!("{id}:{secret}")),
            _ => bail!("an access key has an id and a secret"),
        }
    }

    fn json(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let text = self.bothy(&[&["--json"], arguments].concat())?;
        serde_json::from_str(&text).context("bothy's --json is none")
    }

    /// Runs bothy as the operator, for what it prints.
    fn bothy(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(tree::target().join("debug/bothy"));
        command.arg("--endpoint").arg(format!("unix:{}", self.socket().display())).args(arguments);
        let output = command.stdin(Stdio::null()).output().context("running bothy")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "bothy {} failed: {said}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The daemon that was asked all this is still the one that was started, and nothing broke inside.
    fn is_well(&mut self) -> anyhow::Result<()> {
        let ended = self.daemon.try_wait().context("looking at bothyd")?;
        ensure!(ended.is_none(), "bothyd has ended: {ended:?}\n{}", self.log());
        self.bothy(&["host"])?;
        let log = self.log();
        ensure!(!log.contains("panicked") && !log.contains(" ERROR "), "bothyd says:\n{log}");
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("bothyd.log")).unwrap_or_default()
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // Its VMMs outlive it.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let mut clear = Command::new(tree::target().join("debug/bothyd"));
        if let Err(error) = quietly(clear.arg("--config").arg(&self.config).arg("clear-host")) {
            eprintln!("{error:#}");
        }
    }
}

/// Serves the daemon's unix socket at `OPERATOR`, from threads that end with this process.
fn relay(socket: PathBuf) -> anyhow::Result<()> {
    let listener = TcpListener::bind(OPERATOR).with_context(|| format!("listening on {OPERATOR}"))?;
    std::thread::spawn(move || {
        for client in listener.incoming() {
            if let Err(error) = client.and_then(|client| join(client, UnixStream::connect(&socket)?)) {
                eprintln!("a connection was not relayed: {error}");
            }
        }
    });
    Ok(())
}

/// Carries bytes both ways until both sides have ended.
fn join(client: TcpStream, daemon: UnixStream) -> io::Result<()> {
    // Requests and answers are small, and each waits for the other.
    client.set_nodelay(true)?;
    let (mut from_client, mut to_client) = (client.try_clone()?, client);
    let (mut from_daemon, mut to_daemon) = (daemon.try_clone()?, daemon);
    std::thread::spawn(move || {
        carry(&mut from_client, &mut to_daemon);
        // Fails where the other side has gone already.
        let _ = to_daemon.shutdown(Shutdown::Write);
    });
    std::thread::spawn(move || {
        carry(&mut from_daemon, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    Ok(())
}

/// Copies until one side is gone, which is how connections end.
fn carry(from: &mut impl Read, to: &mut impl Write) {
    let _ = io::copy(from, to);
}
