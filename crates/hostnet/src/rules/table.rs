//! The table without its policy: each guest is who it is, where packets go through, and the addresses that they get. A guest
//! is one element of a set, so that attaching one is as cheap with a thousand others.
//!
//! What a policy changes is in sets and maps that are always there (`content` fills them), so that neither the rules here
//! nor their cost per packet depend on the number of guests.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::content;
use super::nft::{
    FAMILY, accept, ct, ct_in, drop_it, jump, list, lookup, matches, meta, object, payload, prefix, rule,
};
use crate::namespace::Namespace;
use crate::{HostError, Service};

/// The set of (interface, MAC address, IP address) that may send.
const GUESTS: &str = "guests";

/// What guests send outside, in all packets.
const LEAVE: &str = "guests_leave";

/// What comes to guests, in all packets.
const COME: &str = "guests_come";

/// How fast each guest asks what its router serves: a meter, which newer programs list as a set.
const ASKING: &str = "guests_asking";

/// Most packets in a second of one guest to what its router serves. EC2 has the same limit for its name servers.
const MOST_ASKED: u32 = 1024;

/// The name of our helper for FTP.
const FTP: &str = "ftp";

/// The chains that are always there.
pub(crate) const CHAINS: [&str; 10] = [
    LEAVE,
    COME,
    "guests_are_who_they_are",
    "guests_to_host",
    "guests_to_all",
    "all_to_guests",
    "guests_to_world",
    "world_to_guests",
    "host_to_guests",
    "guests_helped",
];

/// What a guest has to have on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pin {
    pub(crate) tap: String,
    pub(crate) mac: [u8; 6],
    pub(crate) address: Ipv4Addr,
}

/// What the rules are made of.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) cidr: Ipv4Net,
    /// What the names of taps begin with, the hyphen included.
    pub(crate) taps: String,
    /// Where public addresses are from.
    pub(crate) pool: Vec<Ipv4Net>,
    /// What the host, or the router of a VPC, serves to guests.
    pub(crate) services: Vec<Service>,
    /// To which group of nflog new connections are told, and those refused.
    pub(crate) flow_log: Option<u16>,
    /// Whether all of the namespace is ours.
    pub(crate) is_alone: bool,
}

/// The whole table without a policy, in the place of whatever table of this name there was.
pub(crate) fn ruleset(table: &Table, guests: &[Pin]) -> Vec<Value> {
    let whole = json!({"table": {"family": FAMILY, "name": table.name}});
    // Deleting what is not there is an error, so it is added first.
    let mut commands = vec![json!({"add": whole}), json!({"delete": whole})];
    commands.extend(repair(table, guests));
    commands
}

/// The same, made or mended where it is, with whatever policy is in force: no packet goes through that this one refuses.
pub(crate) fn repair(table: &Table, guests: &[Pin]) -> Vec<Value> {
    let name = table.name.as_str();
    let mut commands = vec![
        json!({"add": {"table": {"family": FAMILY, "name": name}}}),
        object("add", "set", name, GUESTS, json!({"type": ["ifname", "ether_addr", "ipv4_addr"]})),
        object("flush", "set", name, GUESTS, json!({})),
    ];
    if !guests.is_empty() {
        commands.push(json!({"add": elements(table, guests)}));
    }
    commands.extend(content::COLLECTIONS.map(|(collection, kind)| kind.add(name, collection)));
    let chains = chains(table);
    // All chains before all rules: these name others.
    for Chain { name: chain, hook, .. } in &chains {
        let hook = match hook {
            Some((kind, hook, priority)) => {
                json!({"type": kind, "hook": hook, "prio": priority, "policy": "accept"})
            }
            None => json!({}),
        };
        commands.push(object("add", "chain", name, chain, hook));
        commands.push(object("flush", "chain", name, chain, json!({})));
    }
    for Chain { name: chain, rules, .. } in &chains {
        commands.extend(rules.iter().map(|statements| rule(name, chain, statements)));
    }
    commands
}

/// A chain, with type, hook and priority if the kernel sends packets to it.
struct Chain {
    name: &'static str,
    hook: Option<(&'static str, &'static str, i32)>,
    rules: Vec<Value>,
}

impl Chain {
    fn at(
        name: &'static str,
        kind: &'static str,
        hook: &'static str,
        priority: i32,
        rules: Vec<Value>,
    ) -> Self {
        Self { name, hook: Some((kind, hook, priority)), rules }
    }

    fn inner(name: &'static str, rules: Vec<Value>) -> Self {
        Self { name, hook: None, rules }
    }
}

