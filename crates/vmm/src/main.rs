//! The program bothy-vmm. What it does is in `vmm::cli`; this only tells apart what the process was started as.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The VMM starts itself anew to read a disk in a process that may do nothing else.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == storage::HELPER_ARGUMENT) {
        storage::helper_main();
    }
    vmm::cli::main()
}
