//! What a policy asks of the table: pure functions from a policy to the content of our sets, maps and chains, and from two
//! contents to the commands that make one of the other. So a change costs what it changes, in one transaction, and what is
//! not changed keeps its counters.
//!
//! A member's tap leads, by a map, to the chain of its combination of groups; that jumps to the chain of each group and then
//! drops, which is counted for each combination. A group's members are a set, by which rules of others know them. All of it is for packets that begin a
//! connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::nft::{FAMILY, accept, drop_it, goto, jump, matches, meta, object, payload, prefix, rule};
use super::table::{self, Table};
use crate::{Direction, Group, Member, Outside, Peer, Policy, Protocol, Rule};

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

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Element {
    Address(Ipv4Addr),
    Pair(Ipv4Addr, Ipv4Addr),
    /// A tap, and the chain of its groups.
    Chain(String, String),
    Other(Ipv4Addr, Ipv4Addr),
    Limit(Ipv4Addr, String),
}

impl Element {
    fn json(&self) -> Value {
        match self {
            Self::Address(address) => json!(address),
            Self::Pair(one, other) => json!({"concat": [one, other]}),
            Self::Chain(tap, chain) => json!([tap, goto(chain)]),
            Self::Other(one, other) => json!([one, other]),
            Self::Limit(address, limit) => json!([address, limit]),
        }
    }
}

/// A set or map, with its elements, if they are known.
#[derive(Clone, Debug, PartialEq)]
struct Collection {
    kind: Kind,
    elements: Option<BTreeSet<Element>>,
}

/// What a chain says, before it is put in nft's words: most chains are the same after a change, and many are long.
#[derive(Clone, Debug, PartialEq)]
enum Chain {
    /// What is not known.
    Unknown,
    /// Rules of a group for one direction.
    Group { direction: Direction, group: String, rules: Vec<Rule> },
    /// All rules of several groups, and then nothing more.
    Combination { direction: Direction, groups: BTreeSet<String> },
}

impl Chain {
    fn rules(&self, table: &Table) -> Vec<Value> {
        match self {
            Self::Unknown => Vec::new(),
            Self::Group { group, rules, .. } => {
                rules.iter().map(|rule| allow(table, group, rule, &counter(group, rule))).collect()
            }
            Self::Combination { direction, groups } => {
                let mut all: Vec<Value> =
                    groups.iter().map(|group| json!([jump(&group_chain(*direction, group))])).collect();
                let mut refuse = vec![json!({"counter": drop_counter(*direction, groups)})];
                refuse.extend(log(table, &format!("drop {}", way(*direction))));
                refuse.push(drop_it());
                all.push(Value::Array(refuse));
                all
            }
        }
    }

    /// Its counters, which are no other chain's.
    fn counters(&self) -> BTreeSet<String> {
        match self {
            Self::Group { group, rules, .. } => rules.iter().map(|rule| counter(group, rule)).collect(),
            Self::Combination { direction, groups } => BTreeSet::from([drop_counter(*direction, groups)]),
            Self::Unknown => BTreeSet::new(),
        }
    }
}

/// What a table has besides what is always there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    /// In Mbit/s.
    limits: BTreeMap<String, u32>,
    collections: BTreeMap<String, Collection>,
    chains: BTreeMap<String, Chain>,
    /// Counters of chains that are not known.
    counters: BTreeSet<String>,
}

impl Default for Content {
    /// That of a table that was just made.
    fn default() -> Self {
        let empty = |(name, kind): (&str, Kind)| {
            (name.to_owned(), Collection { kind, elements: Some(BTreeSet::new()) })
        };
        Self {
            limits: BTreeMap::new(),
            collections: COLLECTIONS.map(empty).into(),
            chains: BTreeMap::new(),
            counters: BTreeSet::new(),
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
            content.counters.extend(name(object, "counter"));
            if let Some(limit) = name(object, "limit") {
                content.limits.insert(limit, 0);
            }
            if let Some(chain) =
                name(object, "chain").filter(|chain| !table::CHAINS.contains(&chain.as_str()))
            {
                content.chains.insert(chain, Chain::Unknown);
            }
            for (word, foreign) in [("set", Kind::ForeignSet), ("map", Kind::ForeignMap)] {
                let Some(name) = name(object, word).filter(|name| !table::is_permanent(name)) else {
                    continue;
                };
                let kind = if name.starts_with(GROUP) { Kind::Addresses } else { foreign };
                content.collections.entry(name).or_insert(Collection { kind, elements: None });
            }
        }
        content
    }

