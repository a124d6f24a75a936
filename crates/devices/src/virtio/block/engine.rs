//! How host operations are done: through an io_uring, or where the host has none to give (containers, hardened hosts)
//! one by one with plain system calls. Used by `worker` only, on its own thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use vmm_sys_util::eventfd::EventFd;

use super::request::HostOperation;
use crate::virtio::worker::wait;

/// What a worker is told.
pub(super) enum Completion {
    /// An operation is done: the slot it was started for, and a count or error number.
    Done(u16, Result<u32, i32>),
    /// The driver notified us.
    Kicked,
}

/// One of the two ways.
#[expect(clippy::large_enum_variant, reason = "one per disk, and moved once")]
pub(super) enum Engine {
    Uring(Uring),
    Sync(Sync),
}

impl Engine {
    /// An io_uring if the host gives one, for `slots` operations at a time on `file`. Sleeps end by `kick` and `stop` too.
    pub(super) fn new(file: File, slots: u16, kick: EventFd, stop: RawFd) -> Self {
        match Uring::new(&file, slots, &kick, stop) {
            Ok(uring) => Self::Uring(uring),
            Err(error) => {
                log::info!("no io_uring ({error}): the disk is served one request at a time");
                Self::sync(file, kick, stop)
            }
        }
    }

    /// Plain system calls.
    pub(super) fn sync(file: File, kick: EventFd, stop: RawFd) -> Self {
        Self::Sync(Sync { file, kick, stop, kicked: false, done: VecDeque::new() })
    }

    /// Requests to take off the ring before looking for completed ones.
    pub(super) fn batch(&self) -> u16 {
        match self {
            Self::Uring(_) => 64,
            // Each is complete when the next is taken; its driver should not wait for the others.
            Self::Sync(_) => 1,
        }
    }

    /// Starts an operation.
    ///
    /// # Safety
    ///
    /// The operation's iovecs and what they point to must stay valid until its completion was returned by `next`.
    pub(super) unsafe fn start(&mut self, slot: u16, operation: &HostOperation) {
        match self {
            // SAFETY: the caller's promise is the same.
            Self::Uring(uring) => unsafe { uring.start(slot, operation) },
            // SAFETY: valid until completed, and so during the call.
            Self::Sync(sync) => sync.done.push_back((slot, unsafe { execute(&sync.file, operation) })),
        }
    }

    /// Hands started operations to the host, and if `sleep`, waits until there is a completion or a waker is readable.
    pub(super) fn submit(&mut self, sleep: bool) {
        match self {
            Self::Uring(uring) => uring.submit(sleep),
            Self::Sync(sync) if sleep && sync.done.is_empty() => {
                wait(&[sync.kick.as_raw_fd(), sync.stop]);
                sync.kicked = sync.kick.read().is_ok();
            }
            Self::Sync(_) => {}
        }
    }

    /// The next completion there is.
    pub(super) fn next(&mut self) -> Option<Completion> {
        match self {
            Self::Uring(uring) => uring.next(),
            Self::Sync(sync) if sync.kicked => {
                sync.kicked = false;
                Some(Completion::Kicked)
            }
            Self::Sync(sync) => sync.done.pop_front().map(|(slot, result)| Completion::Done(slot, result)),
        }
    }
}

/// Plain system calls.
pub(super) struct Sync {
    file: File,
    kick: EventFd,
    stop: RawFd,
    kicked: bool,
    done: VecDeque<(u16, Result<u32, i32>)>,
}

/// Completions from here are not a slot's: an eventfd became readable.
const READABLE: u64 = 1 << 32;

const KICK: u64 = READABLE;
const STOP: u64 = READABLE + 1;

/// An io_uring, with notifications and the order to stop polled.
///
/// The disk is not registered with it, though that would save the kernel a look-up per operation: rings are torn down
/// some time after they are closed, and would keep the disk locked until then. The next VM would find it in use.
pub(super) struct Uring {
    ring: IoUring,
    file: File,
    kick: EventFd,
    stop: RawFd,
}

