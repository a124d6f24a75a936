//! A network: what is made once, the taps of the guests in it, and the policy for them. Brings `links`, `rules`, `sysctl` and
//! `tun` together, in the order that lets no guest send before it is pinned.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use ipnet::Ipv4Net;
use rtnetlink::Handle;
use tokio::sync::Mutex;

use crate::links::{self, Link};
use crate::namespace::Namespace;
use crate::public::Announcer;
use crate::rules::{Content, Pin, Table, content, nft, table};
use crate::{
    ApplyPolicyError, AttachTapError, CloseNetworkError, Counts, DetachTapError, Direction, DropCount,
    HostError, ListTapsError, OpenNetworkError, OpenTapError, Policy, ReadCountsError, RuleCount, conntrack,
    policy, sysctl, tun,
};

/// The router's address on the wire, the same on each tap and at each start ("bothy", locally administered): a guest that
/// remembers it is right after a stop, and so is the VMM, whose DHCP answers come from it.
pub const ROUTER_MAC: [u8; 6] = [0x02, 0x62, 0x6f, 0x74, 0x68, 0x79];

/// Digits that a tap's name ends with.
const ID_DIGITS: usize = 8;

/// What the network is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The guests' addresses, 8 to 29 bits. The first is the router's.
    pub cidr: Ipv4Net,
    /// What the names of taps begin with, before a hyphen and eight digits: at most 6 small letters and digits. All
    /// interfaces with such names are taken to be of this network.
    pub prefix: String,
    /// The name of the nftables table, of family `inet`. All that is in it is ours.
    pub table: String,
    /// Where guests' public addresses are from; the host must have none of them itself.
    pub pool: Vec<Ipv4Net>,
    /// What guests may reach on their routers, at 1024 packets in a second each at most: see [`Network::bind_udp`]. A router
    /// can always be pinged.
    pub services: Vec<Service>,
    /// To which group of nflog (`nft` calls it a log group) the first packet of each connection is told that a rule lets
    /// pass or that none does, in the network's namespace: with a prefix of the form `accept in/GROUP`, `accept out/GROUP`,
    /// `drop in` or `drop out`, and so much of the packet as has addresses and ports. The kernel's own log is not used: what
    /// happens in a VPC would not get there, and a guest could fill it. Without somebody who listens (ulogd, say) nothing is
    /// kept, and little lost. Needs the kernel module nfnetlink_log.
    pub flow_log: Option<u16>,
}

/// A port that is open to guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Of TCP.
    Tcp(u16),
    /// Of UDP.
    Udp(u16),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 98, 0, 0), 16),
            prefix: "bothy".to_owned(),
            table: "bothy".to_owned(),
            pool: Vec::new(),
            services: Vec::new(),
            flow_log: None,
        }
    }
}

/// A guest's place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The tap's name, as `Network::tap_name` makes it.
    pub tap: String,
    /// The user who may open the tap without further rights; without, only those who may do anything to networks.
    pub owner: Option<u32>,
    /// The guest's address on the wire: it can send from no other.
    pub mac: [u8; 6],
    /// The guest's address, and the only one it can send from.
    pub address: Ipv4Addr,
    /// The router's address: the first of the guest's subnet. The tap has it, and keeps it until it is detached.
    pub router: Ipv4Addr,
}

/// An open network. Changes are made one after the other. Dropping it leaves all as it is: guests go on.
#[derive(Debug)]
pub struct Network {
    table: Table,
    pub(crate) namespace: Namespace,
    announcer: Announcer,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What may be in the table's set: all that was ever asked to be, and not yet seen to be gone.
    pins: BTreeMap<String, Vec<Pin>>,
    /// What a policy left in the table; none while that is in doubt.
    content: Option<Content>,
    /// The policy that was asked for last, if any was since this was opened.
    policy: Option<Arc<Policy>>,
    /// Whether it is known to be wholly in force.
    in_force: bool,
}

