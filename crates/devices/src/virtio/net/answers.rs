//! The way of packets that are made here to the guest: who answers puts them in, and the receiving worker takes them out
//! between the tap's packets. Two lanes, so that a busy metadata service is no reason to lose an answer by DHCP or ARP.
//! Bounded: a guest that asks and does not listen loses answers, and its metadata connections wait.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Most answers that wait. A DHCP client asks, and asks again after seconds.
const MAX_WAITING: usize = 8;

/// Most packets of the metadata service that wait, of at most 1500 bytes each.
const MAX_RELAYED: usize = 32;

pub(super) struct Answers {
    lanes: Mutex<Lanes>,
    /// As many as there are in the lanes, to be looked at before each packet without the lock.
    waiting: AtomicUsize,
    event: EventFd,
    /// Tells the relay that there is room again.
    room: EventFd,
}

#[derive(Default)]
struct Lanes {
    /// By DHCP and ARP.
    answers: VecDeque<Vec<u8>>,
    /// By the metadata service.
    relayed: VecDeque<Vec<u8>>,
    /// The relay found its lane full.
    relay_waits: bool,
}

impl Answers {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            lanes: Mutex::default(),
            waiting: AtomicUsize::new(0),
            event: EventFd::new(EFD_NONBLOCK)?,
            room: EventFd::new(EFD_NONBLOCK)?,
        })
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an answer with its virtio header. False if too many wait: it is dropped.
    pub(super) fn push(&self, frame: Vec<u8>) -> bool {
        let mut lanes = self.lanes();
        if lanes.answers.len() >= MAX_WAITING {
            return false;
        }
        lanes.answers.push_back(frame);
        self.tell(lanes);
        true
    }

    /// Whether the relay may add a packet; if not, `room` tells when it may. Only the relay adds such packets, so that
    /// there is room until it has done so.
    pub(super) fn has_room(&self) -> bool {
        let mut lanes = self.lanes();
        lanes.relay_waits = lanes.relayed.len() >= MAX_RELAYED;
        !lanes.relay_waits
    }

    /// Adds a packet of the relay with its virtio header, after `has_room`.
    pub(super) fn push_relayed(&self, frame: Vec<u8>) {
        let mut lanes = self.lanes();
        lanes.relayed.push_back(frame);
        self.tell(lanes);
    }

    fn tell(&self, lanes: MutexGuard<'_, Lanes>) {
        self.waiting.store(lanes.answers.len() + lanes.relayed.len(), Ordering::Release);
        drop(lanes);
        // Fails only if the counter is full, and then the descriptor is readable anyway.
        let _ = self.event.write(1);
    }

    /// The answer that waits longest, or else such a packet of the relay.
    pub(super) fn pop(&self) -> Option<Vec<u8>> {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut lanes = self.lanes();
        let frame = lanes.answers.pop_front().or_else(|| lanes.relayed.pop_front());
        self.waiting.store(lanes.answers.len() + lanes.relayed.len(), Ordering::Release);
        if lanes.relay_waits && lanes.relayed.len() < MAX_RELAYED {
            lanes.relay_waits = false;
            let _ = self.room.write(1);
        }
        frame
    }

    /// Takes back the wish to be woken; call before looking for frames, so that none is missed.
    pub(super) fn acknowledge(&self) {
        let _ = self.event.read();
    }

    /// Forgets what waits: it was for another driver.
    pub(super) fn clear(&self) {
        self.acknowledge();
        while self.pop().is_some() {}
    }

    /// Readable when the relay, having found no room, may find some. Read it before looking again.
    pub(super) fn room(&self) -> &EventFd {
        &self.room
    }
}

impl AsRawFd for Answers {
    fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_some_and_no_more() {
        let answers = Answers::new().unwrap();
        assert_eq!(answers.pop(), None);
        for number in 0..MAX_WAITING as u8 {
            assert!(answers.push(vec![number]));
        }
        assert!(!answers.push(vec![99]));
        assert_eq!(answers.pop(), Some(vec![0]));
        assert!(answers.push(vec![100]));
        answers.clear();
        assert_eq!(answers.pop(), None);
        assert!(answers.event.read().is_err(), "nobody is woken for nothing");
    }

    #[test]
    fn the_relay_takes_no_room_from_answers_and_learns_of_its_own() {
        let answers = Answers::new().unwrap();
        for number in 0..MAX_RELAYED {
            assert!(answers.has_room());
            answers.push_relayed(vec![number as u8]);
        }
        assert!(answers.push(vec![200]));
        assert_eq!(answers.pop(), Some(vec![200]), "before all that is relayed");
        assert_eq!(answers.pop(), Some(vec![0]));
        assert!(answers.room().read().is_err(), "nobody had asked for room");
        assert!(answers.has_room());
        answers.push_relayed(vec![201]);
        assert!(!answers.has_room());
        assert_eq!(answers.pop(), Some(vec![1]));
        assert_eq!(answers.room().read().ok(), Some(1));
        assert_eq!(answers.pop(), Some(vec![2]));
        assert!(answers.room().read().is_err(), "told once");
    }
}
