//! The network: what is made once, and the taps of the guests in it. Brings `links`, `rules`, `sysctl` and `tun` together,
//! in the order that lets no guest send before it is pinned.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rtnetlink::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::links::{self, Link};
use crate::rules::{self, Pin, Table};
use crate::{
    AttachTapError, CloseNetworkError, DetachTapError, HostError, ListTapsError, OpenNetworkError, sysctl,
    tun,
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 98, 0, 0), 16),
            prefix: "bothy".to_owned(),
            table: "bothy".to_owned(),
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
}

/// An open network. Changes are made one after the other. Dropping it leaves all as it is: guests go on.
#[derive(Debug)]
pub struct Network {
    table: Table,
    netlink: Handle,
    /// What may be in the table's set: all that was ever asked to be, and not yet seen to be gone.
    pins: Mutex<BTreeMap<String, Vec<Pin>>>,
    connection: JoinHandle<()>,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Network {
    /// Makes the network, or repairs it: the rules, with those guests that have a tap and were in the rules before; the
    /// route that says that there is nobody else; and forwarding of IPv4 (net.ipv4.ip_forward), which stays on, also after
    /// `close`. Needs a tokio runtime with I/O.
    pub async fn open(config: Config) -> Result<Self, OpenNetworkError> {
        check(&config)?;
        let (connection, netlink, _) =
            rtnetlink::new_connection().map_err(|source| HostError::new("open a netlink socket", source))?;
        let network = Self {
            table: Table { name: config.table, cidr: config.cidr, taps: format!("{}-", config.prefix) },
            netlink,
            pins: Mutex::default(),
            connection: tokio::spawn(connection),
        };
        let cidr = network.table.cidr;
        if let Some(route) = links::foreign_route(&network.netlink, cidr).await? {
            return Err(OpenNetworkError::CidrInUse { cidr, route });
        }
        let taps = network.taps().await?;
        let mut guests = rules::guests(&network.table).await?;
        guests.retain(|pin| cidr.contains(&pin.address) && taps.iter().any(|tap| tap.name == pin.tap));
        rules::apply(&rules::ruleset(&network.table, &guests), "make our table").await?;
        let mut pins = network.pins.lock().await;
        for pin in guests {
            pins.entry(pin.tap.clone()).or_default().push(pin);
        }
        drop(pins);
        links::add_network_route(&network.netlink, cidr).await?;
        sysctl::forward_ipv4()?;
        Ok(network)
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
        let Attachment { tap, owner, mac, address } = attachment;
        if !self.is_ours(tap) {
            return Err(AttachTapError::NotOurs(tap.clone()));
        }
        if !self.is_for_guests(*address) {
            return Err(AttachTapError::BadAddress { address: *address, cidr: self.table.cidr });
        }
        if mac[0] & 1 != 0 || *mac == [0; 6] {
            return Err(AttachTapError::BadMac);
        }
        let mut pins = self.pins.lock().await;
        let other = pins.values().flatten().find(|pin| pin.address == *address && pin.tap != *tap);
        if let Some(other) = other {
            return Err(AttachTapError::AddressInUse { address: *address, tap: other.tap.clone() });
        }
        let failed = |source| AttachTapError::Host { tap: tap.clone(), source };
        let link = self.make(tap, *owner).await?;
        sysctl::prepare_tap(tap).map_err(failed)?;

        let pin = Pin { tap: tap.clone(), mac: *mac, address: *address };
        let before: Vec<Pin> =
            pins.get(tap).into_iter().flatten().filter(|old| **old != pin).cloned().collect();
        // Noted before it is done: whoever ends this in between, what may be in the set is known.
        let noted = pins.entry(tap.clone()).or_default();
        if !noted.contains(&pin) {
            noted.push(pin.clone());
        }
        self.change(&pins, &before, std::slice::from_ref(&pin)).await.map_err(failed)?;
        for old in before.iter().filter(|old| old.address != *address) {
            links::delete_guest_route(&self.netlink, &link, old.address).await.map_err(failed)?;
        }
        pins.insert(tap.clone(), vec![pin]);

        let (netlink, router) = (&self.netlink, self.router());
        links::set_up(netlink, &link, ROUTER_MAC).await.map_err(failed)?;
        links::add_address(netlink, &link, router).await.map_err(failed)?;
        links::add_neighbour(netlink, &link, *address, *mac).await.map_err(failed)?;
        links::add_guest_route(netlink, &link, *address, router).await.map_err(failed)
    }

    /// The tap, made if it is not there.
    async fn make(&self, tap: &str, owner: Option<u32>) -> Result<Link, AttachTapError> {
        let failed = |source| AttachTapError::Host { tap: tap.to_owned(), source };
        let make = || {
            tun::make(tap, owner).map_err(|source| match source.raw_os_error() {
                Some(libc::EBUSY) => AttachTapError::InUse(tap.to_owned()),
                Some(libc::EINVAL) => AttachTapError::NameTaken(tap.to_owned()),
                _ => failed(HostError::new("make a tap", source)),
            })
        };
        match links::find(&self.netlink, tap).await.map_err(failed)? {
            Some(link) if !link.is_tap => return Err(AttachTapError::NameTaken(tap.to_owned())),
            Some(link) if link.owner == owner => return Ok(link),
            Some(link) => {
                make()?;
                if owner.is_none() {
                    // Nobody has it open, and only a new one belongs to nobody.
                    links::delete(&self.netlink, &link).await.map_err(failed)?;
                    make()?;
                }
            }
            None => make()?,
        }
        let gone = || HostError::new("find the tap just made", io::ErrorKind::NotFound.into());
        links::find(&self.netlink, tap).await.map_err(failed)?.ok_or_else(|| failed(gone()))
    }

    /// Deletes a guest's tap, whoever has it open, with its routes and its place in the rules.
    pub async fn detach(&self, tap: &str) -> Result<(), DetachTapError> {
        if !self.is_ours(tap) {
            return Err(DetachTapError::NotOurs(tap.to_owned()));
        }
        let mut pins = self.pins.lock().await;
        let failed = |source| DetachTapError::Host { tap: tap.to_owned(), source };
        // Something of another kind is not ours, whatever it is called.
        if let Some(link) = links::find(&self.netlink, tap).await.map_err(failed)?.filter(|link| link.is_tap)
        {
            links::delete(&self.netlink, &link).await.map_err(failed)?;
        }
        let before = pins.get(tap).cloned().unwrap_or_default();
        if !before.is_empty() {
            self.change(&pins, &before, &[]).await.map_err(failed)?;
            pins.remove(tap);
        }
        Ok(())
    }

    /// Changes the rules. Where that cannot be done because somebody emptied the ruleset, they are made whole again.
    async fn change(
        &self,
        pins: &BTreeMap<String, Vec<Pin>>,
        gone: &[Pin],
        come: &[Pin],
    ) -> Result<(), HostError> {
        let changed = rules::apply(&rules::change(&self.table, gone, come), "change our table").await;
        let Err(HostError::Rules { said, .. }) = changed else { return changed };
        log::warn!("the rules of the guests' network are made anew, since they could not be changed: {said}");
        let mut guests: Vec<Pin> =
            pins.values().flatten().filter(|pin| !gone.contains(pin)).cloned().collect();
        guests.sort_unstable();
        guests.dedup();
        rules::apply(&rules::ruleset(&self.table, &guests), "make our table").await
    }

    /// The names of all taps of this network, those left over from a crash among them. Detach what no guest needs.
    pub async fn present(&self) -> Result<Vec<String>, ListTapsError> {
        Ok(self.taps().await?.into_iter().map(|link| link.name).collect())
    }

    async fn taps(&self) -> Result<Vec<Link>, HostError> {
        let mut taps = links::all(&self.netlink).await?;
        taps.retain(|link| link.is_tap && self.is_ours(&link.name));
        Ok(taps)
    }

    /// Removes all that is ours: taps, routes and rules. Guests that run have no network any more.
    pub async fn close(self) -> Result<(), CloseNetworkError> {
        let pins = self.pins.lock().await;
        for tap in self.taps().await? {
            links::delete(&self.netlink, &tap).await?;
        }
        rules::apply(&rules::removal(&self.table), "remove our table").await?;
        links::delete_network_route(&self.netlink, self.table.cidr).await?;
        drop(pins);
        Ok(())
    }

    fn is_ours(&self, name: &str) -> bool {
        name.strip_prefix(&self.table.taps).is_some_and(|id| {
            id.len() == ID_DIGITS && id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        })
    }
}

fn router(cidr: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(cidr.network()) | 1)
}

fn check(config: &Config) -> Result<(), OpenNetworkError> {
    let Config { cidr, prefix, table } = config;
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations() {
        let with = |cidr: &str, prefix: &str, table: &str| {
            check(&Config { cidr: cidr.parse().unwrap(), prefix: prefix.into(), table: table.into() })
        };
        assert!(check(&Config::default()).is_ok());
        assert!(with("10.0.0.0/8", "a", "b").is_ok());
        assert!(with("192.168.5.8/29", "bothy2", "bothy_2").is_ok());
        for cidr in ["10.98.0.1/16", "10.0.0.0/7", "10.0.0.0/30", "127.0.0.0/8", "224.0.0.0/8", "0.0.0.0/8"] {
            assert!(matches!(with(cidr, "bothy", "bothy"), Err(OpenNetworkError::BadCidr(_))), "{cidr}");
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