fn chains(table: &Table) -> Vec<Chain> {
    let taps = format!("{}*", table.taps);
    let from_guest = matches("==", meta("iifname"), json!(taps));
    let not_from_guest = matches("!=", meta("iifname"), json!(taps));
    let to_guest = matches("==", meta("oifname"), json!(taps));
    let to_elsewhere = matches("!=", meta("oifname"), json!(taps));
    let not_from_itself = matches("!=", meta("iifname"), json!("lo"));
    let from_itself = matches("==", meta("iifname"), json!("lo"));
    let source = || payload("ip", "saddr");
    let destination = || payload("ip", "daddr");
    let ours = prefix(table.cidr);
    let link_local = json!({"prefix": {"addr": "169.254.0.0", "len": 16}});
    let known = matches("in", ct("state"), json!(["established", "related"]));
    let sender = json!({"concat": [meta("iifname"), payload("ether", "saddr"), source()]});
    let as_asked = matches("==", ct("direction"), json!("original"));
    let pool: Vec<Value> = table.pool.iter().copied().map(prefix).collect();
    let limited = |key: Value, map: &str| json!({"limit": lookup(key, map)});
    let verdict = |key: &str, map: &str| json!({"vmap": {"key": meta(key), "data": format!("@{map}")}});

    let mut to_host =
        vec![json!([if table.is_alone { from_itself } else { not_from_guest.clone() }, accept()])];
    // What guests asked before is limited, too.
    to_host.extend(limit_asking(table, &from_guest));
    to_host.push(json!([known, accept()]));
    to_host.push(json!([matches("==", payload("icmp", "type"), json!("echo-request")), accept()]));
    to_host.extend(table.services.iter().map(|service| {
        let (protocol, port) = match service {
            Service::Tcp(port) => ("tcp", port),
            Service::Udp(port) => ("udp", port),
        };
        // Of the guests' network this host has only the routers' addresses.
        let to_router = matches("==", destination(), ours.clone());
        json!([from_guest, to_router, matches("==", payload(protocol, "dport"), json!(port)), accept()])
    }));
    to_host.push(json!([drop_it()]));

    let mut leave = vec![
        // The NAT would leave it alone, with an address on it that nobody outside can answer to.
        json!([matches("in", ct("state"), json!("invalid")), drop_it()]),
        json!([matches("==", source(), json!("@private")), drop_it()]),
    ];
    if !pool.is_empty() {
        // A connection that began with a public address, which is another's meanwhile, or nobody's.
        let public = ct_in("reply", "ip daddr");
        let pair = json!({"concat": [public, source()]});
        leave.push(json!([
            as_asked,
            matches("==", public, json!({"set": pool})),
            matches("!=", pair, json!("@public_pairs")),
            drop_it(),
        ]));
    }
    leave.push(json!([limited(source(), "limits_out"), drop_it()]));

    let to_pair = json!({"concat": [ct_in("original", "ip daddr"), destination()]});
    let come = vec![
        json!([
            as_asked,
            matches("in", ct("status"), json!("dnat")),
            matches("!=", to_pair, json!("@public_pairs")),
            drop_it(),
        ]),
        json!([not_from_guest, limited(destination(), "limits_in"), drop_it()]),
    ];

    let mut to_all = vec![
        // A router does not forward link-local addresses (RFC 3927, 7); the host's own metadata service may be there, with
        // credentials that are not for guests. Some clouds have their name servers there too.
        json!([
            from_guest,
            matches("==", destination(), link_local),
            matches("!=", payload("th", "dport"), json!(53)),
            drop_it(),
        ]),
        json!([from_guest, to_elsewhere, jump(LEAVE)]),
        json!([to_guest, jump(COME)]),
        json!([from_guest, known, accept()]),
        json!([from_guest, verdict("iifname", "from_members")]),
    ];
    if table.is_alone {
        // For a public address that no guest has any more, say, which would go round until its time is up.
        to_all.push(json!([not_from_guest, to_elsewhere, drop_it()]));
    }

    let publicly = json!([{"dnat": {"family": "ip", "addr": lookup(destination(), "public_in")}}]);
    let leaves = [
        matches("==", source(), ours.clone()),
        matches("!=", destination(), ours.clone()),
        to_elsewhere.clone(),
    ];
    let leaving = |statement: Value| Value::Array(leaves.iter().cloned().chain([statement]).collect());
    vec![
        // Before anything else has a look: each guest is who it is, and nobody outside is a guest.
        Chain::at(
            "guests_are_who_they_are",
            "filter",
            "prerouting",
            -300,
            vec![
                json!([from_guest, matches("!=", meta("nfproto"), json!("ipv4")), drop_it()]),
                json!([from_guest, matches("!=", sender, json!(format!("@{GUESTS}"))), drop_it()]),
                json!([not_from_guest, not_from_itself, matches("==", source(), ours), drop_it()]),
            ],
        ),
        // The host itself: what it asked for, whether it is there, and what it serves.
        Chain::at("guests_to_host", "filter", "input", 0, to_host),
        Chain::at("guests_to_all", "filter", "forward", 0, to_all),
        Chain::inner(LEAVE, leave),
        Chain::inner(COME, come),
        // After that one, whose acceptance is no more than that the sender may send: were this part of it, the kernel would
        // look at each way from a sender's rule to a receiver's, at each change.
        Chain::at(
            "all_to_guests",
            "filter",
            "forward",
            1,
            vec![
                json!([to_elsewhere, accept()]),
                json!([known, accept()]),
                json!([verdict("oifname", "to_members")]),
                json!([from_guest, accept()]),
                json!([drop_it()]),
            ],
        ),
        Chain::at("world_to_guests", "nat", "prerouting", -100, vec![publicly.clone()]),
        Chain::at("host_to_guests", "nat", "output", -100, vec![publicly]),
        Chain::at(
            "guests_to_world",
            "nat",
            "postrouting",
            100,
            vec![
                leaving(json!({"snat": {"family": "ip", "addr": lookup(source(), "public_out")}})),
                leaving(json!({"masquerade": null})),
            ],
        ),
    ]
}

