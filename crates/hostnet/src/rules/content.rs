//! What a policy asks of the table: pure functions from a policy to the content of our sets, maps and chains, and from two
//! contents to the commands that make one of the other. So a change costs what it changes, in one transaction, and what is
//! not changed keeps its counters.
//!
//! A member's tap leads, by a map, to the chain of its combination of groups; that jumps to the chain of each group and then
//! drops. A group's members are a set, by which rules of others know them. All of it is for packets that begin a
//! connection.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::nft::{FAMILY, accept, drop_it, goto, jump, matches, meta, object, payload, prefix, rule};
use super::table::{self, Table};
use crate::{Direction, Group, Member, Outside, Peer, Policy, Protocol, Rule};

/// How many connections were refused, to members and from them.
pub(crate) const COUNTERS: [&str; 2] = ["dropped/in", "dropped/out"];

/// The sets and maps that are always there.
pub(crate) const COLLECTIONS: [(&str, Kind); 8] = [
    // By tap, the chain of the groups' rules.
    ("from_members", Kind::VerdictByTap),
    ("to_members", Kind::VerdictByTap),
    // Who may not go outside.
    ("private", Kind::Addresses),
    // Public address to own address, the reverse, and both together.
    ("public_in", Kind::AddressByAddress),
    ("public_out", Kind::AddressByAddress),
    ("public_pairs", Kind::Pairs),
    // How fast, by own address.
    ("limits_in", Kind::LimitByAddress),
    ("limits_out", Kind::LimitByAddress),
];

/// Bytes in a second at 1 Mbit/s.
const BYTES_PER_MBIT: u64 = 125_000;

/// A kind of set or map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Addresses,
    Pairs,
    VerdictByTap,
    AddressByAddress,
    LimitByAddress,
    /// A leftover of another program in our table.
    ForeignSet,
    ForeignMap,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Addresses | Self::Pairs | Self::ForeignSet => "set",
            Self::VerdictByTap | Self::AddressByAddress | Self::LimitByAddress | Self::ForeignMap => "map",
        }
    }

    pub(crate) fn add(self, table: &str, name: &str) -> Value {
        let what = match self {
            Self::Addresses | Self::ForeignSet | Self::ForeignMap => json!({"type": "ipv4_addr"}),
            Self::Pairs => json!({"type": ["ipv4_addr", "ipv4_addr"]}),
            Self::VerdictByTap => json!({"type": "ifname", "map": "verdict"}),
            Self::AddressByAddress => json!({"type": "ipv4_addr", "map": "ipv4_addr"}),
            Self::LimitByAddress => json!({"type": "ipv4_addr", "map": "limit"}),
        };
        object("add", self.word(), table, name, what)
    }
}

/// A set or map, with its elements by their text, if they are known.
#[derive(Clone, Debug, PartialEq)]
struct Collection {
    kind: Kind,
    elements: Option<BTreeMap<String, Value>>,
}

/// What a table has besides what is always there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    counters: BTreeSet<String>,
    /// In Mbit/s.
    limits: BTreeMap<String, u32>,
    collections: BTreeMap<String, Collection>,
    /// The rules of each chain, if they are known.
    chains: BTreeMap<String, Option<Vec<Value>>>,
}

impl Default for Content {
    /// That of a table that was just made.
    fn default() -> Self {
        let empty = |(name, kind): (&str, Kind)| {
            (name.to_owned(), Collection { kind, elements: Some(BTreeMap::new()) })
        };
        Self {
            counters: COUNTERS.map(str::to_owned).into(),
            limits: BTreeMap::new(),
            collections: COLLECTIONS.map(empty).into(),
            chains: BTreeMap::new(),
        }
    }
}

