//! The service: a network's sockets, what comes in by them, and what goes out. What can be answered at once is; what others
//! have to be asked for takes a place, a task and some time.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use compute::compute::Compute;
use compute::resource::NetworkOf;
use compute::store::TypedError;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record, RecordType};
use ipnet::Ipv4Net;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::datagram::{Datagrams, Ends};
use crate::directory::Directory;
use crate::forward::{Forwarder, Resolvers};
use crate::message::{MAX_QUESTION_BYTES, Question, Transport};
use crate::places::{Place, Places};
use crate::zone::{Asker, Found, NEGATIVE_TTL_S, TTL_S, Zones, soa};

/// What is chosen for a host.
pub struct Config {
    /// Who is asked for names that are not ours; looked at every few seconds.
    pub resolvers: Resolvers,
    /// What keeps one guest from hurting the others.
    pub limits: Limits,
}

/// What keeps one guest from hurting the others. Of each bound, the questions beyond are answered with SERVFAIL, and the
/// connections beyond are closed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most questions that are passed on at a time, for all.
    pub questions: usize,
    /// The same for a network.
    pub questions_of_network: usize,
    /// The same for an address.
    pub questions_of_one: usize,
    /// Most connections, for all.
    pub connections: usize,
    /// The same for a network.
    pub connections_of_network: usize,
    /// The same for an address.
    pub connections_of_one: usize,
    /// How long a connection may stand idle, and an answer on it take to be sent.
    pub idle: Duration,
    /// How long one of the host's resolvers may take; at most three are asked for a question.
    pub resolver: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Names that nobody ever answers for are easily had, and the plain network is for many accounts: it takes many
            // guests to take all places, and few to keep one busy with what it may ask.
            questions: 4096,
            questions_of_network: 1024,
            questions_of_one: 32,
            connections: 1024,
            connections_of_network: 256,
            connections_of_one: 8,
            idle: Duration::from_secs(10),
            resolver: Duration::from_secs(2),
        }
    }
}

/// A network, as far as names go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Which one.
    pub network: NetworkOf,
    /// Its addresses: who has another is no guest.
    pub cidr: Ipv4Net,
}

/// The sockets of a network, both not blocking.
pub struct Sockets {
    /// For datagrams, with IP_PKTINFO set.
    pub udp: UdpSocket,
    /// For connections, listening.
    pub tcp: TcpListener,
}

/// The name service of a host.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Directory,
    zones: Zones,
    forwarder: Forwarder,
    limits: Limits,
    questions: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    complaints: Complaints,
}

/// A network that is served.
#[derive(Clone)]
pub(crate) struct Here {
    inner: Arc<Inner>,
    network: Network,
    questions: Places,
    connections: Places,
}

/// What becomes of a message.
pub(crate) enum Outcome {
    /// Nothing is answered.
    Nothing,
    /// This is.
    Answer(Vec<u8>),
    /// What the host's resolvers say.
    Ask(Question, Place),
}

impl Service {
    /// In front of this core: reads its records, and follows them.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn open(compute: &Compute, config: Config) -> Result<Self, TypedError> {
        let Config { resolvers, limits } = config;
        let inner = Inner {
            directory: Directory::open(compute.store(), compute.config().domains.clone()).await?,
            zones: Zones::new(compute.config()),
            forwarder: Forwarder::new(resolvers, limits.resolver),
            limits,
            questions: Arc::new(Semaphore::new(limits.questions)),
            connections: Arc::new(Semaphore::new(limits.connections)),
            complaints: Complaints::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Serves a network until it is dropped. Who has an address of the network is believed to be the guest that has it.
    ///
    /// # Errors
    ///
    /// The sockets are none that can be waited for.
    pub async fn serve(&self, network: Network, sockets: Sockets) -> io::Result<()> {
        let Sockets { udp, tcp } = sockets;
        let (udp, tcp) = (Datagrams::new(udp)?, tokio::net::TcpListener::from_std(tcp)?);
        let here = Here::new(self, network);
        tokio::join!(here.serve_datagrams(udp), here.serve_connections(tcp));
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn directory(&self) -> &Directory {
        &self.inner.directory
    }
}

impl Here {
    pub(crate) fn new(service: &Service, network: Network) -> Self {
        let (inner, limits) = (Arc::clone(&service.inner), &service.inner.limits);
        let questions = Arc::clone(&inner.questions);
        let connections = Arc::clone(&inner.connections);
        Self {
            inner,
            network,
            questions: Places::new(questions, limits.questions_of_network, limits.questions_of_one),
            connections: Places::new(connections, limits.connections_of_network, limits.connections_of_one),
        }
    }

    async fn serve_datagrams(&self, socket: Datagrams) {
        let socket = Arc::new(socket);
        let mut asking = JoinSet::new();
        let mut bytes = vec![0; MAX_QUESTION_BYTES];
        loop {
            let received = tokio::select! {
                received = socket.receive(&mut bytes) => received,
                Some(_) = asking.join_next() => continue,
            };
            let (length, ends) = match received {
                Ok(received) => received,
                Err(error) => {
                    self.complain("receive questions", &error).await;
                    continue;
                }
            };
            match self.outcome(*ends.from.ip(), &bytes[..length], Transport::Udp) {
                Outcome::Nothing => {}
                Outcome::Answer(answer) => socket.answer(&answer, ends),
                Outcome::Ask(question, place) => {
                    asking.spawn(self.clone().ask_for(question, place, Arc::clone(&socket), ends));
                }
            }
        }
    }

    async fn ask_for(self, question: Question, place: Place, socket: Arc<Datagrams>, ends: Ends) {
        let answer = self.ask(&question, Transport::Udp).await;
        drop(place);
        socket.answer(&answer, ends);
    }

    async fn serve_connections(&self, listener: tokio::net::TcpListener) {
        let mut connected = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connected.join_next() => continue,
            };
            match accepted {
                Ok((stream, SocketAddr::V4(from))) => {
                    // Others than guests take no places of theirs.
                    let is_guest = self.network.cidr.contains(from.ip());
                    if let Some(place) = is_guest.then(|| self.connections.take(*from.ip())).flatten() {
                        connected.spawn(self.clone().serve_connection(stream, *from.ip(), place));
                    }
                }
                Ok((_, SocketAddr::V6(_))) => {}
                Err(error) => self.complain("accept a connection", &error).await,
            }
        }
    }

