//! How many instances a launch gets: as many as asked for, fewer if there is room for fewer, none if there is none for the
//! least that was asked for. Room is what the host has left, and what the account is allowed. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Amounts of what instances use up: of one instance, of all on a host, of an account's allowance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Instances.
    pub instances: u64,
    /// vCPUs.
    pub vcpus: u64,
    /// Guest memory, in MiB.
    pub memory_mib: u64,
    /// Disk space as the guests see it, in GiB.
    pub disk_gib: u64,
}

impl Amounts {
    /// More than anybody has: no limit.
    pub const UNLIMITED: Self =
        Self { instances: u64::MAX, vcpus: u64::MAX, memory_mib: u64::MAX, disk_gib: u64::MAX };

    /// What is left of this when `used` is used, nothing where more is used than there is.
    pub fn without(self, used: Self) -> Self {
        self.with(used, u64::saturating_sub)
    }

    /// This and `more`.
    pub fn and(self, more: Self) -> Self {
        self.with(more, u64::saturating_add)
    }

    /// This so many times.
    pub fn times(self, count: u64) -> Self {
        let count = Self { instances: count, vcpus: count, memory_mib: count, disk_gib: count };
        self.with(count, u64::saturating_mul)
    }

    /// The first that is not enough for `need`.
    fn lacks(self, need: Self) -> Option<Resource> {
        let pairs = [
            (Resource::Instances, self.instances, need.instances),
            (Resource::Vcpus, self.vcpus, need.vcpus),
            (Resource::Memory, self.memory_mib, need.memory_mib),
            (Resource::Disk, self.disk_gib, need.disk_gib),
        ];
        pairs.into_iter().find(|(_, have, need)| have < need).map(|(resource, ..)| resource)
    }

    fn with(self, other: Self, operation: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            instances: operation(self.instances, other.instances),
            vcpus: operation(self.vcpus, other.vcpus),
            memory_mib: operation(self.memory_mib, other.memory_mib),
            disk_gib: operation(self.disk_gib, other.disk_gib),
        }
    }
}

/// How much more is promised than there is, in percent of what there is. 100, the default, promises what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overcommit {
    /// For vCPUs: guests get slower.
    pub vcpus: u32,
    /// For memory: the host swaps, or kills guests.
    pub memory: u32,
    /// For disk space: guests get I/O errors when it is full.
    pub disk: u32,
}

impl Default for Overcommit {
    fn default() -> Self {
        Self { vcpus: 100, memory: 100, disk: 100 }
    }
}

impl Overcommit {
    /// What a host may promise that has this.
    pub fn of(self, host: Amounts) -> Amounts {
        let percent = |amount: u64, percent: u32| {
            u64::try_from(u128::from(amount) * u128::from(percent) / 100).unwrap_or(u64::MAX)
        };
        Amounts {
            instances: host.instances,
            vcpus: percent(host.vcpus, self.vcpus),
            memory_mib: percent(host.memory_mib, self.memory),
            disk_gib: percent(host.disk_gib, self.disk),
        }
    }
}

/// Instances of one kind that are asked for. A launch may ask for several kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What each needs, itself counted as one instance.
    pub each: Amounts,
    /// The fewest that are of any use.
    pub min: u32,
    /// The most that are wanted, not below `min`.
    pub max: u32,
}

/// Lets these want no more than `most` in all, where their fewest allow it: what is above goes from whoever wants most above
/// its fewest, and of several from the last, as the first are served first. Gives how many the fewest are.
pub fn narrow<'a>(asks: impl Iterator<Item = &'a mut Ask>, most: u64) -> u64 {
    let mut asks: Vec<&mut Ask> = asks.collect();
    let limit = u32::try_from(most).unwrap_or(u32::MAX);
    for ask in &mut asks {
        ask.max = ask.max.min(limit.max(ask.min));
    }
    while asks.iter().map(|ask| u64::from(ask.max)).sum::<u64>() > most {
        let above = asks.iter_mut().filter(|ask| ask.max > ask.min);
        let Some(ask) = above.max_by_key(|ask| ask.max - ask.min) else { break };
        ask.max -= 1;
    }
    asks.iter().map(|ask| u64::from(ask.min)).sum()
}