impl Network {
    /// Makes the network of the host's own namespace, or repairs it: the rules, with those guests that have a tap and were
    /// in the rules before; the route that says that there is nobody else; and forwarding of IPv4 (net.ipv4.ip_forward),
    /// which stays on, also after `close`. The policy that was in force stays so until one is applied. Needs a tokio runtime
    /// with I/O.
    pub async fn open(config: Config) -> Result<Self, OpenNetworkError> {
        check(&config)?;
        let host = Namespace::default();
        let routes = links::routes(&*host.netlink().await?).await?;
        if let Some(route) = links::foreign_route(&routes, config.cidr) {
            return Err(OpenNetworkError::CidrInUse { cidr: config.cidr, route });
        }
        nft::load_helpers(&host).await?;
        Self::open_in(host, config, Announcer::host(), false).await
    }

    /// The same for a configuration that makes sense, in any namespace.
    pub(crate) async fn open_in(
        namespace: Namespace,
        config: Config,
        announcer: Announcer,
        is_alone: bool,
    ) -> Result<Self, OpenNetworkError> {
        let Config { cidr, prefix, table, pool, services, flow_log } = config;
        let pool = Ipv4Net::aggregate(&pool);
        let taps = format!("{prefix}-");
        let table = Table { name: table, cidr, taps, pool, services, flow_log, is_alone };
        let state =
            State { pins: BTreeMap::new(), content: Some(Content::default()), policy: None, in_force: false };
        let mut network = Self { table, namespace, announcer, state: Mutex::new(state) };
        let netlink = network.namespace.netlink().await?;
        let taps = network.taps(&netlink).await?;
        let found = table::find(&network.namespace, &network.table).await?;
        let listed = table::guests(found.as_deref().unwrap_or_default());
        let stays = |pin: &Pin| cidr.contains(&pin.address) && taps.iter().any(|tap| tap.name == pin.tap);
        let (guests, gone): (Vec<Pin>, Vec<Pin>) = listed.into_iter().partition(stays);
        let state = network.state.get_mut();
        let repaired = match &found {
            Some(objects) => {
                state.content = Some(Content::listed(objects));
                let repair = table::repair(&network.table, &guests);
                nft::apply(&network.namespace, repair, "mend our table").await
            }
            None => Ok(()),
        };
        if let Err(HostError::Rules { said, .. }) = &repaired {
            log::warn!(
                "the rules of the guests' network are made anew, since they could not be mended: {said}"
            );
        }
        if found.is_none() || matches!(repaired, Err(HostError::Rules { .. })) {
            state.content = Some(Content::default());
            let whole = table::ruleset(&network.table, &guests);
            nft::apply(&network.namespace, whole, "make our table").await?;
        } else {
            repaired?;
        }
        for pin in guests {
            state.pins.entry(pin.tap.clone()).or_default().push(pin);
        }
        for pin in gone {
            network.forget(pin.address).await?;
        }
        network.help().await?;
        links::add_network_route(&netlink, cidr).await?;
        network.namespace.run(sysctl::forward_ipv4).await??;
        Ok(network)
    }

    /// Adds the helper for FTP, where the kernel has it.
    async fn help(&self) -> Result<(), HostError> {
        match nft::apply(&self.namespace, table::helper(&self.table), "help FTP").await {
            Err(HostError::Rules { said, .. }) => {
                log::info!("active FTP does not pass NAT, for want of nf_conntrack_ftp: {said}");
                Ok(())
            }
            done => done,
        }
    }

    /// The file of the network's namespace, for setns(2); none for the host's own.
    pub fn namespace(&self) -> Option<&Path> {
        self.namespace.path()
    }

    /// Opens a guest's tap, as [`open_tap`](crate::open_tap) does, from whatever namespace.
    ///
    /// # Errors
    ///
    /// As for that: ENODEV where it is not there, EBUSY where another has it open.
    pub async fn open_tap(&self, tap: &str) -> Result<OwnedFd, OpenTapError> {
        let failed = |source| OpenTapError { tap: tap.to_owned(), source };
        let name = tap.to_owned();
        let opened = self.namespace.run(move || tun::open_tap(&name)).await.map_err(failed)?;
        opened.map_err(|source| failed(HostError::new("open the tap", source)))
    }

