//! Whether this machine's KVM runs a stock kernel. That `/dev/kvm` is there does not say it: some of them emulate guest
//! code, and not every instruction of it. So a guest of a few instructions tries those that a kernel cannot do
//! without (`guest`). Used by `bothy doctor` and by the developer commands.
//!
//! A vCPU that does not return cannot be stopped within its process. So the guest is run in one of its own: a program that
//! calls `probe` starts itself anew, and calls `report` there.

mod guest;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;

/// Time for the guest, in seconds; it takes milliseconds.
const LIMIT_SECONDS: u32 = 5;

/// Runs the guest in this process, which ends with an alarm if it takes too long. The reason goes to standard output.
pub fn report() -> ExitCode {
    nix::unistd::alarm::set(LIMIT_SECONDS);
    match guest::run() {
        Ok(()) => {
            println!("KVM here runs a stock kernel");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program anew with arguments that lead to `report`.
///
/// # Errors
/// KVM does not run a stock kernel, and why, in a line.
pub fn probe(arguments: &[&str]) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("finding our own program")?;
    let mut probe = Command::new(program);
    let output = probe.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.context("running the probe")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.signal() {
        Some(signal) if signal == Signal::SIGALRM as i32 => {
            bail!("the probe was not done after {LIMIT_SECONDS} s")
        }
        _ if said.trim().is_empty() => bail!("the probe ended with {}", output.status),
        _ => bail!("{}", said.trim()),
    }
}
