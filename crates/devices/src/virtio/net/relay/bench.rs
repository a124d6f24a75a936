//! A relay without its thread, in front of a service that says back what it is told. For fuzzing, which wants everything
//! to happen on its own thread and the same each time.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use smoltcp::time::{Duration, Instant};

use super::super::answers::Answers;
use super::{Link, Metadata, MetadataConfig, MetadataCounts, Stack};

/// The bench.
#[doc(hidden)]
pub struct RelayBench {
    stack: Stack,
    answers: Arc<Answers>,
    metadata: Arc<Metadata>,
    services: Arc<Mutex<Vec<UnixStream>>>,
    now: Instant,
}

impl RelayBench {
    /// A relay for the addresses and with the hop limit of `config`; the socket is nobody's.
    pub fn new(config: &MetadataConfig, mac: [u8; 6]) -> io::Result<Self> {
        let answers = Arc::new(Answers::new()?);
        let hop_limit = config.hop_limit.into();
        let metadata = Arc::new(Metadata { hop_limit, counts: MetadataCounts::default() });
        let link = Link::new(mac, 1500, Arc::clone(&answers), Arc::clone(&metadata));
        let services: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
        let theirs = Arc::clone(&services);
        let connect = Box::new(move || {
            let (ours, other) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            other.set_nonblocking(true)?;
            theirs.lock().unwrap_or_else(PoisonError::into_inner).push(other);
            Ok(ours)
        });
        // Always the same sequence numbers, so that an input does always the same.
        let stack = Stack::new(link, &config.addresses, connect, 7, Arc::clone(&metadata));
        Ok(Self { stack, answers, metadata, services, now: Instant::ZERO })
    }

    /// Gives the relay a packet with its virtio header, and lets it do what it can.
    pub fn give(&mut self, packet: Vec<u8>) {
        self.stack.give(&mut VecDeque::from([packet]));
        self.pass(0);
    }

    /// Lets milliseconds pass, and the relay and its service do what they can.
    pub fn pass(&mut self, milliseconds: u32) {
        self.now += Duration::from_millis(milliseconds.into());
        self.stack.step(self.now);
        self.services.lock().unwrap_or_else(PoisonError::into_inner).retain_mut(|service| {
            let mut bytes = [0; 4096];
            match service.read(&mut bytes) {
                Ok(0) => false,
                // What finds no room is forgotten: this is no service for anybody.
                Ok(count) => service.write(bytes.get(..count).unwrap_or_default()).is_ok(),
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            }
        });
        self.stack.step(self.now);
    }

    /// The next packet for the guest, with its virtio header.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.answers.pop()
    }

    /// Connections that are there.
    pub fn open(&self) -> u64 {
        self.metadata.counts.open.load(Relaxed)
    }
}