impl Content {
    /// What a listing shows, by name only: enough to put another in its place.
    pub(crate) fn listed(objects: &[Value]) -> Self {
        let mut content = Self::default();
        for collection in content.collections.values_mut() {
            collection.elements = None;
        }
        let name = |object: &Value, what: &str| object[what]["name"].as_str().map(str::to_owned);
        for object in objects {
            if let Some(counter) = name(object, "counter") {
                content.counters.insert(counter);
            }
            if let Some(limit) = name(object, "limit") {
                content.limits.insert(limit, 0);
            }
            if let Some(chain) =
                name(object, "chain").filter(|chain| !table::CHAINS.contains(&chain.as_str()))
            {
                content.chains.insert(chain, None);
            }
            for (word, foreign) in [("set", Kind::ForeignSet), ("map", Kind::ForeignMap)] {
                let Some(name) = name(object, word).filter(|name| !table::is_guests(name)) else { continue };
                let kind = if name.starts_with(GROUP) { Kind::Addresses } else { foreign };
                content.collections.entry(name).or_insert(Collection { kind, elements: None });
            }
        }
        content
    }

    /// The same, and what is in another, by name only: all that may be there while one is made of the other.
    pub(crate) fn forgotten(&self, other: &Self) -> Self {
        let mut all = other.clone();
        all.counters.extend(self.counters.iter().cloned());
        all.limits.extend(self.limits.clone());
        all.collections.extend(self.collections.clone());
        all.chains.extend(self.chains.clone());
        all.collections.values_mut().for_each(|collection| collection.elements = None);
        all.chains.values_mut().for_each(|rules| *rules = None);
        all
    }

    /// What a policy, which makes sense, asks for.
    pub(crate) fn of(table: &Table, policy: &Policy) -> Self {
        let mut content = Self::default();
        for Group { name, rules } in &policy.groups {
            content.collection(&format!("{GROUP}{name}"), Kind::Addresses);
            for direction in [Direction::In, Direction::Out] {
                let rules = rules.iter().filter(|rule| rule.direction == direction);
                content.add_group(table, name, direction, rules);
            }
        }
        for member in &policy.members {
            content.add_member(table, member);
        }
        content
    }

    fn add_group<'a>(
        &mut self,
        table: &Table,
        group: &str,
        direction: Direction,
        rules: impl Iterator<Item = &'a Rule>,
    ) {
        let mut statements = Vec::new();
        for rule in rules {
            let counter = counter(group, rule);
            // One that says the same again adds nothing.
            if !self.counters.insert(counter.clone()) {
                continue;
            }
            if let Peer::Group(peer) = &rule.peer {
                self.collection(&format!("{GROUP}{peer}"), Kind::Addresses);
            }
            statements.push(allow(table, group, rule, &counter));
        }
        self.chains.insert(group_chain(direction, group), Some(statements));
    }

    fn add_member(&mut self, table: &Table, member: &Member) {
        let Member { tap, address, groups, outside, bandwidth } = member;
        let groups: BTreeSet<&str> = groups.iter().map(String::as_str).collect();
        for group in &groups {
            self.insert(&format!("{GROUP}{group}"), Kind::Addresses, json!(address));
        }
        if !groups.is_empty() {
            for (direction, map) in [(Direction::In, "to_members"), (Direction::Out, "from_members")] {
                let chain = self.combination(table, direction, &groups);
                self.insert(map, Kind::VerdictByTap, json!([tap, goto(&chain)]));
            }
        }
        match outside {
            Outside::Nothing => self.insert("private", Kind::Addresses, json!(address)),
            Outside::Shared => {}
            Outside::Public(public) => {
                self.insert("public_in", Kind::AddressByAddress, json!([public, address]));
                self.insert("public_out", Kind::AddressByAddress, json!([address, public]));
                self.insert("public_pairs", Kind::Pairs, json!({"concat": [public, address]}));
            }
        }
        for (mbit, way, map) in
            [(bandwidth.in_mbit, "in", "limits_in"), (bandwidth.out_mbit, "out", "limits_out")]
        {
            if let Some(mbit) = mbit {
                // One with another rate is another: the kernel changes none.
                let limit = format!("{way}/{tap}/{mbit}");
                self.insert(map, Kind::LimitByAddress, json!([address, limit]));
                self.limits.insert(limit, mbit);
            }
        }
    }

    /// The chain of those who have these groups together.
    fn combination(&mut self, table: &Table, direction: Direction, groups: &BTreeSet<&str>) -> String {
        let all = groups.iter().copied().collect::<Vec<_>>().join(",");
        let way = way(direction);
        let name = format!("{way}.{:016x}", digest(&all));
        self.chains.entry(name.clone()).or_insert_with(|| {
            let mut rules: Vec<Value> =
                groups.iter().map(|group| json!([jump(&group_chain(direction, group))])).collect();
            let mut refuse = vec![json!({"counter": format!("dropped/{way}")})];
            refuse.extend(log(table, &format!("drop {way}")));
            refuse.push(drop_it());
            rules.push(Value::Array(refuse));
            Some(rules)
        });
        name
    }

    fn collection(&mut self, name: &str, kind: Kind) -> &mut Collection {
        let empty = || Collection { kind, elements: Some(BTreeMap::new()) };
        self.collections.entry(name.to_owned()).or_insert_with(empty)
    }

    fn insert(&mut self, name: &str, kind: Kind, element: Value) {
        let elements = self.collection(name, kind).elements.get_or_insert_default();
        elements.insert(element.to_string(), element);
    }
}

