//! Rules of security groups as EC2's permissions: from a request's `IpPermissions`, or the single parameters of older clients,
//! to the core's rules, and back. A permission is all that is let through by one protocol and range of ports, so it lists
//! many of the core's rules; a rule has an id, which it keeps when it is changed.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html>

use compute::compute::ComputeError;
use compute::id::SecurityGroupId;
use compute::resource::{Direction, Peer, Protocol, SecurityGroup, SecurityRule};

use super::super::access::resource;
use super::super::ids::CloudId;
use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::refusals;
use super::security_group::network;
use super::words::derived;

/// The rules that a request names for a group: those of its list, or the one of its single parameters.
pub async fn named(
    call: &Call<'_>,
    group: &SecurityGroup,
    direction: Direction,
) -> Result<Vec<SecurityRule>, Refusal> {
    let parameters = call.parameters;
    let listed = parameters.groups("IpPermissions")?;
    let single = SINGLE.iter().find(|name| parameters.get(name).is_some());
    let mut rules = Vec::new();
    match (listed.is_empty(), single) {
        (false, Some(single)) => return Err(refusals::combination("IpPermissions", single)),
        (false, None) => {
            for permission in &listed {
                rules.extend(permitted(call, group, direction, permission).await?);
            }
        }
        (true, Some(_)) => rules = one(call, group, direction).await?,
        (true, None) => return Err(Refusal::missing("IpPermissions")),
    }
    for (place, rule) in rules.iter().enumerate() {
        if rules[..place].iter().any(|other| is_same(other, rule)) {
            return Err(refusals::value("The same permission must not appear multiple times"));
        }
    }
    Ok(rules)
}

