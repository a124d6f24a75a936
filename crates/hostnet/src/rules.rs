//! The rules: a table of our own in nftables, computed whole by `ruleset` and changed by one transaction each time, in the
//! JSON of libnftables-json(5). A guest is one element of a set, so that attaching one is as cheap with a thousand others.
//!
//! Another table that drops what is forwarded (Docker's does, a firewall's may) still drops it: in nftables each table has
//! a say, and others' are not ours to change.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use nftables::helper::{DEFAULT_NFT, NftablesError, apply_ruleset_raw_async, get_current_ruleset_raw_async};
use serde_json::{Value, json};

use crate::HostError;

/// The set of (interface, MAC address, IP address) that may send.
const GUESTS: &str = "guests";

const FAMILY: &str = "inet";

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
}

/// The whole table, in the place of whatever table of this name there was.
pub(crate) fn ruleset(table: &Table, guests: &[Pin]) -> Value {
    let name = &table.name;
    let whole = json!({"table": {"family": FAMILY, "name": name}});
    let mut set = json!({
        "family": FAMILY, "table": name, "name": GUESTS, "type": ["ifname", "ether_addr", "ipv4_addr"],
    });
    if !guests.is_empty() {
        set["elem"] = guests.iter().map(element).collect();
    }
    let mut commands = vec![
        // Deleting what is not there is an error, so it is added first.
        json!({"add": whole}),
        json!({"delete": whole}),
        json!({"add": whole}),
        json!({"add": {"set": set}}),
    ];
    for (chain, kind, hook, priority, rules) in chains(table) {
        commands.push(json!({"add": {"chain": {
            "family": FAMILY, "table": name, "name": chain,
            "type": kind, "hook": hook, "prio": priority, "policy": "accept",
        }}}));
        commands.extend(rules.into_iter().map(|statements| {
            json!({"add": {"rule": {"family": FAMILY, "table": name, "chain": chain, "expr": statements}}})
        }));
    }
    json!({"nftables": commands})
}

