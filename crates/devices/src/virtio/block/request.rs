//! One block request, from its header to its status byte (VIRTIO 1.2, 5.2.6): checks what the driver wants, and says
//! which host operation is next until it is done. Makes no system call; `worker` carries the operations to an `engine`.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN,
    VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
};
use vm_memory::GuestMemoryMmap;

use super::disk::{Geometry, SECTOR_BYTES};
use crate::virtio::queue::Chain;

/// Most sectors in one segment of a discard or write-zeroes request: 1 GiB, so that a stop does not wait for long.
pub(super) const MAX_SEGMENT_SECTORS: u32 = 1 << 21;

/// Most segments in a discard or write-zeroes request.
pub(super) const MAX_SEGMENTS: u32 = 16;

/// Bytes of a request's header: type, reserved, sector.
const HEADER_BYTES: usize = 16;

/// Bytes of a discard or write-zeroes segment: sector, number of sectors, flags.
const SEGMENT_BYTES: u64 = 16;

/// Bytes moved at a time where the guest's memory cannot be used directly. One buffer per request that needs it.
const BOUNCE_BYTES: usize = 64 << 10;

/// A request's outcome, as the driver sees it (5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

/// What the host is asked to do. Pointers are into the request that asks, or the memory its chain holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum HostOperation {
    Read { iovecs: *const libc::iovec, count: u32, offset: u64 },
    Write { iovecs: *const libc::iovec, count: u32, offset: u64, flags: i32 },
    Sync,
    Allocate { mode: i32, offset: u64, length: u64 },
}

/// What comes next for a request.
pub(super) enum Step {
    Host(HostOperation),
    Done(Status),
}

/// What all requests of a queue are served by.
pub(super) struct Rules {
    pub geometry: Geometry,
    pub id: [u8; VIRTIO_BLK_ID_BYTES as usize],
    /// The driver never flushes, so what it writes must be durable when it is acknowledged (5.2.6.2).
    pub write_through: bool,
    /// Cleared when the host turns out not to have it.
    pub punches_holes: bool,
    /// Cleared when the host turns out not to have it.
    pub zeroes_ranges: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Flush,
    GetId,
    Discard,
    WriteZeroes,
    Unsupported,
}

/// How a range is discarded or zeroed, in the order of preference of a write-zeroes with UNMAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clearing {
    PunchHole,
    ZeroRange,
    WriteZeroes,
    Nothing,
}

/// A request in its slot; used again and again.
pub(super) struct Request {
    chain: Chain,
    kind: Kind,
    started: Instant,
    /// Decided before any operation, if set.
    refused: Option<Status>,
    /// Where the next operation goes, in bytes.
    offset: u64,
    /// Bytes left of the current segment, for discard and write-zeroes.
    segment_left: u64,
    clearing: Clearing,
    unmap: bool,
    /// Whether a last `Sync` is still to be done.
    sync_left: bool,
    bounce: Option<Bounce>,
    moved: u64,
}

// SAFETY: `chain` can move between threads, and `bounce` owns its memory.
unsafe impl Send for Request {}

impl Request {
    pub(super) fn new(memory: &Arc<GuestMemoryMmap>) -> Self {
        Self {
            chain: Chain::new(memory),
            kind: Kind::Unsupported,
            started: Instant::now(),
            refused: None,
            offset: 0,
            segment_left: 0,
            clearing: Clearing::Nothing,
            unmap: false,
            sync_left: false,
            bounce: None,
            moved: 0,
        }
    }

    /// The chain, to be filled before `begin`.
    pub(super) fn chain_mut(&mut self) -> &mut Chain {
        &mut self.chain
    }

