//! `cargo xtask host-vm`: runs a command as root on a host whose KVM runs Linux. That is this machine if a probe says
//! so, else a nested host: QEMU emulating a machine with virtualization, on which Debian's kernel runs KVM.
//!
//! The parts: `image` makes kernel and initramfs, `qemu` is the machine, `session` this side of the conversation and
//! `agent` the other, `channel` what they say; `direct` is for when no nested host is needed.

mod agent;
mod channel;
mod direct;
mod image;
mod qemu;
mod session;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

pub use agent::run as run_agent;

use crate::{packages, probe, tree};
use session::{End, Outcome};

/// Our exit statuses, chosen as `timeout` and container runtimes choose theirs; see the help.
const TIMED_OUT: u8 = 124;
const HOST_FAILED: u8 = 125;

/// What a nested host is run with.
const PACKAGES: &[&str] = &["qemu-system-x86", "xfsprogs", "kmod"];

/// Where the scratch file system is inside.
const SCRATCH: &str = "/scratch";

/// How much of a lost host's console is shown.
const TAIL_LINES: usize = 100;

/// Runs a command as root on a KVM host: here if this machine's KVM runs Linux, else in a nested host.
///
/// The nested host sees this machine's files at the same paths; what the command writes there is gone afterwards,
/// except below HOST_VM_OUT (target/host-vm/out) and each --share. HOST_VM_SCRATCH is a folder on an XFS with reflinks
/// and O_DIRECT. Working folder and environment are passed; there is no network to the outside.
///
/// Exit status: the command's own, 128 + n if it died by signal n; 124 if the time was up, 125 if there was no host
/// or it crashed, 126 if the command could not be started, 127 if it was not found.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Only say whether this machine's KVM runs Linux: exit status 0 if so, else 1
    #[arg(long)]
    probe: bool,
    /// If the nested host is lost under the command, run it once more, on another
    #[arg(long)]
    repeatable: bool,
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "probe")]
    command: Vec<OsString>,
}

/// What the host should be like, and for how long.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// CPUs of the nested host. Two are faster, but now and then a kernel dies of it: QEMU runs them in threads that can
    /// miss it when a kernel patches its own code
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// Memory of the nested host in MiB [default: half of this machine's, at most 10240]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(512..))]
    pub memory: Option<u64>,
    /// Kill it all after this time, the start of the host included
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub timeout: u64,
    /// Take the nested host even if this machine's KVM runs Linux
    #[arg(long)]
    pub nested: bool,
    /// Pass standard input to the command; otherwise it is empty
    #[arg(long)]
    pub stdin: bool,
    /// Let the command write to this folder of this machine
    #[arg(long = "share", value_name = "DIR")]
    pub shares: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { cpus: 1, memory: None, timeout: 3600, nested: false, stdin: false, shares: Vec::new() }
    }
}

/// Runs `cargo xtask host-vm`.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.probe {
        return Ok(probe::report());
    }
    let execute = if arguments.repeatable { execute_repeatable } else { execute };
    match execute(&arguments.options, &arguments.command) {
        Ok(status) => Ok(ExitCode::from(status)),
        // Not main's way, whose status 1 could be the command's.
        Err(error) => {
            eprintln!("host-vm: {error:#}");
            Ok(ExitCode::from(HOST_FAILED))
        }
    }
}

/// Runs a command as `cargo xtask host-vm` does, and gives the exit status. For the other developer commands; the
/// calling thread must be the main one, with no signal handlers set.
pub fn execute(options: &Options, command: &[OsString]) -> anyhow::Result<u8> {
    let deadline = Instant::now() + Duration::from_secs(options.timeout);
    let out = tree::target().join("host-vm/out");
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let end = if !options.nested && probe::kvm_runs_linux() {
        run_here(command, options, &out, deadline)?
    } else {
        run_nested(command, options, &out, deadline)?
    };
    Ok(match end {
        End::Exited(status) => status,
        End::TimedOut => {
            eprintln!("host-vm: not done after {} s (--timeout): ended it", options.timeout);
            TIMED_OUT
        }
        End::Signalled(signal) => {
            eprintln!("host-vm: {signal}: ended it");
            128 + signal as u8
        }
        End::OutputClosed => 128 + Signal::SIGPIPE as u8,
        End::Lost(why) => return Err(HostLost { why }.into()),
    })
}

/// Installs and makes what nested hosts need, where they are needed: those that start at the same time find it there.
pub fn prepare() -> anyhow::Result<()> {
    if !probe::kvm_runs_linux() {
        packages::ensure(PACKAGES)?;
        image::image()?;
    }
    Ok(())
}

/// As `execute`, for a command that can be repeated: if the nested host is lost under it, it is run on another, once.
pub fn execute_repeatable(options: &Options, command: &[OsString]) -> anyhow::Result<u8> {
    match execute(options, command) {
        Err(error) if error.is::<HostLost>() => {
            // What loses it is nearly always the emulator; a guest of ours that did would do so again.
            eprintln!("host-vm: {error}: doing it once more, on a new one");
            execute(options, command)
        }
        result => result,
    }
}

