//! A guest and the host: TCP streams and small packets over a tap both ways, and the time that one byte takes to the guest
//! and back; where the guest has a metadata service, also to the guest, on to that service, and back the whole way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::super::guest::{Guest, PATIENCE};
use super::super::peers::{Nic, Peer, Start};
use super::super::table::{
    Better::{Less, More},
    Sample, median,
};
use super::super::{Place, TAP, machine, tap};
use super::ends::{self, ECHO_PORT, End, RELAY_PORT};
use super::load::{self, Way};

/// Bytes sent back and forth, and before that without being counted.
const ROUND_TRIPS: usize = 2000;
const WARM_UP: usize = 100;

/// All of it with one guest.
pub fn measure(place: &Place, peer: &Peer) -> anyhow::Result<Vec<Sample>> {
    let nic = tap::nic(TAP);
    let mut machine = machine(place, &place.initrd_with_tools, "quiet", &ends::script(nic.address));
    machine.memory_mib = 512;
    let host = End::host(&nic.tap)?;
    let mut guest = Guest::start(peer, &machine, &place.vmm)?;
    let end = End::guest(&mut guest, Box::new(|port| connect(&nic, port)))?;
    let samples = between(peer, &nic, &host, &end).with_context(|| guest.last_words())?;
    guest.wait_exit()?;
    Ok(samples)
}

fn between(peer: &Peer, nic: &Nic, host: &End<'_>, guest: &End<'_>) -> anyhow::Result<Vec<Sample>> {
    let mut samples = vec![
        Sample::new("TCP to the guest", "Mbit/s", More, load::stream(host, nic.address, Way::Up)?),
        Sample::new("TCP from the guest", "Mbit/s", More, load::stream(host, nic.address, Way::Down)?),
        Sample::new("packets to the guest", "1/s", More, load::packets(host, guest, nic.address)?),
        Sample::new("packets from the guest", "1/s", More, load::packets(guest, host, nic.router)?),
    ];
    let mut ways = vec![("TCP round trip", ECHO_PORT)];
    if matches!(peer.start, Start::Control) {
        ways.push(("TCP round trip by the metadata relay", RELAY_PORT));
    }
    for (way, port) in ways {
        let round_trips = round_trips(nic, port).with_context(|| format!("timing the {way}"))?;
        let slowest = &round_trips[round_trips.len() * 99 / 100..];
        for (name, value) in [("median", median(&round_trips)), ("99 %", slowest.first().copied())] {
            let value = value.context("no round trips")?;
            samples.push(Sample::new(format!("{way}, {name}"), "µs", Less, value));
        }
    }
    guest.end()?;
    Ok(samples)
}

/// Times of round trips in µs, sorted.
fn round_trips(nic: &Nic, port: u16) -> anyhow::Result<Vec<f64>> {
    let mut stream = connect(nic, port)?;
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

fn connect(nic: &Nic, port: u16) -> anyhow::Result<TcpStream> {
    let address = SocketAddr::new(nic.address.into(), port);
    let stream = TcpStream::connect_timeout(&address, PATIENCE).context("connecting to the guest")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}
