//! Runs the command on this machine itself, whose KVM runs Linux. Called by `host_vm`. The command gets our streams as
//! they are; we only wait, with the same time limit as in the nested host.

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

use super::agent::status_code;
use super::session::End;

/// Runs `command` to its end, to the deadline, or to one of the signals; `signals` gives SIGCHLD too.
pub fn run(mut command: Command, signals: &SignalFd, deadline: Instant) -> anyhow::Result<End> {
    let name = command.get_program().display().to_string();
    // A group of its own, to be killed with all it started; but a shell on a terminal must stay in the terminal's.
    let grouped = !std::io::stdin().is_terminal();
    if grouped {
        command.process_group(0);
    }
    // SAFETY: the closure makes one system call and allocates nothing, which is sound after fork.
    unsafe { command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)) };
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("host-vm: {name}: {error}");
            return Ok(End::Exited(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }));
        }
    };
    let end = loop {
        if let Some(status) = child.try_wait().context("waiting for the command")? {
            return Ok(End::Exited(status_code(status)));
        }
        let wait = deadline.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            break End::TimedOut;
        }
        let mut polled = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let wait = PollTimeout::try_from(wait.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        if poll(&mut polled, wait).context("waiting for the command")? == 0 {
            continue;
        }
        let signal =
            signals.read_signal().context("reading a signal")?.map(|info| info.ssi_signo.cast_signed());
        match signal.and_then(|number| Signal::try_from(number).ok()) {
            None | Some(Signal::SIGCHLD) => {}
            Some(signal) => break End::Signalled(signal),
        }
    };
    // What cannot be killed is gone already.
    if grouped {
        let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
    Ok(end)
}