/// What the names of sets of members begin with.
const GROUP: &str = "group/";

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

fn group_chain(direction: Direction, group: &str) -> String {
    format!("{}/{group}", way(direction))
}

/// The name of a rule's counter, which says what the rule does: so a rule is known again, wherever it stands.
pub(crate) fn counter(group: &str, rule: &Rule) -> String {
    let protocol = match rule.protocol {
        Protocol::All => "all".to_owned(),
        Protocol::Tcp { from, to } => format!("tcp/{from}-{to}"),
        Protocol::Udp { from, to } => format!("udp/{from}-{to}"),
        Protocol::Icmp { kind: None, .. } => "icmp".to_owned(),
        Protocol::Icmp { kind: Some(kind), code: None } => format!("icmp/{kind}"),
        Protocol::Icmp { kind: Some(kind), code: Some(code) } => format!("icmp/{kind}/{code}"),
        Protocol::Number(number) => format!("protocol/{number}"),
    };
    let peer = match &rule.peer {
        Peer::Cidr(network) => network.trunc().to_string(),
        Peer::Group(peer) => format!("{GROUP}{peer}"),
    };
    format!("{}/{group}/{protocol}/{peer}", way(rule.direction))
}

/// What lets a packet pass, to a member or from one.
fn allow(table: &Table, group: &str, rule: &Rule, counter: &str) -> Value {
    let far_end = match rule.direction {
        Direction::In => "saddr",
        Direction::Out => "daddr",
    };
    let mut statements = Vec::new();
    match &rule.peer {
        Peer::Cidr(network) if network.prefix_len() == 0 => {}
        Peer::Cidr(network) => {
            statements.push(matches("==", payload("ip", far_end), prefix(*network)));
        }
        Peer::Group(peer) => {
            let members = json!(format!("@{GROUP}{peer}"));
            statements.push(matches("==", payload("ip", far_end), members));
        }
    }
    let is = |protocol: Value| matches("==", meta("l4proto"), protocol);
    match rule.protocol {
        Protocol::All => {}
        Protocol::Tcp { from, to } => statements.push(ports("tcp", from, to)),
        Protocol::Udp { from, to } => statements.push(ports("udp", from, to)),
        Protocol::Icmp { kind, code } => {
            statements.push(is(json!("icmp")));
            statements.extend(kind.map(|kind| matches("==", payload("icmp", "type"), json!(kind))));
            statements.extend(code.map(|code| matches("==", payload("icmp", "code"), json!(code))));
        }
        Protocol::Number(number) => statements.push(is(json!(number))),
    }
    statements.push(json!({"counter": counter}));
    statements.extend(log(table, &format!("accept {}/{group}", way(rule.direction))));
    statements.push(accept());
    Value::Array(statements)
}

fn ports(protocol: &str, from: u16, to: u16) -> Value {
    match (from, to) {
        (0, u16::MAX) => matches("==", meta("l4proto"), json!(protocol)),
        (from, to) if from == to => matches("==", payload(protocol, "dport"), json!(from)),
        (from, to) => matches("==", payload(protocol, "dport"), json!({"range": [from, to]})),
    }
}

