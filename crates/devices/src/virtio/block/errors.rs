//! Telling the operator of a disk's host errors, once and not per request. Shared by the queue's successive workers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::events::{DeviceEvent, EventSink};

/// A disk that fails and recovers in turns, as one without space does, is reported no more often than this.
const QUIET: Duration = Duration::from_secs(1);

/// What was reported of one disk.
pub(super) struct ErrorReport {
    disk: String,
    events: EventSink,
    // Whether any of `known` is current; spares successful operations the lock.
    failing: AtomicBool,
    known: Mutex<Vec<Known>>,
}

struct Known {
    errno: i32,
    reported: Instant,
    current: bool,
}

impl ErrorReport {
    pub(super) fn new(disk: String, events: EventSink) -> Self {
        Self { disk, events, failing: AtomicBool::new(false), known: Mutex::default() }
    }

    /// An operation failed.
    pub(super) fn failed(&self, errno: i32) {
        if self.is_news(errno, Instant::now()) {
            (self.events)(DeviceEvent::DiskError { disk: self.disk.clone(), errno });
        }
    }

    fn is_news(&self, errno: i32, now: Instant) -> bool {
        let Ok(mut known) = self.known.lock() else { return false };
        self.failing.store(true, Ordering::Relaxed);
        // A handful of numbers at most: those that storage gives.
        let Some(entry) = known.iter_mut().find(|entry| entry.errno == errno) else {
            known.push(Known { errno, reported: now, current: true });
            return true;
        };
        if entry.current || now.duration_since(entry.reported) < QUIET {
            return false;
        }
        (entry.current, entry.reported) = (true, now);
        true
    }

    /// An operation succeeded: a later failure is news again.
    pub(super) fn succeeded(&self) {
        if self.failing.load(Ordering::Relaxed)
            && let Ok(mut known) = self.known.lock()
        {
            known.iter_mut().for_each(|entry| entry.current = false);
            self.failing.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_error_is_news_once_until_something_succeeds() {
        let report = ErrorReport::new("root".into(), Arc::new(|_| ()));
        let start = Instant::now();
        assert!(report.is_news(libc::EIO, start));
        assert!(!report.is_news(libc::EIO, start + 2 * QUIET));
        assert!(report.is_news(libc::ENOSPC, start), "each number by itself");
        report.succeeded();
        assert!(!report.is_news(libc::EIO, start + QUIET / 2), "not in quick succession");
        assert!(report.is_news(libc::EIO, start + QUIET));
        assert!(!report.is_news(libc::EIO, start + 3 * QUIET));
    }
}
