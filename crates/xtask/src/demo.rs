//! `cargo xtask demo`: bothyd from its start to an empty host again, for everybody to see: a stock Debian is imported,
//! launched, watched, logged in to, left alone while its daemon is killed, and terminated. The first half prepares; the
//! second runs on a host whose KVM runs Linux and tells the story.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::host::{self, Host};
use crate::{build, host_vm, image, packages};

/// Runs bothyd and shows an instance's whole life: image, launch, console, ssh, a killed daemon, termination, a clean host.
///
/// Takes a few minutes the first time, most of it to make the Debian image and to build; where this machine's KVM does not
/// run Linux, all of it runs in a nested host and is slow.
#[derive(clap::Args)]
pub struct Arguments {}

/// The second half, on the host.
#[derive(clap::Args)]
pub struct StoryArguments {
    bothy: PathBuf,
    bothyd: PathBuf,
    vmm: PathBuf,
    debian: PathBuf,
}

/// Longest time for anything the guest does, on a nested host.
const PATIENCE: Duration = Duration::from_secs(900);
/// Longest time for the daemon to be ready.
const READY: Duration = Duration::from_secs(60);
/// How often the console is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the guest is asked by ssh.
const QUESTION: &str =
    "hostname; uptime --pretty; lsblk --output NAME,SERIAL,SIZE,RO,MOUNTPOINTS; ip -brief -4 address";

/// Prepares, and runs the story where KVM runs Linux.
pub fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure(&["e2fsprogs", "iproute2", "nftables", "openssh-client"])?;
    let programs = build::programs()?;
    let debian = image::debian()?;
    let mut command: Vec<OsString> = vec![std::env::current_exe().context("finding this program")?.into()];
    command.push("demo-story".into());
    command.extend([programs.bothy, programs.bothyd, programs.vmm, debian].map(OsString::from));
    Ok(ExitCode::from(host_vm::execute_repeatable(&host_vm::Options::default(), &command)?))
}

