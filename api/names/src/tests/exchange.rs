//! Questions over real sockets, and those that are passed on to resolvers which the test plays.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use compute::resource::Instance;
use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::world::{Host, PATIENCE, data, question, until};
use crate::{Limits, Sockets};

/// How a resolver that the test plays answers.
type Says = Arc<dyn Fn(&Message, bool) -> Vec<Vec<u8>> + Send + Sync>;

/// A resolver, by UDP and TCP, which counts what it is asked.
struct Resolver {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    tasks: [JoinHandle<()>; 2],
}

impl Resolver {
    async fn start(says: impl Fn(&Message, bool) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (says, asked): (Says, _) = (Arc::new(says), Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).await.unwrap();
        let by_udp = (Arc::clone(&says), Arc::clone(&asked));
        let by_tcp = (says, Arc::clone(&asked));
        let tasks = [
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                loop {
                    let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
                    by_udp.1.fetch_add(1, Ordering::SeqCst);
                    for answer in by_udp.0(&Message::from_vec(&bytes[..length]).unwrap(), false) {
                        socket.send_to(&answer, from).await.unwrap();
                    }
                }
            }),
            tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let message = read(&mut stream).await.expect("a question");
                    for answer in by_tcp.0(&Message::from_vec(&message).unwrap(), true) {
                        write(&mut stream, &answer).await;
                    }
                }
            }),
        ];
        Self { address, asked, tasks }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The answer to a message with these texts.
fn answer(asked: &Message, texts: &[&str]) -> Message {
    let mut answer = asked.clone().into_response();
    answer.metadata.recursion_available = true;
    let name = asked.queries[0].name().clone();
    let texts = texts.iter().map(|text| RData::TXT(TXT::new(vec![(*text).to_owned()])));
    answer.answers = texts.map(|data| Record::from_rdata(name.clone(), 60, data)).collect();
    answer
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u16().await.ok()?)];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn write(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], message].concat()).await.unwrap();
}

/// A plain network that is served on loopback addresses, with guests that ask there.
pub struct Served {
    pub host: Host,
    pub udp: SocketAddrV4,
    pub tcp: SocketAddrV4,
    serving: JoinHandle<()>,
}

impl Served {
    pub async fn start(resolvers: Vec<SocketAddr>, limits: Limits) -> Self {
        let host = Host::start(resolvers, limits).await;
        // As a VPC's, for whatever address.
        let udp = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        setsockopt(&udp, sockopt::Ipv4PacketInfo, &true).unwrap();
        let tcp = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let router = Ipv4Addr::new(127, 98, 0, 1);
        let at = |address: SocketAddr| SocketAddrV4::new(router, address.port());
        let (at_udp, at_tcp) = (at(udp.local_addr().unwrap()), at(tcp.local_addr().unwrap()));
        let (service, network) = (host.service.clone(), host.network());
        let serving =
            tokio::spawn(async move { service.serve(network, Sockets { udp, tcp }).await.unwrap() });
        Self { host, udp: at_udp, tcp: at_tcp, serving }
    }

    /// An instance, and its address.
    pub async fn guest(&self) -> (Instance, Ipv4Addr) {
        let instance = self.host.launch(self.host.request()).await;
        let address = instance.private_address.unwrap();
        (instance, address)
    }

    /// Asks by UDP from an address.
    async fn ask(&self, from: Ipv4Addr, message: &Message) -> Message {
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        socket.connect(self.udp).await.unwrap();
        socket.send(&message.to_vec().unwrap()).await.unwrap();
        let mut bytes = vec![0; 65536];
        let length = timeout(PATIENCE, socket.recv(&mut bytes)).await.expect("an answer in time").unwrap();
        Message::from_vec(&bytes[..length]).unwrap()
    }

    async fn connect(&self, from: Ipv4Addr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(self.tcp.into()).await.unwrap()
    }