    pub(super) fn head(&self) -> u16 {
        self.chain.head()
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Payload bytes moved so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether it writes what the guest sent.
    pub(super) fn is_write(&self) -> bool {
        matches!(self.kind, Kind::Write)
    }

    /// Reads the header of a chain just taken. False if the chain has no room for one, or for a status byte: then there
    /// is nothing to answer.
    pub(super) fn begin(&mut self, rules: &Rules) -> bool {
        let mut header = [0; HEADER_BYTES];
        if !self.chain.read(&mut header) || !self.chain.split_status() {
            return false;
        }
        let sector = u64_at(&header, 8);
        self.started = Instant::now();
        self.moved = 0;
        self.segment_left = 0;
        self.offset = sector.saturating_mul(SECTOR_BYTES);
        self.kind = match u32_at(&header, 0) {
            VIRTIO_BLK_T_IN => Kind::Read,
            VIRTIO_BLK_T_OUT => Kind::Write,
            VIRTIO_BLK_T_FLUSH => Kind::Flush,
            VIRTIO_BLK_T_GET_ID => Kind::GetId,
            VIRTIO_BLK_T_DISCARD => Kind::Discard,
            VIRTIO_BLK_T_WRITE_ZEROES => Kind::WriteZeroes,
            _ => Kind::Unsupported,
        };
        self.sync_left = match self.kind {
            Kind::Flush => true,
            Kind::WriteZeroes => rules.write_through,
            Kind::Read | Kind::Write | Kind::GetId | Kind::Discard | Kind::Unsupported => false,
        };
        self.refused = self.check(rules);
        true
    }

    fn check(&self, rules: &Rules) -> Option<Status> {
        let geometry = &rules.geometry;
        let changes = matches!(self.kind, Kind::Write | Kind::Discard | Kind::WriteZeroes);
        if changes && geometry.read_only {
            return Some(Status::IoError);
        }
        let length = match self.kind {
            Kind::Read => self.chain.writable_len(),
            Kind::Write => self.chain.readable_len(),
            Kind::Discard | Kind::WriteZeroes => {
                let length = self.chain.readable_len();
                let segments = length / SEGMENT_BYTES;
                let whole =
                    length.is_multiple_of(SEGMENT_BYTES) && (1..=u64::from(MAX_SEGMENTS)).contains(&segments);
                return if whole { None } else { Some(Status::IoError) };
            }
            Kind::Unsupported => return Some(Status::Unsupported),
            Kind::Flush | Kind::GetId => return None,
        };
        if in_range(geometry, self.offset, length) { None } else { Some(Status::IoError) }
    }

    /// What to do now. To be asked again after `completed`, until it is done.
    pub(super) fn next(&mut self, rules: &Rules) -> Step {
        if let Some(status) = self.refused {
            return Step::Done(status);
        }
        let last = match self.kind {
            Kind::Read => self.next_read(rules),
            Kind::Write => self.next_write(rules),
            Kind::GetId => return Step::Done(self.get_id(rules)),
            Kind::Discard | Kind::WriteZeroes => self.next_clear(rules),
            Kind::Flush | Kind::Unsupported => Step::Done(Status::Ok),
        };
        match last {
            Step::Done(Status::Ok) if self.sync_left => Step::Host(HostOperation::Sync),
            other => other,
        }
    }

    fn next_read(&mut self, rules: &Rules) -> Step {
        let segments = self.chain.writable();
        if segments.is_empty() {
            return Step::Done(Status::Ok);
        }
        let (iovecs, count) = if aligned(segments, rules) {
            (segments.as_ptr(), segments.len() as u32)
        } else {
            let length = bounce_length(self.chain.writable_len());
            (self.bounce.get_or_insert_with(Bounce::new).start(length), 1)
        };
        Step::Host(HostOperation::Read { iovecs, count, offset: self.offset })
    }

    fn next_write(&mut self, rules: &Rules) -> Step {
        let flags = if rules.write_through { libc::RWF_DSYNC } else { 0 };
        let segments = self.chain.readable();
        let unfinished = self.bounce.as_ref().is_some_and(|bounce| bounce.left() > 0);
        let (iovecs, count) = if unfinished {
            (self.bounce.as_ref().expect("it has bytes left").iovec(), 1)
        } else if segments.is_empty() {
            return Step::Done(Status::Ok);
        } else if aligned(segments, rules) {
            (segments.as_ptr(), segments.len() as u32)
        } else {
            let length = bounce_length(self.chain.readable_len());
            let bounce = self.bounce.get_or_insert_with(Bounce::new);
            let iovec = bounce.start(length);
            self.chain.read(bounce.bytes_mut(length));
            (iovec, 1)
        };
        Step::Host(HostOperation::Write { iovecs, count, offset: self.offset, flags })
    }

    /// Discard and write-zeroes, segment by segment.
    fn next_clear(&mut self, rules: &Rules) -> Step {
        if self.segment_left == 0 {
            let mut segment = [0; SEGMENT_BYTES as usize];
            if !self.chain.read(&mut segment) {
                return Step::Done(Status::Ok);
            }
            if let Err(status) = self.begin_segment(&segment, rules) {
                return Step::Done(status);
            }
            return self.next_clear(rules);
        }
        // Earlier requests may have found out more.
        if self.clearing == Clearing::PunchHole && !rules.punches_holes
            || self.clearing == Clearing::ZeroRange && !rules.zeroes_ranges
        {
            self.clearing = self.clearing_after(self.clearing, rules);
        }
        let (offset, length) = (self.offset, self.segment_left);
        let allocate =
            |mode| HostOperation::Allocate { mode: mode | libc::FALLOC_FL_KEEP_SIZE, offset, length };
        match self.clearing {
            Clearing::PunchHole => Step::Host(allocate(libc::FALLOC_FL_PUNCH_HOLE)),
            Clearing::ZeroRange => Step::Host(allocate(libc::FALLOC_FL_ZERO_RANGE)),
            Clearing::WriteZeroes => {
                let iovecs = self.bounce.get_or_insert_with(Bounce::new).start(bounce_length(length));
                Step::Host(HostOperation::Write { iovecs, count: 1, offset, flags: 0 })
            }
            Clearing::Nothing => {
                self.segment_left = 0;
                self.next_clear(rules)
            }
        }
    }

    fn begin_segment(&mut self, segment: &[u8; SEGMENT_BYTES as usize], rules: &Rules) -> Result<(), Status> {
        let (sector, sectors, flags) = (u64_at(segment, 0), u32_at(segment, 8), u32_at(segment, 12));
        let unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP != 0;
        let reserved = flags & !VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP != 0;
        // Unmapping is what a discard does anyway, so the flag is reserved there (5.2.6.2).
        if reserved || unmap && self.kind == Kind::Discard {
            return Err(Status::Unsupported);
        }
        let (offset, length) = (sector.saturating_mul(SECTOR_BYTES), u64::from(sectors) * SECTOR_BYTES);
        if sectors > MAX_SEGMENT_SECTORS || !in_range(&rules.geometry, offset, length) {
            return Err(Status::IoError);
        }
        (self.offset, self.segment_left, self.unmap) = (offset, length, unmap);
        let punch = unmap || self.kind == Kind::Discard;
        self.clearing = if punch { Clearing::PunchHole } else { Clearing::ZeroRange };
        Ok(())
    }

    /// The next best way, the host having refused `tried`.
    fn clearing_after(&self, tried: Clearing, rules: &Rules) -> Clearing {
        match tried {
            // A discard is advice, and may be ignored (5.2.6.2).
            _ if self.kind == Kind::Discard => Clearing::Nothing,
            Clearing::PunchHole if rules.zeroes_ranges => Clearing::ZeroRange,
            Clearing::PunchHole | Clearing::ZeroRange | Clearing::WriteZeroes | Clearing::Nothing => {
                Clearing::WriteZeroes
            }
        }
    }

    /// Takes in the result of the operation last asked for: a count, or an error number. The error is one that the
    /// operator should know of.
    pub(super) fn completed(&mut self, result: Result<u32, i32>, rules: &mut Rules) -> Result<(), i32> {
        match result {
            Ok(count) => self.advance(count.into()),
            // Nothing was done: once more.
            Err(libc::EINTR | libc::EAGAIN) => Ok(()),
            Err(libc::EOPNOTSUPP | libc::ENOSYS) if self.is_allocating() => {
                match self.clearing {
                    Clearing::PunchHole => rules.punches_holes = false,
                    Clearing::ZeroRange => rules.zeroes_ranges = false,
                    Clearing::WriteZeroes | Clearing::Nothing => {}
                }
                self.clearing = self.clearing_after(self.clearing, rules);
                Ok(())
            }
            Err(errno) => Err(errno),
        }
        .inspect_err(|_| self.refused = Some(Status::IoError))
    }

    fn is_allocating(&self) -> bool {
        self.segment_left > 0 && matches!(self.clearing, Clearing::PunchHole | Clearing::ZeroRange)
    }

    fn advance(&mut self, count: u64) -> Result<(), i32> {
        // Nothing read or written where there must be something: the file was made shorter under us.
        let moves = matches!(self.kind, Kind::Read | Kind::Write)
            || self.segment_left > 0 && self.clearing == Clearing::WriteZeroes;
        if moves && count == 0 {
            return Err(libc::EIO);
        }
        match self.kind {
            Kind::Read => {
                match self.bounce.as_mut().filter(|bounce| bounce.left() > 0) {
                    Some(bounce) => {
                        self.chain.write(bounce.bytes_mut(count as usize));
                        bounce.drain();
                    }
                    None => self.chain.consume_writable(count),
                }
                self.offset += count;
                self.moved += count;
            }
            Kind::Write => {
                match self.bounce.as_mut().filter(|bounce| bounce.left() > 0) {
                    Some(bounce) => bounce.advance(count as usize),
                    None => self.chain.consume_readable(count),
                }
                self.offset += count;
                self.moved += count;
            }
            Kind::Discard | Kind::WriteZeroes if self.segment_left > 0 => {
                let count =
                    if self.is_allocating() { self.segment_left } else { count.min(self.segment_left) };
                self.offset += count;
                self.segment_left -= count;
            }
            Kind::Discard | Kind::WriteZeroes | Kind::Flush | Kind::GetId | Kind::Unsupported => {
                self.sync_left = false
            }
        }
        Ok(())
    }

    fn get_id(&mut self, rules: &Rules) -> Status {
        if self.chain.write(&rules.id) { Status::Ok } else { Status::IoError }
    }

    /// Writes the status; returns the used length: the bytes written at the front without a gap.
    pub(super) fn finish(&mut self, status: Status) -> u32 {
        self.chain.write_status(status as u8);
        self.bounce = None;
        let written = match self.kind {
            Kind::Read => self.moved as u32,
            Kind::GetId if status == Status::Ok => VIRTIO_BLK_ID_BYTES,
            Kind::GetId
            | Kind::Write
            | Kind::Flush
            | Kind::Discard
            | Kind::WriteZeroes
            | Kind::Unsupported => 0,
        };
        if self.chain.writable_len() == 0 { written + 1 } else { written }
    }
}

fn in_range(geometry: &Geometry, offset: u64, length: u64) -> bool {
    let block = u64::from(geometry.block_bytes);
    let aligned = offset.is_multiple_of(block) && length.is_multiple_of(block);
    aligned && length <= geometry.bytes && offset <= geometry.bytes - length
}

/// Whether the host can work on these buffers of the guest's itself.
fn aligned(segments: &[libc::iovec], rules: &Rules) -> bool {
    let align = rules.geometry.memory_align as usize;
    align == 1
        || segments.iter().all(|segment| {
            (segment.iov_base as usize).is_multiple_of(align) && segment.iov_len.is_multiple_of(align)
        })
}

fn bounce_length(left: u64) -> usize {
    left.min(BOUNCE_BYTES as u64) as usize
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// A buffer of our own, aligned for direct I/O: between guest memory that is not, or as a source of zeroes.
struct Bounce {
    memory: NonNull<u8>,
    // What is left for the host to do.
    iovec: libc::iovec,
}

impl Bounce {
    const LAYOUT: Layout = match Layout::from_size_align(BOUNCE_BYTES, 4096) {
        Ok(layout) => layout,
        Err(_) => panic!("not a layout"),
    };

    fn new() -> Self {
        // SAFETY: the layout has a size.
        let memory = NonNull::new(unsafe { alloc_zeroed(Self::LAYOUT) });
        let memory = memory.unwrap_or_else(|| handle_alloc_error(Self::LAYOUT));
        Self { memory, iovec: libc::iovec { iov_base: memory.as_ptr().cast(), iov_len: 0 } }
    }

    /// Makes the first `length` bytes what is to be done.
    fn start(&mut self, length: usize) -> *const libc::iovec {
        assert!(length <= BOUNCE_BYTES);
        self.iovec = libc::iovec { iov_base: self.memory.as_ptr().cast(), iov_len: length };
        self.iovec()
    }

    fn iovec(&self) -> *const libc::iovec {
        &raw const self.iovec
    }

    fn left(&self) -> usize {
        self.iovec.iov_len
    }

    fn advance(&mut self, count: usize) {
        let count = count.min(self.iovec.iov_len);
        self.iovec.iov_base = self.iovec.iov_base.wrapping_byte_add(count);
        self.iovec.iov_len -= count;
    }

    fn drain(&mut self) {
        self.iovec.iov_len = 0;
    }

    fn bytes_mut(&mut self, length: usize) -> &mut [u8] {
        // SAFETY: as much was allocated, all of it was initialised, and no host operation runs while we are called.
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr(), length.min(BOUNCE_BYTES)) }
    }
}

impl Drop for Bounce {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.memory.as_ptr(), Self::LAYOUT) }
    }
}