/// Tells the flow log, if there is one, with as much of the packet as has addresses and ports.
fn log(table: &Table, what: &str) -> Option<Value> {
    table.flow_log.map(|group| json!({"log": {"prefix": what, "group": group, "snaplen": 64}}))
}

/// FNV-1a, which is the same at each start, unlike the one of maps.
fn digest(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What makes one content of another.
pub(crate) fn change(table: &Table, before: &Content, after: &Content) -> Vec<Value> {
    let name = table.name.as_str();
    let nothing = || json!({});
    let mut commands = Vec::new();
    for (limit, mbit) in after.limits.iter().filter(|(limit, _)| !before.limits.contains_key(*limit)) {
        commands.push(object("add", "limit", name, limit, rate(*mbit)));
    }
    for counter in after.counters.difference(&before.counters) {
        commands.push(object("add", "counter", name, counter, nothing()));
    }
    for (collection, Collection { kind, .. }) in &after.collections {
        if !before.collections.contains_key(collection) {
            commands.push(kind.add(name, collection));
        }
    }
    for chain in after.chains.keys().filter(|chain| !before.chains.contains_key(*chain)) {
        commands.push(object("add", "chain", name, chain, nothing()));
    }
    let elements = |verb: &str, collection: &str, elements: Vec<&Value>| {
        (!elements.is_empty()).then(|| {
            json!({verb: {"element": {
                "family": FAMILY, "table": name, "name": collection, "elem": elements,
            }}})
        })
    };
    let none = BTreeMap::new();
    // What a collection has now, after those that are not known have been emptied.
    let of = |content: &'_ Content, collection: &str| {
        content.collections.get(collection).and_then(|found| found.elements.clone()).unwrap_or_default()
    };
    for (collection, Collection { kind, elements: known }) in &before.collections {
        match (known, after.collections.get(collection)) {
            (None, _) => commands.push(object("flush", kind.word(), name, collection, nothing())),
            (Some(known), then) => {
                let then = then.and_then(|then| then.elements.as_ref()).unwrap_or(&none);
                let gone = known.iter().filter(|(text, _)| !then.contains_key(*text));
                commands.extend(elements("delete", collection, gone.map(|(_, element)| element).collect()));
            }
        }
    }
    for (chain, rules) in &after.chains {
        if before.chains.get(chain).is_some_and(|known| known == rules) {
            continue;
        }
        commands.push(object("flush", "chain", name, chain, nothing()));
        commands.extend(rules.iter().flatten().map(|statements| rule(name, chain, statements)));
    }
    for (collection, Collection { elements: then, .. }) in &after.collections {
        let now = of(before, collection);
        let come = then.iter().flatten().filter(|(text, _)| !now.contains_key(*text));
        commands.extend(elements("add", collection, come.map(|(_, element)| element).collect()));
    }
    // Last what nothing needs any more; chains name each other, so all are emptied first.
    let gone = || before.chains.keys().filter(|chain| !after.chains.contains_key(*chain));
    commands.extend(gone().map(|chain| object("flush", "chain", name, chain, nothing())));
    commands.extend(gone().map(|chain| object("delete", "chain", name, chain, nothing())));
    for (collection, Collection { kind, .. }) in &before.collections {
        if !after.collections.contains_key(collection) {
            commands.push(object("delete", kind.word(), name, collection, nothing()));
        }
    }
    for limit in before.limits.keys().filter(|limit| !after.limits.contains_key(*limit)) {
        commands.push(object("delete", "limit", name, limit, nothing()));
    }
    for counter in before.counters.difference(&after.counters) {
        commands.push(object("delete", "counter", name, counter, nothing()));
    }
    commands
}

/// The kernel adds what comes in a second, so there is always room for what a fast sender hands over in one piece (64 KiB).
fn rate(mbit: u32) -> Value {
    let bytes = u64::from(mbit) * BYTES_PER_MBIT;
    json!({"rate": bytes, "rate_unit": "bytes", "per": "second", "inv": true, "burst": 0, "burst_unit": "bytes"})
}
