//! VPCs: a network each in a namespace of its own, with a link to the host by which it reaches the outside. So two of them
//! can have the same addresses, and neither has a way to the other but by public addresses.
//!
//! On the host, a VPC is a link, named by the prefix, an underscore and eight digits, and one address: that by which its
//! guests are known outside of it. The VPC's own rules put it, or a guest's public address, in the place of the guest's; the
//! host puts its own in the place of the first. All of these links have one address of the host's, as all taps have one of
//! the router's. What is where is not written down anywhere but in the kernel.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use rtnetlink::Handle;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::links::{self, Link, Route};
use crate::namespace::Namespace;
use crate::network::{self, ROUTER_MAC};
use crate::public::Announcer;
use crate::rules::nft::{self, FAMILY, accept, ct, drop_it, matches, meta, object, payload, prefix, rule};
use crate::rules::table;
use crate::{
    Config, HostError, MakeVpcError, Network, OpenNetworkError, OpenVpcsError, RemoveVpcError, Service,
    sysctl,
};

/// The name of the link to the host in each VPC.
const UPLINK: &str = "uplink";

/// What VPCs are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpcsConfig {
    /// Where the files of the namespaces are, eight hexadecimal digits each; made if it is not there. It has to be on a file
    /// system that is gone when the host starts anew (below /run, say), and in the mount namespace of the host, not of a
    /// service: else VPCs end with the daemon.
    pub folder: PathBuf,
    /// What the names of links and taps begin with, as in [`Config::prefix`].
    pub prefix: String,
    /// What the names of tables begin with: in each VPC is one of this name, and on the host one with `_vpcs` behind it.
    pub table: String,
    /// Addresses for the links between host and VPCs: one for the host, and one for each VPC. Guests of VPCs cannot reach
    /// others by these addresses, and no VPC can have them.
    pub transfer: Ipv4Net,
    /// Where guests' public addresses are from: [`Config::pool`].
    pub pool: Vec<Ipv4Net>,
    /// What guests may reach on their routers: [`Config::services`].
    pub services: Vec<Service>,
    /// Where connections are told, in each VPC: [`Config::flow_log`].
    pub flow_log: Option<u16>,
}

impl Default for VpcsConfig {
    fn default() -> Self {
        let Config { prefix, table, pool, services, flow_log, .. } = Config::default();
        Self {
            folder: "/run/bothy/netns".into(),
            prefix,
            table,
            // Of those that are shared by providers (RFC 6598), away from where others of these are known to be: clusters
            // begin at the start, and the metadata and name servers of one cloud are in 100.100.0.0/16.
            transfer: Ipv4Net::new_assert(Ipv4Addr::new(100, 126, 0, 0), 16),
            pool,
            services,
            flow_log,
        }
    }
}

/// The VPCs of this host.
#[derive(Debug)]
pub struct Vpcs {
    config: VpcsConfig,
    host: Namespace,
    /// Held while links are made and removed.
    links: Mutex<()>,
}

impl Vpcs {
    /// Prepares the host for VPCs, or repairs what is there: rules, routes and forwarding. Links whose VPC is gone are
    /// removed. Needs a tokio runtime with I/O.
    ///
    /// # Errors
    ///
    /// The configuration makes no sense, or the host does not do its part.
    pub async fn open(config: VpcsConfig) -> Result<Self, OpenVpcsError> {
        let transfer = config.transfer;
        network::check(&network_config(&config, transfer))?;
        let host = Namespace::default();
        let failed = |source| HostError::new(format!("make the folder {}", config.folder.display()), source);
        fs::create_dir_all(&config.folder).map_err(failed)?;
        let netlink = host.netlink().await?;
        if let Some(route) = links::foreign_route(&links::routes(&netlink).await?, transfer) {
            return Err(OpenNetworkError::CidrInUse { cidr: transfer, route }.into());
        }
        nft::load_helpers(&host).await?;
        nft::apply(&host, ruleset(&config), "make our table for VPCs").await?;
        links::add_network_route(&netlink, transfer).await?;
        host.run(sysctl::forward_ipv4).await??;
        let vpcs = Self { config, host, links: Mutex::default() };
        for link in vpcs.stray_links(&netlink).await? {
            log::warn!("removes the link {}, which belongs to no VPC", link.name);
            links::delete(&netlink, &link).await?;
        }
        Ok(vpcs)
    }