    /// What a policy, which makes sense, asks for.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut content = Self::default();
        for Group { name, rules } in &policy.groups {
            content.collection(&members(name), Kind::Addresses);
            for peer in rules.iter().filter_map(|rule| match &rule.peer {
                Peer::Group(peer) => Some(peer),
                Peer::Cidr(_) => None,
            }) {
                content.collection(&members(peer), Kind::Addresses);
            }
            for direction in [Direction::In, Direction::Out] {
                let mut said = BTreeSet::new();
                // One that says the same again adds nothing.
                let is_new = |rule: &&Rule| rule.direction == direction && said.insert(counter(name, rule));
                let rules = rules.iter().filter(is_new).cloned().collect();
                let chain = Chain::Group { direction, group: name.clone(), rules };
                content.chains.insert(group_chain(direction, name), chain);
            }
        }
        for member in &policy.members {
            content.add_member(member);
        }
        content
    }

    fn add_member(&mut self, member: &Member) {
        let Member { tap, address, groups, outside, bandwidth } = member;
        let address = *address;
        let groups: BTreeSet<String> = groups.iter().cloned().collect();
        for group in &groups {
            self.insert(&members(group), Kind::Addresses, Element::Address(address));
        }
        if !groups.is_empty() {
            for (direction, map) in [(Direction::In, "to_members"), (Direction::Out, "from_members")] {
                let chain = combination_chain(direction, &groups);
                self.insert(map, Kind::VerdictByTap, Element::Chain(tap.clone(), chain.clone()));
                let combination = || Chain::Combination { direction, groups: groups.clone() };
                self.chains.entry(chain).or_insert_with(combination);
            }
        }
        match *outside {
            Outside::Nothing => self.insert("private", Kind::Addresses, Element::Address(address)),
            Outside::Shared => {}
            Outside::Public(public) => {
                self.insert("public_in", Kind::AddressByAddress, Element::Other(public, address));
                self.insert("public_out", Kind::AddressByAddress, Element::Other(address, public));
                self.insert("public_pairs", Kind::Pairs, Element::Pair(public, address));
            }
        }
        for (mbit, way, map) in
            [(bandwidth.in_mbit, "in", "limits_in"), (bandwidth.out_mbit, "out", "limits_out")]
        {
            if let Some(mbit) = mbit {
                // One with another rate is another: the kernel changes none.
                let limit = format!("{way}/{tap}/{mbit}");
                self.insert(map, Kind::LimitByAddress, Element::Limit(address, limit.clone()));
                self.limits.insert(limit, mbit);
            }
        }
    }

    fn elements(&self, collection: &str) -> Option<&BTreeSet<Element>> {
        self.collections.get(collection)?.elements.as_ref()
    }

    fn collection(&mut self, name: &str, kind: Kind) -> &mut Collection {
        let empty = || Collection { kind, elements: Some(BTreeSet::new()) };
        self.collections.entry(name.to_owned()).or_insert_with(empty)
    }

    fn insert(&mut self, name: &str, kind: Kind, element: Element) {
        self.collection(name, kind).elements.get_or_insert_default().insert(element);
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

/// The set of a group's members.
fn members(group: &str) -> String {
    format!("{GROUP}{group}")
}

/// The chain of those who have these groups together.
fn combination_chain(direction: Direction, groups: &BTreeSet<String>) -> String {
    let all = groups.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    format!("{}.{:016x}", way(direction), digest(&all))
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

/// The name of the counter of what none of these groups let pass.
pub(crate) fn drop_counter(direction: Direction, groups: &BTreeSet<String>) -> String {
    format!("dropped/{}", combination_chain(direction, groups))
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
    let changed: Vec<(&String, Option<&Chain>, &Chain)> = after
        .chains
        .iter()
        .map(|(chain, then)| (chain, before.chains.get(chain), then))
        .filter(|(_, now, then)| *now != Some(*then))
        .collect();
    let gone: Vec<(&String, &Chain)> =
        before.chains.iter().filter(|(chain, _)| !after.chains.contains_key(*chain)).collect();
    // What may still be there of unknown chains, as long as nobody is found to need it.
    let mut stray = before.counters.clone();
    let mut commands = Vec::new();
    let mut removals = Vec::new();

    for (limit, mbit) in after.limits.iter().filter(|(limit, _)| !before.limits.contains_key(*limit)) {
        commands.push(object("add", "limit", name, limit, rate(*mbit)));
    }
    for (chain, now, then) in &changed {
        let counted = now.map(Chain::counters).unwrap_or_default();
        let counts = then.counters();
        for counter in counts.difference(&counted).filter(|counter| !stray.remove(*counter)) {
            commands.push(object("add", "counter", name, counter, nothing()));
        }
        removals.extend(counted.difference(&counts).cloned());
        if now.is_none() {
            commands.push(object("add", "chain", name, chain, nothing()));
        }
    }
    for (collection, Collection { kind, .. }) in &after.collections {
        if !before.collections.contains_key(collection) {
            commands.push(kind.add(name, collection));
        }
    }
    let none = BTreeSet::new();
    let say = |verb: &str, collection: &str, elements: Vec<Value>| {
        (!elements.is_empty()).then(|| {
            json!({verb: {"element": {
                "family": FAMILY, "table": name, "name": collection, "elem": elements,
            }}})
        })
    };
    for (collection, Collection { kind, elements: now }) in &before.collections {
        let Some(now) = now else {
            commands.push(object("flush", kind.word(), name, collection, nothing()));
            continue;
        };
        let then = after.elements(collection).unwrap_or(&none);
        commands.extend(say("delete", collection, now.difference(then).map(Element::json).collect()));
    }
    for (chain, _, then) in &changed {
        commands.push(object("flush", "chain", name, chain, nothing()));
        commands.extend(then.rules(table).iter().map(|statements| rule(name, chain, statements)));
    }
    for (collection, Collection { elements: then, .. }) in &after.collections {
        let now = before.elements(collection).unwrap_or(&none);
        let come = then.iter().flatten().filter(|element| !now.contains(*element));
        commands.extend(say("add", collection, come.map(Element::json).collect()));
    }
    // Last what nothing needs any more; chains name each other, so all are emptied first.
    for (chain, now) in &gone {
        commands.push(object("flush", "chain", name, chain, nothing()));
        removals.extend(now.counters());
    }
    commands.extend(gone.iter().map(|(chain, _)| object("delete", "chain", name, chain, nothing())));
    for (collection, Collection { kind, .. }) in &before.collections {
        if !after.collections.contains_key(collection) {
            commands.push(object("delete", kind.word(), name, collection, nothing()));
        }
    }
    for limit in before.limits.keys().filter(|limit| !after.limits.contains_key(*limit)) {
        commands.push(object("delete", "limit", name, limit, nothing()));
    }
    for counter in removals.iter().chain(&stray) {
        commands.push(object("delete", "counter", name, counter, nothing()));
    }
    commands
}

/// The kernel adds what comes in a second, so there is always room for what a fast sender hands over in one piece (64 KiB).
fn rate(mbit: u32) -> Value {
    let bytes = u64::from(mbit) * BYTES_PER_MBIT;
    json!({"rate": bytes, "rate_unit": "bytes", "per": "second", "inv": true, "burst": 0, "burst_unit": "bytes"})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::table::tests::{are_of_the_schema, table};
    use crate::{Bandwidth, Peer};

    /// What the kernel would make of commands, as far as names go: it refuses what is there twice or not at all, and what
    /// somebody needs.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Kernel {
        /// Kind and name of each object, with its elements or rules.
        objects: BTreeMap<(String, String), BTreeSet<String>>,
    }

    impl Kernel {
        /// With all that is always there.
        fn new() -> Self {
            let mut kernel = Self::default();
            for command in table::ruleset(&table(), &[]) {
                let added = command["add"].as_object().into_iter().flatten();
                for (what, object) in
                    added.filter(|(what, _)| ["set", "map", "counter"].contains(&what.as_str()))
                {
                    let name = object["name"].as_str().unwrap().to_owned();
                    kernel.objects.insert((what.clone(), name), BTreeSet::new());
                }
            }
            kernel
        }

        fn run(&mut self, commands: &[Value]) {
            for command in commands {
                let (verb, object) = command.as_object().unwrap().iter().next().unwrap();
                let (what, object) = object.as_object().unwrap().iter().next().unwrap();
                let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
                match (verb.as_str(), what.as_str()) {
                    ("add", "element") => {
                        let elements = self.elements(&text("name"));
                        assert!(
                            object["elem"]
                                .as_array()
                                .unwrap()
                                .iter()
                                .all(|one| elements.insert(one.to_string()))
                        );
                        self.all_named_are_there(&object["elem"]);
                    }
                    ("delete", "element") => {
                        let elements = self.elements(&text("name"));
                        assert!(
                            object["elem"]
                                .as_array()
                                .unwrap()
                                .iter()
                                .all(|one| elements.remove(&one.to_string()))
                        );
                    }
                    ("add", "rule") => {
                        self.all_named_are_there(&object["expr"]);
                        let chain = ("chain".to_owned(), text("chain"));
                        let rules = self.objects.get_mut(&chain).unwrap();
                        rules.insert(format!("{:04} {}", rules.len(), object["expr"]));
                    }
                    ("add", what) => {
                        let name = (what.to_owned(), text("name"));
                        assert_eq!(self.objects.insert(name, BTreeSet::new()), None, "{command}");
                    }
                    ("flush", what) => {
                        self.objects.get_mut(&(what.to_owned(), text("name"))).unwrap().clear();
                    }
                    ("delete", what) => {
                        let content = self.objects.remove(&(what.to_owned(), text("name")));
                        assert!(
                            content.is_some_and(|content| content.is_empty() || what != "chain"),
                            "{command}"
                        );
                        let name = format!("\"{}\"", text("name"));
                        let reference = format!("\"@{}\"", text("name"));
                        let needs =
                            |content: &&String| content.contains(&name) || content.contains(&reference);
                        assert_eq!(self.objects.values().flatten().find(needs), None, "{command}");
                    }
                    other => panic!("{other:?}"),
                }
            }
        }

        fn elements(&mut self, name: &str) -> &mut BTreeSet<String> {
            let found = self
                .objects
                .iter_mut()
                .find(|((what, this), _)| this == name && ["set", "map"].contains(&what.as_str()));
            found.unwrap().1
        }

        fn all_named_are_there(&self, value: &Value) {
            match value {
                Value::Array(all) => all.iter().for_each(|one| self.all_named_are_there(one)),
                Value::Object(all) => {
                    for (key, one) in all {
                        if key == "target" {
                            let chain = ("chain".to_owned(), one.as_str().unwrap().to_owned());
                            assert!(self.objects.contains_key(&chain), "{one}");
                        }
                        self.all_named_are_there(one);
                    }
                }
                Value::String(text) => {
                    if let Some(set) = text.strip_prefix('@') {
                        assert!(self.objects.keys().any(|(_, name)| name == set), "{text}");
                    }
                }
                _ => {}
            }
        }

        /// As nft lists it.
        fn list(&self) -> Vec<Value> {
            self.objects.keys().map(|(what, name)| json!({what: {"name": name}})).collect()
        }
    }

    fn rule(port: u16, peer: &str) -> Rule {
        let peer = peer.parse().map_or(Peer::Group(peer.to_owned()), Peer::Cidr);
        Rule { direction: Direction::In, protocol: Protocol::Tcp { from: port, to: port }, peer }
    }

    fn policies() -> Vec<Policy> {
        let member = |last: u8, groups: &[&str], outside: Outside, out_mbit: Option<u32>| Member {
            tap: format!("bothy-{last:08x}"),
            address: [10, 98, 0, last].into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            outside,
            bandwidth: Bandwidth { in_mbit: None, out_mbit },
        };
        let group = |name: &str, rules: &[Rule]| Group { name: name.to_owned(), rules: rules.to_vec() };
        let public = |last: u8| Outside::Public([192, 0, 2, last].into());
        let (web, app) = (rule(80, "0.0.0.0/0"), rule(90, "web"));
        vec![
            Policy::default(),
            Policy {
                members: vec![
                    member(5, &["web"], public(1), Some(10)),
                    member(6, &["app", "web"], Outside::Shared, None),
                ],
                groups: vec![
                    group("web", &[web.clone(), Rule::ALL_OUT]),
                    group("app", std::slice::from_ref(&app)),
                ],
            },
            Policy {
                members: vec![
                    member(5, &["web"], public(2), Some(20)),
                    member(6, &["web", "app"], public(1), Some(1)),
                ],
                groups: vec![group("web", &[Rule::ALL_OUT, web]), group("app", &[app, rule(91, "gone")])],
            },
            Policy {
                members: vec![
                    member(6, &[], Outside::Nothing, None),
                    member(9, &["other", "other"], Outside::Shared, None),
                ],
                groups: vec![group("other", &[rule(22, "other"), rule(22, "10.1.2.3/8")]), group("app", &[])],
            },
        ]
    }

    #[test]
    fn any_policy_follows_any_other() {
        let whole: Vec<Kernel> = policies()
            .iter()
            .map(|policy| {
                let mut kernel = Kernel::new();
                kernel.run(&change(&table(), &Content::default(), &Content::of(policy)));
                kernel
            })
            .collect();
        for (before, was) in policies().iter().zip(&whole) {
            for (after, is) in policies().iter().zip(&whole) {
                let (before, after) = (Content::of(before), Content::of(after));
                for known in [before, Content::listed(&was.list())] {
                    let mut kernel = was.clone();
                    let commands = change(&table(), &known, &after);
                    kernel.run(&commands);
                    assert_eq!(kernel, *is);
                    are_of_the_schema(&commands);
                }
                assert_eq!(change(&table(), &after, &after), [] as [Value; 0]);
            }
        }
    }

    #[test]
    fn what_stays_is_not_touched() {
        let [_, first, mut second, _] = policies().try_into().ok().unwrap();
        second.members.clone_from(&first.members);
        let commands = change(&table(), &Content::of(&first), &Content::of(&second));
        let text = json!(commands).to_string();
        // The other order of rules is the same counters; the new rule is one more, and a set for a group that is not there.
        let counters: Vec<&Value> =
            commands.iter().filter(|command| !command["add"]["counter"].is_null()).collect();
        assert_eq!(counters.len(), 1);
        assert!(text.contains("in/app/tcp/91-91/group/gone") && !text.contains("delete"), "{text}");
        assert!(!text.contains("to_members") && !text.contains("limits"), "{text}");
    }

    #[test]
    fn rules_in_the_words_of_nft() {
        let all = |protocol: Protocol, peer: &str| {
            let rule = Rule { protocol, ..rule(0, peer) };
            (counter("sg", &rule), allow(&table(), "sg", &rule, "c").to_string())
        };
        for (protocol, peer, name, words) in [
            (Protocol::All, "0.0.0.0/0", "in/sg/all/0.0.0.0/0", ""),
            (
                Protocol::Tcp { from: 0, to: 65535 },
                "10.1.2.3/8",
                "in/sg/tcp/0-65535/10.0.0.0/8",
                r#""right":"tcp""#,
            ),
            (
                Protocol::Udp { from: 5, to: 7 },
                "10.0.0.0/8",
                "in/sg/udp/5-7/10.0.0.0/8",
                r#"{"range":[5,7]}"#,
            ),
            (
                Protocol::Icmp { kind: None, code: None },
                "me",
                "in/sg/icmp/group/me",
                r#""right":"@group/me""#,
            ),
            (
                Protocol::Icmp { kind: Some(8), code: Some(0) },
                "me",
                "in/sg/icmp/8/0/group/me",
                r#""field":"code""#,
            ),
            (Protocol::Number(47), "0.0.0.0/0", "in/sg/protocol/47/0.0.0.0/0", r#""right":47"#),
        ] {
            let (counter, text) = all(protocol, peer);
            assert_eq!(counter, name);
            assert!(text.contains(words), "{text}");
            assert!(text.contains(r#""log":{"group":7,"prefix":"accept in/sg","snaplen":64}"#), "{text}");
            assert!(text.ends_with(r#"{"accept":null}]"#), "{text}");
        }
    }
}
