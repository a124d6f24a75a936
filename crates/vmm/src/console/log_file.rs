//! The console's log file: a thread that appends what the guest prints and starts a new file when the old one is full,
//! so that `LOG` and `LOG.1` together never take more than twice the size given. A disk that fails or fills up costs log
//! lines, which is said in the log and as an event, and never stops the guest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use vmm_api::EventKind;

use super::{History, Output};
use crate::events::EventLog;

/// Most bytes written at once; held in memory only while they are written.
const WRITE_BYTES: usize = 64 << 10;

/// The thread of a log file. Dropping it writes what is left and closes the file.
pub(super) struct LogFile {
    output: Arc<Output>,
    thread: Option<JoinHandle<()>>,
}

impl LogFile {
    /// Opens `path` for appending, creates it if need be, and starts to follow `output` from its present end.
    pub(super) fn start(
        path: &Path,
        most_bytes: u64,
        output: Arc<Output>,
        events: Arc<EventLog>,
    ) -> io::Result<Self> {
        let file = open(path)?;
        let offset = {
            let mut kept = output.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.log_is_closing = false;
            kept.end
        };
        let size_bytes = file.metadata()?.len();
        let writer = Writer { path: path.to_owned(), most_bytes, file: Some(file), size_bytes };
        let theirs = Arc::clone(&output);
        let thread = thread::Builder::new()
            .name("console-log".into())
            .spawn(move || follow(&theirs, offset, writer, &events))?;
        Ok(Self { output, thread: Some(thread) })
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.output.kept.lock().unwrap_or_else(PoisonError::into_inner).log_is_closing = true;
        self.output.came.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the console's log thread failed");
        }
    }
}

fn follow(output: &Output, mut offset: u64, mut writer: Writer, events: &EventLog) {
    let mut failing = false;
    while let Some(news) = next(output, offset) {
        let result = writer.append_after(news.offset - offset, &news.bytes);
        offset = news.offset + news.bytes.len() as u64;
        match result {
            Ok(()) => failing = false,
            // Once per trouble, not once per line.
            Err(_) if failing => {}
            Err(error) => {
                failing = true;
                let message = format!("cannot write {}: {error}", writer.path.display());
                events.push(EventKind::ConsoleLogError { message });
            }
        }
    }
}

/// Waits for output beyond `offset`. `None` when all is written and the log is to be closed.
fn next(output: &Output, offset: u64) -> Option<History> {
    let kept = output.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = output
        .came
        .wait_while(kept, |kept| kept.end == offset && !kept.log_is_closing)
        .unwrap_or_else(PoisonError::into_inner);
    if kept.end == offset { None } else { Some(kept.from(offset, WRITE_BYTES)) }
}

struct Writer {
    path: PathBuf,
    most_bytes: u64,
    // None after the file could not be opened again: the next output tries anew.
    file: Option<File>,
    size_bytes: u64,
}

impl Writer {
    fn append_after(&mut self, lost_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        if lost_bytes > 0 {
            self.append(format!("\n[{lost_bytes} bytes of console output were lost here]\n").as_bytes())?;
        }
        self.append(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.size_bytes > 0 && self.size_bytes + bytes.len() as u64 > self.most_bytes {
            self.file = None;
            fs::rename(&self.path, self.path.with_added_extension("1"))?;
            self.size_bytes = 0;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        let written = file.write_all(bytes);
        // Also after a failed write some bytes may be there.
        self.size_bytes = file.metadata()?.len();
        written
    }
}

fn open(path: &Path) -> io::Result<File> {
    // O_NONBLOCK so that a FIFO is refused below instead of hanging here.
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vmm_api::{ConsoleConfig, EventKind};

    use crate::console::Console;
    use crate::events::EventLog;

    #[test]
    fn the_log_has_everything_and_rotates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        let console = Console::new(Arc::new(EventLog::new()));
        let config = ConsoleConfig { history_bytes: 1 << 20, log: Some(path.clone()), log_bytes: 10 };
        console.configure(&config).unwrap();
        console.output(b"012345678\n");
        console.close_log();
        assert_eq!(std::fs::read(&path).unwrap(), b"012345678\n");
        console.configure(&config).unwrap();
        console.output(b"next");
        console.close_log();
        assert_eq!(std::fs::read(&path).unwrap(), b"next");
        assert_eq!(std::fs::read(path.with_added_extension("1")).unwrap(), b"012345678\n");
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let console = Console::new(Arc::new(EventLog::new()));
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [dir.path().to_owned(), dir.path().join("no/such"), fifo] {
            let config = ConsoleConfig { log: Some(path), ..ConsoleConfig::default() };
            assert!(console.configure(&config).is_err());
        }
    }

    #[test]
    fn trouble_is_told_once_and_loses_only_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/console.log");
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        let events = Arc::new(EventLog::new());
        let console = Console::new(Arc::clone(&events));
        console
            .configure(&ConsoleConfig { log: Some(path), log_bytes: 1, ..ConsoleConfig::default() })
            .unwrap();
        console.output(b"a");
        // Rotation fails for as long as its folder is gone.
        std::fs::remove_dir_all(dir.path().join("sub")).unwrap();
        console.output(b"b");
        console.output(b"c");
        console.close_log();
        assert!(events.page(0).events.len() <= 1);
        assert!(
            events.page(0).events.iter().all(|event| matches!(event.kind, EventKind::ConsoleLogError { .. }))
        );
        assert_eq!(console.history(None, 100).bytes, b"abc");
    }
}
