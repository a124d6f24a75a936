//! The loop that serves a disk's queue: takes requests off the ring, carries their operations to the engine, and puts
//! them back as they complete, in any order. Started by `Block::start_queue` on a thread of its own.

use std::sync::Arc;

use super::engine::{Completion, Engine};
use super::errors::ErrorReport;
use super::request::{Request, Rules, Step};
use crate::virtio::device::RingPosition;
use crate::virtio::metrics::QueueMetrics;
use crate::virtio::queue::Ring;
use crate::virtio::worker::Stop;

/// All that serving the queue needs. Once built, serving allocates nothing but bounce buffers.
pub(super) struct Worker {
    ring: Ring,
    engine: Engine,
    rules: Rules,
    errors: Arc<ErrorReport>,
    /// As many as the ring has descriptors: a driver cannot have more in flight.
    slots: Vec<Request>,
    free: Vec<u16>,
}

impl Worker {
    pub(super) fn new(ring: Ring, engine: Engine, rules: Rules, errors: Arc<ErrorReport>) -> Self {
        let slots = (0..ring.size()).map(|_| Request::new(ring.memory())).collect();
        let free = (0..ring.size()).collect();
        Self { ring, engine, rules, errors, slots, free }
    }

    /// Serves until asked to stop and nothing is in flight any more.
    pub(super) fn run(mut self, stop: &Stop) -> RingPosition {
        loop {
            self.ring.disarm();
            let more = !stop.asked() && self.take();
            if stop.asked() && self.idle() {
                return self.ring.position();
            }
            // For what needed no operation, and so is done already.
            self.ring.signal();
            // Sleeping without free slots is for completions only, and needs no notifications.
            let sleep = !more && (stop.asked() || self.free.is_empty() || !self.ring.arm());
            self.engine.submit(sleep);
            self.reap();
        }
    }

    /// Serves what is on the ring now, and returns when it is done.
    pub(super) fn drain(mut self) -> RingPosition {
        // Bounded: a driver that runs at the same time could add for ever.
        for _ in 0..self.slots.len() {
            let more = self.take();
            self.engine.submit(!self.idle());
            self.reap();
            if !more && self.idle() {
                break;
            }
        }
        while !self.idle() {
            self.engine.submit(true);
            self.reap();
        }
        self.ring.position()
    }

    fn idle(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Takes a batch off the ring and starts it. True if there may be more that can be taken now.
    fn take(&mut self) -> bool {
        for _ in 0..self.engine.batch() {
            let Some(&slot) = self.free.last() else { return false };
            let request = &mut self.slots[usize::from(slot)];
            if !self.ring.take(request.chain_mut()) {
                return false;
            }
            if request.begin(&self.rules) {
                self.free.pop();
                self.step(slot);
            } else {
                QueueMetrics::count(&self.ring.metrics().malformed);
                let head = request.head();
                self.ring.put(head, 0);
            }
        }
        true
    }

    /// Starts what comes next for a request, or puts it back.
    fn step(&mut self, slot: u16) {
        let request = &mut self.slots[usize::from(slot)];
        match request.next(&self.rules) {
            // SAFETY: the pointers are into the slot's request and its chain's memory. Slots never move, and a request is
            // left alone until its operation completed; `run` and `drain` return only then.
            Step::Host(operation) => unsafe { self.engine.start(slot, &operation) },
            Step::Done(status) => {
                let length = request.finish(status);
                let metrics = self.ring.metrics();
                metrics.request(request.moved());
                if request.is_write() {
                    metrics.write(request.moved());
                }
                metrics.took(request.started().elapsed());
                let head = request.head();
                self.ring.put(head, length);
                self.free.push(slot);
            }
        }
    }

    /// Goes on with all requests whose operation completed, and tells the driver of those that are done.
    fn reap(&mut self) {
        while let Some(completion) = self.engine.next() {
            let Completion::Done(slot, result) = completion else {
                QueueMetrics::count(&self.ring.metrics().kicks);
                continue;
            };
            match self.slots[usize::from(slot)].completed(result, &mut self.rules) {
                Ok(()) => self.errors.succeeded(),
                Err(errno) => {
                    QueueMetrics::count(&self.ring.metrics().errors);
                    self.errors.failed(errno);
                }
            }
            self.step(slot);
        }
        self.ring.signal();
    }
}