    async fn ask_by_tcp(&self, from: Ipv4Addr, message: &Message) -> Message {
        let mut stream = self.connect(from).await;
        write(&mut stream, &message.to_vec().unwrap()).await;
        let bytes = timeout(PATIENCE, read(&mut stream)).await.expect("an answer in time").unwrap();
        Message::from_vec(&bytes).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn own_name(address: Ipv4Addr) -> String {
    format!("ip-{}.eu.compute.internal", address.to_string().replace('.', "-"))
}

#[tokio::test]
async fn names_by_udp_and_tcp_from_the_address_that_was_asked() {
    let mut served = Served::start(vec![], Limits::default()).await;
    let (_, guest) = served.guest().await;
    let asked = question(&own_name(guest), RecordType::A);
    // The socket is connected: an answer from another address would not arrive.
    for last in [1, 2, 77] {
        served.udp.set_ip(Ipv4Addr::new(127, 98, 0, last));
        let told = served.ask(guest, &asked).await;
        assert_eq!((told.metadata.id, data(&told)), (asked.metadata.id, vec![guest.to_string()]));
    }
    // Several in one connection, one after the other.
    let mut stream = served.connect(guest).await;
    for name in ["eu.compute.internal", "novalocal", &own_name(guest)] {
        let asked = question(name, RecordType::ANY);
        write(&mut stream, &asked.to_vec().unwrap()).await;
        let told = Message::from_vec(&read(&mut stream).await.unwrap()).unwrap();
        assert_eq!((told.metadata.id, told.answers.len()), (asked.metadata.id, 1), "{name}");
    }
    // Who is no guest hears nothing, and does not hold anybody up.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(&asked.to_vec().unwrap(), served.udp).await.unwrap();
    let unknown = UdpSocket::bind("127.98.3.250:0").await.unwrap();
    unknown.send_to(&asked.to_vec().unwrap(), served.udp).await.unwrap();
    assert!(read(&mut served.connect(Ipv4Addr::LOCALHOST).await).await.is_none());
    assert_eq!(data(&served.ask(guest, &asked).await), [guest.to_string()]);
    let heard = |socket: &UdpSocket| socket.try_recv(&mut [0; 512]).is_ok();
    assert!(!heard(&stranger) && !heard(&unknown));
}

#[tokio::test]
async fn what_is_not_ours_is_what_the_resolver_says() {
    let resolver = Resolver::start(|asked, _| {
        assert!(asked.metadata.recursion_desired && asked.metadata.checking_disabled);
        let mut told = answer(asked, &["from afar"]);
        let said = match &asked.edns {
            Some(edns) => format!("{} {}", edns.max_payload(), edns.flags().dnssec_ok),
            None => "no EDNS".to_owned(),
        };
        told.answers.push(answer(asked, &[&said]).answers.remove(0));
        let wrong_id = {
            let mut other = told.clone();
            other.metadata.id ^= 1;
            other.answers.clear();
            other
        };
        let mut wrong_name = told.clone();
        wrong_name.queries[0].set_name("else.example.".parse().unwrap());
        let question = asked.clone();
        // Before the answer comes what is none.
        let lies = [wrong_id, wrong_name, question].map(|message| message.to_vec().unwrap());
        let mut all: Vec<Vec<u8>> = lies.into();
        all.extend([b"short".to_vec(), told.to_vec().unwrap()]);
        all
    })
    .await;
    let served = Served::start(vec![resolver.address], Limits::default()).await;
    let (_, guest) = served.guest().await;
    for (edns, said) in
        [(None, "no EDNS"), (Some((4096, true)), "1232 true"), (Some((600, false)), "600 false")]
    {
        let mut asked = question("www.Example.com", RecordType::TXT);
        asked.metadata.checking_disabled = true;
        asked.edns = edns.map(|(payload, dnssec_ok)| {
            let mut edns = Edns::new();
            edns.set_max_payload(payload).set_dnssec_ok(dnssec_ok);
            edns
        });
        let told = served.ask(guest, &asked).await;
        assert_eq!((told.metadata.id, &told.queries), (asked.metadata.id, &asked.queries));
        assert_eq!(data(&told), ["from afar", said]);
        assert!(!told.metadata.authoritative);
    }
    assert_eq!(resolver.asked(), 3);
    // Ours are never theirs to answer.
    served.ask(guest, &question("nobody.eu.compute.internal", RecordType::TXT)).await;
    served.ask(guest, &question("9.3.98.127.in-addr.arpa", RecordType::PTR)).await;
    assert_eq!(resolver.asked(), 3);
}

#[tokio::test]
async fn what_is_too_long_goes_by_tcp() {
    let long = "x".repeat(200);
    let resolver = Resolver::start(move |asked, by_tcp| {
        let mut told = answer(asked, &[&*long; 100]);
        if !by_tcp {
            told = told.truncate();
        }
        vec![told.to_vec().unwrap()]
    })
    .await;
    let fat = Resolver::start(|asked, _| {
        let count = if asked.queries[0].name().iter().count() == 2 { 4 } else { 40 };
        vec![answer(asked, &vec![&*"y".repeat(200); count]).to_vec().unwrap()]
    })
    .await;
    let served = Served::start(vec![resolver.address], Limits::default()).await;
    let (_, guest) = served.guest().await;
    let asked = question("long.example", RecordType::TXT);
    let told = served.ask(guest, &asked).await;
    assert!(told.metadata.truncation && told.answers.is_empty());
    assert_eq!(served.ask_by_tcp(guest, &asked).await.answers.len(), 100);
    drop(served);
    // One that does not care what its client takes.
    let served = Served::start(vec![fat.address], Limits::default()).await;
    let (_, guest) = served.guest().await;
    let told = served.ask(guest, &asked).await;
    assert!(told.metadata.truncation && told.answers.is_empty() && told.queries == asked.queries);
    let mut roomy = asked.clone();
    roomy.edns = Some(Edns::new());
    roomy.edns.as_mut().unwrap().set_max_payload(1232);
    assert_eq!(served.ask(guest, &roomy).await.answers.len(), 4);
    assert_eq!(served.ask_by_tcp(guest, &asked).await.answers.len(), 4);
    let fatter = question("more.long.example", RecordType::TXT);
    assert!(served.ask(guest, &fatter).await.metadata.truncation);
    assert_eq!(served.ask_by_tcp(guest, &fatter).await.answers.len(), 40);
}

#[tokio::test]
async fn resolvers_are_asked_one_after_the_other() {
    let limits = Limits { resolver: Duration::from_millis(200), ..Limits::default() };
    let code = |code: ResponseCode| {
        move |asked: &Message, _: bool| {
            let mut told = answer(asked, &[]);
            told.metadata.response_code = code;
            vec![told.to_vec().unwrap()]
        }
    };
    let silent = Resolver::start(|_, _| vec![]).await;
    let refuses = Resolver::start(code(ResponseCode::Refused)).await;
    let knows = Resolver::start(|asked, _| vec![answer(asked, &["known"]).to_vec().unwrap()]).await;
    let nobody: SocketAddr = {
        // A port that was free a moment ago.
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let asked = question("www.example", RecordType::TXT);
    for (resolvers, expected) in [
        (vec![], ResponseCode::ServFail),
        (vec![nobody], ResponseCode::ServFail),
        (vec![silent.address], ResponseCode::ServFail),
        (vec![refuses.address], ResponseCode::Refused),
        (vec![silent.address, refuses.address, nobody], ResponseCode::Refused),
        (vec![nobody, silent.address, knows.address], ResponseCode::NoError),
    ] {
        let served = Served::start(resolvers.clone(), limits).await;
        let (_, guest) = served.guest().await;
        let told = served.ask(guest, &asked).await;
        assert_eq!(told.metadata.response_code, expected, "{resolvers:?}");
        assert_eq!((told.metadata.id, &told.queries), (asked.metadata.id, &asked.queries));
        if expected == ResponseCode::NoError {
            // The one that knew is asked first from then on.
            let before = silent.asked();
            assert_eq!(data(&served.ask(guest, &asked).await), ["known"]);
            assert_eq!(silent.asked(), before);
        }
    }
}

#[tokio::test]
async fn who_asks_too_much_harms_nobody_else() {
    let resolver = Resolver::start(|asked, _| match asked.queries[0].name().to_ascii().as_str() {
        "slow.example." => vec![],
        _ => vec![answer(asked, &["here"]).to_vec().unwrap()],
    })
    .await;
    let limits = Limits { questions_of_one: 4, resolver: PATIENCE, ..Limits::default() };
    let served = Served::start(vec![resolver.address], limits).await;
    let ((_, greedy), (_, modest)) = (served.guest().await, served.guest().await);
    let flood = UdpSocket::bind((greedy, 0)).await.unwrap();
    flood.connect(served.udp).await.unwrap();
    let slow = question("slow.example", RecordType::TXT);
    for _ in 0..10 {
        flood.send(&slow.to_vec().unwrap()).await.unwrap();
    }
    // Four wait, six are told so at once.
    let mut bytes = [0; 512];
    for _ in 0..6 {
        let length = timeout(PATIENCE, flood.recv(&mut bytes)).await.expect("a refusal in time").unwrap();
        let told = Message::from_vec(&bytes[..length]).unwrap();
        assert_eq!(told.metadata.response_code, ResponseCode::ServFail);
    }
    until("the four", || resolver.asked() == 4).await;
    let other = question("www.example", RecordType::TXT);
    assert_eq!(data(&served.ask(modest, &other).await), ["here"]);
    // Nor does it to itself, as far as its own network's names go.
    let asked = question(&own_name(modest), RecordType::A);
    assert_eq!(data(&served.ask(greedy, &asked).await), [modest.to_string()]);
    assert_eq!(served.ask(greedy, &other).await.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn connections_are_bounded_and_do_not_stand_idle() {
    let idle = Duration::from_millis(300);
    let limits = Limits { connections_of_one: 2, idle, ..Limits::default() };
    let served = Served::start(vec![], limits).await;
    let ((_, greedy), (_, modest)) = (served.guest().await, served.guest().await);
    let asked = question(&own_name(modest), RecordType::A);
    // Two that say nothing more after a question each, so that they are known to be there.
    let mut held = [served.connect(greedy).await, served.connect(greedy).await];
    for stream in &mut held {
        write(stream, &asked.to_vec().unwrap()).await;
        assert!(read(stream).await.is_some());
    }
    assert!(read(&mut served.connect(greedy).await).await.is_none(), "a third is closed");
    assert_eq!(data(&served.ask_by_tcp(modest, &asked).await), [modest.to_string()]);
    for stream in &mut held {
        assert!(timeout(PATIENCE, read(stream)).await.expect("it ends in time").is_none());
    }
    assert_eq!(data(&served.ask_by_tcp(greedy, &asked).await), [modest.to_string()]);
    // One that announces more than any question has.
    let mut stream = served.connect(greedy).await;
    stream.write_all(&[0xff, 0xff, 0]).await.unwrap();
    assert!(read(&mut stream).await.is_none());
    let name = RData::A(A(modest));
    assert_eq!(served.ask(greedy, &asked).await.answers[0].data, name);
}
