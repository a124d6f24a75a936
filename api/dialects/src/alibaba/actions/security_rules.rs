//! Rules of security groups: from the cloud's parameters to the core's, and back. A rule lets something through; one that drops
//! is not of this core, whose groups drop all that no rule lets through.

use compute::id::SecurityGroupId;
use compute::resource::{Direction, Peer, Protocol, SecurityRule};
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::parameters::Parameters;
use super::super::{Call, Refusal};

/// The rules that a request names: those of its groups of parameters, or the one that it is itself.
pub fn named(call: &Call<'_>, direction: Direction) -> Result<Vec<SecurityRule>, Refusal> {
    let groups = call.parameters.groups("Permissions")?;
    if groups.is_empty() {
        return Ok(vec![rule(call, call.parameters, direction)?]);
    }
    groups.values().map(|one| rule(call, one, direction)).collect()
}

fn rule(call: &Call<'_>, one: &Parameters, direction: Direction) -> Result<SecurityRule, Refusal> {
    let policy = one.get("Policy").unwrap_or("accept");
    if !policy.eq_ignore_ascii_case("accept") {
        return Err(Refusal::unsupported("Policy"));
    }
    for name in
        ["SourcePortRange", "Ipv6SourceCidrIp", "Ipv6DestCidrIp", "SourcePrefixListId", "DestPrefixListId"]
    {
        // That any port may be the source is what there is.
        if one.get(name).is_some_and(|value| value != "-1/-1") {
            return Err(Refusal::unsupported(name));
        }
    }
    let (cidr, group) = match direction {
        Direction::Ingress => ("SourceCidrIp", "SourceGroupId"),
        Direction::Egress => ("DestCidrIp", "DestGroupId"),
    };
    let peer = match (one.get(cidr), one.get(group)) {
        (Some(text), None) => Peer::Cidr(network(text).ok_or_else(|| one.invalid(cidr))?),
        (None, Some(id)) => {
            Peer::Group { account: call.account().to_owned(), group: SecurityGroupId::read(id)? }
        }
        (None, None) => return Err(Refusal::missing(cidr)),
        (Some(_), Some(_)) => return Err(one.invalid(group)),
    };
    let description = one.get("Description").unwrap_or_default().to_owned();
    Ok(SecurityRule { direction, protocol: protocol(one)?, peer, description, id: None })
}

/// A network, or a single address.
fn network(text: &str) -> Option<ipnet::Ipv4Net> {
    let single = || Some(ipnet::Ipv4Net::from(text.parse::<std::net::Ipv4Addr>().ok()?));
    text.parse().ok().or_else(single)
}

fn protocol(one: &Parameters) -> Result<Protocol, Refusal> {
    let word = one.required("IpProtocol")?.to_ascii_lowercase();
    let ports = one.get("PortRange").unwrap_or("-1/-1");
    match word.as_str() {
        "tcp" | "udp" => {
            let (from, to) = match ports {
                "-1/-1" => (1, u16::MAX),
                ports => ports
                    .split_once('/')
                    .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)))
                    .filter(|(from, to)| from <= to && *from > 0)
                    .ok_or_else(|| one.invalid("PortRange"))?,
            };
            Ok(if word == "tcp" { Protocol::Tcp { from, to } } else { Protocol::Udp { from, to } })
        }
        _ if ports != "-1/-1" => Err(one.invalid("PortRange")),
        "icmp" => Ok(Protocol::Icmp { kind: None, code: None }),
        "all" => Ok(Protocol::All),
        _ => Err(one.invalid("IpProtocol")),
    }
}

/// A rule as it is shown.
pub fn view(rule: &SecurityRule) -> Value {
    let (word, ports) = match rule.protocol {
        Protocol::All => ("ALL", "-1/-1".to_owned()),
        Protocol::Tcp { from, to } => ("TCP", format!("{from}/{to}")),
        Protocol::Udp { from, to } => ("UDP", format!("{from}/{to}")),
        Protocol::Icmp { .. } => ("ICMP", "-1/-1".to_owned()),
    };
    let (cidr, group) = match &rule.peer {
        Peer::Cidr(cidr) => (cidr.to_string(), String::new()),
        Peer::Group { group, .. } => (String::new(), group.written()),
    };
    let is_in = rule.direction == Direction::Ingress;
    let only = |wanted: bool, text: &str| if wanted { text.to_owned() } else { String::new() };
    json!({
        "IpProtocol": word,
        "PortRange": ports,
        "Direction": if is_in { "ingress" } else { "egress" },
        "Policy": "Accept",
        "Priority": "1",
        "NicType": "intranet",
        "Description": rule.description,
        "SourceCidrIp": only(is_in, &cidr),
        "SourceGroupId": only(is_in, &group),
        "DestCidrIp": only(!is_in, &cidr),
        "DestGroupId": only(!is_in, &group),
    })
}

/// Adds rules to a group, or takes them away. A rule that is there is not added again, nor need one be there to be taken.
pub async fn change(call: &Call<'_>, direction: Direction, adds: bool) -> Result<Value, Refusal> {
    let id = SecurityGroupId::read(call.parameters.required("SecurityGroupId")?)?;
    let rules = named(call, direction)?;
    let (add, remove): (&[SecurityRule], &[SecurityRule]) = if adds { (&rules, &[]) } else { (&[], &rules) };
    call.compute().set_rules(call.account(), id, add, remove).await?;
    Ok(json!({}))
}
