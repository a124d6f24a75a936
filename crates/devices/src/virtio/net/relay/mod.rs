//! The way to the metadata service: TCP connections of the guest to port 80 of addresses that are nobody's, each relayed
//! onto a connection to a unix socket. The socket says who asks, so nothing that a guest writes into a packet does.
//!
//! `services`, on the transmitting worker, puts the guest's packets in (`Relay::push`); a thread of the relay's own gives
//! them to `stack`, a TCP of smoltcp's in user space, and the stack's packets go to the guest through `Answers`. The thread
//! is there from the first start of the transmit queue until the card is gone, so also while the machine is paused; it
//! sleeps while there is nothing to do, and costs its stack (a few KiB that were touched) and no buffer then.
//!
//! All is bounded whatever the guest does: packets that wait, connections, their buffers, and the time in which nothing
//! gets on. A guest that wastes these has no metadata, and nobody else notices.

mod bench;
mod connection;
mod link;
mod stack;

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

#[doc(hidden)]
pub use self::bench::RelayBench;
use self::link::Link;
use self::stack::Stack;
use super::HEADER_BYTES;
use super::answers::Answers;
use super::frame::ETHERNET_BYTES;
use crate::virtio::metrics::QueueMetrics;
use crate::virtio::queue::Chain;
use crate::virtio::worker;

/// Most addresses of the service: as many as the stack is built for.
pub const MAX_METADATA_ADDRESSES: usize = 4;

/// The longest packet that is taken, with its virtio header: what a guest sends at most before it hears from us (the
/// window), in one piece where it leaves the cutting to its card, and three headers of any length.
const MAX_PACKET_BYTES: usize = HEADER_BYTES + ETHERNET_BYTES + 60 + 60 + connection::BUFFER_BYTES;

/// Most packets, and most bytes of them, that wait for the relay's thread.
const MAX_INBOX_PACKETS: usize = 128;
const MAX_INBOX_BYTES: usize = 256 << 10;

/// How a guest reaches its metadata service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataConfig {
    /// The unix socket that connections are relayed to.
    pub socket: PathBuf,
    /// The addresses, unicast and at most `MAX_METADATA_ADDRESSES`; more are not served.
    pub addresses: Vec<Ipv4Addr>,
    /// The TTL of packets to the guest.
    pub hop_limit: u8,
}

/// What became of the guest's packets to the metadata service.
#[derive(Debug, Default)]
pub struct MetadataCounts {
    /// Connections that the guest opened.
    pub opened: AtomicU64,
    /// Connections that are there now.
    pub open: AtomicU64,
    /// Connections that were reset, because nobody took them on the unix socket.
    pub refused: AtomicU64,
    /// Attempts to connect that were not answered, because there were too many connections.
    pub too_many: AtomicU64,
    /// Connections that were reset, because nothing happened on them for too long.
    pub timed_out: AtomicU64,
    /// Packets taken.
    pub packets: AtomicU64,
    /// Packets that are not TCP: dropped.
    pub not_tcp: AtomicU64,
    /// Fragments, and packets longer than any that makes sense: dropped.
    pub malformed: AtomicU64,
    /// Packets that came faster than they could be dealt with: dropped.
    pub overflow: AtomicU64,
    /// ARP requests answered.
    pub arp: AtomicU64,
}

/// What others may look at and change of a network card's relay.
#[derive(Debug)]
pub struct Metadata {
    /// The TTL of packets to the guest, from the next one on.
    pub hop_limit: AtomicU8,
    /// What is counted.
    pub counts: MetadataCounts,
}

/// Packets on their way to the relay's thread, and orders for it.
struct Inbox {
    orders: Mutex<Orders>,
    wake: EventFd,
}

#[derive(Default)]
struct Orders {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
    /// There is another driver: what there was before it is over.
    reset: bool,
    stop: bool,
}

impl Inbox {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Fails only if the counter is full, and then the descriptor is readable anyway.
        let _ = self.wake.write(1);
    }
}