    /// The VPC with this number and these addresses, made if it is not there, or repaired. Its guests go on meanwhile.
    ///
    /// # Errors
    ///
    /// It cannot have these addresses, there is none left for its link, or the host does not do its part.
    pub async fn make(&self, number: u32, cidr: Ipv4Net) -> Result<Network, MakeVpcError> {
        let config = network_config(&self.config, cidr);
        let bad = |source| MakeVpcError::Network { number, source };
        network::check(&config).map_err(bad)?;
        let transfer = self.config.transfer;
        if transfer.contains(&cidr) || cidr.contains(&transfer) {
            return Err(bad(OpenNetworkError::CidrInUse { cidr, route: transfer }));
        }
        let failed = |source| MakeVpcError::Host { number, source };
        let namespace = Namespace::make(self.path(number)).await.map_err(failed)?;
        let address = {
            let _one_by_one = self.links.lock().await;
            let netlink = self.host.netlink().await.map_err(failed)?;
            let link = self.link(&netlink, &namespace, number).await.map_err(failed)?;
            let routes = links::routes(&netlink).await.map_err(failed)?;
            let address =
                choose(&routes, transfer, link.index).ok_or(MakeVpcError::NoLinkAddress(transfer))?;
            self.connect(&netlink, &link, &namespace, number, address).await.map_err(failed)?;
            address
        };
        let announcer = Announcer::vpc(self.link_name(number), address);
        Network::open_in(namespace, config, announcer, true).await.map_err(bad)
    }

    /// The link to a VPC, made if it is not there, and the one in the VPC with it.
    async fn link(&self, netlink: &Handle, namespace: &Namespace, number: u32) -> Result<Link, HostError> {
        let name = self.link_name(number);
        let inside = namespace.netlink().await?;
        let (here, there) = (links::find(netlink, &name).await?, links::find(&inside, UPLINK).await?);
        if let (Some(here), Some(there)) = (&here, &there)
            && here.is_veth
            && (here.peer, there.peer) == (Some(there.index), Some(here.index))
        {
            return Ok(here.clone());
        }
        // Its other end is in a namespace that lost its file, or nowhere.
        for (netlink, link) in [(netlink, here), (&*inside, there)] {
            if let Some(link) = link.filter(|link| link.is_veth) {
                links::delete(netlink, &link).await?;
            }
        }
        let path = self.path(number);
        let file =
            File::open(&path).map_err(|source| HostError::new(format!("open {}", path.display()), source))?;
        links::add_veth(netlink, &name, UPLINK, file.as_fd()).await?;
        let gone = || HostError::new(format!("find the link {name}"), io::ErrorKind::NotFound.into());
        links::find(netlink, &name).await?.ok_or_else(gone)
    }

    /// Makes both ends of a link work, so that neither ever asks for the other.
    async fn connect(
        &self,
        netlink: &Handle,
        link: &Link,
        namespace: &Namespace,
        number: u32,
        address: Ipv4Addr,
    ) -> Result<(), HostError> {
        let host = host_address(self.config.transfer);
        let [a, b, c, d] = number.to_be_bytes();
        let mac = [0x02, 0x62, a, b, c, d];
        let name = link.name.clone();
        self.host.run(move || sysctl::prepare_link(&name)).await??;
        links::set_up(netlink, link, ROUTER_MAC).await?;
        links::add_address(netlink, link, host).await?;
        links::add_neighbour(netlink, link, address, mac).await?;
        links::add_guest_route(netlink, link, address, host).await?;

        let inside = namespace.netlink().await?;
        links::set_loopback_up(&inside).await?;
        namespace.run(|| sysctl::prepare_link(UPLINK)).await??;
        let gone = || HostError::new("find the link to the host", io::ErrorKind::NotFound.into());
        let uplink = links::find(&inside, UPLINK).await?.ok_or_else(gone)?;
        links::set_up(&inside, &uplink, mac).await?;
        links::add_address(&inside, &uplink, address).await?;
        links::add_neighbour(&inside, &uplink, host, ROUTER_MAC).await?;
        links::add_default_route(&inside, &uplink, host).await
    }

