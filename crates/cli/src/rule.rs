//! Rules of security groups as people write them: `tcp 22 from 0.0.0.0/0`, `all from group web`, `udp 53 to 10.0.0.2`.
//!
//! Ports are those of the side that is connected to; of ICMP it is a type, or a type and a code, as `icmp 3/4`.

use std::net::Ipv4Addr;

use native_api::{
    Cidr, Direction, Peer, PortNumber, PortRange, Priority, Protocol, SecurityGroupId, SecurityRule, Verdict,
};

/// What the API writes for every code of an ICMP type.
const ANY_CODE: u16 = u16::MAX;

/// A rule as it was written: of groups only their names may be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    direction: Direction,
    protocol: Protocol,
    ports: Option<PortRange>,
    /// Who is at the other end.
    pub peer: WrittenPeer,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenPeer {
    /// Addresses.
    Cidr(Cidr),
    /// A group, by its name or id.
    Group(String),
}

impl Written {
    /// Whatever members send.
    pub fn all_out() -> Self {
        let everybody = "0.0.0.0/0".parse().expect("it is a range");
        let peer = WrittenPeer::Cidr(everybody);
        Self { direction: Direction::Egress, protocol: Protocol::All, ports: None, peer }
    }

    /// Whether it is about what members send.
    pub fn is_egress(&self) -> bool {
        self.direction == Direction::Egress
    }

    /// As the API has it, once it is known who the peer is.
    pub fn rule(&self, peer: Peer) -> SecurityRule {
        SecurityRule {
            direction: self.direction,
            protocol: self.protocol,
            ports: self.ports,
            peer,
            verdict: Verdict::default(),
            priority: Priority::default(),
            description: None,
        }
    }
}

/// Reads rules, with commas between them.
///
/// # Errors
/// One is none: what is wrong with it, in words.
pub fn parse(text: &str) -> Result<Vec<Written>, String> {
    text.split(',').map(|rule| one(rule.trim())).collect()
}

fn one(text: &str) -> Result<Written, String> {
    let wrong = |why: &str| Err(format!("{text:?} is no rule: {why}"));
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some(place) = words.iter().position(|word| ["from", "to"].contains(word)) else {
        return wrong("say from or to whom, as in tcp 22 from 0.0.0.0/0, or all from group web");
    };
    let direction = if words[place] == "from" { Direction::Ingress } else { Direction::Egress };
    let (what, whom) = (&words[..place], &words[place + 1..]);
    let protocol = match what.first() {
        Some(&"all") => Protocol::All,
        Some(&"tcp") => Protocol::Tcp,
        Some(&"udp") => Protocol::Udp,
        Some(&"icmp") => Protocol::Icmp,
        _ => return wrong("begin it with all, tcp, udp or icmp"),
    };
    let ports = match (protocol, &what[1..]) {
        (_, []) => None,
        (Protocol::Tcp | Protocol::Udp, [ports]) => match range(ports) {
            Some(range) => Some(range),
            None => return wrong("expected a port or a range of them, as 22 or 8000-8100"),
        },
        (Protocol::Icmp, [kind]) => match icmp(kind) {
            Some(range) => Some(range),
            None => return wrong("expected a type or a type and a code, as 8 or 3/4"),
        },
        (Protocol::All, _) => return wrong("all has no ports: say tcp or udp"),
        _ => return wrong("say one port or one range, and other rules for more"),
    };
    let peer = match whom {
        ["anywhere"] => Written::all_out().peer,
        ["group", name @ ..] if !name.is_empty() => WrittenPeer::Group(name.join(" ")),
        [id] if id.parse::<SecurityGroupId>().is_ok() => WrittenPeer::Group((*id).to_owned()),
        [addresses] => match cidr(addresses) {
            Some(cidr) => WrittenPeer::Cidr(cidr),
            None => return wrong("expected addresses, as 10.0.0.0/8 or 10.0.0.5, or group and its name"),
        },
        _ => return wrong("expected addresses, as 10.0.0.0/8 or 10.0.0.5, or group and its name"),
    };
    Ok(Written { direction, protocol, ports, peer })
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok()
}

fn ports(from: u16, to: u16) -> PortRange {
    let number = |port: u16| PortNumber::try_from(u64::from(port)).expect("every port is within bounds");
    PortRange { from: number(from), to: number(to) }
}

fn range(text: &str) -> Option<PortRange> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (port(from)?, port(to)?);
    (from <= to).then(|| ports(from, to))
}

