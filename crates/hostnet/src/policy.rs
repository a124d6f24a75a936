//! What a network's guests may do: the desired state that the caller gives, whole, and what makes no sense in one. Rules of
//! nftables are made of it in `rules`; nothing here knows of them.

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::ApplyPolicyError;

/// Longest name of a group, in bytes.
const MAX_GROUP_NAME: usize = 64;

/// Who is in the network, and what may pass. What is not said of a guest is as without a policy: it may do what it wants
/// within the network and, from there, outside, behind the host's address; from outside come only answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The guests, by network interface; one whose tap is not there yet may be here already, and should be, so that it is
    /// never without its rules.
    pub members: Vec<Member>,
    /// The security groups.
    pub groups: Vec<Group>,
}

/// A guest's network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its tap.
    pub tap: String,
    /// The address that it is attached with.
    pub address: Ipv4Addr,
    /// The names of its security groups: what one of them allows is allowed, and nothing else, in both directions. Without
    /// any, nothing is looked at.
    pub groups: Vec<String>,
    /// How it reaches the outside, which is all that is not this network.
    pub outside: Outside,
    /// How fast.
    pub bandwidth: Bandwidth,
}

/// How a guest reaches the outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outside {
    /// Not at all.
    Nothing,
    /// Behind an address that all share; nothing outside can begin to talk to it.
    #[default]
    Shared,
    /// With a public address of its own, from the network's pool: what comes for that address is the guest's, and what the
    /// guest sends comes from it.
    Public(Ipv4Addr),
}

/// Most traffic with the outside, in Mbit/s (10^6 bit); what is more is dropped. After a pause, as much as fits into a second
/// may come at once. Without a number there is no limit, and none is ever put on traffic within the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// To the guest.
    pub in_mbit: Option<u32>,
    /// From the guest.
    pub out_mbit: Option<u32>,
}

/// A security group. Rules allow; what none allows is dropped, also outwards: for a cloud whose groups have no rules for
/// that direction, give it `Rule::ALL_OUT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// By which members know it: up to 64 letters, digits, hyphens, underscores and dots, a letter first.
    pub name: String,
    /// What it allows.
    pub rules: Vec<Rule>,
}

/// A rule of a security group. It is asked for the first packet of a connection (of whatever is like one); others, and
/// errors about it, pass because that one did. So where a rule goes, no connection begins by it any more, and those that it
/// let begin go on, as EC2 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// To or from the members.
    pub direction: Direction,
    /// What.
    pub protocol: Protocol,
    /// From or to whom.
    pub peer: Peer,
}

impl Rule {
    /// Whatever members send.
    pub const ALL_OUT: Self = Self {
        direction: Direction::Out,
        protocol: Protocol::All,
        peer: Peer::Cidr(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    };
}

/// Which way a connection is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By somebody else, to a member.
    In,
    /// By a member.
    Out,
}

/// Protocols, and the parts of them that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Everything.
    All,
    /// TCP.
    Tcp {
        /// First port.
        from: u16,
        /// Last port.
        to: u16,
    },
    /// UDP.
    Udp {
        /// First port.
        from: u16,
        /// Last port.
        to: u16,
    },
    /// ICMP of IPv4.
    Icmp {
        /// Type; without, all.
        kind: Option<u8>,
        /// Code; without, all.
        code: Option<u8>,
    },
    /// Another, by its number.
    Number(u8),
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Addresses, as the guest sees them. Host bits do not matter.
    Cidr(Ipv4Net),
    /// The members of a group of this network, this one or another, by their own addresses. A group that is not there has
    /// none.
    Group(String),
}

/// How often a rule let a connection begin, since it is in force without a break. Each packet counts to which none was
/// answered before: of TCP mostly one, of UDP as many as are sent without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCount {
    /// Whose rule.
    pub group: String,
    /// The rule.
    pub rule: Rule,
    /// Packets.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
}

/// How many such packets no rule let pass, of all members that are in these groups and no others, since there is one without
/// a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCount {
    /// The groups.
    pub groups: BTreeSet<String>,
    /// To these members, or from them.
    pub direction: Direction,
    /// Packets.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
}

/// What the rules of a policy did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What each rule let begin, in the policy's order. The same rule given twice in a group counts once, and shows twice.
    pub rules: Vec<RuleCount>,
    /// What no rule let begin, for each combination of groups that members have, in both directions.
    pub dropped: Vec<DropCount>,
}