impl Uring {
    fn new(file: &File, slots: u16, kick: &EventFd, stop: RawFd) -> io::Result<Self> {
        // Completions are worked on when we enter the kernel, not by interrupting us (Linux 6.0); older ones refuse.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .build(slots.into())
            .or_else(|_| IoUring::new(slots.into()))?;
        let mut uring = Self { ring, file: file.try_clone()?, kick: kick.try_clone()?, stop };
        uring.poll(KICK);
        uring.poll(STOP);
        Ok(uring)
    }

    /// Asks for a completion whenever an eventfd is written to. Its counter is not read: each write is an event.
    fn poll(&mut self, which: u64) {
        let fd = if which == KICK { self.kick.as_raw_fd() } else { self.stop };
        let entry = opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).multi(true).build();
        // SAFETY: the entry has no pointers.
        unsafe { self.push(&entry.user_data(which)) }
    }

    unsafe fn start(&mut self, slot: u16, operation: &HostOperation) {
        let disk = types::Fd(self.file.as_raw_fd());
        let entry = match *operation {
            HostOperation::Read { iovecs, count, offset } => {
                opcode::Readv::new(disk, iovecs, count).offset(offset).build()
            }
            HostOperation::Write { iovecs, count, offset, flags } => {
                opcode::Writev::new(disk, iovecs, count).offset(offset).rw_flags(flags).build()
            }
            HostOperation::Sync => opcode::Fsync::new(disk).flags(types::FsyncFlags::DATASYNC).build(),
            HostOperation::Allocate { mode, offset, length } => {
                opcode::Fallocate::new(disk, length).offset(offset).mode(mode).build()
            }
        };
        // SAFETY: the caller keeps what the entry points to.
        unsafe { self.push(&entry.user_data(slot.into())) }
    }

    /// # Safety
    ///
    /// What the entry points to must stay valid until its completion.
    unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the caller's promise.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.submit(false);
        }
    }

    fn submit(&mut self, sleep: bool) {
        // Fails when interrupted, or for want of memory: what was not submitted stays queued, and the next turn tries
        // again. The kernel does not lose completions either.
        if let Err(error) = self.ring.submit_and_wait(usize::from(sleep)) {
            log::debug!("io_uring_enter: {error}");
        }
    }

    fn next(&mut self) -> Option<Completion> {
        loop {
            let entry = self.ring.completion().next()?;
            let which = entry.user_data();
            if which < READABLE {
                let result = u32::try_from(entry.result()).map_err(|_| -entry.result());
                return Some(Completion::Done(which as u16, result));
            }
            // The kernel may end a standing poll, when completions pile up for one.
            if !cqueue::more(entry.flags()) {
                self.poll(which);
            }
            if which == KICK {
                return Some(Completion::Kicked);
            }
        }
    }
}

/// Does an operation now.
///
/// # Safety
///
/// The operation's iovecs and what they point to must be valid.
unsafe fn execute(file: &File, operation: &HostOperation) -> Result<u32, i32> {
    let fd = file.as_raw_fd();
    let returned = match *operation {
        HostOperation::Read { iovecs, count, offset } => {
            // SAFETY: the caller vouches for the iovecs.
            unsafe { libc::preadv(fd, iovecs, count as libc::c_int, offset as libc::off_t) }
        }
        HostOperation::Write { iovecs, count, offset, flags } => {
            // SAFETY: the caller vouches for the iovecs.
            unsafe { libc::pwritev2(fd, iovecs, count as libc::c_int, offset as libc::off_t, flags) }
        }
        // SAFETY: takes no pointer.
        HostOperation::Sync => unsafe { libc::fdatasync(fd) as isize },
        HostOperation::Allocate { mode, offset, length } => {
            // SAFETY: takes no pointer.
            unsafe { libc::fallocate(fd, mode, offset as libc::off_t, length as libc::off_t) as isize }
        }
    };
    u32::try_from(returned).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
