//! How long it takes to change what a network's guests may do: `hostnet::Network::apply` of a policy that differs by one rule,
//! or by one member's groups, from the one in force. Members have no taps: what nftables has to change is the same.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use hostnet::{
    Bandwidth, Direction, Group, Member, Network, Outside, Peer, Policy, Protocol, Rule, Vpcs, VpcsConfig,
};
use ipnet::Ipv4Net;

use super::super::table::{Better, Table};
use super::super::times::Times;
use super::aims::{MEMBERS, UPDATE_AIM};
use crate::progress::Step;

const GROUPS: usize = 100;
/// Groups that each member is in.
const OF_EACH: usize = 2;
/// Changes of each kind.
const UPDATES: usize = 50;
const CIDR: &str = "10.0.0.0/16";

/// All sizes, each with a VPC of its own; `folder` is for their namespaces.
pub async fn measure(folder: &Path, table: &mut Table) -> anyhow::Result<()> {
    let config = VpcsConfig { folder: folder.to_owned(), ..VpcsConfig::default() };
    let vpcs = Vpcs::open(config).await.context("preparing the host for VPCs")?;
    for members in MEMBERS {
        let step = Step::new(format!("rules of {members} members"));
        let network = vpcs.make(members, CIDR.parse()?).await.context("making a VPC")?;
        let mut policy = policy(&network, members);
        let whole = apply(&network, &policy).await?;
        table.add_aimed(
            &format!("whole policy, {members} members"),
            "ms",
            Better::Less,
            whole.as_secs_f64() * 1e3,
            None,
        );
        let (mut rules, mut moves) = (Times::default(), Times::default());
        for round in 0..UPDATES {
            change_rule(&mut policy, round);
            rules.0.push(apply(&network, &policy).await?);
            change_member(&mut policy, round);
            moves.0.push(apply(&network, &policy).await?);
        }
        rules.add_few(table, &format!("one rule, {members} members"), Some(UPDATE_AIM));
        moves.add_few(table, &format!("one member's groups, {members} members"), Some(UPDATE_AIM));
        vpcs.remove(members).await.context("removing a VPC")?;
        step.done();
    }
    Ok(())
}

async fn apply(network: &Network, policy: &Policy) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    network.apply(policy).await.context("applying a policy")?;
    Ok(begun.elapsed())
}

/// Groups with what groups have: two ports from anywhere, one from the next group, everything from the group itself.
fn policy(network: &Network, members: u32) -> Policy {
    let member = |number: u32| Member {
        tap: network.tap_name(number),
        address: Ipv4Addr::from(u32::from(network.router()) + 1 + number),
        groups: (0..OF_EACH).map(|nth| name(number as usize + nth * 7)).collect(),
        outside: Outside::Shared,
        bandwidth: Bandwidth::default(),
    };
    let group = |index: usize| {
        let from = |port: u16, peer| inwards(Protocol::Tcp { from: port, to: port }, peer);
        let anywhere = || Peer::Cidr(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));
        let rules = vec![
            from(22, anywhere()),
            from(443, anywhere()),
            from(5432, Peer::Group(name(index + 1))),
            inwards(Protocol::All, Peer::Group(name(index))),
            Rule::ALL_OUT,
        ];
        Group { name: name(index), rules }
    };
    Policy { members: (0..members).map(member).collect(), groups: (0..GROUPS).map(group).collect() }
}

fn inwards(protocol: Protocol, peer: Peer) -> Rule {
    Rule { direction: Direction::In, protocol, peer }
}

fn name(index: usize) -> String {
    format!("sg-{:03}", index % GROUPS)
}

/// The first rule of one of the groups, to another port.
fn change_rule(policy: &mut Policy, round: usize) {
    let port = 1000 + round as u16;
    policy.groups[round % GROUPS].rules[0].protocol = Protocol::Tcp { from: port, to: port };
}

/// One of the members, from its second group to another.
fn change_member(policy: &mut Policy, round: usize) {
    let index = round % policy.members.len();
    policy.members[index].groups[1] = name(index + 11 + round);
}
