//! Permissions as 2007 has them: a protocol and ports from a network, or all that members of a group send, of any account. The
//! core has a rule for each protocol, range and source; what is let through whole is shown as the three protocols of then.

use std::collections::HashMap;

use compute::id::SecurityGroupId;
use compute::identity::AccountId;
use compute::resource::{Direction, Peer, Protocol, SecurityRule};
use ipnet::Ipv4Net;

use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::group;

/// All that there was then.
const WHOLE: [Protocol; 3] = [
    Protocol::Tcp { from: 0, to: u16::MAX },
    Protocol::Udp { from: 0, to: u16::MAX },
    Protocol::Icmp { kind: None, code: None },
];

const PAIR: [&str; 2] = ["SourceSecurityGroupName", "SourceSecurityGroupOwnerId"];
const RANGE: [&str; 4] = ["IpProtocol", "FromPort", "ToPort", "CidrIp"];

/// What is no permission.
pub fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidPermission.Malformed", why)
}

/// The rules that a request names: a pair or a range by Query, a list of them by SOAP.
pub async fn read(call: &Call<'_>) -> Result<Vec<SecurityRule>, Refusal> {
    let parameters = call.parameters;
    if parameters.get("UserId").is_some_and(|user| user != call.account()) {
        return Err(Refusal::new(401, "AuthFailure", "The security group is another account's"));
    }
    let mut rules: Vec<SecurityRule> = Vec::new();
    for permission in parameters.groups("IpPermissions")? {
        rules.extend(listed(call, &permission).await?);
    }
    if rules.is_empty() {
        rules = single(call).await?;
    }
    for (place, rule) in rules.iter().enumerate() {
        if rules[..place].contains(rule) {
            return Err(malformed("The same permission is there twice"));
        }
    }
    Ok(rules)
}