/// The nested host crashed or hung; its console was shown.
#[derive(Debug)]
pub struct HostLost {
    why: String,
}

impl fmt::Display for HostLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the nested host {}", self.why)
    }
}

impl std::error::Error for HostLost {}

fn run_here(command: &[OsString], options: &Options, out: &Path, deadline: Instant) -> anyhow::Result<End> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the command is to run as root on this machine: say sudo -E env PATH=\"$PATH\" cargo xtask host-vm …"
        );
    }
    // Within the nested host there is a scratch disk; elsewhere a folder must do.
    let scratch =
        if Path::new(SCRATCH).is_dir() { SCRATCH.into() } else { tree::target().join("host-vm/scratch") };
    fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
    let (program, arguments) = command.split_first().context("no command given")?;
    let mut spawned = Command::new(program);
    spawned.args(arguments).env("HOST_VM_OUT", out).env("HOST_VM_SCRATCH", scratch);
    if !options.stdin {
        spawned.stdin(std::process::Stdio::null());
    }
    let signals = CaughtSignals::new(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD])?;
    direct::run(spawned, &signals.descriptor, deadline)
}

fn run_nested(command: &[OsString], options: &Options, out: &Path, deadline: Instant) -> anyhow::Result<End> {
    packages::ensure(PACKAGES)?;
    let image = image::image()?;
    let mut shares = vec![out.to_owned()];
    for share in &options.shares {
        shares.push(
            fs::canonicalize(share).with_context(|| format!("looking for the share {}", share.display()))?,
        );
    }
    let mut machine = qemu::Machine {
        cpus: options.cpus,
        memory_mib: options.memory.unwrap_or(default_memory_mib()?),
        agent: std::env::current_exe().context("finding our own program")?,
        shares: shares.clone(),
        talkative: false,
    };
    let mut environment: Vec<_> =
        std::env::vars_os().filter(|(name, _)| !name.as_bytes().is_empty()).collect();
    environment.push(("HOST_VM_OUT".into(), out.into()));
    environment.push(("HOST_VM_SCRATCH".into(), SCRATCH.into()));
    let job = channel::Job {
        command: command.to_vec(),
        folder: std::env::current_dir().context("finding the working folder")?,
        environment,
        input: options.stdin,
        modules: image.modules(),
        shares,
        now_ns: 0, // known when it is sent
    };
    let signals = CaughtSignals::new(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
    loop {
        let mut qemu = qemu::Qemu::start(&image, &machine)?;
        let outcome = session::run(&mut qemu, &job, &signals.descriptor, deadline)?;
        drop(qemu);
        if matches!(outcome.end, End::Lost(_) | End::TimedOut) {
            show_console(&outcome)?;
        }
        match outcome.end {
            // Only before the command: afterwards a second run would hide what it did.
            End::Lost(why) if !outcome.started && !machine.talkative => {
                eprintln!(
                    "host-vm: the nested host {why}; it had not started the command: starting it once more"
                );
                machine.talkative = true;
            }
            end => return Ok(end),
        }
    }
}

/// Keeps the console's text in a file and shows its last lines.
fn show_console(outcome: &Outcome) -> anyhow::Result<()> {
    if outcome.console.is_empty() {
        eprintln!("host-vm: the console of the nested host has no messages");
        return Ok(());
    }
    let path = tree::target().join(format!("host-vm/console-{}.log", std::process::id()));
    fs::write(&path, &outcome.console).with_context(|| format!("writing {}", path.display()))?;
    let text = String::from_utf8_lossy(&outcome.console);
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
        eprintln!("host-vm: | {}", line.trim_end());
    }
    eprintln!("host-vm: the console of the nested host, {} lines, is in {}", lines.len(), path.display());
    Ok(())
}

/// Signals that do not end us but are read from a descriptor, until this is dropped.
struct CaughtSignals {
    signals: SigSet,
    descriptor: SignalFd,
}

impl CaughtSignals {
    fn new(signals: &[Signal]) -> anyhow::Result<Self> {
        let signals: SigSet = signals.iter().copied().collect();
        signals.thread_block().context("blocking signals")?;
        let descriptor =
            SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).context("making a signal descriptor")?;
        Ok(Self { signals, descriptor })
    }
}

impl Drop for CaughtSignals {
    fn drop(&mut self) {
        // One that came since has its usual effect now. Unblocking fails only for an invalid argument.
        let _ = self.signals.thread_unblock();
    }
}

/// Half of the machine's memory, which QEMU takes only as it is used.
fn default_memory_mib() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total_kib: u64 = total
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .context("/proc/meminfo has no MemTotal")?;
    Ok((total_kib / 1024 / 2).clamp(512, 10 << 10))
}