/// A base chain: name, type, hook, priority and rules.
type Chain = (&'static str, &'static str, &'static str, i32, Vec<Value>);

fn chains(table: &Table) -> [Chain; 4] {
    let taps = format!("{}*", table.taps);
    let from_guest = matches("==", meta("iifname"), json!(taps));
    let not_from_guest = matches("!=", meta("iifname"), json!(taps));
    let to_guest = matches("==", meta("oifname"), json!(taps));
    let to_elsewhere = matches("!=", meta("oifname"), json!(taps));
    let ours = json!({"prefix": {"addr": table.cidr.addr(), "len": table.cidr.prefix_len()}});
    let link_local = json!({"prefix": {"addr": "169.254.0.0", "len": 16}});
    let known = matches("in", json!({"ct": {"key": "state"}}), json!(["established", "related"]));
    let sender = json!({"concat": [meta("iifname"), payload("ether", "saddr"), payload("ip", "saddr")]});
    let (accept, drop) = (json!({"accept": null}), json!({"drop": null}));
    [
        // Before anything else has a look: each guest is who it is.
        (
            "guests_are_who_they_are",
            "filter",
            "prerouting",
            -300,
            vec![
                json!([from_guest, matches("!=", meta("nfproto"), json!("ipv4")), drop]),
                json!([from_guest, matches("!=", sender, json!(format!("@{GUESTS}"))), drop]),
            ],
        ),
        // The host itself: what it asked for, and whether it is there.
        (
            "guests_to_host",
            "filter",
            "input",
            0,
            vec![
                json!([not_from_guest, accept]),
                json!([known, accept]),
                json!([matches("==", payload("icmp", "type"), json!("echo-request")), accept]),
                json!([drop]),
            ],
        ),
        (
            "guests_to_all",
            "filter",
            "forward",
            0,
            vec![
                // A router does not forward link-local addresses (RFC 3927, 7); the host's own metadata service may be there,
                // with credentials that are not for guests. Some clouds have their name servers there too.
                json!([
                    from_guest,
                    matches("==", payload("ip", "daddr"), link_local),
                    matches("!=", json!({"payload": {"protocol": "th", "field": "dport"}}), json!(53)),
                    drop
                ]),
                json!([from_guest, accept]),
                json!([to_guest, known, accept]),
                json!([to_guest, drop]),
            ],
        ),
        (
            "guests_to_world",
            "nat",
            "postrouting",
            100,
            vec![json!([
                matches("==", payload("ip", "saddr"), ours.clone()),
                matches("!=", payload("ip", "daddr"), ours),
                to_elsewhere,
                {"masquerade": null},
            ])],
        ),
    ]
}

/// What changes when guests come and go: `gone` are removed where they are there.
pub(crate) fn change(table: &Table, gone: &[Pin], come: &[Pin]) -> Value {
    let elements = |pins: &[Pin]| {
        json!({"element": {
            "family": FAMILY, "table": table.name, "name": GUESTS,
            "elem": pins.iter().map(element).collect::<Value>(),
        }})
    };
    let mut commands = Vec::new();
    if !gone.is_empty() {
        commands.push(json!({"add": elements(gone)}));
        commands.push(json!({"delete": elements(gone)}));
    }
    if !come.is_empty() {
        commands.push(json!({"add": elements(come)}));
    }
    json!({"nftables": commands})
}

/// The end of the table, whether it is there or not.
pub(crate) fn removal(table: &Table) -> Value {
    let whole = json!({"table": {"family": FAMILY, "name": table.name}});
    json!({"nftables": [{"add": whole}, {"delete": whole}]})
}

fn element(pin: &Pin) -> Value {
    let [a, b, c, d, e, f] = pin.mac;
    json!({"concat": [pin.tap, format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"), pin.address]})
}

fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

fn matches(operator: &str, left: Value, right: Value) -> Value {
    json!({"match": {"op": operator, "left": left, "right": right}})
}

/// Makes one transaction of it: all is done, or nothing.
pub(crate) async fn apply(commands: &Value, what: &'static str) -> Result<(), HostError> {
    let done = apply_ruleset_raw_async(&commands.to_string(), DEFAULT_NFT, [] as [&str; 0]).await;
    done.map(drop).map_err(|error| failed(what, error))
}

/// The guests that are in the table now; none where there is no such table.
pub(crate) async fn guests(table: &Table) -> Result<Vec<Pin>, HostError> {
    const WHAT: &str = "list our table";
    let list = async |arguments: &[&str]| {
        let text = get_current_ruleset_raw_async(DEFAULT_NFT, arguments.iter().copied())
            .await
            .map_err(|error| failed(WHAT, error))?;
        serde_json::from_str::<Value>(&text)
            .map_err(|error| HostError::Rules { what: WHAT, said: format!("its answer is no JSON: {error}") })
    };
    let is_ours =
        |object: &Value| object["table"]["family"] == FAMILY && object["table"]["name"] == table.name;
    if !objects(&list(&["list", "tables"]).await?).iter().any(is_ours) {
        return Ok(Vec::new());
    }
    let listed = list(&["list", "table", FAMILY, &table.name]).await?;
    Ok(parse_guests(&listed))
}

fn objects(listed: &Value) -> &[Value] {
    listed["nftables"].as_array().map_or(&[], Vec::as_slice)
}

/// Reads the set out of a listing. What is not of our form is not of ours, and goes when the table is made anew.
fn parse_guests(listed: &Value) -> Vec<Pin> {
    let sets = objects(listed).iter().map(|object| &object["set"]);
    let ours = sets.filter(|set| set["name"] == GUESTS).filter_map(|set| set["elem"].as_array());
    ours.flatten().filter_map(parse_element).collect()
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

fn failed(what: &'static str, error: NftablesError) -> HostError {
    match error {
        NftablesError::NftExecution { inner, .. } => HostError::NoNft(inner),
        NftablesError::NftFailed { stderr, .. } => HostError::Rules { what, said: stderr.trim().to_owned() },
        other => HostError::Rules { what, said: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table { name: "bothy".into(), cidr: "10.98.0.0/16".parse().unwrap(), taps: "bothy-".into() }
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
        let listed = json!({"nftables": [{"metainfo": {}}, set, other]});
        assert_eq!(parse_guests(&listed), [pin(5), pin(200)]);
        assert_eq!(parse_guests(&json!({"nftables": [{"set": {"name": GUESTS}}]})), []);
        assert_eq!(parse_guests(&json!(3)), []);
    }

    #[test]
    fn a_change_says_nothing_of_other_guests() {
        let commands = change(&table(), &[pin(4)], &[pin(5)]);
        assert_eq!(commands["nftables"].as_array().unwrap().len(), 3);
        assert!(commands.to_string().len() < 1000);
        let whole = ruleset(&table(), &(0..100).map(pin).collect::<Vec<_>>());
        assert_eq!(
            parse_guests(&json!({"nftables": [{"set": whole["nftables"][3]["add"]["set"]}]})).len(),
            100
        );
    }

    /// nft's JSON is the crate's too: a slip in a name is noticed without a kernel.
    #[test]
    fn the_rules_are_of_the_schema() {
        for commands in
            [ruleset(&table(), &[pin(1)]), change(&table(), &[pin(1)], &[pin(2)]), removal(&table())]
        {
            serde_json::from_value::<nftables::schema::Nftables<'_>>(commands).unwrap();
        }
    }
}
