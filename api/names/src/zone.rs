//! What there is by a name, for who asks: a pure function of what `directory` knows.

use std::net::Ipv4Addr;

use compute::compute::Config;
use compute::dns::{Domains, mac_address, private_address, public_address};
use compute::id::VpcId;
use compute::resource::NetworkOf;
use hickory_proto::rr::rdata::{A, PTR, SOA};
use hickory_proto::rr::{Name, RData};
use ipnet::Ipv4Net;

use crate::directory::{Placed, Tables};

/// How long an answer may be remembered, in seconds: a public address may lead elsewhere a moment later.
pub const TTL_S: u32 = 30;
/// How long it may be remembered that there is no such name, in seconds: it may be launched a moment later.
pub const NEGATIVE_TTL_S: u32 = 5;

/// How secondaries would be told to follow a zone; there are none.
const REFRESH_S: i32 = 3600;
const RETRY_S: i32 = 600;
const EXPIRE_S: i32 = 86400;

/// Our zones, the same in all networks but for reverses.
pub struct Zones {
    domains: Domains,
    /// Their apexes, the longer ones first: one may be below another.
    forward: Vec<(Name, Kind)>,
    pool: Vec<Ipv4Net>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Internal,
    Public,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// In which network.
    pub network: NetworkOf,
    /// The network's addresses.
    pub cidr: Ipv4Net,
    /// Of which VPC.
    pub vpc: VpcId,
}

/// What there is by a name of ours: of whatever type.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The zone's apex.
    pub apex: Name,
    /// `None` where there is no such name.
    pub data: Option<Vec<RData>>,
}

impl Zones {
    /// Those of a host.
    pub fn new(config: &Config) -> Self {
        let domains = &config.domains;
        let internal = domains.all_internal().map(|domain| (name(domain), Kind::Internal));
        let mut forward: Vec<(Name, Kind)> = internal.into();
        forward.push((name(domains.public()), Kind::Public));
        forward.sort_by_key(|(apex, _)| std::cmp::Reverse(apex.num_labels()));
        Self { domains: domains.clone(), forward, pool: config.public_addresses.clone() }
    }

    /// What there is by a name; `None` where it is in no zone of ours.
    pub fn find(&self, tables: &Tables, asker: &Asker, asked: &Name) -> Option<Found> {
        if let Some((apex, kind)) = self.forward.iter().find(|(apex, _)| apex.zone_of(asked)) {
            let data = match labels_below(apex, asked)[..] {
                [] => Some(vec![RData::SOA(soa(apex))]),
                [label] => {
                    let address = std::str::from_utf8(label).ok().and_then(|label| match kind {
                        Kind::Internal => internal(tables, asker, label),
                        Kind::Public => public(tables, asker, label),
                    });
                    address.map(|address| vec![RData::A(A(address))])
                }
                _ => None,
            };
            return Some(Found { apex: apex.clone(), data });
        }
        let reverse = Reverse::read(asked)?;
        let zone = [asker.cidr]
            .into_iter()
            .chain(self.pool.iter().copied())
            .find(|net| net.contains(&reverse.net))?;
        let apex = reverse_apex(zone, reverse.net.addr());
        let data = match reverse {
            Reverse { below: true, .. } => None,
            // Nothing by itself, but there is something below it.
            Reverse { net, .. } if net.prefix_len() < 32 => {
                Some(if apex == *asked { vec![RData::SOA(soa(&apex))] } else { Vec::new() })
            }
            Reverse { net, .. } => {
                let name_of = self.name_of(tables, asker, net.addr());
                name_of.map(|name_of| vec![RData::PTR(PTR(name(&name_of)))])
            }
        };
        Some(Found { apex, data })
    }

    fn name_of(&self, tables: &Tables, asker: &Asker, address: Ipv4Addr) -> Option<String> {
        match tables.at(asker.network, address) {
            Some(placed) => Some(tables.name_of(placed, asker.vpc)),
            None => tables.public(address).map(|_| self.domains.of_public(address)),
        }
    }
}

fn internal(tables: &Tables, asker: &Asker, label: &str) -> Option<Ipv4Addr> {
    // Names by addresses go before those that users choose.
    let found: Option<&Placed> = if let Some(address) = private_address(label) {
        tables.at(asker.network, address)
    } else if let Some(mac) = mac_address(label) {
        tables.with_mac(asker.network, mac)
    } else {
        tables.with_host_name(asker.vpc, &label.to_ascii_lowercase())
    };
    found.map(|placed| placed.address)
}

fn public(tables: &Tables, asker: &Asker, label: &str) -> Option<Ipv4Addr> {
    let address = public_address(label)?;
    let inside = tables.public(address)?.filter(|placed| placed.network == asker.network);
    Some(inside.map_or(address, |placed| placed.address))
}

/// The start of authority of a zone.
pub fn soa(apex: &Name) -> SOA {
    let responsible = apex.prepend_label("hostmaster").unwrap_or_else(|_| apex.clone());
    let minimum = NEGATIVE_TTL_S;
    // Its contents change without a number: nobody copies them.
    SOA::new(apex.clone(), responsible, 1, REFRESH_S, RETRY_S, EXPIRE_S, minimum)
}

/// A name below `in-addr.arpa`: the address, or the part of one, that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reverse {
    /// All addresses that it may be for.
    net: Ipv4Net,
    /// It is below that, and for nothing.
    below: bool,
}

impl Reverse {
    fn read(asked: &Name) -> Option<Self> {
        let mut labels = asked.iter().rev();
        let mut is =
            |word: &str| labels.next().is_some_and(|label| label.eq_ignore_ascii_case(word.as_bytes()));
        if !is("arpa") || !is("in-addr") {
            return None;
        }
        let mut octets = [0; 4];
        let mut bits = 0;
        for octet in &mut octets {
            let Some(label) = labels.next() else { break };
            let Some(number) = octet_of(label) else {
                let net = Ipv4Net::new(octets.into(), bits).ok()?;
                return Some(Self { net, below: true });
            };
            *octet = number;
            bits += 8;
        }
        Some(Self { net: Ipv4Net::new(octets.into(), bits).ok()?, below: labels.next().is_some() })
    }
}

/// A decimal number as it is written in reverses, and no other way.
fn octet_of(label: &[u8]) -> Option<u8> {
    let number: u8 = std::str::from_utf8(label).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == label).then_some(number)
}

/// The apex of the reverse zone of an address within these: whole octets, of which the last is none of the apex.
fn reverse_apex(within: Ipv4Net, address: Ipv4Addr) -> Name {
    let octets = usize::from(within.prefix_len().div_ceil(8)).min(3);
    let labels: Vec<String> = address.octets()[..octets].iter().rev().map(u8::to_string).collect();
    name(&format!("{}.in-addr.arpa", labels.join(".")))
}

/// The labels that a name has before an apex that is its end.
fn labels_below<'a>(apex: &Name, name: &'a Name) -> Vec<&'a [u8]> {
    // Not as `num_labels` counts, for which an asterisk is none.
    let below = name.iter().count().saturating_sub(apex.iter().count());
    name.iter().take(below).collect()
}

/// A name of ours, absolute.
fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap_or_default();
    name.set_fqdn(true);
    name
}
