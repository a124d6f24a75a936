//! Files that one process at a time has, among them the folder of the store. The daemon takes all of its own this way.

use std::fs::{File, TryLockError};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long an owner that was killed, or is ending, may take to be gone. A process that it was just starting has its files
/// until it runs its own program, even if the owner is dead and reaped by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is tried.
const RETRY: Duration = Duration::from_millis(5);

/// Locks the file until it is closed, or we end in whatever way. Blocks for up to five seconds while another has it; false
/// if it still has it then.
///
/// # Errors
/// The file system refuses.
pub fn take(file: &File) -> io::Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => thread::sleep(RETRY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    fn waits_for_what_a_dead_owner_was_starting() {
        let folder = tempfile::tempdir().unwrap();
        let open = || File::create(folder.path().join("lock")).unwrap();
        let theirs = open();
        theirs.try_lock().unwrap();
        // It has the lock as its standard input, and says when it is there; the owner closes its own and is gone.
        let mut child = Command::new("sh")
            .args(["-c", "echo; sleep 0.3"])
            .stdin(theirs)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let ours = open();
        assert!(matches!(ours.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(take(&ours).unwrap());
        assert!(!take(&open()).unwrap(), "two own it");
        child.wait().unwrap();
    }
}
