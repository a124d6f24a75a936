//! The serial console outside the guest: output with a bounded history that any number of readers follow by offset, an
//! optional log file, and bounded input that waits for the guest to read it. Outlives the machines of its process, so
//! offsets go on over resets.
//!
//! The guest's side is `devices::serial`. A vCPU that prints never waits for a reader or a disk: who is too slow finds
//! that the oldest bytes are gone.

mod log_file;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use vmm_api::ConsoleConfig;

use crate::events::EventLog;
use log_file::LogFile;

/// Most bytes of input that wait for the guest.
const INPUT_BYTES: usize = 64 << 10;

/// Called, without any lock held, when input came.
pub type InputWaker = Arc<dyn Fn() + Send + Sync>;

/// A stretch of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Bytes of output before the first one here, since the process started.
    pub offset: u64,
    /// The output.
    pub bytes: Vec<u8>,
    /// Bytes of output in all.
    pub end: u64,
}

/// The console.
pub struct Console {
    output: Arc<Output>,
    // The end of the output, for readers that wait in a runtime.
    end: watch::Sender<u64>,
    input: Mutex<Input>,
    input_room: Notify,
    log: Mutex<Option<LogFile>>,
    events: Arc<EventLog>,
}

/// Output as the log file's thread sees it.
#[derive(Default)]
struct Output {
    kept: Mutex<Kept>,
    came: Condvar,
}

#[derive(Default)]
struct Kept {
    bytes: VecDeque<u8>,
    most: usize,
    end: u64,
    log_is_closing: bool,
}

impl Kept {
    /// What is kept from `offset` on, at most `most` bytes.
    fn from(&self, offset: u64, most: usize) -> History {
        let first = self.end - self.bytes.len() as u64;
        let offset = offset.clamp(first, self.end);
        let skip = usize::try_from(offset - first).unwrap_or(self.bytes.len());
        let end = skip.saturating_add(most).min(self.bytes.len());
        let mut bytes = Vec::with_capacity(end - skip);
        // In one or two pieces, as the ring has them.
        let (front, back) = self.bytes.as_slices();
        bytes.extend_from_slice(&front[skip.min(front.len())..end.min(front.len())]);
        bytes.extend_from_slice(&back[skip.saturating_sub(front.len())..end.saturating_sub(front.len())]);
        History { offset, bytes, end: self.end }
    }
}

#[derive(Default)]
struct Input {
    waiting: VecDeque<u8>,
    waker: Option<InputWaker>,
}

impl Console {
    /// A console without output yet. Trouble with its log file becomes an event in `events`.
    pub fn new(events: Arc<EventLog>) -> Self {
        let kept = Kept { most: ConsoleConfig::default().history_bytes as usize, ..Kept::default() };
        Self {
            output: Arc::new(Output { kept: Mutex::new(kept), came: Condvar::new() }),
            end: watch::Sender::new(0),
            input: Mutex::default(),
            input_room: Notify::new(),
            log: Mutex::default(),
            events,
        }
    }

    /// Takes a new length of history and a new log file, which starts with the output after this call.
    pub fn configure(&self, config: &ConsoleConfig) -> io::Result<()> {
        self.close_log();
        if let Some(path) = &config.log {
            let log =
                LogFile::start(path, config.log_bytes, Arc::clone(&self.output), Arc::clone(&self.events))?;
            *self.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(log);
        }
        let mut kept = self.output.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.most = config.history_bytes as usize;
        let surplus = kept.bytes.len().saturating_sub(kept.most);
        kept.bytes.drain(..surplus);
        Ok(())
    }

    /// Writes what is left to the log file, if there is one, and closes it.
    pub fn close_log(&self) {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(log);
    }

    /// The guest printed `bytes`. Called on a vCPU's thread, mostly a byte at a time: no allocation once the history has
    /// grown, no wait.
    pub fn output(&self, bytes: &[u8]) {
        let end = {
            let mut kept = self.output.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let surplus = (kept.bytes.len() + bytes.len()).saturating_sub(kept.most).min(kept.bytes.len());
            kept.bytes.drain(..surplus);
            let fits = bytes.len().min(kept.most);
            kept.bytes.extend(&bytes[bytes.len() - fits..]);
            kept.end += bytes.len() as u64;
            kept.end
        };
        self.output.came.notify_all();
        // Vcpus may overtake each other here; readers must not see the end go back.
        self.end.send_if_modified(|told| {
            let newer = end > *told;
            *told = end.max(*told);
            newer
        });
    }

