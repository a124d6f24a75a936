//! The program nft, run in a namespace, and the words of its JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use nftables::helper::{DEFAULT_NFT, NftablesError, get_current_ruleset_raw};
use serde_json::{Value, json};

use crate::HostError;
use crate::namespace::Namespace;

/// The family of all our tables.
pub(crate) const FAMILY: &str = "inet";

/// Makes one transaction of commands: all is done, or nothing.
pub(crate) async fn apply(
    namespace: &Namespace,
    commands: Vec<Value>,
    what: &'static str,
) -> Result<(), HostError> {
    let text = json!({"nftables": commands}).to_string();
    let output = namespace.run(move || nft(&text)).await?.map_err(HostError::NoNft)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(HostError::Rules { what, said })
        }
    }
}

/// As the crate's `apply_ruleset_raw`, which leaves what nft says of errors to our own standard error.
fn nft(text: &str) -> io::Result<std::process::Output> {
    let mut nft = Command::new("nft");
    nft.args(["-j", "-f", "-"]);
    let mut nft = nft.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = nft.stdin.take() {
        // It reads all before it says anything; where it ends before, it says why.
        match input.write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    nft.wait_with_output()
}

/// What nft lists, object by object.
pub(crate) async fn list(
    namespace: &Namespace,
    arguments: &[&str],
    what: &'static str,
) -> Result<Vec<Value>, HostError> {
    let arguments: Vec<String> =
        ["list"].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
    let listed = namespace.run(move || get_current_ruleset_raw(DEFAULT_NFT, &arguments));
    let text = listed.await?.map_err(|error| failed(what, error))?;
    let mut answer: Value = serde_json::from_str(&text)
        .map_err(|error| HostError::Rules { what, said: format!("its answer is no JSON: {error}") })?;
    match answer["nftables"].take() {
        Value::Array(objects) => Ok(objects),
        _ => Ok(Vec::new()),
    }
}

/// The packets and bytes of each counter of a table.
pub(crate) async fn counters(
    namespace: &Namespace,
    table: &str,
) -> Result<BTreeMap<String, (u64, u64)>, HostError> {
    let listed = list(namespace, &["counters", "table", FAMILY, table], "list our counters").await?;
    let counters = listed.iter().filter_map(|object| {
        let counter = &object["counter"];
        let count = |key: &str| counter[key].as_u64().unwrap_or_default();
        Some((counter["name"].as_str()?.to_owned(), (count("packets"), count("bytes"))))
    });
    Ok(counters.collect())
}

/// Has the kernel load what helps FTP, if it is a module: nftables asks for the part that tracks it, and not for the part
/// that puts other addresses into its words.
pub(crate) async fn load_helpers(namespace: &Namespace) -> Result<(), HostError> {
    let load = || Command::new("modprobe").args(["-q", "-a", "nf_conntrack_ftp", "nf_nat_ftp"]).output();
    // It may be built in, or not there at all: the helper's own transaction tells.
    namespace.run(load).await.map(drop)
}

fn failed(what: &'static str, error: NftablesError) -> HostError {
    match error {
        NftablesError::NftExecution { inner, .. } => HostError::NoNft(inner),
        NftablesError::NftFailed { stderr, .. } => HostError::Rules { what, said: stderr.trim().to_owned() },
        other => HostError::Rules { what, said: other.to_string() },
    }
}

/// An object of a table, to be added, flushed or deleted: `what` it is, and all that is to be said of it besides.
pub(crate) fn object(verb: &str, what: &str, table: &str, name: &str, mut more: Value) -> Value {
    more["family"] = json!(FAMILY);
    more["table"] = json!(table);
    more["name"] = json!(name);
    json!({verb: {what: more}})
}

/// A rule at the end of a chain.
pub(crate) fn rule(table: &str, chain: &str, statements: &Value) -> Value {
    json!({"add": {"rule": {"family": FAMILY, "table": table, "chain": chain, "expr": statements}}})
}

pub(crate) fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

pub(crate) fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

pub(crate) fn ct(key: &str) -> Value {
    json!({"ct": {"key": key}})
}

/// Something of a connection's in one direction.
pub(crate) fn ct_in(direction: &str, key: &str) -> Value {
    json!({"ct": {"key": key, "dir": direction}})
}

pub(crate) fn matches(operator: &str, left: Value, right: Value) -> Value {
    json!({"match": {"op": operator, "left": left, "right": right}})
}

pub(crate) fn prefix(network: ipnet::Ipv4Net) -> Value {
    json!({"prefix": {"addr": network.network(), "len": network.prefix_len()}})
}

/// What a map has for a key.
pub(crate) fn lookup(key: Value, map: &str) -> Value {
    json!({"map": {"key": key, "data": format!("@{map}")}})
}

pub(crate) fn accept() -> Value {
    json!({"accept": null})
}

pub(crate) fn drop_it() -> Value {
    json!({"drop": null})
}

pub(crate) fn goto(chain: &str) -> Value {
    json!({"goto": {"target": chain}})
}

pub(crate) fn jump(chain: &str) -> Value {
    json!({"jump": {"target": chain}})
}