/// Tells the story.
pub fn tell(arguments: &StoryArguments) -> anyhow::Result<ExitCode> {
    let scratch = std::env::var_os("HOST_VM_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("demo").tempdir_in(scratch).context("making a folder")?;
    let before = Host::look()?;
    let node = Node::new(arguments, folder.path())?;

    say("bothyd, the daemon of a host");
    let mut daemon = node.start()?;
    node.bothy(&["image", "import", &arguments.debian.display().to_string(), "--name", "debian", "--wait"])?;
    node.bothy(&["key", "create", "demo"])?;
    let launch =
        ["launch", "debian", "--type", "small", "--key", "demo", "--name", "web", "--data-disk", "1"];
    node.bothy(&launch)?;
    node.bothy(&["ls"])?;

    say("the guest boots; its console");
    node.show_console("web", &["finished at", "login: "])?;
    say("log in");
    let ssh = ["ssh", "web", "--user", "debian", "--wait", "--timeout", "600", "--", QUESTION];
    node.bothy(&ssh)?;

    say("kill -9 of the daemon: the guest does not notice, and the next daemon takes it over");
    let vmm = vmms()?;
    daemon.kill()?;
    ensure!(vmms()? == vmm && vmm.len() == 1, "the VMM did not go on by itself");
    daemon = node.start()?;
    node.bothy(&["ls"])?;
    node.bothy(&ssh)?;
    ensure!(vmms()? == vmm, "the VMM is another one");

    say("the end of it");
    node.bothy(&["terminate", "web", "--wait", "--timeout", "600"])?;
    node.bothy(&["image", "rm", "debian"])?;
    node.bothy(&["ls", "--all"])?;
    daemon.end()?;
    node.clear()?;
    folder.close().context("removing the demo's folder")?;
    let left = Host::look()?.since(&before);
    ensure!(left.is_empty(), "the host is not as it was:\n{}", left.join("\n"));
    eprintln!("✔ the host is as it was: links, rules, mounts, cgroups, processes, files");
    Ok(ExitCode::SUCCESS)
}

fn say(what: &str) {
    eprintln!("\n── {what}");
}

/// Processes of VMMs.
fn vmms() -> anyhow::Result<Vec<String>> {
    let found = host::processes()?.into_iter().filter(|process| process.contains("bothy-vmm --id"));
    // The disk's reader comes and goes.
    Ok(found.filter(|process| !process.contains("read-boot-disk")).collect())
}

/// A host's daemon and how to talk to it.
struct Node {
    bothy: PathBuf,
    bothyd: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    home: PathBuf,
    log: PathBuf,
}

impl Node {
    fn new(arguments: &StoryArguments, folder: &Path) -> anyhow::Result<Self> {
        let (config, socket) = (folder.join("bothyd.toml"), folder.join("api.sock"));
        let text = format!(
            "state_folder = '{0}/state'\nrun_folder = '{0}/run'\nhost_key = '{0}/key/host-key'\nvmm = '{1}'\n\
             [api]\nsocket = '{2}'\n[capacity.overcommit]\nvcpus = 400\n[limits]\nstart = 600\nstop = 600\nreboot = 600\n\
             terminate = 600\n",
            folder.display(),
            arguments.vmm.display(),
            socket.display(),
        );
        std::fs::write(&config, &text).context("writing the configuration")?;
        eprintln!("▸ cat {}\n{text}", config.display());
        let home = folder.join("home");
        std::fs::create_dir(&home).context("making a home")?;
        Ok(Self {
            bothy: arguments.bothy.clone(),
            bothyd: arguments.bothyd.clone(),
            config,
            socket,
            home,
            log: folder.join("bothyd.log"),
        })
    }

    /// Starts the daemon, and waits until it answers.
    fn start(&self) -> anyhow::Result<Daemon> {
        eprintln!("▸ bothyd --config {} &", self.config.display());
        let log =
            std::fs::File::options().create(true).append(true).open(&self.log).context("opening the log")?;
        let child = Command::new(&self.bothyd).arg("--config").arg(&self.config).stderr(log).spawn();
        let mut daemon = Daemon(child.context("starting bothyd")?);
        let deadline = Instant::now() + READY;
        loop {
            let asked = self.command(&["host"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if asked.context("running bothy")?.success() {
                return Ok(daemon);
            }
            let ended = daemon.0.try_wait().context("looking at bothyd")?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("bothyd is not ready:\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
            }
            std::thread::sleep(LOOK / 10);
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.bothy);
        command
            .args(arguments)
            .env("HOME", &self.home)
            .env("BOTHY_ENDPOINT", format!("unix:{}", self.socket.display()));
        command
    }

    /// Runs a command as a person would, and shows what it says.
    fn bothy(&self, arguments: &[&str]) -> anyhow::Result<()> {
        eprintln!("▸ bothy {}", arguments.join(" "));
        let status = self.command(arguments).stdin(Stdio::null()).status().context("running bothy")?;
        if !status.success() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            bail!("bothy {} failed ({status}); the daemon's log:\n{log}", arguments.join(" "));
        }
        Ok(())
    }

    /// Shows the console as it grows, until all texts were seen.
    fn show_console(&self, instance: &str, texts: &[&str]) -> anyhow::Result<()> {
        eprintln!("▸ bothy console {instance} --history");
        let (deadline, mut shown) = (Instant::now() + PATIENCE, 0);
        loop {
            let history =
                self.command(&["console", instance, "--history"]).output().context("running bothy")?;
            // Before it is started there is none.
            let news = history.stdout.get(shown..).unwrap_or_default();
            std::io::stdout()
                .write_all(news)
                .and_then(|()| std::io::stdout().flush())
                .context("showing it")?;
            shown += news.len();
            let text = String::from_utf8_lossy(&history.stdout);
            if texts.iter().all(|wanted| text.contains(wanted)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.bothy(&["show", instance])?;
                bail!("the guest did not print {texts:?} within {PATIENCE:?}");
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Removes what the daemon made on the host but its state.
    fn clear(&self) -> anyhow::Result<()> {
        eprintln!("▸ bothyd --config {} clear-host", self.config.display());
        let status = Command::new(&self.bothyd).arg("--config").arg(&self.config).arg("clear-host").status();
        ensure!(status.context("running bothyd")?.success(), "bothyd clear-host failed");
        Ok(())
    }
}

/// The daemon's process; dropping it kills it.
struct Daemon(Child);

impl Daemon {
    fn kill(mut self) -> anyhow::Result<()> {
        eprintln!("▸ kill -9 {}", self.0.id());
        self.0.kill().context("killing bothyd")?;
        let status = self.0.wait().context("waiting for bothyd")?;
        ensure!(status.signal() == Some(9), "bothyd ended by itself: {status}");
        Ok(())
    }

    /// Tells it to end.
    fn end(mut self) -> anyhow::Result<()> {
        eprintln!("▸ kill {}", self.0.id());
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).context("telling bothyd to end")?;
        let status = self.0.wait().context("waiting for bothyd")?;
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
