//! Two guests of one program, on routed taps of a VPC: TCP streams and small packets from each to the other, and the round trip
//! of a datagram. What they send passes a router and a security group that allows it.

use std::net::Ipv4Addr;

use anyhow::Context;

use super::super::guest::Guest;
use super::super::peers::{Nic, Peer};
use super::super::table::{
    Better::{Less, More},
    Sample,
};
use super::super::{Place, machine};
use super::ends::{self, End};
use super::load::{self, Way};
use super::routed::Routed;

/// All of it. Both directions are the same to a program, and so a sample each of the same figure.
pub fn measure(place: &Place, peer: &Peer) -> anyhow::Result<Vec<Sample>> {
    let routed = Routed::new()?;
    let nics = routed.nics();
    let start = |nic: &Nic| {
        let mut machine = machine(place, &place.initrd_with_tools, "quiet", &ends::script(nic.address));
        machine.memory_mib = 512;
        machine.nic = nic.clone();
        // Of one file there can be only one writer.
        machine.disks.clear();
        Guest::start(peer, &machine, &place.vmm)
    };
    let mut guests = [start(&nics[0])?, start(&nics[1])?];
    let [first, second] = &mut guests;
    let first = End::guest(first, Box::new(|port| routed.connect(&nics[0], port)))?;
    let second = End::guest(second, Box::new(|port| routed.connect(&nics[1], port)))?;
    let samples = between([(&first, nics[0].address), (&second, nics[1].address)]);
    let samples = samples.with_context(|| guests.each_mut().map(Guest::last_words).join("\n"))?;
    for guest in guests {
        guest.wait_exit()?;
    }
    Ok(samples)
}

fn between(
    [(first, at_first), (second, at_second)]: [(&End<'_>, Ipv4Addr); 2],
) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for way in [Way::Up, Way::Down] {
        let stream = load::stream(first, at_second, way)?;
        samples.push(Sample::new("TCP guest to guest", "Mbit/s", More, stream));
    }
    for (from, to, address) in [(first, second, at_second), (second, first, at_first)] {
        let packets = load::packets(from, to, address)?;
        samples.push(Sample::new("packets guest to guest", "1/s", More, packets));
    }
    let round_trips = load::round_trips(first, at_second)?;
    for (name, value) in ["median", "99 %"].into_iter().zip(round_trips) {
        samples.push(Sample::new(format!("UDP round trip guest to guest, {name}"), "µs", Less, value));
    }
    for end in [first, second] {
        end.end()?;
    }
    Ok(samples)
}