/// What makes no sense is found before anything is done.
pub(crate) fn check(
    policy: &Policy,
    is_for_guests: impl Fn(Ipv4Addr) -> bool,
    pool: &[Ipv4Net],
) -> Result<(), ApplyPolicyError> {
    let mut groups = HashSet::new();
    for Group { name, rules } in &policy.groups {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(fits);
        if !is_name || name.len() > MAX_GROUP_NAME {
            return Err(ApplyPolicyError::BadGroupName(name.clone()));
        }
        if !groups.insert(name.as_str()) {
            return Err(ApplyPolicyError::Twice(name.clone()));
        }
        for rule in rules {
            match rule.protocol {
                Protocol::Tcp { from, to } | Protocol::Udp { from, to } if from > to => {
                    return Err(ApplyPolicyError::BadPorts { group: name.clone(), from, to });
                }
                Protocol::Icmp { kind: None, code: Some(code) } => {
                    return Err(ApplyPolicyError::CodeWithoutType { group: name.clone(), code });
                }
                _ => {}
            }
        }
    }
    let (mut taps, mut addresses) = (HashSet::new(), HashSet::new());
    for Member { tap, address, groups: names, outside, bandwidth } in &policy.members {
        if !is_for_guests(*address) {
            return Err(ApplyPolicyError::BadAddress { tap: tap.clone(), address: *address });
        }
        if !taps.insert(tap) {
            return Err(ApplyPolicyError::Twice(tap.clone()));
        }
        if !addresses.insert(*address) {
            return Err(ApplyPolicyError::Twice(address.to_string()));
        }
        if let Some(group) = names.iter().find(|name| !groups.contains(name.as_str())) {
            return Err(ApplyPolicyError::NoSuchGroup { tap: tap.clone(), group: group.clone() });
        }
        if let Outside::Public(public) = *outside {
            if !pool.iter().any(|part| part.contains(&public)) {
                return Err(ApplyPolicyError::NotInPool { tap: tap.clone(), public });
            }
            if !addresses.insert(public) {
                return Err(ApplyPolicyError::Twice(public.to_string()));
            }
        }
        if [bandwidth.in_mbit, bandwidth.out_mbit].contains(&Some(0)) {
            return Err(ApplyPolicyError::NoBandwidth(tap.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(last: u8) -> Member {
        Member {
            tap: format!("bothy-{last:08x}"),
            address: Ipv4Addr::new(10, 98, 0, last),
            groups: vec!["sg-1".into()],
            outside: Outside::Shared,
            bandwidth: Bandwidth::default(),
        }
    }

    fn policy() -> Policy {
        let rule = Rule {
            direction: Direction::In,
            protocol: Protocol::Tcp { from: 80, to: 80 },
            peer: Peer::Group("elsewhere".into()),
        };
        Policy {
            members: vec![member(5), member(6)],
            groups: vec![Group { name: "sg-1".into(), rules: vec![rule] }],
        }
    }

    fn checked(change: impl FnOnce(&mut Policy)) -> Result<(), ApplyPolicyError> {
        let mut changed = policy();
        change(&mut changed);
        check(&changed, |address| address.octets()[0] == 10, &["192.0.2.0/24".parse().unwrap()])
    }

    #[test]
    fn policies() {
        use ApplyPolicyError::*;
        let public = |last| Outside::Public(Ipv4Addr::new(192, 0, 2, last));
        assert!(checked(|_| {}).is_ok());
        assert!(
            checked(|policy| {
                policy.members[0].outside = public(0);
                policy.members[1].outside = public(255);
            })
            .is_ok()
        );
        let long = "a".repeat(65);
        for name in ["", "1a", "a b", "a\"", "a/b", "ä", "-", &long] {
            assert!(
                matches!(checked(|policy| policy.groups[0].name = name.into()), Err(BadGroupName(_))),
                "{name}"
            );
        }
        let again = |policy: &mut Policy| policy.groups.push(policy.groups[0].clone());
        assert!(matches!(checked(again), Err(Twice(name)) if name == "sg-1"));
        let protocol = |protocol| checked(move |policy| policy.groups[0].rules[0].protocol = protocol);
        assert!(matches!(protocol(Protocol::Udp { from: 2, to: 1 }), Err(BadPorts { from: 2, to: 1, .. })));
        let code = Protocol::Icmp { kind: None, code: Some(3) };
        assert!(matches!(protocol(code), Err(CodeWithoutType { code: 3, .. })));
        let first = |change: &dyn Fn(&mut Member)| checked(|policy| change(&mut policy.members[0]));
        assert!(
            matches!(first(&|member| member.address = Ipv4Addr::LOCALHOST), Err(BadAddress { tap, .. }) if tap == "bothy-00000005")
        );
        assert!(matches!(first(&|member| member.tap = "bothy-00000006".into()), Err(Twice(_))));
        assert!(matches!(first(&|member| member.address = [10, 98, 0, 6].into()), Err(Twice(_))));
        assert!(matches!(first(&|member| member.groups.push("sg-2".into())), Err(NoSuchGroup { .. })));
        assert!(matches!(
            first(&|member| member.outside = Outside::Public([192, 0, 3, 1].into())),
            Err(NotInPool { .. })
        ));
        assert!(matches!(first(&|member| member.bandwidth.in_mbit = Some(0)), Err(NoBandwidth(_))));
        let both = |policy: &mut Policy| policy.members.iter_mut().for_each(|one| one.outside = public(7));
        assert!(matches!(checked(both), Err(Twice(address)) if address == "192.0.2.7"));
    }
}
