//! Questions that are not ours to answer: the host's resolvers are asked, one after the other, each time from a new socket,
//! and so from a port that nobody can guess. By UDP, and by TCP what does not fit where the guest asked by TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::{Metadata, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::message::{Question, Transport};

/// Who is asked, in the order of preference.
pub type Resolvers = Box<dyn Fn() -> Vec<SocketAddr> + Send + Sync>;

/// How long it is remembered who is asked: where a host moves to another network, its resolvers change.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Most resolvers that are asked for one question, and how often one that is alone is: what is lost may be a single packet.
const MOST_ASKED: usize = 3;
const LEAST_ASKED: usize = 2;

/// Most that is taken of an answer by UDP: more than was said to be taken, since some say more.
const MAX_ANSWER_BYTES: usize = 4096;

/// Asks in the place of guests.
pub struct Forwarder {
    resolvers: Resolvers,
    /// How long one may take to answer.
    patience: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    since: Option<Instant>,
    all: Vec<SocketAddr>,
    /// Which of them answered last, so that one that is dead is not waited for each time.
    first: usize,
}

impl Forwarder {
    pub fn new(resolvers: Resolvers, patience: Duration) -> Self {
        Self { resolvers, patience, known: Mutex::default() }
    }

    /// The answer for the guest, or why there is none. Takes as long as the resolvers that are asked may, at most.
    pub async fn ask(&self, question: &Question, transport: Transport) -> io::Result<Vec<u8>> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "there is no resolver");
        let mut refusal = None;
        for (place, resolver) in self.in_order() {
            match timeout(self.patience, ask(resolver, question, transport)).await {
                // Another may know.
                Ok(Ok((metadata, bytes))) if is_refusal(metadata.response_code) => {
                    refusal = Some(bytes);
                }
                Ok(Ok((_, bytes))) => {
                    self.known().first = place;
                    return Ok(question.for_guest(bytes, transport));
                }
                Ok(Err(error)) => failed = error,
                Err(late) => failed = late.into(),
            }
        }
        refusal.map(|bytes| question.for_guest(bytes, transport)).ok_or(failed)
    }

    /// Whom to ask, each with its place among all: first who answered last.
    fn in_order(&self) -> Vec<(usize, SocketAddr)> {
        let mut known = self.known();
        if known.since.is_none_or(|since| since.elapsed() >= REMEMBERED) {
            let all = (self.resolvers)();
            if known.all != all {
                (known.all, known.first) = (all, 0);
            }
            known.since = Some(Instant::now());
        }
        let places = known.all.iter().copied().enumerate();
        places.cycle().skip(known.first).take(tries(known.all.len())).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tries(resolvers: usize) -> usize {
    match resolvers {
        0 => 0,
        count => count.clamp(LEAST_ASKED, MOST_ASKED),
    }
}

fn is_refusal(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::ServFail | ResponseCode::Refused | ResponseCode::NotImp)
}

async fn ask(
    resolver: SocketAddr,
    question: &Question,
    transport: Transport,
) -> io::Result<(Metadata, Vec<u8>)> {
    let (metadata, bytes) = ask_by_udp(resolver, question).await?;
    match transport {
        Transport::Tcp if metadata.truncation => ask_by_tcp(resolver, question).await,
        Transport::Tcp | Transport::Udp => Ok((metadata, bytes)),
    }
}

async fn ask_by_udp(resolver: SocketAddr, question: &Question) -> io::Result<(Metadata, Vec<u8>)> {
    let anywhere = match resolver {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    // The kernel draws the port.
    let socket = UdpSocket::bind((anywhere, 0)).await?;
    socket.connect(resolver).await?;
    let (id, asked) = question.for_resolver();
    socket.send(&asked).await?;
    let mut bytes = vec![0; MAX_ANSWER_BYTES];
    loop {
        let length = socket.recv(&mut bytes).await?;
        // Anything else is late, or a try to get in before the answer.
        if let Some(mut metadata) = question.answered_by(id, &bytes[..length]) {
            // It may have been longer.
            metadata.truncation |= length == bytes.len();
            bytes.truncate(length);
            return Ok((metadata, bytes));
        }
    }
}

async fn ask_by_tcp(resolver: SocketAddr, question: &Question) -> io::Result<(Metadata, Vec<u8>)> {
    let mut stream = TcpStream::connect(resolver).await?;
    let (id, asked) = question.for_resolver();
    let length = u16::try_from(asked.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &asked].concat()).await?;
    let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut bytes).await?;
    let answered = question.answered_by(id, &bytes);
    let metadata = answered.ok_or_else(|| io::Error::other("its answer is to another question"))?;
    Ok((metadata, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_answered_is_asked_first_and_one_alone_twice() {
        let at = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        let forwarder = |ports: Vec<u16>| {
            Forwarder::new(Box::new(move || ports.iter().copied().map(at).collect()), Duration::ZERO)
        };
        let order = |forwarder: &Forwarder| -> Vec<u16> {
            forwarder.in_order().into_iter().map(|(_, resolver)| resolver.port()).collect()
        };
        assert_eq!(order(&forwarder(vec![])), [0; 0]);
        assert_eq!(order(&forwarder(vec![1])), [1, 1]);
        let some = forwarder(vec![1, 2, 3, 4]);
        assert_eq!(order(&some), [1, 2, 3]);
        some.known().first = 3;
        assert_eq!(order(&some), [4, 1, 2]);
    }
}
