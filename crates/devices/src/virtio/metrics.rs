//! Counters of one virtqueue. Written by its worker with relaxed atomics, read by whoever renders metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the latency histogram's buckets, in microseconds; one more bucket holds what is above.
pub const LATENCY_BOUNDS_US: [u64; 12] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 50_000, 250_000, 1_000_000];

/// Counters of one virtqueue.
#[derive(Debug, Default)]
pub struct QueueMetrics {
    /// Requests done (block), packets moved (net), chains filled (rng).
    pub requests: AtomicU64,
    /// Payload bytes moved, headers not counted.
    pub bytes: AtomicU64,
    /// Those of the requests that wrote to a disk.
    pub writes: AtomicU64,
    /// Bytes that they wrote.
    pub written: AtomicU64,
    /// Requests the host failed: the guest saw an I/O error, a packet was dropped.
    pub errors: AtomicU64,
    /// Descriptor chains that break the specification: loops, outside memory, empty, enormous.
    pub malformed: AtomicU64,
    /// Times the driver's notification woke the worker.
    pub kicks: AtomicU64,
    /// Interrupts sent to the driver.
    pub interrupts: AtomicU64,
    /// Requests by latency, from taken off the ring to put back; bounds in `LATENCY_BOUNDS_US`.
    pub latency: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    /// Sum of all latencies, in nanoseconds.
    pub latency_ns: AtomicU64,
}

impl QueueMetrics {
    /// Counts one request that moved `bytes`.
    pub fn request(&self, bytes: u64) {
        self.requests.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts, besides, that a request wrote `bytes` to a disk.
    pub fn write(&self, bytes: u64) {
        self.writes.fetch_add(1, Relaxed);
        self.written.fetch_add(bytes, Relaxed);
    }

    /// Counts the time one request took.
    pub fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < micros);
        self.latency[bucket].fetch_add(1, Relaxed);
        self.latency_ns.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Adds one to a counter.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}