    /// The router's address, the first of the network: the same on each tap.
    pub fn router(&self) -> Ipv4Addr {
        router(self.table.cidr)
    }

    /// The guests' network.
    pub fn cidr(&self) -> Ipv4Net {
        self.table.cidr
    }

    /// Whether a guest can have this address: all but the network's own, the router's, and the one for all.
    pub fn is_for_guests(&self, address: Ipv4Addr) -> bool {
        let cidr = self.table.cidr;
        cidr.contains(&address) && ![cidr.network(), router(cidr), cidr.broadcast()].contains(&address)
    }

    /// The name of the tap of a network interface, by the number that is written as eight hexadecimal digits in its id.
    pub fn tap_name(&self, interface: u32) -> String {
        format!("{}{interface:08x}", self.table.taps)
    }

    /// Makes a guest's tap, or makes it what it should be: one that stays, up, with the router's address, and pinned to the
    /// guest's addresses; then routes the guest's address to it. A VMM may have it open meanwhile. Where it fails, what was
    /// made stays and lets nothing through, until it is attached again or detached.
    pub async fn attach(&self, attachment: &Attachment) -> Result<(), AttachTapError> {
        let Attachment { tap, owner, mac, address, router } = attachment;
        if !self.is_ours(tap) {
            return Err(AttachTapError::NotOurs(tap.clone()));
        }
        if !self.is_for_guests(*address) {
            return Err(AttachTapError::BadAddress { address: *address, cidr: self.table.cidr });
        }
        if mac[0] & 1 != 0 || *mac == [0; 6] {
            return Err(AttachTapError::BadMac);
        }
        let is_router = self.table.cidr.contains(router)
            && ![self.table.cidr.network(), self.table.cidr.broadcast(), *address].contains(router);
        let mut state = self.state.lock().await;
        let pins = &mut state.pins;
        if !is_router || pins.values().flatten().any(|pin| pin.address == *router) {
            return Err(AttachTapError::BadRouter(*router));
        }
        let other = pins.values().flatten().find(|pin| pin.address == *address && pin.tap != *tap);
        if let Some(other) = other {
            return Err(AttachTapError::AddressInUse { address: *address, tap: other.tap.clone() });
        }
        let failed = |source| AttachTapError::Host { tap: tap.clone(), source };
        let netlink = &*self.namespace.netlink().await.map_err(failed)?;
        let link = self.make(netlink, tap, *owner).await?;
        let name = tap.clone();
        let prepared = self.namespace.run(move || sysctl::prepare_tap(&name)).await;
        prepared.and_then(|done| done).map_err(failed)?;

        let pin = Pin { tap: tap.clone(), mac: *mac, address: *address };
        let before: Vec<Pin> =
            pins.get(tap).into_iter().flatten().filter(|old| **old != pin).cloned().collect();
        // Noted before it is done: whoever ends this in between, what may be in the set is known.
        let noted = pins.entry(tap.clone()).or_default();
        if !noted.contains(&pin) {
            noted.push(pin.clone());
        }
        self.change(&mut state, &before, std::slice::from_ref(&pin)).await.map_err(failed)?;
        for old in before.iter().filter(|old| old.address != *address) {
            links::delete_guest_route(netlink, &link, old.address).await.map_err(failed)?;
            self.forget(old.address).await.map_err(failed)?;
        }
        state.pins.insert(tap.clone(), vec![pin]);

        links::set_up(netlink, &link, ROUTER_MAC).await.map_err(failed)?;
        links::add_address(netlink, &link, *router).await.map_err(failed)?;
        links::add_neighbour(netlink, &link, *address, *mac).await.map_err(failed)?;
        links::add_guest_route(netlink, &link, *address, *router).await.map_err(failed)
    }

