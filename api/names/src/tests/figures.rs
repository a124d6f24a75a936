//! How fast it answers: printed, not judged. Run by `cargo test -p names figures -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use super::exchange::Served;
use super::world::question;
use crate::Limits;

const CLIENTS: usize = 4;
const QUESTIONS: usize = 20_000;
const NEIGHBOURS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and says nothing of right and wrong"]
async fn questions_per_second() {
    let served = Served::start(vec![], Limits::default()).await;
    for _ in 0..NEIGHBOURS {
        served.guest().await;
    }
    let (_, guest) = served.guest().await;
    let dashed = guest.to_string().replace('.', "-");
    let [a, b, c, d] = guest.octets();
    for (name, kind) in [
        (format!("ip-{dashed}.eu.compute.internal"), RecordType::A),
        (format!("{d}.{c}.{b}.{a}.in-addr.arpa"), RecordType::PTR),
        ("nobody.eu.compute.internal".to_owned(), RecordType::A),
    ] {
        let asked = question(&name, kind).to_vec().unwrap();
        let began = Instant::now();
        // Threads, which wait for nothing but their answers.
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (asked, to) = (asked.clone(), served.udp);
                std::thread::spawn(move || {
                    let socket = std::net::UdpSocket::bind((guest, 0)).unwrap();
                    socket.connect(to).unwrap();
                    let mut bytes = [0; 512];
                    let ask = |bytes: &mut [u8]| {
                        let began = Instant::now();
                        socket.send(&asked).unwrap();
                        assert!(socket.recv(bytes).unwrap() > asked.len());
                        began.elapsed()
                    };
                    (0..QUESTIONS).map(|_| ask(&mut bytes)).collect::<Vec<Duration>>()
                })
            })
            .collect();
        let mut times: Vec<Duration> =
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        let took = began.elapsed();
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100];
        let rate = times.len() as f64 / took.as_secs_f64();
        println!("{name}: {rate:.0} questions/s, median {:?}, p99 {:?}", at(50), at(99));
    }
}
