//! Two guests of one program, on routed taps of a VPC: TCP streams and small packets from each to the other, and the round trip
//! of a datagram. What they send passes a router and a security group that allows it.

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
    let (to_first, to_second) = (nics[0].address, nics[1].address);

    let mut samples = Vec::new();
    for way in [Way::Up, Way::Down] {
        let stream = load::stream(&first, to_second, way)?;
        samples.push(Sample::new("TCP guest to guest", "Mbit/s", More, stream));
    }
    for (from, to, address) in [(&first, &second, to_second), (&second, &first, to_first)] {
        let packets = load::packets(from, to, address)?;
        samples.push(Sample::new("packets guest to guest", "1/s", More, packets));
    }
    let round_trips = load::round_trips(&first, to_second)?;
    for (name, value) in ["median", "99 %"].into_iter().zip(round_trips) {
        samples.push(Sample::new(format!("UDP round trip guest to guest, {name}"), "µs", Less, value));
    }
    for end in [first, second] {
        end.end()?;
    }
    for guest in guests {
        guest.wait_exit()?;
    }
    Ok(samples)
}
