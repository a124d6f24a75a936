//! How fast a network interface is: a TCP stream each way by iperf3 between guest and host over a tap, and the time that
//! one byte takes to the guest and back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::guest::{Guest, PATIENCE};
use super::peers::Peer;
use super::table::{
    Better::{Less, More},
    Sample, median,
};
use super::tap::GUEST_ADDRESS;
use super::{Place, machine};

const ECHO_PORT: u16 = 7;
const END_PORT: u16 = 9;

/// Seconds of each stream, and before that without being counted.
const RUNTIME: u32 = 4;
const RAMP: u32 = 1;

/// Bytes sent back and forth, and before that without being counted.
const ROUND_TRIPS: usize = 2000;
const WARM_UP: usize = 100;

/// Serves iperf3 and an echo, until somebody connects to the last port.
fn script() -> String {
    format!(
        "ip addr add {GUEST_ADDRESS}/24 dev eth0; ip link set eth0 up
        /usr/bin/iperf3 -s >/dev/null 2>&1 &
        nc -ll -p {ECHO_PORT} -e cat &
        nc -l -p {END_PORT} </dev/null >/dev/null &
        end=$!
        for port in 5201 {ECHO_PORT} {END_PORT}; do
            until netstat -ltn | grep -q \":$port \"; do usleep 50000; done
        done
        echo BENCH-READY
        wait $end"
    )
}

/// Both streams and the round trips with one guest.
pub fn measure(place: &Place, peer: &Peer) -> anyhow::Result<Vec<Sample>> {
    let mut machine = machine(place, &place.initrd_with_tools, "quiet", &script());
    machine.memory_mib = 512;
    let mut guest = Guest::start(peer, &machine, &place.vmm)?;
    guest.wait_line("BENCH-READY")?;
    let to_guest = stream(&[])?;
    let from_guest = stream(&["--reverse"])?;
    let round_trips = round_trips().context("sending bytes back and forth")?;
    let slowest = &round_trips[round_trips.len() * 99 / 100..];
    let mut samples = vec![
        Sample::new("TCP to the guest", "Mbit/s", More, to_guest),
        Sample::new("TCP from the guest", "Mbit/s", More, from_guest),
    ];
    let p99 = slowest.first().copied();
    for (name, value) in [("median", median(&round_trips)), ("99 %", p99)] {
        let value = value.context("no round trips")?;
        samples.push(Sample::new(format!("TCP round trip, {name}"), "µs", Less, value));
    }
    connect(END_PORT).context("telling the guest to end")?;
    guest.wait_exit()?;
    Ok(samples)
}

/// Mbit/s of one TCP stream, as its receiver counts.
fn stream(options: &[&str]) -> anyhow::Result<f64> {
    let output = Command::new("timeout")
        .arg(PATIENCE.as_secs().to_string())
        .args(["iperf3", "--json", "--client", GUEST_ADDRESS, "--time", &RUNTIME.to_string()])
        .args(["--omit", &RAMP.to_string()])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .context("running iperf3")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "iperf3 failed ({}): {text}", output.status);
    let report: serde_json::Value = serde_json::from_str(&text).context("reading iperf3's report")?;
    let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
    Ok(bits.with_context(|| format!("iperf3 counted nothing: {text}"))? / 1e6)
}

/// Times of round trips in µs, sorted.
fn round_trips() -> anyhow::Result<Vec<f64>> {
    let mut stream = connect(ECHO_PORT)?;
    stream.set_nodelay(true)?;
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for index in 0..WARM_UP + ROUND_TRIPS {
        let started = Instant::now();
        stream.write_all(b".")?;
        stream.read_exact(&mut [0])?;
        if index >= WARM_UP {
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn connect(port: u16) -> anyhow::Result<TcpStream> {
    let address = SocketAddr::new(GUEST_ADDRESS.parse().context("no address")?, port);
    let stream = TcpStream::connect_timeout(&address, PATIENCE).context("connecting to the guest")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}
