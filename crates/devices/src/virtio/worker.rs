//! The thread that serves a virtqueue: started when the driver made the queue ready, stopped at reset and pause.
//! A device without I/O of its own gives a function per chain (`spawn`); block and net bring their own loops (`start`).

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::device::{ReadyQueue, RingPosition};
use super::metrics::QueueMetrics;
use super::queue::{Chain, Ring};

/// Loops are flat and keep their buffers on the heap. Counted in the memory of every VMM, once per queue.
const STACK_BYTES: usize = 128 << 10;

/// The order to stop, as a worker sees it: a flag to look at between requests, a descriptor to wait on.
pub struct Stop {
    asked: AtomicBool,
    event: EventFd,
}

impl Stop {
    /// One that nobody has asked yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { asked: AtomicBool::new(false), event: EventFd::new(EFD_NONBLOCK)? })
    }

    /// Asks the worker to finish what is in flight and return.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        // Fails only if the counter is full, and then the descriptor is readable anyway.
        let _ = self.event.write(1);
    }

    /// Whether the worker was asked to stop.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

impl AsRawFd for Stop {
    fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

/// The thread of one running queue. Dropping it stops it too.
pub struct QueueWorker {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<RingPosition>>,
}

impl QueueWorker {
    /// Starts a thread that serves every chain with `handler`, which returns the used length. An error is counted, and
    /// the chain put back with length 0.
    pub fn spawn<F>(ready: ReadyQueue, handler: F) -> io::Result<Self>
    where
        F: FnMut(&mut Chain) -> io::Result<u32> + Send + 'static,
    {
        let name = ready.name.clone();
        let kick = ready.kick.try_clone()?;
        let ring = Ring::new(ready);
        Self::start(&name, move |stop| serve(ring, &kick, stop, handler))
    }

    /// Starts a thread named `name` for `body`, which serves until `Stop` is asked and says where its ring stands.
    pub fn start<F>(name: &str, body: F) -> io::Result<Self>
    where
        F: FnOnce(&Stop) -> RingPosition + Send + 'static,
    {
        let stop = Arc::new(Stop::new()?);
        let theirs = Arc::clone(&stop);
        let thread = spawn(name, move || body(&theirs))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops the worker, waits until nothing is in flight, and says where the ring stands.
    pub fn stop(mut self) -> RingPosition {
        self.join().expect("a worker is joined once, here or in drop")
    }

    fn join(&mut self) -> Option<RingPosition> {
        self.stop.ask();
        match self.thread.take()?.join() {
            Ok(position) => Some(position),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for QueueWorker {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.join();
        }
    }
}

/// Starts a thread that process signals leave alone.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // A new thread inherits the mask: process signals are for the main thread.
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before))?;
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(body);
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    thread
}

/// Serves a ring until asked to stop. Public for tests, which call it on their own thread.
pub fn serve<F>(mut ring: Ring, kick: &EventFd, stop: &Stop, mut handler: F) -> RingPosition
where
    F: FnMut(&mut Chain) -> io::Result<u32>,
{
    let mut chain = Chain::new(ring.memory());
    loop {
        ring.disarm();
        serve_batch(&mut ring, &mut chain, stop, &mut handler);
        ring.signal();
        if stop.asked() {
            return ring.position();
        }
        if !ring.arm() {
            wait(&[kick.as_raw_fd(), stop.as_raw_fd()]);
            if kick.read().is_ok() {
                QueueMetrics::count(&ring.metrics().kicks);
            }
        }
    }
}

/// Serves what is there, at most a queue full, so that a driver which never stops adding still gets its interrupts.
pub fn serve_batch<F>(ring: &mut Ring, chain: &mut Chain, stop: &Stop, handler: &mut F)
where
    F: FnMut(&mut Chain) -> io::Result<u32>,
{
    for _ in 0..ring.size() {
        if stop.asked() || !ring.take(chain) {
            return;
        }
        let started = Instant::now();
        let length = handler(chain).unwrap_or_else(|error| {
            QueueMetrics::count(&ring.metrics().errors);
            log::debug!("chain {} failed: {error}", chain.head());
            0
        });
        ring.metrics().request(length.into());
        ring.metrics().took(started.elapsed());
        ring.put(chain.head(), length);
    }
}

/// Sleeps until one of the descriptors is readable. Descriptors below 0 are left out.
pub fn wait<const N: usize>(descriptors: &[RawFd; N]) -> [bool; N] {
    let mut polled = descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: `polled` is an array of N initialised entries, which the kernel only writes within.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, -1) };
    // Signals are blocked; an interruption for any other reason looks like nothing ready, and the caller asks again.
    polled.map(|entry| ready > 0 && entry.revents != 0)
}