/// Drops what one guest sends too fast to what its router serves, before others have to wait for it.
fn limit_asking(table: &Table, from_guest: &Value) -> Option<Value> {
    let ports: BTreeSet<u16> = table
        .services
        .iter()
        .map(|service| match service {
            Service::Tcp(port) | Service::Udp(port) => *port,
        })
        .collect();
    let limit = json!({"limit": {"rate": MOST_ASKED, "burst": MOST_ASKED, "per": "second", "inv": true}});
    let meter =
        json!({"meter": {"name": ASKING, "key": payload("ip", "saddr"), "size": 65535, "stmt": limit}});
    let to_router = matches("==", payload("ip", "daddr"), prefix(table.cidr));
    let to_service = matches("==", payload("th", "dport"), json!({"set": ports}));
    (!ports.is_empty()).then(|| json!([from_guest, to_router, to_service, meter, drop_it()]))
}

/// The helper for FTP, by which the addresses that it talks about are those after NAT, and its other connections are known
/// as related: for servers on the usual port, inside and outside. Apart from the table, since not all kernels have it.
pub(crate) fn helper(table: &Table) -> Vec<Value> {
    const CHAIN: &str = "guests_helped";
    let name = table.name.as_str();
    let hook = json!({"type": "filter", "hook": "prerouting", "prio": -150, "policy": "accept"});
    let taps = matches("==", meta("iifname"), json!(format!("{}*", table.taps)));
    let port = matches("==", payload("tcp", "dport"), json!(21));
    let help = json!({"ct helper": FTP});
    let mut commands = vec![
        object("add", "ct helper", name, FTP, json!({"type": "ftp", "protocol": "tcp", "l3proto": "ip"})),
        // Between the noticing of connections and NAT.
        object("add", "chain", name, CHAIN, hook),
        object("flush", "chain", name, CHAIN, json!({})),
        rule(name, CHAIN, &json!([taps, port, help])),
    ];
    if !table.pool.is_empty() {
        let pool: Vec<Value> = table.pool.iter().copied().map(prefix).collect();
        let public = matches("==", payload("ip", "daddr"), json!({"set": pool}));
        commands.push(rule(name, CHAIN, &json!([public, port, help])));
    }
    commands
}

/// What changes when guests come and go: `gone` are removed where they are there.
pub(crate) fn change(table: &Table, gone: &[Pin], come: &[Pin]) -> Vec<Value> {
    let mut commands = Vec::new();
    if !gone.is_empty() {
        commands.push(json!({"add": elements(table, gone)}));
        commands.push(json!({"delete": elements(table, gone)}));
    }
    if !come.is_empty() {
        commands.push(json!({"add": elements(table, come)}));
    }
    commands
}

/// The end of the table, whether it is there or not.
pub(crate) fn removal(name: &str) -> Vec<Value> {
    let whole = json!({"table": {"family": FAMILY, "name": name}});
    vec![json!({"add": whole}), json!({"delete": whole})]
}

fn elements(table: &Table, pins: &[Pin]) -> Value {
    json!({"element": {
        "family": FAMILY, "table": table.name, "name": GUESTS,
        "elem": pins.iter().map(element).collect::<Value>(),
    }})
}

