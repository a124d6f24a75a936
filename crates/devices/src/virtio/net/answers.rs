//! The way of answers that are made here to the guest: the transmitting worker, which saw the question, puts them in; the
//! receiving worker takes them out between the tap's packets. Bounded: a guest that asks and does not listen loses answers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Most answers that wait. A DHCP client asks, and asks again after seconds.
const MAX_WAITING: usize = 8;

pub(super) struct Answers {
    frames: Mutex<VecDeque<Vec<u8>>>,
    /// As many as `frames`, to be looked at before each packet without the lock.
    waiting: AtomicUsize,
    event: EventFd,
}

impl Answers {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            frames: Mutex::new(VecDeque::with_capacity(MAX_WAITING)),
            waiting: AtomicUsize::new(0),
            event: EventFd::new(EFD_NONBLOCK)?,
        })
    }

    /// Adds a frame with its virtio header. False if too many wait: it is dropped.
    pub(super) fn push(&self, frame: Vec<u8>) -> bool {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if frames.len() >= MAX_WAITING {
            return false;
        }
        frames.push_back(frame);
        self.waiting.store(frames.len(), Ordering::Release);
        drop(frames);
        // Fails only if the counter is full, and then the descriptor is readable anyway.
        let _ = self.event.write(1);
        true
    }

    /// The frame that waits longest.
    pub(super) fn pop(&self) -> Option<Vec<u8>> {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = frames.pop_front();
        self.waiting.store(frames.len(), Ordering::Release);
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
}