/// The relay of one network card. Dropping it ends its thread and all connections.
pub(super) struct Relay {
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts the relay's thread. `mtu` is the longest IP packet that goes to the guest.
    pub(super) fn start(
        name: &str,
        config: &MetadataConfig,
        mac: [u8; 6],
        mtu: usize,
        answers: Arc<Answers>,
        metadata: Arc<Metadata>,
    ) -> io::Result<Self> {
        let inbox = Arc::new(Inbox { orders: Mutex::default(), wake: EventFd::new(EFD_NONBLOCK)? });
        let link = Link::new(mac, mtu, Arc::clone(&answers), Arc::clone(&metadata));
        let path = config.socket.clone();
        let connect = Box::new(move || connect_without_waiting(&path));
        let stack = Stack::new(link, &config.addresses, connect, random(), metadata);
        let theirs = Arc::clone(&inbox);
        let thread = worker::spawn(name, move || run(&theirs, &answers, stack))?;
        Ok(Self { inbox, thread: Some(thread) })
    }

    /// Takes a packet with its virtio header off a chain; or drops it, if it is too long or too many wait.
    pub(super) fn push(&self, chain: &mut Chain, counts: &MetadataCounts) {
        let length = usize::try_from(chain.readable_len()).unwrap_or(usize::MAX);
        if length > MAX_PACKET_BYTES {
            QueueMetrics::count(&counts.malformed);
            return;
        }
        let mut orders = self.inbox.orders();
        if orders.packets.len() >= MAX_INBOX_PACKETS || orders.bytes + length > MAX_INBOX_BYTES {
            QueueMetrics::count(&counts.overflow);
            return;
        }
        let mut packet = vec![0; length];
        chain.read(&mut packet);
        orders.bytes += length;
        orders.packets.push_back(packet);
        drop(orders);
        QueueMetrics::count(&counts.packets);
        self.inbox.wake();
    }

    /// Ends all connections: they were another driver's.
    pub(super) fn reset(&self) {
        let mut orders = self.inbox.orders();
        (orders.packets, orders.bytes) = (VecDeque::new(), 0);
        orders.reset = true;
        drop(orders);
        self.inbox.wake();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.inbox.orders().stop = true;
        self.inbox.wake();
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The relay's thread.
fn run(inbox: &Inbox, answers: &Answers, mut stack: Stack) {
    let start = Instant::now();
    let now = || smoltcp::time::Instant::from_micros_const(start.elapsed().as_micros() as i64);
    let mut polled: Vec<libc::pollfd> = Vec::new();
    loop {
        let mut orders = inbox.orders();
        if orders.stop {
            return;
        }
        if std::mem::take(&mut orders.reset) {
            stack.reset();
        }
        // Not while earlier ones wait for room: then these wait where they are counted.
        if stack.has_taken_all() {
            orders.bytes = 0;
            stack.give(&mut orders.packets);
        }
        drop(orders);
        stack.step(now());
        if stack.has_taken_all() && !inbox.orders().packets.is_empty() {
            continue;
        }

        polled.clear();
        let wish = |fd, events| libc::pollfd { fd, events, revents: 0 };
        polled.push(wish(inbox.wake.as_raw_fd(), libc::POLLIN));
        polled.push(wish(answers.room().as_raw_fd(), libc::POLLIN));
        stack.wishes(|stream, events| polled.push(wish(stream.as_raw_fd(), events)));
        let timeout = stack.patience(now()).map_or(-1, |time| {
            // Rounded up, so that it never comes to nothing: a stack in error would turn in a circle.
            libc::c_int::try_from(time.total_millis() + 1).unwrap_or(libc::c_int::MAX)
        });
        // SAFETY: `polled` is a vector of that many initialised entries, which the kernel only writes within.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout) };
        let _ = (inbox.wake.read(), answers.room().read());
    }
}

/// Connects to a unix socket, at once or not at all: `WouldBlock` if the service has too many that wait already.
fn connect_without_waiting(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// What the stack's sequence numbers start from. That nobody can guess them matters little: only the guest hears them.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests;