/// What is left to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of the host.
    pub host: Amounts,
    /// Of the account's allowance.
    pub account: Amounts,
}

/// What there is not enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Instances.
    Instances,
    /// vCPUs.
    Vcpus,
    /// Guest memory.
    Memory,
    /// Disk space.
    Disk,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instances => "instances",
            Self::Vcpus => "vCPUs",
            Self::Memory => "memory",
            Self::Disk => "disk space",
        })
    }
}

/// Why a launch gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// The account is not allowed as much: EC2's `InstanceLimitExceeded`.
    #[error("the account's limit of {0} does not allow it: release instances, or have the limit raised")]
    Account(Resource),
    /// The host has not as much: EC2's `InsufficientInstanceCapacity`.
    #[error(
        "there is not enough room on this host, of {0}: release instances, or ask for fewer or smaller ones"
    )]
    Host(Resource),
}

/// How many of each kind a launch gets, in the order of `asks`: at least the minimum of each, or nothing at all. What is
/// left goes round, one of a kind at a time, up to each maximum (EC2 2007-03-01, RunInstances).
pub fn grant(asks: &[Ask], room: Room) -> Result<Vec<u32>, Shortage> {
    let need = |total: Amounts, ask: &Ask| total.and(ask.each.times(u64::from(ask.min)));
    let least = asks.iter().fold(Amounts::default(), need);
    if let Some(resource) = room.account.lacks(least) {
        return Err(Shortage::Account(resource));
    }
    if let Some(resource) = room.host.lacks(least) {
        return Err(Shortage::Host(resource));
    }
    let mut left = Room { host: room.host.without(least), account: room.account.without(least) };
    let mut granted: Vec<u32> = asks.iter().map(|ask| ask.min).collect();
    loop {
        let before = left;
        for (ask, granted) in asks.iter().zip(&mut granted) {
            let fits = left.account.lacks(ask.each).or(left.host.lacks(ask.each)).is_none();
            if *granted < ask.max && fits {
                *granted += 1;
                left = Room { host: left.host.without(ask.each), account: left.account.without(ask.each) };
            }
        }
        if left == before {
            return Ok(granted);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: Amounts = Amounts { instances: 1, vcpus: 1, memory_mib: 1024, disk_gib: 10 };

    fn host(vcpus: u64) -> Room {
        let host = Amounts { instances: u64::MAX, vcpus, memory_mib: 1 << 20, disk_gib: 1 << 20 };
        Room { host, account: Amounts::UNLIMITED }
    }

    #[test]
    fn what_is_wanted_is_narrowed_to_what_there_is() {
        let narrowed = |counts: &[(u32, u32)], most| {
            let ask = |&(min, max): &(u32, u32)| Ask { each: Amounts::default(), min, max };
            let mut asks: Vec<Ask> = counts.iter().map(ask).collect();
            let fewest = narrow(asks.iter_mut(), most);
            (fewest, asks.iter().map(|ask| ask.max).collect::<Vec<_>>())
        };
        assert_eq!(narrowed(&[(5, 10), (20, 40)], 100), (25, vec![10, 40]));
        assert_eq!(narrowed(&[(5, 10), (20, 40)], 30), (25, vec![8, 22]));
        assert_eq!(narrowed(&[(1, 100)], 6), (1, vec![6]));
        assert_eq!(narrowed(&[(5, 10), (20, 40)], 24), (25, vec![5, 20]), "which is more than there is");
        assert_eq!(narrowed(&[], 0), (0, vec![]));
    }

    #[test]
    fn what_is_left_goes_round() {
        // EC2's own example: A 5 to 10, B 20 to 40.
        let asks = [Ask { each: SMALL, min: 5, max: 10 }, Ask { each: SMALL, min: 20, max: 40 }];
        assert_eq!(grant(&asks, host(24)), Err(Shortage::Host(Resource::Vcpus)));
        assert_eq!(grant(&asks, host(25)), Ok(vec![5, 20]));
        assert_eq!(grant(&asks, host(30)), Ok(vec![8, 22]));
        assert_eq!(grant(&asks, host(40)), Ok(vec![10, 30]));
        assert_eq!(grant(&asks, host(1000)), Ok(vec![10, 40]));
    }

    #[test]
    fn the_account_is_asked_before_the_host() {
        let ask = [Ask { each: SMALL, min: 2, max: 5 }];
        let room = |instances| Room { account: Amounts { instances, ..Amounts::UNLIMITED }, ..host(1) };
        assert_eq!(grant(&ask, room(1)), Err(Shortage::Account(Resource::Instances)));
        assert_eq!(grant(&ask, room(2)), Err(Shortage::Host(Resource::Vcpus)));
        assert_eq!(grant(&ask, Room { host: host(8).host, ..room(3) }), Ok(vec![3]));
    }

    #[test]
    fn more_is_promised_than_there_is_only_where_configured() {
        let host = Amounts { instances: 100, vcpus: 3, memory_mib: 1000, disk_gib: 7 };
        assert_eq!(Overcommit::default().of(host), host);
        let promised = Overcommit { vcpus: 250, disk: 50, ..Overcommit::default() }.of(host);
        assert_eq!(promised, Amounts { vcpus: 7, disk_gib: 3, ..host });
        let configured: Overcommit = serde_json::from_str(r#"{"vcpus":200}"#).expect("the rest has defaults");
        assert_eq!(configured, Overcommit { vcpus: 200, ..Overcommit::default() });
        assert_eq!(Overcommit { memory: 101, ..configured }.of(Amounts::UNLIMITED).memory_mib, u64::MAX);
    }

    #[test]
    fn numbers_that_nobody_has_are_refused() {
        let each = Amounts { vcpus: u64::MAX, ..SMALL };
        let ask = [Ask { each, min: u32::MAX, max: u32::MAX }];
        assert_eq!(grant(&ask, host(64)), Err(Shortage::Host(Resource::Vcpus)));
    }

    prop_compose! {
        fn some_amounts(most: u64)(vcpus in 1..=most, memory_mib in 1..=most, disk_gib in 0..=most) -> Amounts {
            Amounts { instances: 1, vcpus, memory_mib, disk_gib }
        }
    }

    prop_compose! {
        fn some_ask()(each in some_amounts(4), min in 0u32..4, more in 0u32..8) -> Ask {
            Ask { each, min, max: min + more }
        }
    }

    proptest! {
        #[test]
        fn never_more_than_there_is_and_never_less_than_could_be(
            asks in prop::collection::vec(some_ask(), 1..4),
            host in some_amounts(60),
            account in some_amounts(60),
            instances in 0u64..20,
        ) {
            let room =
                Room { host: Amounts { instances: 100, ..host }, account: Amounts { instances, ..account } };
            let taken = |counts: &[u32]| {
                asks.iter().zip(counts).fold(Amounts::default(), |total, (ask, count)| {
                    total.and(ask.each.times(u64::from(*count)))
                })
            };
            let fits = |need| room.host.lacks(need).or(room.account.lacks(need)).is_none();
            let least: Vec<u32> = asks.iter().map(|ask| ask.min).collect();
            match grant(&asks, room) {
                Err(_) => prop_assert!(!fits(taken(&least))),
                Ok(counts) => {
                    prop_assert!(fits(taken(&counts)));
                    for (at, ask) in asks.iter().enumerate() {
                        prop_assert!((ask.min..=ask.max).contains(&counts[at]));
                        let one_more = taken(&counts).and(ask.each);
                        prop_assert!(counts[at] == ask.max || !fits(one_more), "room was left");
                    }
                }
            }
        }
    }
}
