//! Whether this machine's KVM runs a stock kernel. That `/dev/kvm` is there does not say it: some of them emulate guest
//! code, and not every instruction of it. So a guest of a few instructions tries those that a kernel cannot do
//! without (`guest`). Called by `host_vm` and by all who choose by it.

mod guest;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};

/// Time for the guest; it takes milliseconds.
const LIMIT_SECONDS: u32 = 5;

/// Whether this machine's KVM runs Linux. Says on standard error why, and what follows from it.
pub fn kvm_runs_linux() -> bool {
    match probe() {
        Ok(()) => {
            eprintln!("KVM here runs a stock kernel: using this machine");
            true
        }
        Err(error) => {
            eprintln!("KVM here cannot run a stock kernel ({error:#}): using the nested host");
            false
        }
    }
}

/// Runs the probe in this process, which ends with an alarm if it takes too long. The reason goes to standard output.
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

/// Runs the probe in a process of its own, since a vCPU that does not return cannot be stopped within one.
fn probe() -> anyhow::Result<()> {
    let program = std::env::current_exe().context("finding our own program")?;
    let mut probe = Command::new(program);
    let output = probe.args(["host-vm", "--probe"]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.context("running the probe")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.signal() {
        Some(libc::SIGALRM) => bail!("the probe was not done after {LIMIT_SECONDS} s"),
        _ if said.trim().is_empty() => bail!("the probe ended with {}", output.status),
        _ => bail!("{}", said.trim()),
    }
}