    /// The tap, made if it is not there.
    async fn make(&self, netlink: &Handle, tap: &str, owner: Option<u32>) -> Result<Link, AttachTapError> {
        let failed = |source| AttachTapError::Host { tap: tap.to_owned(), source };
        let make = async || {
            let name = tap.to_owned();
            let made = self.namespace.run(move || tun::make(&name, owner)).await.map_err(failed)?;
            made.map_err(|source| match source.raw_os_error() {
                Some(libc::EBUSY) => AttachTapError::InUse(tap.to_owned()),
                Some(libc::EINVAL) => AttachTapError::NameTaken(tap.to_owned()),
                _ => failed(HostError::new("make a tap", source)),
            })
        };
        match links::find(netlink, tap).await.map_err(failed)? {
            Some(link) if !link.is_tap => return Err(AttachTapError::NameTaken(tap.to_owned())),
            Some(link) if link.owner == owner => return Ok(link),
            Some(link) => {
                make().await?;
                if owner.is_none() {
                    // Nobody has it open, and only a new one belongs to nobody.
                    links::delete(netlink, &link).await.map_err(failed)?;
                    make().await?;
                }
            }
            None => make().await?,
        }
        let gone = || HostError::new("find the tap just made", io::ErrorKind::NotFound.into());
        links::find(netlink, tap).await.map_err(failed)?.ok_or_else(|| failed(gone()))
    }

    /// Deletes a guest's tap, whoever has it open, with its routes and its place in the rules.
    pub async fn detach(&self, tap: &str) -> Result<(), DetachTapError> {
        if !self.is_ours(tap) {
            return Err(DetachTapError::NotOurs(tap.to_owned()));
        }
        let mut state = self.state.lock().await;
        let failed = |source| DetachTapError::Host { tap: tap.to_owned(), source };
        let netlink = self.namespace.netlink().await.map_err(failed)?;
        // Something of another kind is not ours, whatever it is called.
        if let Some(link) = links::find(&netlink, tap).await.map_err(failed)?.filter(|link| link.is_tap) {
            links::delete(&netlink, &link).await.map_err(failed)?;
        }
        let before = state.pins.get(tap).cloned().unwrap_or_default();
        if !before.is_empty() {
            self.change(&mut state, &before, &[]).await.map_err(failed)?;
            for old in &before {
                self.forget(old.address).await.map_err(failed)?;
            }
            state.pins.remove(tap);
        }
        Ok(())
    }

    /// Forgets the connections of a guest that is gone, so that the next one with its address has none of them.
    async fn forget(&self, address: Ipv4Addr) -> Result<(), HostError> {
        self.namespace.run(move || conntrack::forget(address)).await?
    }

    /// Changes who is there. Where that cannot be done because somebody emptied the ruleset, it is made whole again.
    async fn change(&self, state: &mut State, gone: &[Pin], come: &[Pin]) -> Result<(), HostError> {
        let commands = table::change(&self.table, gone, come);
        let changed = nft::apply(&self.namespace, commands, "change our table").await;
        let Err(HostError::Rules { said, .. }) = changed else { return changed };
        log::warn!("the rules of the guests' network are made anew, since they could not be changed: {said}");
        let content = state.policy.as_deref().map(Content::of);
        self.make_whole(state, gone, content.unwrap_or_default()).await
    }

    /// Makes the table anew, with this content and all guests but some.
    async fn make_whole(&self, state: &mut State, gone: &[Pin], content: Content) -> Result<(), HostError> {
        let mut guests: Vec<Pin> =
            state.pins.values().flatten().filter(|pin| !gone.contains(pin)).cloned().collect();
        guests.sort_unstable();
        guests.dedup();
        let mut commands = table::ruleset(&self.table, &guests);
        commands.extend(content::change(&self.table, &Content::default(), &content));
        nft::apply(&self.namespace, commands, "make our table").await?;
        state.content = Some(content);
        self.help().await
    }