fn icmp(text: &str) -> Option<PortRange> {
    let byte = |text: &str| text.parse::<u8>().ok().map(u16::from);
    match text.split_once('/') {
        Some((kind, code)) => Some(ports(byte(kind)?, byte(code)?)),
        None => Some(ports(byte(text)?, ANY_CODE)),
    }
}

fn cidr(text: &str) -> Option<Cidr> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) => format!("{address}/32").parse().ok(),
        Err(_) => text.parse().ok(),
    }
}

/// A rule in the same words; `name` knows what groups are called.
pub fn text(rule: &SecurityRule, name: impl Fn(&SecurityGroupId) -> Option<String>) -> String {
    let verdict = if rule.verdict == Verdict::Drop { "drop " } else { "" };
    let protocol = crate::output::word(&rule.protocol);
    let ports = match (rule.protocol, rule.ports.map(|ports| (ports.from.get(), ports.to.get()))) {
        (_, None) => String::new(),
        (Protocol::Icmp, Some((kind, ANY_CODE))) => format!(" {kind}"),
        (Protocol::Icmp, Some((kind, code))) => format!(" {kind}/{code}"),
        (_, Some((from, to))) if from == to => format!(" {from}"),
        (_, Some((from, to))) => format!(" {from}-{to}"),
    };
    let way = match rule.direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let peer = match &rule.peer {
        Peer::Cidr(cidr) => cidr.to_string(),
        Peer::SecurityGroup(id) => format!("group {}", name(id).unwrap_or_else(|| id.to_string())),
    };
    let rank = match rule.priority {
        priority if priority == Priority::default() => String::new(),
        priority => format!(", priority {priority}"),
    };
    format!("{verdict}{protocol}{ports} {way} {peer}{rank}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SecurityRule {
        let written = parse(text).expect(text).remove(0);
        let peer = match written.peer.clone() {
            WrittenPeer::Cidr(cidr) => Peer::Cidr(cidr),
            WrittenPeer::Group(_) => Peer::SecurityGroup("sg-1a2b3c4d".parse().unwrap()),
        };
        written.rule(peer)
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        for written in [
            "tcp 22 from 0.0.0.0/0",
            "tcp 8000-8100 from 10.0.0.0/8",
            "udp 53 to 10.0.0.2/32",
            "tcp to 10.0.0.0/8",
            "all from group web servers",
            "all to 0.0.0.0/0",
            "icmp from 0.0.0.0/0",
            "icmp 8 from 0.0.0.0/0",
            "icmp 3/4 to 0.0.0.0/0",
        ] {
            assert_eq!(text(&read(written), |_| Some("web servers".to_owned())), written);
        }
        for (written, meant) in [
            ("tcp  22  from anywhere", "tcp 22 from 0.0.0.0/0"),
            ("tcp 22 from 10.0.0.5", "tcp 22 from 10.0.0.5/32"),
            ("all from sg-1a2b3c4d", "all from group sg-1a2b3c4d"),
            ("tcp 22-22 from 10.0.0.0/8", "tcp 22 from 10.0.0.0/8"),
        ] {
            assert_eq!(text(&read(written), |_| None), meant, "{written}");
        }
        let two = parse("tcp 80 from anywhere, all to group db").unwrap();
        assert_eq!((two.len(), two[1].is_egress()), (2, true));
    }

    #[test]
    fn what_is_no_rule_is_told() {
        for (written, why) in [
            ("", "say from or to whom"),
            ("tcp 22", "say from or to whom"),
            ("tcp 22 from anywhere,", "say from or to whom"),
            ("22 from 0.0.0.0/0", "begin it with"),
            ("from 0.0.0.0/0", "begin it with"),
            ("all 22 from 0.0.0.0/0", "all has no ports"),
            ("tcp 22 80 from 0.0.0.0/0", "one port or one range"),
            ("tcp 80-22 from 0.0.0.0/0", "a port or a range"),
            ("tcp 65536 from 0.0.0.0/0", "a port or a range"),
            ("icmp 256 from 0.0.0.0/0", "a type or a type and a code"),
            ("icmp 3/ from 0.0.0.0/0", "a type or a type and a code"),
            ("tcp 22 from", "expected addresses"),
            ("tcp 22 from group", "expected addresses"),
            ("tcp 22 from web", "expected addresses"),
            ("tcp 22 from 10.0.0.0/8 10.1.0.0/16", "expected addresses"),
        ] {
            let error = parse(written).unwrap_err();
            assert!(error.contains(why), "{written:?}: {error}");
        }
    }
}