/// What older clients say a single rule with.
const SINGLE: &[&str] =
    &["CidrIp", "IpProtocol", "FromPort", "ToPort", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId"];

/// What one permission of a list lets through.
async fn permitted(
    call: &Call<'_>,
    group: &SecurityGroup,
    direction: Direction,
    permission: &Parameters,
) -> Result<Vec<SecurityRule>, Refusal> {
    let protocol = protocol(permission)?;
    let (ranges, groups) = (permission.groups("IpRanges")?, permission.groups("Groups")?);
    let mut rules = Vec::new();
    for range in &ranges {
        let peer = Peer::Cidr(network(range.required("CidrIp")?)?);
        rules.push(SecurityRule { direction, protocol, peer, description: description(range)?, id: None });
    }
    for pair in &groups {
        let peer = peer(call, group, pair, ["UserId", "GroupId", "GroupName"]).await?;
        rules.push(SecurityRule { direction, protocol, peer, description: description(pair)?, id: None });
    }
    for name in ["Ipv6Ranges", "PrefixListIds"] {
        if !permission.groups(name)?.is_empty() {
            return Err(Refusal::unsupported(&permission.full(name)));
        }
    }
    match rules.is_empty() {
        false => Ok(rules),
        true => Err(Refusal::missing(&permission.full("IpRanges"))),
    }
}

/// What the single parameters let through: a network by a protocol, or all that members of a group send.
async fn one(
    call: &Call<'_>,
    group: &SecurityGroup,
    direction: Direction,
) -> Result<Vec<SecurityRule>, Refusal> {
    let parameters = call.parameters;
    let rule =
        |protocol, peer| SecurityRule { direction, protocol, peer, description: String::new(), id: None };
    if parameters.get("SourceSecurityGroupName").is_none() {
        if parameters.get("SourceSecurityGroupOwnerId").is_some() {
            return Err(Refusal::missing("SourceSecurityGroupName"));
        }
        let peer = Peer::Cidr(network(parameters.required("CidrIp")?)?);
        return Ok(vec![rule(protocol(parameters)?, peer)]);
    }
    if let Some(other) = SINGLE[..4].iter().find(|name| parameters.get(name).is_some()) {
        return Err(refusals::combination("SourceSecurityGroupName", other));
    }
    let names = ["SourceSecurityGroupOwnerId", "", "SourceSecurityGroupName"];
    let peer = peer(call, group, parameters, names).await?;
    let all = [
        Protocol::Tcp { from: 0, to: u16::MAX },
        Protocol::Udp { from: 0, to: u16::MAX },
        Protocol::Icmp { kind: None, code: None },
    ];
    Ok(all.map(|protocol| rule(protocol, peer.clone())).into())
}

/// Members of a group, of whichever account, by the names of the parameters with account, id and name.
async fn peer(
    call: &Call<'_>,
    group: &SecurityGroup,
    pair: &Parameters,
    [account, id, name]: [&str; 3],
) -> Result<Peer, Refusal> {
    let account = pair.get(account).unwrap_or(call.account());
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let told = pair.get(id).or(pair.get(name)).unwrap_or_default();
    if !is_account {
        return Err(Refusal::no_such("security group", told));
    }
    let found = match (pair.get(id), pair.get(name)) {
        (Some(id), _) => call.compute().security_group(account, SecurityGroupId::read(id)?).await,
        (None, Some(name)) => {
            let vpc = (account == call.account()).then_some(group.vpc);
            call.compute().security_group_named(account, vpc, name).await
        }
        (None, None) => return Err(Refusal::missing(&pair.full("GroupId"))),
    };
    match found {
        Ok(found) => Ok(Peer::Group { account: account.to_owned(), group: found.id }),
        Err(ComputeError::NotFound { .. }) => Err(Refusal::no_such("security group", told)),
        Err(error) => Err(error.into()),
    }
}

/// Longest description of a rule, and what it may have besides letters and digits.
const MAX_DESCRIPTION: usize = 255;
const DESCRIPTION_MARKS: &str = " ._-:/()#,@[]+=&;{}!$*";

/// What is said of a rule.
pub fn description(one: &Parameters) -> Result<String, Refusal> {
    let text = one.get("Description").unwrap_or_default();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || DESCRIPTION_MARKS.contains(c);
    if text.len() > MAX_DESCRIPTION || !text.chars().all(is_allowed) {
        let why = format!(
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9{DESCRIPTION_MARKS}"
        );
        return Err(refusals::value(why));
    }
    Ok(text.to_owned())
}

fn protocol(one: &Parameters) -> Result<Protocol, Refusal> {
    let word = one.required("IpProtocol")?.to_ascii_lowercase();
    let number = |name| -> Result<Option<i64>, Refusal> { one.parsed(name) };
    let (from, to) = (number("FromPort")?, number("ToPort")?);
    let ports = || -> Result<(u16, u16), Refusal> {
        let (Some(from), Some(to)) = (from, to) else {
            let why = "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.";
            return Err(refusals::value(why));
        };
        match (u16::try_from(from), u16::try_from(to)) {
            (Ok(from), Ok(to)) if from <= to => Ok((from, to)),
            _ => Err(refusals::value(format!("Invalid TCP/UDP port range ({from}:{to})"))),
        }
    };
    match word.as_str() {
        "-1" | "all" => Ok(Protocol::All),
        "tcp" | "6" => ports().map(|(from, to)| Protocol::Tcp { from, to }),
        "udp" | "17" => ports().map(|(from, to)| Protocol::Udp { from, to }),
        "icmp" | "1" => {
            let part = |number: Option<i64>| match number {
                None | Some(-1) => Some(None),
                Some(number) => u8::try_from(number).ok().map(Some),
            };
            match (part(from), part(to)) {
                (Some(None), Some(Some(_))) | (None, _) | (_, None) => Err(refusals::malformed_permission(
                    "ICMP code (to_port) and type (from_port) do not go together",
                )),
                (Some(kind), Some(code)) => Ok(Protocol::Icmp { kind, code }),
            }
        }
        _ => Err(refusals::malformed_permission(format!(
            "Unsupported IP protocol \"{}\"  - supported: [tcp, udp, icmp, -1]",
            word.chars().take(40).collect::<String>()
        ))),
    }
}

/// Protocol and ports as EC2 has them; all has no ports.
fn shown(protocol: Protocol) -> (&'static str, Option<(i64, i64)>) {
    match protocol {
        Protocol::All => ("-1", None),
        Protocol::Tcp { from, to } => ("tcp", Some((from.into(), to.into()))),
        Protocol::Udp { from, to } => ("udp", Some((from.into(), to.into()))),
        Protocol::Icmp { kind, code } => {
            let part = |part: Option<u8>| part.map_or(-1, i64::from);
            ("icmp", Some((part(kind), part(code))))
        }
    }
}

/// A rule in EC2's words, for messages.
pub fn said(rule: &SecurityRule) -> String {
    let peer = match &rule.peer {
        Peer::Cidr(cidr) => cidr.to_string(),
        Peer::Group { group, .. } => group.to_string(),
    };
    let (word, ports) = shown(rule.protocol);
    let word = if word == "-1" { "ALL".to_owned() } else { word.to_ascii_uppercase() };
    let ports = ports.map_or_else(String::new, |(from, to)| format!(", from port: {from}, to port: {to}"));
    format!("\"peer: {peer}, {word}{ports}, ALLOW\"")
}

/// What a rule's texts are by the names of EC2's filters, behind `ip-permission.`.
pub fn filtered(rule: &SecurityRule, field: &str) -> Option<String> {
    let (word, ports) = shown(rule.protocol);
    match (field, &rule.peer) {
        ("protocol", _) => Some(word.to_owned()),
        ("from-port", _) => ports.map(|(from, _)| from.to_string()),
        ("to-port", _) => ports.map(|(_, to)| to.to_string()),
        ("cidr", Peer::Cidr(cidr)) => Some(cidr.to_string()),
        ("group-id", Peer::Group { group, .. }) => Some(group.to_string()),
        ("user-id", Peer::Group { account, .. }) => Some(account.clone()),
        _ => None,
    }
}

/// Rules of one direction as permissions, in the order of the first rule of each.
pub fn permissions<'a>(rules: impl IntoIterator<Item = &'a SecurityRule>) -> Vec<Tree> {
    let mut all: Vec<(Protocol, Vec<Tree>, Vec<Tree>)> = Vec::new();
    for rule in rules {
        let place = all.iter().position(|(protocol, ..)| *protocol == rule.protocol).unwrap_or_else(|| {
            all.push((rule.protocol, Vec::new(), Vec::new()));
            all.len() - 1
        });
        let (_, groups, ranges) = &mut all[place];
        let description = described(rule);
        match &rule.peer {
            Peer::Cidr(cidr) => ranges.push(Tree::new().text("cidrIp", cidr).and(description)),
            Peer::Group { account, group } => {
                groups.push(Tree::new().text("userId", account).text("groupId", group).and(description));
            }
        }
    }
    let view = |(protocol, groups, ranges)| {
        let (word, ports) = shown(protocol);
        Tree::new()
            .text("ipProtocol", word)
            .text_if("fromPort", ports.map(|(from, _)| from))
            .text_if("toPort", ports.map(|(_, to)| to))
            .list("groups", groups)
            .list("ipRanges", ranges)
            .list("ipv6Ranges", [])
            .list("prefixListIds", [])
    };
    all.into_iter().map(view).collect()
}