    /// Puts a policy in force, all of its rules at once, for guests that run too; does nothing where it is. Connections that
    /// were allowed to begin go on, but for those with a public address that their guest has no more, and those with the
    /// outside of a guest that has no way there any more.
    ///
    /// A guest whose tap is not there yet should be in the policy already: one that is attached and in no policy is as open
    /// as without one.
    ///
    /// Public addresses are the host's to answer for: it gets a route for each, and answers ARP for it on the link by which
    /// it would have reached that address itself (proxy ARP, for these addresses only). Nothing is needed where the network
    /// around routes them to this host anyway. An address that was another host's a moment ago takes as long to be found
    /// here as its neighbours remember that.
    ///
    /// # Errors
    ///
    /// The policy makes no sense, or the host does not do its part.
    pub async fn apply(&self, policy: &Policy) -> Result<(), ApplyPolicyError> {
        policy::check(policy, |address| self.is_for_guests(address), &self.table.pool)?;
        if let Some(member) = policy.members.iter().find(|member| !self.is_ours(&member.tap)) {
            return Err(ApplyPolicyError::NotOurs(member.tap.clone()));
        }
        let mut state = self.state.lock().await;
        if state.in_force && state.policy.as_deref() == Some(policy) {
            return Ok(());
        }
        let after = Content::of(policy);
        // Whoever ends this in between, what may be in the table is not taken for what is.
        state.in_force = false;
        state.policy = Some(Arc::new(policy.clone()));
        match state.content.take() {
            Some(before) => {
                let commands = content::change(&self.table, &before, &after);
                let changed = match commands.is_empty() {
                    true => Ok(()),
                    false => nft::apply(&self.namespace, commands, "change our table").await,
                };
                match changed {
                    Err(HostError::Rules { said, .. }) => {
                        log::warn!(
                            "the rules of the guests' network are made anew, since they could not be changed: {said}"
                        );
                        self.make_whole(&mut state, &[], after).await?;
                    }
                    done => {
                        done?;
                        state.content = Some(after);
                    }
                }
            }
            None => self.make_whole(&mut state, &[], after).await?,
        }
        self.announcer.announce(&self.table.pool, policy).await?;
        state.in_force = true;
        Ok(())
    }

    /// What the rules of the policy in force let begin, and what they refused; nothing where none was applied since this
    /// network was opened.
    ///
    /// # Errors
    ///
    /// The host does not do its part.
    pub async fn counts(&self) -> Result<Counts, ReadCountsError> {
        // Not held while nft lists: whoever only looks keeps no guest from starting.
        let Some(policy) = self.state.lock().await.policy.clone() else { return Ok(Counts::default()) };
        let counters = nft::counters(&self.namespace, &self.table.name).await?;
        let count = |name: &str| counters.get(name).copied().unwrap_or_default();
        let mut counts = Counts::default();
        for group in &policy.groups {
            counts.rules.extend(group.rules.iter().map(|rule| {
                let (packets, bytes) = count(&content::counter(&group.name, rule));
                RuleCount { group: group.name.clone(), rule: rule.clone(), packets, bytes }
            }));
        }
        let combinations: BTreeSet<BTreeSet<String>> =
            policy.members.iter().map(|member| member.groups.iter().cloned().collect()).collect();
        for groups in combinations.into_iter().filter(|groups| !groups.is_empty()) {
            for direction in [Direction::In, Direction::Out] {
                let (packets, bytes) = count(&content::drop_counter(direction, &groups));
                counts.dropped.push(DropCount { groups: groups.clone(), direction, packets, bytes });
            }
        }
        Ok(counts)
    }

    /// The names of all taps of this network, those left over from a crash among them. Detach what no guest needs.
    pub async fn present(&self) -> Result<Vec<String>, ListTapsError> {
        let netlink = self.namespace.netlink().await?;
        Ok(self.taps(&netlink).await?.into_iter().map(|link| link.name).collect())
    }

