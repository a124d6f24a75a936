//! One connection of the guest, and the one to the service that it is relayed onto. Neither side is waited for: bytes move
//! as far as there are some and there is room, and each end of file and each error goes to the other side once all that
//! came before it has gone.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpEndpoint;

/// Bytes that wait in each direction, at most. Requests for metadata are shorter, and so are most answers.
pub(super) const BUFFER_BYTES: usize = 16 << 10;

/// Longest time for a guest to complete a connection, and for a service with a long queue to take it.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Longest time in which nothing gets on.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Longest time for a reset to reach a guest.
const RESET_TIME: Duration = Duration::from_secs(2);
/// How soon a service with a long queue is asked again.
const RETRY_TIME: Duration = Duration::from_millis(10);

/// Who is connected to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) guest: IpEndpoint,
    pub(super) service: IpEndpoint,
}

pub(super) struct Connection {
    pub(super) ends: Ends,
    pub(super) handle: SocketHandle,
    service: Service,
    /// Bytes went to the guest.
    has_answered: bool,
    /// The service closed, or broke off: it has no more for the guest.
    is_answered: bool,
    /// The service takes no more: what the guest still sends goes nowhere.
    is_deaf: bool,
    /// The service was told that the guest has no more for it.
    is_asked: bool,
    /// The service has no room.
    is_full: bool,
    /// Bytes moved between the two sides.
    moved: u64,
    /// How it stood when it last got on: state, bytes that wait in both directions, bytes moved.
    seen: (State, usize, usize, u64),
    /// When it is ended, if nothing gets on.
    deadline: Instant,
    /// Why it was reset.
    pub(super) reset: Option<Reset>,
}

enum Service {
    /// Nobody was asked: the guest's connection is not complete.
    Unasked,
    /// Its queue was full.
    AskAgain(Instant),
    Connected(UnixStream),
}

/// Why a connection was reset by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// Nobody listens on the unix socket.
    Refused,
    /// The service broke off before it had said anything.
    Broken,
    /// Nothing happened for too long.
    TimedOut,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    /// There is nothing left of it to be done.
    Over,
}

/// A socket with its buffers, for a connection that the guest opens.
pub(super) fn socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER_BYTES]);
    let mut socket = Socket::new(buffer(), buffer());
    // Answers are short, and their last byte must not wait for an acknowledgement, which the guest delays.
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket
}

impl Connection {
    pub(super) fn new(ends: Ends, handle: SocketHandle, now: Instant) -> Self {
        Self {
            ends,
            handle,
            service: Service::Unasked,
            has_answered: false,
            is_answered: false,
            is_deaf: false,
            is_asked: false,
            is_full: false,
            moved: 0,
            seen: (State::Listen, 0, 0, 0),
            deadline: now + HANDSHAKE_TIME,
            reset: None,
        }
    }

    /// Moves what can be moved.
    pub(super) fn pump(
        &mut self,
        socket: &mut Socket<'_>,
        now: Instant,
        connect: &mut dyn FnMut() -> io::Result<UnixStream>,
    ) {
        let is_open = !matches!(socket.state(), State::Closed | State::Listen | State::SynReceived);
        if self.reset.is_some() {
            return;
        }
        if is_open {
            self.ask(socket, now, connect);
            self.move_bytes(socket, now);
        }
        let seen = (socket.state(), socket.send_queue(), socket.recv_queue(), self.moved);
        if seen != self.seen {
            self.seen = seen;
            if matches!(self.service, Service::Connected(_)) {
                self.deadline = now + IDLE_TIME;
            }
        }
        if now >= self.deadline && self.reset.is_none() {
            self.reset(socket, now, Reset::TimedOut);
        }
    }