fn described(rule: &SecurityRule) -> Tree {
    let description = Some(&rule.description).filter(|text| !text.is_empty());
    Tree::new().text_if("description", description)
}

/// A rule by itself, with its id.
pub fn rule(call: &Call<'_>, group: &SecurityGroup, rule: &SecurityRule) -> Tree {
    let id = rule_id(group, rule);
    let referenced = match &rule.peer {
        Peer::Cidr(_) => None,
        Peer::Group { account, group } => Some(Tree::new().text("groupId", group).text("userId", account)),
    };
    by_itself(group, rule)
        .tree_if("referencedGroupInfo", referenced)
        .text("groupOwnerId", &group.account)
        .text("securityGroupRuleArn", resource(call, "security-group-rule", &id))
        .list("tagSet", [])
}

/// A rule that was taken away.
pub fn revoked(group: &SecurityGroup, rule: &SecurityRule) -> Tree {
    let referenced = match &rule.peer {
        Peer::Cidr(_) => None,
        Peer::Group { group, .. } => Some(group),
    };
    by_itself(group, rule).text_if("referencedGroupId", referenced)
}

fn by_itself(group: &SecurityGroup, rule: &SecurityRule) -> Tree {
    let (word, ports) = shown(rule.protocol);
    let (from, to) = ports.unwrap_or((-1, -1));
    let cidr = match &rule.peer {
        Peer::Cidr(cidr) => Some(cidr),
        Peer::Group { .. } => None,
    };
    Tree::new()
        .text("securityGroupRuleId", rule_id(group, rule))
        .text("groupId", group.id)
        .text("isEgress", rule.direction == Direction::Egress)
        .text("ipProtocol", word)
        .text("fromPort", from)
        .text("toPort", to)
        .text_if("cidrIpv4", cidr)
        .and(described(rule))
}

/// The id of a rule: its own, or one of what it says in its group, which no other rule there does.
pub fn rule_id(group: &SecurityGroup, rule: &SecurityRule) -> String {
    if let Some(id) = &rule.id {
        return id.clone();
    }
    let said = format!("{} {:?} {:?} {:?}", group.id, rule.direction, rule.protocol, rule.peer);
    let id = derived("sgr", &said);
    // One that said so before, and was changed, has kept it.
    match group.rules.iter().any(|other| other.id.as_ref() == Some(&id)) {
        true => derived("sgr", &format!("{said} again")),
        false => id,
    }
}

/// The rule that a request describes for the place of another: all of it, by what has an id of its own.
pub async fn replacement(
    call: &Call<'_>,
    group: &SecurityGroup,
    direction: Direction,
    said: &Parameters,
) -> Result<SecurityRule, Refusal> {
    for name in ["CidrIpv6", "PrefixListId"] {
        if said.get(name).is_some() {
            return Err(Refusal::unsupported(&said.full(name)));
        }
    }
    let peer = match (said.get("CidrIpv4"), said.get("ReferencedGroupId")) {
        (Some(_), Some(_)) => {
            return Err(refusals::combination(&said.full("CidrIpv4"), &said.full("ReferencedGroupId")));
        }
        (Some(cidr), None) => Peer::Cidr(network(cidr)?),
        (None, Some(_)) => peer(call, group, said, ["", "ReferencedGroupId", ""]).await?,
        (None, None) => return Err(said.missing("CidrIpv4")),
    };
    Ok(SecurityRule { direction, protocol: protocol(said)?, peer, description: description(said)?, id: None })
}

/// Whether two rules let the same through, whatever is said of them.
pub fn is_same(a: &SecurityRule, b: &SecurityRule) -> bool {
    (a.direction, a.protocol, &a.peer) == (b.direction, b.protocol, &b.peer)
}