fn element(pin: &Pin) -> Value {
    let [a, b, c, d, e, f] = pin.mac;
    json!({"concat": [pin.tap, format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"), pin.address]})
}

/// What is in the table now; nothing where there is no such table.
pub(crate) async fn find(namespace: &Namespace, table: &Table) -> Result<Option<Vec<Value>>, HostError> {
    const WHAT: &str = "list our table";
    let is_ours =
        |object: &Value| object["table"]["family"] == FAMILY && object["table"]["name"] == table.name;
    if !list(namespace, &["tables"], WHAT).await?.iter().any(is_ours) {
        return Ok(None);
    }
    list(namespace, &["table", FAMILY, &table.name], WHAT).await.map(Some)
}

/// Reads the guests out of a listing. What is not of our form is not of ours, and goes when the table is mended.
pub(crate) fn guests(listed: &[Value]) -> Vec<Pin> {
    let sets = listed.iter().map(|object| &object["set"]);
    let ours = sets.filter(|set| set["name"] == GUESTS).filter_map(|set| set["elem"].as_array());
    ours.flatten().filter_map(parse_element).collect()
}

/// Whether this is the name of a set that is always there and no policy's.
pub(crate) fn is_permanent(name: &str) -> bool {
    [GUESTS, ASKING].contains(&name)
}

fn parse_element(element: &Value) -> Option<Pin> {
    let [tap, mac, address] = element["concat"].as_array()?.as_slice() else { return None };
    let mut bytes = [0; 6];
    let mut pairs = mac.as_str()?.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(pairs.next()?, 16).ok()?;
    }
    Some(Pin { tap: tap.as_str()?.to_owned(), mac: bytes, address: address.as_str()?.parse().ok()? })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn table() -> Table {
        Table {
            name: "bothy".into(),
            cidr: "10.98.0.0/16".parse().unwrap(),
            taps: "bothy-".into(),
            pool: vec!["192.0.2.0/28".parse().unwrap()],
            services: vec![Service::Udp(53), Service::Tcp(53)],
            flow_log: Some(7),
            is_alone: true,
        }
    }

    pub(crate) fn are_of_the_schema(commands: &[Value]) {
        for command in commands {
            // To be emptied or deleted, a set needs a name only; the crate would have its type too. And it knows no maps to
            // what is no address, and no statement that looks into one.
            let named = ["flush", "delete"].map(|verb| &command[verb]);
            let is_named = named.iter().any(|object| object["set"].is_object() || object["map"].is_object());
            let looks_up = command["add"]["rule"].to_string().contains(r#""limit":{"map""#);
            if is_named || looks_up || command["add"]["map"].is_object() {
                continue;
            }
            let whole = json!({"nftables": [command]});
            if let Err(error) = serde_json::from_value::<nftables::schema::Nftables<'_>>(whole) {
                panic!("{error}: {command}");
            }
        }
    }

    fn pin(last: u8) -> Pin {
        Pin {
            tap: format!("bothy-{last:08x}"),
            mac: [2, 0, 0, 0, 0xab, last],
            address: [10, 98, 0, last].into(),
        }
    }

    #[test]
    fn a_guest_is_read_as_it_was_written() {
        let set = json!({"set": {"name": GUESTS, "elem": [element(&pin(5)), element(&pin(200)), "other", {"concat": []}]}});
        let other = json!({"set": {"name": "another", "elem": [element(&pin(9))]}});
        let listed = [json!({"metainfo": {}}), set, other];
        assert_eq!(guests(&listed), [pin(5), pin(200)]);
        assert_eq!(guests(&[json!({"set": {"name": GUESTS}}), json!(3)]), []);
    }

    #[test]
    fn a_change_says_nothing_of_other_guests() {
        let commands = change(&table(), &[pin(4)], &[pin(5)]);
        assert_eq!(commands.len(), 3);
        assert!(json!(commands).to_string().len() < 1000);
        let whole = json!(ruleset(&table(), &(0..100).map(pin).collect::<Vec<_>>())).to_string();
        assert!((0..100).all(|last| whole.contains(&pin(last).tap)));
    }

    /// nft's JSON is the crate's too: a slip in a name is noticed without a kernel.
    #[test]
    fn the_rules_are_of_the_schema() {
        for commands in [
            ruleset(&table(), &[pin(1)]),
            helper(&table()),
            change(&table(), &[pin(1)], &[pin(2)]),
            removal("bothy"),
        ] {
            are_of_the_schema(&commands);
        }
    }

    #[test]
    fn all_chains_are_known_to_be_ours() {
        let made = chains(&table()).iter().map(|chain| chain.name).collect::<Vec<_>>();
        assert!(made.iter().all(|name| CHAINS.contains(name)));
        assert_eq!(made.len() + 1, CHAINS.len(), "and that of the helper");
    }
}
