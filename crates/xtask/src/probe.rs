//! Whether this machine's KVM runs a stock kernel, told to whoever waits. Called by `host_vm` and by all who choose by it.

pub use kvm_probe::report;

/// Whether this machine's KVM runs Linux. Says on standard error why, and what follows from it.
pub fn kvm_runs_linux() -> bool {
    match kvm_probe::probe(&["host-vm", "--probe"]) {
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
