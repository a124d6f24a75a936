//! What happened to the VM, in order: a bounded log that the machine's thread writes and clients wait on.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use vmm_api::{Event, EventKind, EventPage};

/// Events kept; the oldest go first. A client that comes late learns how many it missed.
const KEPT: usize = 1024;

/// The log.
pub struct EventLog {
    kept: Mutex<VecDeque<Event>>,
    last: watch::Sender<u64>,
}

impl EventLog {
    /// An empty log; its first event gets number 1.
    pub fn new() -> Self {
        Self { kept: Mutex::default(), last: watch::Sender::new(0) }
    }

    /// Adds an event and wakes who waits for it; returns its number.
    pub fn push(&self, kind: EventKind) -> u64 {
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = self.last() + 1;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        log::info!("event {seq}: {kind:?}");
        kept.push_back(Event { seq, at_ms: u64::try_from(at_ms).unwrap_or(u64::MAX), kind });
        // Still under the lock, so that numbers are told in order.
        self.last.send_replace(seq);
        seq
    }

    /// Number of the newest event, 0 before the first.
    pub fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// The events after number `since`, without waiting.
    pub fn page(&self, since: u64) -> EventPage {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first_kept = self.last() + 1 - kept.len() as u64;
        let events: Vec<Event> = kept.iter().filter(|event| event.seq > since).cloned().collect();
        EventPage {
            events,
            next: self.last().max(since),
            missed: first_kept.saturating_sub(since.saturating_add(1)),
        }
    }

    /// Returns once there is an event after number `since`.
    pub async fn wait(&self, since: u64) {
        // Fails only when the sender is gone, which is this.
        let _ = self.last.subscribe().wait_for(|last| *last > since).await;
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_no_gaps_and_say_what_is_gone() {
        let log = EventLog::new();
        assert_eq!(log.page(0), EventPage { events: vec![], next: 0, missed: 0 });
        for _ in 0..KEPT + 10 {
            log.push(EventKind::Booted);
        }
        let last = (KEPT + 10) as u64;
        let page = log.page(0);
        assert_eq!((page.events.len(), page.missed, page.next), (KEPT, 10, last));
        assert_eq!(page.events[0].seq, 11);
        let page = log.page(last - 1);
        assert_eq!((page.events.len(), page.missed, page.next), (1, 0, last));
        assert_eq!(log.page(u64::MAX), EventPage { events: vec![], next: u64::MAX, missed: 0 });
    }

    #[test]
    fn waiting_ends_with_the_event() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let log = EventLog::new();
        runtime.block_on(async {
            let waiting = log.wait(0);
            tokio::pin!(waiting);
            tokio::select! {
                biased;
                () = &mut waiting => panic!("there is no event yet"),
                () = std::future::ready(()) => {}
            }
            log.push(EventKind::Booted);
            waiting.await;
        });
    }
}