    /// Connects to the service, unless that is done.
    fn ask(
        &mut self,
        socket: &mut Socket<'_>,
        now: Instant,
        connect: &mut dyn FnMut() -> io::Result<UnixStream>,
    ) {
        match self.service {
            Service::Connected(_) => return,
            Service::AskAgain(at) if now < at => return,
            Service::Unasked | Service::AskAgain(_) => {}
        }
        match connect() {
            Ok(stream) => {
                self.service = Service::Connected(stream);
                self.deadline = now + IDLE_TIME;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.service = Service::AskAgain(now + RETRY_TIME);
            }
            Err(error) => {
                log::debug!("cannot connect to the metadata service: {error}");
                self.reset(socket, now, Reset::Refused);
            }
        }
    }

    fn move_bytes(&mut self, socket: &mut Socket<'_>, now: Instant) {
        let Service::Connected(stream) = &mut self.service else { return };
        self.is_full = false;
        while socket.can_recv() && !self.is_full {
            if self.is_deaf {
                // Cannot fail: there are bytes.
                let _ = socket.recv(|bytes| (bytes.len(), ()));
                continue;
            }
            match socket.recv(|bytes| moved(stream.write(bytes))) {
                Ok(Ok(count)) => self.moved += count as u64,
                Ok(Err(error)) if is_to_wait(&error) => self.is_full = true,
                // What it has answered already still goes to the guest.
                Ok(Err(_)) | Err(_) => self.is_deaf = true,
            }
        }
        if !socket.may_recv() && !self.is_asked {
            self.is_asked = true;
            // Fails only where the service is gone, which reading tells.
            let _ = stream.shutdown(Shutdown::Write);
        }
        while socket.can_send() && !self.is_answered {
            match socket.send(|room| moved(stream.read(room))) {
                Ok(Ok(0)) => self.is_answered = true,
                Ok(Ok(count)) => (self.has_answered, self.moved) = (true, self.moved + count as u64),
                Ok(Err(error)) if is_to_wait(&error) => break,
                Ok(Err(_)) if !self.has_answered => return self.reset(socket, now, Reset::Broken),
                Ok(Err(_)) | Err(_) => (self.is_answered, self.is_deaf) = (true, true),
            }
        }
        if self.is_answered {
            socket.close();
        }
    }

    fn reset(&mut self, socket: &mut Socket<'_>, now: Instant, why: Reset) {
        self.reset = Some(why);
        self.deadline = now + RESET_TIME;
        self.service = Service::Unasked;
        socket.abort();
    }

    /// After the stack has said what it had to say.
    pub(super) fn fate(&self, socket: &Socket<'_>, now: Instant, is_blocked: bool) -> Fate {
        let is_over = match socket.state() {
            // A listening one was reset by the guest before it was complete.
            State::Listen => true,
            // With an end there is still a reset to be sent.
            State::Closed => socket.remote_endpoint().is_none() || now >= self.deadline,
            // Its last acknowledgement is on the way, and on this way nothing is lost.
            State::TimeWait => !is_blocked,
            _ => false,
        };
        if is_over { Fate::Over } else { Fate::Lives }
    }

    /// When it has to be looked at again, if nothing happens.
    pub(super) fn deadline(&self) -> Instant {
        match self.service {
            Service::AskAgain(at) => at.min(self.deadline),
            Service::Unasked | Service::Connected(_) => self.deadline,
        }
    }

    /// What is waited for on the service's side: readable, writable (poll(2)).
    pub(super) fn wish(&self, socket: &Socket<'_>) -> Option<(&UnixStream, i16)> {
        let Service::Connected(stream) = &self.service else { return None };
        let mut events = 0;
        if !self.is_answered && socket.can_send() {
            events |= libc::POLLIN;
        }
        if self.is_full && socket.can_recv() {
            events |= libc::POLLOUT;
        }
        // Without a wish a service that hung up would be reported again and again.
        (events != 0).then_some((stream, events))
    }
}

/// Whether there is only nothing to read, or no room to write.
fn is_to_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// How many bytes were moved, and what is said of it.
fn moved(result: io::Result<usize>) -> (usize, io::Result<usize>) {
    match result {
        Ok(count) => (count, Ok(count)),
        Err(error) => (0, Err(error)),
    }
}
