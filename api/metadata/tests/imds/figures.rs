//! How fast it answers: printed, not judged. Run by `cargo test -p metadata figures -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use compute::resource::Cloud;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{Host, TRUST};

const CONNECTIONS: usize = 8;
const REQUESTS: usize = 2000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and says nothing of right and wrong"]
async fn requests_per_second() {
    let host = Host::start().await;
    host.role(TRUST).await;
    let (_, guest) = host.guest(host.request(Cloud::Native)).await;
    let token = guest.token("21600").await;
    for path in [
        "/latest/meta-data/instance-id",
        "/latest/meta-data/",
        "/latest/user-data",
        "/latest/meta-data/iam/security-credentials/EcsRamRoleTest",
        "/openstack/latest/meta_data.json",
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token: {token}\r\n\r\n");
        let began = Instant::now();
        let clients = (0..CONNECTIONS).map(|_| {
            let (guest, head) = (guest.clone(), head.clone());
            tokio::spawn(async move {
                let mut stream = guest.connect().await;
                let (mut times, mut bytes) = (Vec::with_capacity(REQUESTS), vec![0; 64 << 10]);
                for _ in 0..REQUESTS {
                    let began = Instant::now();
                    stream.write_all(head.as_bytes()).await.unwrap();
                    assert!(stream.read(&mut bytes).await.unwrap() > 0);
                    assert!(bytes.starts_with(b"HTTP/1.1 200"));
                    times.push(began.elapsed());
                }
                times
            })
        });
        let mut times: Vec<Duration> = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            times.extend(client.await.unwrap());
        }
        let took = began.elapsed();
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100];
        let rate = times.len() as f64 / took.as_secs_f64();
        println!("{path}: {rate:.0} requests/s, median {:?}, p99 {:?}", at(50), at(99));
    }
}