    /// One question after the other, until there is none for a while.
    async fn serve_connection(self, mut stream: TcpStream, from: Ipv4Addr, _connected: Place) {
        let idle = self.inner.limits.idle;
        let mut bytes = Vec::new();
        while let Ok(Ok(length)) = timeout(idle, stream.read_u16()).await {
            let length = usize::from(length);
            if length > MAX_QUESTION_BYTES {
                return;
            }
            bytes.resize(length, 0);
            if !matches!(timeout(idle, stream.read_exact(&mut bytes)).await, Ok(Ok(_))) {
                return;
            }
            let answer = match self.outcome(from, &bytes, Transport::Tcp) {
                Outcome::Nothing => return,
                Outcome::Answer(answer) => answer,
                // One at a time, so that this place bounds it; the other is for all that are passed on.
                Outcome::Ask(question, _asking) => self.ask(&question, Transport::Tcp).await,
            };
            let Ok(length) = u16::try_from(answer.len()) else { return };
            let message = [&length.to_be_bytes()[..], &answer].concat();
            if !matches!(timeout(idle, stream.write_all(&message)).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// What becomes of a message from this address.
    pub(crate) fn outcome(&self, from: Ipv4Addr, bytes: &[u8], transport: Transport) -> Outcome {
        let network = self.network;
        let tables = self.inner.directory.tables();
        // One without an interface is no guest, or one that is gone.
        let is_guest = network.cidr.contains(&from);
        let Some(placed) = tables.at(network.network, from).filter(|_| is_guest) else {
            return Outcome::Nothing;
        };
        let asker = Asker { network: network.network, cidr: network.cidr, vpc: placed.vpc };
        let question = match Question::read(bytes) {
            Ok(question) => question,
            Err(refusal) => return refusal.map_or(Outcome::Nothing, Outcome::Answer),
        };
        if let Some(found) = self.inner.zones.find(&tables, &asker, question.query.name()) {
            return Outcome::Answer(answer(&question, found));
        }
        drop(tables);
        match self.questions.take(from) {
            Some(place) => Outcome::Ask(question, place),
            None => {
                log::debug!("{from} asks too much at a time, by {transport:?}");
                Outcome::Answer(question.refuse(ResponseCode::ServFail))
            }
        }
    }

    async fn ask(&self, question: &Question, transport: Transport) -> Vec<u8> {
        match self.inner.forwarder.ask(question, transport).await {
            Ok(answer) => answer,
            Err(error) => {
                self.inner.complaints.tell(format_args!("no resolver of this host answers: {error}"));
                question.refuse(ResponseCode::ServFail)
            }
        }
    }

    /// Of what may last, out of descriptors, say.
    async fn complain(&self, what: &str, error: &io::Error) {
        self.inner.complaints.tell(format_args!("cannot {what}: {error}"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The answer out of a zone of ours.
fn answer(question: &Question, found: Found) -> Vec<u8> {
    let Found { apex, data } = found;
    let is_asked =
        |data: &RData| [data.record_type(), RecordType::ANY].contains(&question.query.query_type());
    let code = if data.is_some() { ResponseCode::NoError } else { ResponseCode::NXDomain };
    let owner = question.query.name();
    let answers: Vec<Record> = data
        .unwrap_or_default()
        .into_iter()
        .filter(is_asked)
        .map(|data| Record::from_rdata(owner.clone(), TTL_S, data))
        .collect();
    let authority = match answers.is_empty() {
        true => vec![Record::from_rdata(apex.clone(), NEGATIVE_TTL_S, RData::SOA(soa(&apex)))],
        false => Vec::new(),
    };
    question.answer(code, answers, authority)
}

/// Tells of what fails at the host, though not at the pace at which guests ask.
#[derive(Default)]
struct Complaints(Mutex<Option<Instant>>);

/// Shortest time between two of them: a host without an outside would be told of each try of its guests.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(60);

impl Complaints {
    /// Logs it, unless something was logged just before.
    fn tell(&self, what: fmt::Arguments<'_>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= COMPLAINT_PERIOD) {
            *last = Some(Instant::now());
            log::error!("names: {what}");
        }
    }
}