/// What Query says: all that a group sends, or what a network does.
async fn single(call: &Call<'_>) -> Result<Vec<SecurityRule>, Refusal> {
    let parameters = call.parameters;
    let given = |names: &[&'static str]| names.iter().copied().find(|name| parameters.get(name).is_some());
    match (given(&PAIR), given(&RANGE)) {
        (Some(pair), Some(range)) => Err(Refusal::combination(format!(
            "The parameter {pair} may not be used in combination with {range}"
        ))),
        (Some(_), None) => {
            let name = parameters.required("SourceSecurityGroupName")?;
            let owner = parameters.required("SourceSecurityGroupOwnerId")?;
            let peer = peer(call, owner, name).await?;
            Ok(WHOLE.map(|protocol| rule(protocol, peer.clone())).into())
        }
        (None, Some(_)) => {
            let protocol = protocol(parameters)?;
            Ok(vec![rule(protocol, Peer::Cidr(network(parameters.get("CidrIp"))?))])
        }
        (None, None) => Err(Refusal::missing("IpProtocol")),
    }
}

/// What one permission of SOAP's list says, which may name several sources; where it names none, any is meant.
async fn listed(call: &Call<'_>, permission: &Parameters) -> Result<Vec<SecurityRule>, Refusal> {
    let (groups, ranges) = (permission.groups("Groups")?, permission.groups("IpRanges")?);
    // Of a group's members one could not let in less than all; some clients leave out what all is.
    let protocols = match permission.get("IpProtocol") {
        None if !groups.is_empty() && ranges.is_empty() => WHOLE.to_vec(),
        _ => vec![protocol(permission)?],
    };
    let mut peers = Vec::with_capacity(groups.len() + ranges.len());
    for pair in &groups {
        let owner = pair.get("UserId").unwrap_or(call.account());
        peers.push(peer(call, owner, pair.required("GroupName")?).await?);
    }
    for range in &ranges {
        peers.push(Peer::Cidr(network(range.get("CidrIp"))?));
    }
    if peers.is_empty() {
        peers.push(Peer::Cidr(Ipv4Net::default()));
    }
    let of = |protocol: &Protocol| peers.iter().map(|peer| rule(*protocol, peer.clone())).collect::<Vec<_>>();
    Ok(protocols.iter().flat_map(of).collect())
}

fn rule(protocol: Protocol, peer: Peer) -> SecurityRule {
    SecurityRule { direction: Direction::Ingress, protocol, peer, description: String::new(), id: None }
}

async fn peer(call: &Call<'_>, owner: &str, name: &str) -> Result<Peer, Refusal> {
    if owner.parse::<AccountId>().is_err() {
        return Err(malformed(format!("\"{}\" is no account", shown(owner))));
    }
    let group = group::of(call, owner, name).await?;
    Ok(Peer::Group { account: group.account, group: group.id })
}

/// A network; none is any.
fn network(text: Option<&str>) -> Result<Ipv4Net, Refusal> {
    let Some(text) = text else { return Ok(Ipv4Net::default()) };
    let read = text.parse::<Ipv4Net>().map_err(|_| malformed(format!("\"{}\" is no CIDR", shown(text))))?;
    Ok(read.trunc())
}

fn protocol(permission: &Parameters) -> Result<Protocol, Refusal> {
    let word = permission.required("IpProtocol")?;
    let number = |name: &str| -> Result<i64, Refusal> {
        let text = permission.required(name)?;
        text.parse().map_err(|_| malformed(format!("{name} is \"{}\": expected a number", shown(text))))
    };
    let (from, to) = (number("FromPort")?, number("ToPort")?);
    let ports = || match (u16::try_from(from), u16::try_from(to)) {
        (Ok(from), Ok(to)) if from <= to => Ok((from, to)),
        _ => Err(malformed(format!("{from} to {to} is no range of ports"))),
    };
    let part = |number: i64| match number {
        -1 => Ok(None),
        number => {
            u8::try_from(number).map(Some).map_err(|_| malformed(format!("{number} is none of ICMP's")))
        }
    };
    match word {
        "tcp" => ports().map(|(from, to)| Protocol::Tcp { from, to }),
        "udp" => ports().map(|(from, to)| Protocol::Udp { from, to }),
        "icmp" => match (part(from)?, part(to)?) {
            (None, Some(_)) => Err(malformed("A code of ICMP needs a type")),
            (kind, code) => Ok(Protocol::Icmp { kind, code }),
        },
        _ => Err(malformed(format!("\"{}\" is no protocol: expected tcp, udp or icmp", shown(word)))),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

fn says_the_same(one: &SecurityRule, other: &SecurityRule) -> bool {
    (one.direction, one.protocol, &one.peer) == (other.direction, other.protocol, &other.peer)
}

/// Whether a group's rules let that in already, word for word or whole.
pub fn is_let_in(rules: &[SecurityRule], wanted: &SecurityRule) -> bool {
    let whole = rule(Protocol::All, wanted.peer.clone());
    let is_whole = matches!(wanted.peer, Peer::Group { .. });
    rules.iter().any(|rule| says_the_same(rule, wanted) || is_whole && says_the_same(rule, &whole))
}

/// What a request names, in a group's own rules: where the group has a rule that lets all in, as its default one has, the three
/// protocols together are that.
pub fn granted(rules: &[SecurityRule], wanted: Vec<SecurityRule>) -> Vec<SecurityRule> {
    let has = |rule: &SecurityRule| rules.iter().any(|known| says_the_same(known, rule));
    let mut granted: Vec<SecurityRule> = Vec::with_capacity(wanted.len());
    for one in &wanted {
        let whole = rule(Protocol::All, one.peer.clone());
        let are_three = WHOLE.iter().all(|protocol| wanted.contains(&rule(*protocol, one.peer.clone())));
        let named = if !has(one) && has(&whole) && are_three { whole } else { one.clone() };
        if !granted.contains(&named) {
            granted.push(named);
        }
    }
    granted
}

/// What a group lets in, in the order of its rules: an item for each protocol and range, with all its sources.
pub fn told(rules: &[SecurityRule], names: &HashMap<SecurityGroupId, String>) -> Vec<Tree> {
    let mut items: Vec<(Protocol, Vec<&Peer>)> = Vec::new();
    for rule in rules.iter().filter(|rule| rule.direction == Direction::Ingress) {
        let protocols = if rule.protocol == Protocol::All { WHOLE.to_vec() } else { vec![rule.protocol] };
        for protocol in protocols {
            match items.iter_mut().find(|(known, _)| *known == protocol) {
                Some((_, peers)) if peers.contains(&&rule.peer) => {}
                Some((_, peers)) => peers.push(&rule.peer),
                None => items.push((protocol, vec![&rule.peer])),
            }
        }
    }
    items.into_iter().map(|(protocol, peers)| item(protocol, &peers, names)).collect()
}

fn item(protocol: Protocol, peers: &[&Peer], names: &HashMap<SecurityGroupId, String>) -> Tree {
    let part = |part: Option<u8>| part.map_or(-1, i64::from);
    let (word, from, to) = match protocol {
        Protocol::Tcp { from, to } => ("tcp", i64::from(from), i64::from(to)),
        Protocol::Udp { from, to } => ("udp", i64::from(from), i64::from(to)),
        Protocol::Icmp { kind, code } => ("icmp", part(kind), part(code)),
        Protocol::All => unreachable!("it is told as the three"),
    };
    let pair = |peer: &&Peer| match peer {
        Peer::Group { account, group } => {
            let name = names.get(group).map(String::as_str).unwrap_or_default();
            Some(Tree::new().text("userId", account).text("groupName", name))
        }
        Peer::Cidr(_) => None,
    };
    let range = |peer: &&Peer| match peer {
        Peer::Cidr(network) => Some(Tree::new().text("cidrIp", network)),
        Peer::Group { .. } => None,
    };
    Tree::new()
        .text("ipProtocol", word)
        .text("fromPort", from)
        .text("toPort", to)
        .list("groups", peers.iter().filter_map(pair))
        .list("ipRanges", peers.iter().filter_map(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Peer {
        Peer::Group { account: "123456789012".to_owned(), group: SecurityGroupId::new(7) }
    }

    #[test]
    fn a_group_grant_is_told_as_the_three_protocols() {
        let names = HashMap::from([(SecurityGroupId::new(7), "web".to_owned())]);
        let three: Vec<SecurityRule> = WHOLE.map(|protocol| rule(protocol, members())).into();
        let whole = vec![rule(Protocol::All, members())];
        assert_eq!(told(&whole, &names), told(&three, &names));
        let shown = Tree::new().list("p", told(&whole, &names)).element("r", None);
        let ports =
            ["<ipProtocol>tcp</ipProtocol><fromPort>0</fromPort><toPort>65535</toPort>", "udp", "icmp"];
        assert!(ports.iter().all(|part| shown.contains(part)), "{shown}");
        assert_eq!(shown.matches("<groupName>web</groupName>").count(), 3, "{shown}");
        assert!(is_let_in(&whole, &three[0]) && is_let_in(&three, &three[2]));
        assert!(!is_let_in(&whole, &rule(WHOLE[0], Peer::Cidr(Ipv4Net::default()))));
    }

    #[test]
    fn what_was_granted_whole_is_taken_away_whole() {
        let three: Vec<SecurityRule> = WHOLE.map(|protocol| rule(protocol, members())).into();
        let whole = vec![rule(Protocol::All, members())];
        assert_eq!(granted(&whole, three.clone()), whole);
        assert_eq!(granted(&three, three.clone()), three);
        assert_eq!(granted(&whole, three[..1].to_vec()), three[..1], "which the group has not");
    }
}