    /// The numbers of all VPCs of this host, those left over from a crash among them. Remove what nobody needs.
    ///
    /// # Errors
    ///
    /// The host does not do its part.
    pub fn present(&self) -> Result<Vec<u32>, RemoveVpcError> {
        let failed =
            |source| HostError::new(format!("list the folder {}", self.config.folder.display()), source);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.config.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            numbers.extend(name.to_str().and_then(number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Removes a VPC with all that is in it, whether it is there or not. Its guests that run have no network any more.
    ///
    /// # Errors
    ///
    /// The host does not do its part.
    pub async fn remove(&self, number: u32) -> Result<(), RemoveVpcError> {
        let _one_by_one = self.links.lock().await;
        let netlink = self.host.netlink().await?;
        if let Some(link) = links::find(&netlink, &self.link_name(number)).await?.filter(|link| link.is_veth)
        {
            for route in links::routes(&netlink).await? {
                let public = route.destination.addr();
                if route.is_ours && route.link == Some(link.index) && !self.config.transfer.contains(&public)
                {
                    links::delete_proxies(&netlink, public).await?;
                }
            }
            links::delete(&netlink, &link).await?;
        }
        let path = self.path(number);
        if let Some(namespace) = Namespace::find(path.clone())? {
            // Whoever has a tap open keeps the namespace, and should have nothing of it.
            let inside = namespace.netlink().await?;
            for link in links::all(&inside).await?.into_iter().filter(|link| link.is_tap) {
                links::delete(&inside, &link).await?;
            }
        }
        Ok(Namespace::remove(&path)?)
    }

    /// Removes all VPCs, and what the host was prepared with.
    ///
    /// # Errors
    ///
    /// The host does not do its part. What could be removed is.
    pub async fn close(self) -> Result<(), RemoveVpcError> {
        for number in self.present()? {
            self.remove(number).await?;
        }
        let netlink = self.host.netlink().await?;
        for link in self.stray_links(&netlink).await? {
            links::delete(&netlink, &link).await?;
        }
        nft::apply(&self.host, table::removal(&host_table(&self.config)), "remove our table for VPCs")
            .await?;
        links::delete_network_route(&netlink, self.config.transfer).await?;
        match fs::remove_dir(&self.config.folder) {
            // Others may have something in it.
            Err(error)
                if ![io::ErrorKind::NotFound, io::ErrorKind::DirectoryNotEmpty].contains(&error.kind()) =>
            {
                let what = format!("remove the folder {}", self.config.folder.display());
                Err(HostError::new(what, error).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn stray_links(&self, netlink: &Handle) -> Result<Vec<Link>, HostError> {
        let mut strays = Vec::new();
        for link in links::all(netlink).await?.into_iter().filter(|link| link.is_veth) {
            let number_text =
                link.name.strip_prefix(&self.config.prefix).and_then(|rest| rest.strip_prefix('_'));
            let Some(found) = number_text.and_then(number) else { continue };
            if Namespace::find(self.path(found))?.is_none() {
                strays.push(link);
            }
        }
        Ok(strays)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.config.folder.join(format!("{number:08x}"))
    }

    fn link_name(&self, number: u32) -> String {
        format!("{}_{number:08x}", self.config.prefix)
    }
}

/// The number that is written so, and no other way.
fn number(digits: &str) -> Option<u32> {
    let number = u32::from_str_radix(digits, 16).ok()?;
    (format!("{number:08x}") == digits).then_some(number)
}

fn network_config(config: &VpcsConfig, cidr: Ipv4Net) -> Config {
    Config {
        cidr,
        prefix: config.prefix.clone(),
        table: config.table.clone(),
        pool: config.pool.clone(),
        services: config.services.clone(),
        flow_log: config.flow_log,
    }
}

/// The host's address on all links.
fn host_address(transfer: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(transfer.network()) | 1)
}

/// The address of the VPC behind a link: the one that it has, or the first that is free.
fn choose(routes: &[Route], transfer: Ipv4Net, link: u32) -> Option<Ipv4Addr> {
    let ours = routes.iter().filter(|route| route.is_ours && route.destination.prefix_len() == 32);
    let mut used = BTreeSet::new();
    for route in ours.filter(|route| transfer.contains(&route.destination)) {
        if route.link == Some(link) {
            return Some(route.destination.addr());
        }
        used.insert(route.destination.addr());
    }
    transfer.hosts().skip(1).find(|address| !used.contains(address))
}

fn host_table(config: &VpcsConfig) -> String {
    format!("{}_vpcs", config.table)
}

/// The host's part of the rules: which addresses VPCs have, what they reach, and the host's address in the place of theirs.
/// It says nothing of any single VPC: what each may send from is what is routed to it.
fn ruleset(config: &VpcsConfig) -> Vec<Value> {
    let name = &host_table(config);
    let links = json!(format!("{}_*", config.prefix));
    let taps = json!(format!("{}-*", config.prefix));
    let from = |links: &Value| matches("==", meta("iifname"), links.clone());
    let to = |links: &Value| matches("==", meta("oifname"), links.clone());
    let transfer = || prefix(config.transfer);
    let link_local = json!({"prefix": {"addr": "169.254.0.0", "len": 16}});
    let no_way_back = json!({"fib": {"result": "oif", "flags": ["saddr", "iif"]}});
    let known = matches("in", ct("state"), json!(["established", "related"]));
    let source = || payload("ip", "saddr");
    let destination = || payload("ip", "daddr");
    let chains = [
        (
            "vpcs_are_who_they_are",
            "filter",
            "prerouting",
            -300,
            vec![
                json!([from(&links), matches("!=", meta("nfproto"), json!("ipv4")), drop_it()]),
                json!([from(&links), matches("==", no_way_back, json!(false)), drop_it()]),
            ],
        ),
        (
            "vpcs_to_host",
            "filter",
            "input",
            0,
            vec![
                json!([matches("!=", meta("iifname"), links.clone()), accept()]),
                json!([known, accept()]),
                json!([drop_it()]),
            ],
        ),
        (
            "vpcs_to_all",
            "filter",
            "forward",
            0,
            vec![
                json!([
                    from(&links),
                    matches("==", destination(), link_local),
                    matches("!=", payload("th", "dport"), json!(53)),
                    drop_it(),
                ]),
                json!([from(&links), known, accept()]),
                json!([to(&links), known, accept()]),
                // From one to another, or to the guests of this host's own network, only by public addresses.
                json!([to(&links), matches("==", destination(), transfer()), drop_it()]),
                json!([from(&links), to(&taps), matches("in", ct("status"), json!("dnat")), accept()]),
                json!([from(&links), to(&taps), drop_it()]),
            ],
        ),
        (
            "vpcs_to_world",
            "nat",
            "postrouting",
            100,
            vec![json!([
                matches("==", source(), transfer()),
                matches("!=", meta("oifname"), links),
                {"masquerade": null},
            ])],
        ),
    ];
    let mut commands = table::removal(name);
    commands.push(json!({"add": {"table": {"family": FAMILY, "name": name}}}));
    for (chain, kind, hook, priority, rules) in chains {
        let hook = json!({"type": kind, "hook": hook, "prio": priority, "policy": "accept"});
        commands.push(object("add", "chain", name, chain, hook));
        commands.extend(rules.iter().map(|statements| rule(name, chain, statements)));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_links_are_kept_and_not_given_twice() {
        let transfer: Ipv4Net = "100.126.0.0/29".parse().unwrap();
        let route = |last: u8, link: u32, is_ours: bool| Route {
            destination: Ipv4Net::new_assert(Ipv4Addr::new(100, 126, 0, last), 32),
            link: Some(link),
            is_ours,
        };
        let address = |last| Some(Ipv4Addr::new(100, 126, 0, last));
        assert_eq!(choose(&[], transfer, 1), address(2));
        assert_eq!(choose(&[route(2, 1, true)], transfer, 1), address(2));
        assert_eq!(choose(&[route(2, 1, true)], transfer, 2), address(3));
        assert_eq!(choose(&[route(3, 1, true), route(2, 7, true)], transfer, 1), address(3));
        let all: Vec<Route> = (2..=6).map(|last| route(last, last.into(), true)).collect();
        assert_eq!(choose(&all, transfer, 9), None);
    }

    #[test]
    fn numbers_are_written_one_way() {
        assert_eq!(number("0000001a"), Some(26));
        for text in ["1a", "0000001A", "+000001a", "", "0000001g", "00000001a", "ipvlan"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn the_rules_are_of_the_schema() {
        crate::rules::table::tests::are_of_the_schema(&ruleset(&VpcsConfig::default()));
    }
}
