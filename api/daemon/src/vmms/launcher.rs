//! What a VMM's process is before it is one: this program, started anew by the daemon. It leaves the daemon's session,
//! enters its cgroup and the network namespace of its taps, waits for the word that it is on record, and becomes the VMM. If the daemon dies before that word,
//! it ends: no VMM ever runs that is not on record.
//!
//! It does between fork and exec what would be unsafe there.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, setns};
use rustix::process::setsid;
use rustix::stdio::dup2_stdin;

/// The daemon's first argument where it is to call `launch` with the others.
pub const LAUNCHER_WORD: &str = "vmm-launcher";

/// The word on standard input.
pub(super) const GO: u8 = b'g';

/// Given instead of a path where there is none.
pub(super) const NONE: &str = "-";

/// Becomes a VMM. `arguments` are those behind the word that leads here: the `cgroup.procs` to enter or `-`, the network
/// namespace to enter or `-`, then the program and what it is given. Returns only if that fails.
pub fn launch(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let (Some(cgroup), Some(namespace), Some(program)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("bothyd: the launcher of VMMs is started by the daemon alone");
        return ExitCode::from(2);
    };
    match prepare(&cgroup, &namespace) {
        Ok(true) => {
            let error = Command::new(&program).args(arguments).exec();
            eprintln!("bothyd: cannot start {}: {error}", program.display());
            ExitCode::from(127)
        }
        // The daemon is gone; nobody knows of this process.
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("bothyd: cannot set up a process for a VMM: {error}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(cgroup: &OsString, namespace: &OsString) -> io::Result<bool> {
    setsid()?;
    if cgroup != NONE {
        // 0 is whoever writes.
        std::fs::write(Path::new(cgroup), "0")?;
    }
    if namespace != NONE {
        setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
    }
    // The daemon may be protected from the out-of-memory killer; its VMMs are not for that.
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "0") {
        eprintln!("bothyd: cannot write oom_score_adj: {error}");
    }
    let mut word = [0];
    if io::stdin().read(&mut word)? == 0 || word != [GO] {
        return Ok(false);
    }
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(true)
}