    async fn taps(&self, netlink: &Handle) -> Result<Vec<Link>, HostError> {
        let mut taps = links::all(netlink).await?;
        taps.retain(|link| link.is_tap && self.is_ours(&link.name));
        Ok(taps)
    }

    /// Removes all that is ours: taps, routes and rules. Guests that run have no network any more. A VPC's namespace and
    /// its link stay: [`Vpcs::remove`](crate::Vpcs::remove) is for those.
    pub async fn close(self) -> Result<(), CloseNetworkError> {
        let state = self.state.lock().await;
        self.announcer.announce(&self.table.pool, &Policy::default()).await?;
        let netlink = self.namespace.netlink().await?;
        for tap in self.taps(&netlink).await? {
            links::delete(&netlink, &tap).await?;
        }
        nft::apply(&self.namespace, table::removal(&self.table.name), "remove our table").await?;
        links::delete_network_route(&netlink, self.table.cidr).await?;
        drop(state);
        Ok(())
    }

    pub(crate) fn is_ours(&self, name: &str) -> bool {
        name.strip_prefix(&self.table.taps).is_some_and(|id| {
            id.len() == ID_DIGITS && id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        })
    }
}

pub(crate) fn router(cidr: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(cidr.network()) | 1)
}

pub(crate) fn check(config: &Config) -> Result<(), OpenNetworkError> {
    let Config { cidr, prefix, table, pool, .. } = config;
    let is_unicast = (1..=223).contains(&cidr.addr().octets()[0]) && !cidr.addr().is_loopback();
    if !(8..=29).contains(&cidr.prefix_len()) || cidr.trunc() != *cidr || !is_unicast {
        return Err(OpenNetworkError::BadCidr(*cidr));
    }
    let is_name = |name: &str, most: usize, more: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.contains(&byte);
        name.len() <= most
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(fits)
    };
    // With a hyphen and the digits, as long as the kernel allows.
    if !is_name(prefix, libc::IFNAMSIZ - 2 - ID_DIGITS, &[]) {
        return Err(OpenNetworkError::BadPrefix(prefix.clone()));
    }
    if !is_name(table, 31, b"_") {
        return Err(OpenNetworkError::BadTable(table.clone()));
    }
    let meets = |part: &&Ipv4Net| part.contains(cidr) || cidr.contains(*part);
    if let Some(pool) = pool.iter().find(meets) {
        return Err(OpenNetworkError::BadPool { cidr: *cidr, pool: *pool });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations() {
        let with = |cidr: &str, prefix: &str, table: &str| {
            let pool = vec!["192.0.2.0/24".parse().unwrap()];
            let cidr = cidr.parse().unwrap();
            check(&Config { cidr, prefix: prefix.into(), table: table.into(), pool, ..Config::default() })
        };
        assert!(check(&Config::default()).is_ok());
        assert!(with("10.0.0.0/8", "a", "b").is_ok());
        assert!(with("192.168.5.8/29", "bothy2", "bothy_2").is_ok());
        for cidr in ["10.98.0.1/16", "10.0.0.0/7", "10.0.0.0/30", "127.0.0.0/8", "224.0.0.0/8", "0.0.0.0/8"] {
            assert!(matches!(with(cidr, "bothy", "bothy"), Err(OpenNetworkError::BadCidr(_))), "{cidr}");
        }
        for cidr in ["192.0.2.128/25", "192.0.0.0/16"] {
            assert!(matches!(with(cidr, "p", "t"), Err(OpenNetworkError::BadPool { .. })), "{cidr}");
        }
        for prefix in ["", "toolong", "Bothy", "1a", "a-b", "a/b", "ü"] {
            assert!(
                matches!(with("10.98.0.0/16", prefix, "t"), Err(OpenNetworkError::BadPrefix(_))),
                "{prefix}"
            );
        }
        for table in ["", "a b", "a-b", "_a", "a;b"] {
            assert!(
                matches!(with("10.98.0.0/16", "p", table), Err(OpenNetworkError::BadTable(_))),
                "{table}"
            );
        }
    }
}
