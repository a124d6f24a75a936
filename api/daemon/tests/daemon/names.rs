//! What guests find on their routers: names of their own network only, everything else from the host's resolver, the time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use native_api::{Instance, InstanceId, Operation};
use serde_json::json;

use crate::guest::Guest;
use crate::node::{PATIENCE, in_namespace, until};
use crate::story::Story;

/// How long one answer is waited for before it is asked again: a wire takes a moment to come up, and loses what is too much.
const ANSWER: Duration = Duration::from_secs(2);

/// The host's resolver, played by the test: it knows all names, and has one answer for them that is too long for UDP if the
/// name begins with `long`.
struct Resolver {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Resolver {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (udp, tcp) =
            (UdpSocket::bind("127.0.0.1:53").unwrap(), TcpListener::bind("127.0.0.1:53").unwrap());
        udp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let (over_udp, over_tcp) = (Arc::clone(&is_over), Arc::clone(&is_over));
        let by_udp = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !over_udp.load(Ordering::SeqCst) {
                let Ok((length, from)) = udp.recv_from(&mut bytes) else { continue };
                let answer = answer(&bytes[..length]);
                let answer = if answer.answers.len() > 1 { answer.truncate() } else { answer };
                udp.send_to(&answer.to_vec().unwrap(), from).unwrap();
            }
        });
        let by_tcp = std::thread::spawn(move || {
            while !over_tcp.load(Ordering::SeqCst) {
                match tcp.accept() {
                    Ok((mut stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        let asked = read(&mut stream);
                        write(&mut stream, &answer(&asked).to_vec().unwrap());
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        Self { is_over, threads: vec![by_udp, by_tcp] }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

fn answer(asked: &[u8]) -> Message {
    let mut answer = Message::from_vec(asked).unwrap().into_response();
    answer.metadata.recursion_available = true;
    let name = answer.queries[0].name().clone();
    let count = if name.to_ascii().starts_with("long") { 40 } else { 1 };
    let text = || RData::TXT(TXT::new(vec!["the host's resolver knows this name and no other".to_owned()]));
    answer.answers = (0..count).map(|_| Record::from_rdata(name.clone(), 60, text())).collect();
    answer
}

fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn write(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, message].concat()).unwrap();
}

fn question(name: &str) -> Vec<u8> {
    let kind = match name {
        name if name.ends_with(".arpa") => RecordType::PTR,
        name if name.ends_with(".internal") => RecordType::A,
        _ => RecordType::TXT,
    };
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message.to_vec().unwrap()
}

fn said(answer: &Message) -> Vec<String> {
    answer.answers.iter().map(|record| record.data.to_string()).collect()
}

impl Guest {
    /// Sends to a port of the router until there is an answer.
    fn exchange(&self, port: u16, message: Vec<u8>) -> Vec<u8> {
        let router = self.router;
        self.run(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect((router, port)).unwrap();
            socket.set_read_timeout(Some(ANSWER)).unwrap();
            let (began, mut bytes) = (Instant::now(), [0; 4096]);
            loop {
                // While the daemon is away, nobody has the port.
                let sent = socket.send(&message);
                if let Ok(length) = sent.and_then(|_| socket.recv(&mut bytes)) {
                    return bytes[..length].to_vec();
                }
                assert!(began.elapsed() < PATIENCE, "the router never answers at {port}");
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    }

    fn ask(&self, name: &str) -> Message {
        Message::from_vec(&self.exchange(53, question(name))).unwrap()
    }

    fn ask_by_tcp(&self, name: &str) -> Message {
        let (router, asked) = (self.router, question(name));
        let told = self.run(move || {
            let mut stream = TcpStream::connect((router, 53)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write(&mut stream, &asked);
            read(&mut stream)
        });
        Message::from_vec(&told).unwrap()
    }
}

/// A host that passes questions on to the test's resolver.
fn story() -> Story {
    let story = Story::new([]);
    let text = std::fs::read_to_string(story.node.config()).unwrap();
    let network = "[network]\npublic_addresses = ['203.0.113.0/29']\nresolvers = ['127.0.0.1']\n";
    std::fs::write(story.node.config(), text + network).unwrap();
    story
}

/// A VPC of this name with a subnet.
async fn vpc(story: &mut Story, name: &str, private: bool) -> (String, String) {
    let vpc = json!({"name": name, "cidr": "10.0.0.0/16"});
    let vpc = story.create_once("vpc", Operation::CreateVpc, vpc).await;
    let subnet = json!({"name": name, "vpc": vpc, "cidr": "10.0.1.0/24", "private": private});
    let subnet = story.create_once("subnet", Operation::CreateSubnet, subnet).await;
    (vpc, subnet)
}

async fn launched(story: &mut Story, request: serde_json::Value) -> Instance {
    let ids: Vec<InstanceId> = story.launch(request).await;
    story.runs(&ids[0]).await;
    story.instance(&ids[0]).await
}

#[test]
fn guests_ask_their_routers() {
    in_namespace(|| async {
        let resolver = Resolver::start();
        let mut story = story();
        story.start_for_good().await;
        let image = story.import_disk("disk").await;
        let (one, subnet_one) = vpc(&mut story, "one", false).await;
        let (_, subnet_two) = vpc(&mut story, "two", true).await;
        let request = |subnet: &str, name: &str| {
            json!({"image": image, "instance_type": "tiny", "subnet": subnet, "host_name": name,
                "private_address": "10.0.1.5"})
        };
        let mut public = request(&subnet_one, "one");
        public["public_address"] = json!(true);
        let in_one = launched(&mut story, public).await;
        let in_two = launched(&mut story, request(&subnet_two, "two")).await;
        let plain = launched(&mut story, json!({"image": image, "instance_type": "tiny"})).await;
        let first = story.play(&in_one.id).await;
        let second = story.play(&in_two.id).await;
        let third = story.play(&plain.id).await;

        // Both have the same address, and each its own name.
        for (guest, own, other) in [(&first, "one", "two"), (&second, "two", "one")] {
            let own = format!("{own}.local.compute.internal");
            assert_eq!(said(&guest.ask(&own)), ["10.0.1.5"]);
            assert_eq!(said(&guest.ask_by_tcp(&own)), ["10.0.1.5"]);
            assert_eq!(said(&guest.ask("ip-10-0-1-5.local.compute.internal")), ["10.0.1.5"]);
            assert_eq!(said(&guest.ask("5.1.0.10.in-addr.arpa")), [format!("{own}.")]);
            let unknown = guest.ask(&format!("{other}.local.compute.internal"));
            assert_eq!(unknown.metadata.response_code, ResponseCode::NXDomain);
        }
        let own = format!("{}.local.compute.internal", plain.host_name);
        assert_eq!(said(&third.ask(&own)), [third.address.to_string()]);
        assert_eq!(third.ask("one.local.compute.internal").metadata.response_code, ResponseCode::NXDomain);
        // A public name leads inside from inside only.
        let public = in_one.public_address.unwrap();
        let name = format!("ec2-{}.public.local.compute.internal", public.to_string().replace('.', "-"));
        assert_eq!(said(&first.ask(&name)), ["10.0.1.5"]);
        assert_eq!(said(&second.ask(&name)), [public.to_string()]);
        assert_eq!(said(&third.ask(&name)), [public.to_string()]);

        // What is not ours is the resolver's, too long or not, and also in a private subnet; nothing of it where there is none.
        for guest in [&first, &second, &third] {
            assert_eq!(guest.ask("www.example").answers.len(), 1);
            let short = guest.ask("long.example");
            assert!(short.metadata.truncation && short.answers.is_empty());
            assert_eq!(guest.ask_by_tcp("long.example").answers.len(), 40);
        }
        resolver.end();
        assert_eq!(first.ask("www.example").metadata.response_code, ResponseCode::ServFail);
        assert_eq!(second.ask_by_tcp("www.example").metadata.response_code, ResponseCode::ServFail);
        assert_eq!(said(&first.ask("one.local.compute.internal")), ["10.0.1.5"]);

        // The time, to the second.
        let mut asked = vec![0; 48];
        asked[0] = 0x23;
        for guest in [&first, &third] {
            let told = guest.exchange(123, asked.clone());
            let seconds = u32::from_be_bytes(told[40..44].try_into().unwrap());
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 2_208_988_800;
            assert!((now as u32).wrapping_sub(seconds) < 60, "{seconds} at {now}");
        }

        // The next daemon serves them again, and knows what it is told meanwhile.
        story.node.kill().await;
        story.start_for_good().await;
        assert_eq!(said(&second.ask("two.local.compute.internal")), ["10.0.1.5"]);
        let mut late = request(&subnet_two, "late");
        late["private_address"] = json!("10.0.1.6");
        launched(&mut story, late).await;
        until("the name of a new one", || {
            (said(&second.ask("late.local.compute.internal")) == ["10.0.1.6"]).then_some(())
        })
        .await;
        assert_eq!(first.ask("late.local.compute.internal").metadata.response_code, ResponseCode::NXDomain);
        drop((first, second, third));

        // With the VPC goes what serves it.
        story
            .act(&in_one.id, Operation::TerminateInstance, false, native_api::InstanceState::Terminated)
            .await;
        story.delete("subnet", &subnet_one).await;
        story.delete("vpc", &one).await;
        story.end().await;
    });
}

#[test]
fn guests_are_told_their_router_and_what_is_told_is_chosen() {
    in_namespace(|| async {
        let mut story = story();
        story.start_for_good().await;
        let image = story.import_disk("disk").await;
        let (_, subnet) = vpc(&mut story, "one", false).await;
        let request = json!({"image": image, "instance_type": "tiny", "subnet": subnet, "host_name": "web"});
        let told = async |story: &Story, instance: &Instance| {
            let socket = story.node.path().join("run/vmms").join(instance.id.as_str()).join("control");
            let vm = vmm_api::Client::new(socket).info().await.unwrap();
            vm.config.unwrap().nics.remove(0).dhcp.unwrap()
        };
        let instance = launched(&mut story, request.clone()).await;
        let dhcp = told(&story, &instance).await;
        let router = Ipv4Addr::new(10, 0, 1, 1);
        assert_eq!((dhcp.router, &dhcp.dns[..]), (router, &[router][..]));
        assert_eq!(
            (dhcp.host_name.as_deref(), dhcp.domain.as_deref()),
            (Some("web"), Some("local.compute.internal"))
        );
        // The router's time is worth what the host's is.
        assert_eq!(dhcp.ntp, if hostnet::clock_is_kept() { vec![router] } else { vec![] });

        let text = std::fs::read_to_string(story.node.config()).unwrap();
        let chosen = "dns = ['192.0.2.53']\nntp = ['192.0.2.123']\ninternal_domain = 'lan'\n";
        std::fs::write(story.node.config(), text + chosen).unwrap();
        story.stop().await;
        story.start_for_good().await;
        let instance = launched(&mut story, request).await;
        let dhcp = told(&story, &instance).await;
        assert_eq!(dhcp.dns, ["192.0.2.53".parse::<Ipv4Addr>().unwrap()]);
        assert_eq!(dhcp.ntp, ["192.0.2.123".parse::<Ipv4Addr>().unwrap()]);
        assert_eq!(dhcp.domain.as_deref(), Some("lan"));
        story.end().await;
    });
}

#[test]
fn a_flood_harms_only_who_floods() {
    in_namespace(|| async {
        let resolver = Resolver::start();
        let mut story = story();
        story.start_for_good().await;
        let image = story.import_disk("disk").await;
        let (_, subnet) = vpc(&mut story, "one", false).await;
        let request = json!({"image": image, "instance_type": "tiny", "subnet": subnet});
        let (greedy, modest) =
            (launched(&mut story, request.clone()).await, launched(&mut story, request).await);
        let plain = launched(&mut story, json!({"image": image, "instance_type": "tiny"})).await;
        let greedy = story.play(&greedy.id).await;
        let modest = story.play(&modest.id).await;
        let plain = story.play(&plain.id).await;
        for guest in [&greedy, &modest, &plain] {
            assert_eq!(guest.ask("www.example").answers.len(), 1, "before");
        }

        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let router = greedy.router;
        let flood = greedy.spawn(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let to = (router, 53);
            let messages = [question("www.example"), question("local.compute.internal"), vec![0xff; 1200]];
            let mut sent = 0_u64;
            while !ends.load(Ordering::SeqCst) {
                for message in &messages {
                    sent += u64::from(socket.send_to(message, to).is_ok());
                }
            }
            sent
        });
        let began = Instant::now();
        let mut slowest = Duration::ZERO;
        for number in 0..200 {
            for guest in [&modest, &plain] {
                let asked = Instant::now();
                let own =
                    format!("ip-{}.local.compute.internal", guest.address.to_string().replace('.', "-"));
                assert_eq!(said(&guest.ask(&own)), [guest.address.to_string()], "{number}");
                assert_eq!(guest.ask(&format!("{number}.example")).answers.len(), 1);
                slowest = slowest.max(asked.elapsed());
            }
        }
        let took = began.elapsed();
        is_over.store(true, Ordering::SeqCst);
        let sent = flood.join().unwrap();
        eprintln!("{sent} datagrams in {took:?}; two questions of another took {slowest:?} at most");
        assert!(sent > 1024, "that was no flood");
        assert_eq!(greedy.ask("www.example").answers.len(), 1, "afterwards");
        drop((greedy, modest, plain));
        resolver.end();
        story.end().await;
    });
}

#[test]
fn a_port_that_is_taken_stops_no_launch() {
    in_namespace(|| async {
        // Whoever serves names at all addresses of a host serves them at the router's as well.
        let taken = UdpSocket::bind("0.0.0.0:53").unwrap();
        let mut story = story();
        story.start_for_good().await;
        let image = story.import_disk("disk").await;
        let plain = launched(&mut story, json!({"image": image, "instance_type": "tiny"})).await;
        let log = story.node.log();
        assert!(log.contains("guests ask for names in vain") && log.contains("10.98.0.1"), "{log}");
        // A VPC is none of theirs.
        let (_, subnet) = vpc(&mut story, "one", false).await;
        let request = json!({"image": image, "instance_type": "tiny", "subnet": subnet, "host_name": "web"});
        let inside = launched(&mut story, request).await;
        let inside = story.play(&inside.id).await;
        assert_eq!(said(&inside.ask("web.local.compute.internal")), [inside.address.to_string()]);
        drop(taken);
        let guest = story.play(&plain.id).await;
        let own = format!("{}.local.compute.internal", plain.host_name);
        assert_eq!(said(&guest.ask(&own)), [guest.address.to_string()]);
        drop((inside, guest));
        story.end().await;
    });
}