    /// Output from `offset` on, as far as it is kept, or from the oldest that is; at most `most` bytes. The offset
    /// returned tells where it begins: later than asked for if the oldest bytes are gone, earlier if there is nothing
    /// that far. vCPUs that print wait while it is copied.
    pub fn history(&self, offset: Option<u64>, most: usize) -> History {
        self.output.kept.lock().unwrap_or_else(PoisonError::into_inner).from(offset.unwrap_or(0), most)
    }

    /// Bytes of output so far.
    pub fn end(&self) -> u64 {
        *self.end.borrow()
    }

    /// Returns once there is output beyond `offset`.
    pub async fn wait_output(&self, offset: u64) {
        // Fails only when the sender is gone, which is this.
        let _ = self.end.subscribe().wait_for(|end| *end > offset).await;
    }

    /// Gives input to the guest; returns how many bytes were taken. The rest has to wait for room.
    pub fn send_input(&self, bytes: &[u8]) -> usize {
        let (taken, waker) = {
            let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = bytes.len().min(INPUT_BYTES - input.waiting.len());
            input.waiting.extend(&bytes[..taken]);
            (taken, input.waker.clone())
        };
        if let Some(waker) = waker {
            waker();
        }
        taken
    }

    /// Returns once `send_input` would take something.
    pub async fn wait_input_room(&self) {
        loop {
            let notified = self.input_room.notified();
            tokio::pin!(notified);
            // From here on no notification is missed.
            notified.as_mut().enable();
            if self.input.lock().unwrap_or_else(PoisonError::into_inner).waiting.len() < INPUT_BYTES {
                return;
            }
            notified.await;
        }
    }

    /// Takes at most `most` bytes of input, for the guest.
    pub fn take_input(&self, most: usize) -> Vec<u8> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = most.min(input.waiting.len());
        let was_full = input.waiting.len() == INPUT_BYTES;
        let bytes = input.waiting.drain(..taken).collect();
        drop(input);
        if was_full {
            self.input_room.notify_waiters();
        }
        bytes
    }

    /// Sets who is woken when input comes; a machine that comes wakes up at once for what waits already.
    pub fn set_input_waker(&self, waker: Option<InputWaker>) {
        self.input.lock().unwrap_or_else(PoisonError::into_inner).waker.clone_from(&waker);
        if let Some(waker) = waker {
            waker();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(history_bytes: u32) -> Console {
        let console = Console::new(Arc::new(EventLog::new()));
        console.configure(&ConsoleConfig { history_bytes, ..ConsoleConfig::default() }).unwrap();
        console
    }

    #[test]
    fn history_is_bounded_and_offsets_go_on() {
        let console = console(4);
        assert_eq!(console.history(None, 100), History { offset: 0, bytes: vec![], end: 0 });
        for bytes in ["ab", "cd", "e"] {
            console.output(bytes.as_bytes());
        }
        assert_eq!(console.history(None, 100), History { offset: 1, bytes: b"bcde".to_vec(), end: 5 });
        assert_eq!(console.history(Some(3), 100), History { offset: 3, bytes: b"de".to_vec(), end: 5 });
        assert_eq!(console.history(Some(2), 2), History { offset: 2, bytes: b"cd".to_vec(), end: 5 });
        assert_eq!(console.history(Some(99), 100), History { offset: 5, bytes: vec![], end: 5 });
        console.output(b"0123456789");
        assert_eq!(console.history(Some(0), 100), History { offset: 11, bytes: b"6789".to_vec(), end: 15 });
        console.configure(&ConsoleConfig { history_bytes: 0, ..ConsoleConfig::default() }).unwrap();
        console.output(b"x");
        assert_eq!(console.history(None, 100), History { offset: 16, bytes: vec![], end: 16 });
    }

    #[test]
    fn input_is_bounded_and_wakes() {
        let console = console(4);
        let woken = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = Arc::clone(&woken);
        console.set_input_waker(Some(Arc::new(move || {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        })));
        assert_eq!(console.send_input(&vec![b'x'; INPUT_BYTES + 1]), INPUT_BYTES);
        assert_eq!(console.send_input(b"y"), 0);
        assert_eq!(woken.load(std::sync::atomic::Ordering::Relaxed), 3);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let room = console.wait_input_room();
            tokio::pin!(room);
            tokio::select! {
                biased;
                () = &mut room => panic!("the input is full"),
                () = std::future::ready(()) => {}
            }
            assert_eq!(console.take_input(3), b"xxx");
            room.await;
        });
    }
}
