//! The daemon of the demo's host and how to talk to it. Every command is shown before it runs, as a person would type it.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::StoryArguments;

/// Longest time for anything the guest does, on a nested host.
const PATIENCE: Duration = Duration::from_secs(900);
/// Longest time for the daemon to be ready.
const READY: Duration = Duration::from_secs(60);
/// How often the console is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A host's daemon and how to talk to it.
pub struct Node {
    bothy: PathBuf,
    bothyd: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    home: PathBuf,
    log: PathBuf,
}

impl Node {
    /// With a configuration in this folder.
    pub fn new(arguments: &StoryArguments, folder: &Path) -> anyhow::Result<Self> {
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
    pub fn start(&self) -> anyhow::Result<Daemon> {
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
    pub fn bothy(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.run(arguments, true)
    }

    /// The same for what has to fail.
    pub fn refused(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.run(arguments, false)
    }

    fn run(&self, arguments: &[&str], may_be: bool) -> anyhow::Result<()> {
        let typed: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        eprintln!("▸ bothy {}", typed.join(" "));
        let status = self.command(arguments).stdin(Stdio::null()).status().context("running bothy")?;
        if status.success() != may_be {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let what = if may_be { "failed" } else { "should have failed" };
            bail!("bothy {} {what} ({status}); the daemon's log:\n{log}", typed.join(" "));
        }
        Ok(())
    }

    /// A file that is in the way of nobody, shown.
    pub fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.home.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        eprintln!("▸ cat {}\n{text}", path.display());
        Ok(path.display().to_string())
    }

    /// Shows the console as it grows, until all texts were seen.
    pub fn show_console(&self, instance: &str, texts: &[&str]) -> anyhow::Result<()> {
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
    pub fn clear(&self) -> anyhow::Result<()> {
        eprintln!("▸ bothyd --config {} clear-host", self.config.display());
        let status = Command::new(&self.bothyd).arg("--config").arg(&self.config).arg("clear-host").status();
        ensure!(status.context("running bothyd")?.success(), "bothyd clear-host failed");
        Ok(())
    }
}

/// The daemon's process; dropping it kills it.
pub struct Daemon(Child);

impl Daemon {
    /// As an accident does.
    pub fn kill(mut self) -> anyhow::Result<()> {
        eprintln!("▸ kill -9 {}", self.0.id());
        self.0.kill().context("killing bothyd")?;
        let status = self.0.wait().context("waiting for bothyd")?;
        ensure!(status.signal() == Some(9), "bothyd ended by itself: {status}");
        Ok(())
    }

    /// Tells it to end.
    pub fn end(mut self) -> anyhow::Result<()> {
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

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,".contains(letter);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
