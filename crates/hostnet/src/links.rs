//! Links, addresses, neighbours and routes, by rtnetlink. Each function does one thing and may do it again.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoTun, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::HostError;

/// By this number the kernel remembers who made a route (`ip route` shows it as `proto 98`); no other program is known to
/// use it.
const ROUTE_PROTOCOL: RouteProtocol = RouteProtocol::Other(98);

// Attributes of a tun device (linux/if_link.h).
const IFLA_TUN_OWNER: u16 = 1;
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_TUN_MULTI_QUEUE: u16 = 7;
const IFF_TAP: u8 = 2;

/// A link, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) is_tap: bool,
    pub(crate) is_veth: bool,
    /// The index of the other end of a veth, in whatever namespace that is.
    pub(crate) peer: Option<u32>,
    pub(crate) owner: Option<u32>,
    pub(crate) mac: Vec<u8>,
    pub(crate) is_up: bool,
}

/// The link of this name.
pub(crate) async fn find(netlink: &Handle, name: &str) -> Result<Option<Link>, HostError> {
    match netlink.link().get().match_name(name).execute().try_next().await {
        Ok(message) => Ok(message.map(parse)),
        Err(error) if is(&error, libc::ENODEV) => Ok(None),
        Err(error) => Err(failed(format!("look for the link {name}"), error)),
    }
}

/// All links of the namespace.
pub(crate) async fn all(netlink: &Handle) -> Result<Vec<Link>, HostError> {
    let messages: Result<Vec<LinkMessage>, _> = netlink.link().get().execute().try_collect().await;
    Ok(messages.map_err(|error| failed("list links", error))?.into_iter().map(parse).collect())
}

fn parse(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        is_tap: false,
        is_veth: false,
        peer: None,
        owner: None,
        mac: Vec::new(),
        is_up: message.header.flags.contains(LinkFlags::Up),
    };
    let mut kind = None;
    let mut tun = Vec::new();
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(mac) => link.mac = mac,
            LinkAttribute::Link(peer) => link.peer = Some(peer),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(this) => kind = Some(this),
                        LinkInfo::Data(InfoData::Tun(data)) => tun = data,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let number = |kind: u16| tun.iter().find(|attribute| attribute.kind() == kind).map(value);
    let has = |kind: u16, wanted: u8| number(kind).is_some_and(|bytes| bytes.first() == Some(&wanted));
    link.is_tap = kind == Some(InfoKind::Tun) && has(IFLA_TUN_TYPE, IFF_TAP) && !has(IFLA_TUN_MULTI_QUEUE, 1);
    link.is_veth = kind == Some(InfoKind::Veth);
    link.owner = number(IFLA_TUN_OWNER).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    link
}

fn value(attribute: &InfoTun) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

/// Makes a pair of links, one end of it in another namespace.
pub(crate) async fn add_veth(
    netlink: &Handle,
    name: &str,
    peer: &str,
    namespace: BorrowedFd<'_>,
) -> Result<(), HostError> {
    let peer = LinkUnspec::new_with_name(peer).setns_by_fd(namespace.as_raw_fd()).build();
    let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)));
    let added = netlink.link().add(pair.build()).execute().await;
    added.map_err(|error| failed(format!("make the pair of links {name}"), error))
}

/// Makes the loopback link of a new namespace work.
pub(crate) async fn set_loopback_up(netlink: &Handle) -> Result<(), HostError> {
    match find(netlink, "lo").await? {
        Some(link) if !link.is_up => {
            let message = LinkUnspec::new_with_index(link.index).up().build();
            let set = netlink.link().set(message).execute().await;
            set.map_err(|error| failed("set lo up", error))
        }
        _ => Ok(()),
    }
}

/// Gives a link its MAC address and makes it work.
pub(crate) async fn set_up(netlink: &Handle, link: &Link, mac: [u8; 6]) -> Result<(), HostError> {
    if link.is_up && link.mac == mac {
        return Ok(());
    }
    let message = LinkUnspec::new_with_index(link.index).address(mac.to_vec()).up().build();
    netlink
        .link()
        .set(message)
        .execute()
        .await
        .map_err(|error| failed(format!("set {} up", link.name), error))
}

/// Deletes a link, and with it its addresses, neighbours and routes.
pub(crate) async fn delete(netlink: &Handle, link: &Link) -> Result<(), HostError> {
    match netlink.link().del(link.index).execute().await {
        Err(error) if !is(&error, libc::ENODEV) => Err(failed(format!("delete {}", link.name), error)),
        _ => Ok(()),
    }
}

/// Gives a link an address that is in no subnet.
pub(crate) async fn add_address(netlink: &Handle, link: &Link, address: Ipv4Addr) -> Result<(), HostError> {
    let added = netlink.address().add(link.index, address.into(), 32).replace().execute().await;
    added.map_err(|error| failed(format!("give {} the address {address}", link.name), error))
}

/// Makes a guest known as a neighbour for good: the host never has to ask for it, and the number of guests is not bounded by
/// the kernel's table of those that it asked for.
pub(crate) async fn add_neighbour(
    netlink: &Handle,
    link: &Link,
    address: Ipv4Addr,
    mac: [u8; 6],
) -> Result<(), HostError> {
    let neighbour = netlink.neighbours().add(link.index, address.into()).link_layer_address(&mac);
    let added = neighbour.replace().execute().await;
    added.map_err(|error| failed(format!("make {address} a neighbour on {}", link.name), error))
}

/// Routes to a guest.
pub(crate) async fn add_guest_route(
    netlink: &Handle,
    link: &Link,
    address: Ipv4Addr,
    router: Ipv4Addr,
) -> Result<(), HostError> {
    let route = guest_route(link, address).pref_source(router).build();
    let added = netlink.route().add(route).replace().execute().await;
    added.map_err(|error| failed(format!("route {address} to {}", link.name), error))
}

/// Takes the route to a guest back, and its neighbour with it.
pub(crate) async fn delete_guest_route(
    netlink: &Handle,
    link: &Link,
    address: Ipv4Addr,
) -> Result<(), HostError> {
    let deleted = netlink.route().del(guest_route(link, address).build()).execute().await;
    unless_gone(deleted, || format!("take back the route to {address}"))?;
    // Deleting a neighbour wants the message that adds it.
    let mut neighbour = netlink.neighbours().add(link.index, address.into());
    let message = std::mem::take(neighbour.message_mut());
    unless_gone(netlink.neighbours().del(message).execute().await, || {
        format!("forget the neighbour {address}")
    })
}

fn guest_route(link: &Link, address: Ipv4Addr) -> RouteMessageBuilder<Ipv4Addr> {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(address, 32)
        .output_interface(link.index)
        .scope(RouteScope::Link)
        .protocol(ROUTE_PROTOCOL)
}

/// Says that there is nobody at those addresses of the network that no guest has: without, what is sent to them would leave
/// by the default route, and the host would answer ARP for them.
pub(crate) async fn add_network_route(netlink: &Handle, cidr: Ipv4Net) -> Result<(), HostError> {
    let added = netlink.route().add(network_route(cidr)).replace().execute().await;
    added.map_err(|error| failed(format!("make {cidr} unreachable"), error))
}

/// Takes that back.
pub(crate) async fn delete_network_route(netlink: &Handle, cidr: Ipv4Net) -> Result<(), HostError> {
    unless_gone(netlink.route().del(network_route(cidr)).execute().await, || {
        format!("take back the route to {cidr}")
    })
}

fn network_route(cidr: Ipv4Net) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(cidr.addr(), cidr.prefix_len())
        .kind(RouteType::Unreachable)
        .protocol(ROUTE_PROTOCOL)
        .build()
}

/// Sends what has no other way by a gateway, whose link has no addresses in common with ours.
pub(crate) async fn add_default_route(
    netlink: &Handle,
    link: &Link,
    gateway: Ipv4Addr,
) -> Result<(), HostError> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .output_interface(link.index)
        .gateway(gateway)
        .onlink()
        .protocol(ROUTE_PROTOCOL);
    let added = netlink.route().add(route.build()).replace().execute().await;
    added.map_err(|error| failed(format!("route to the outside by {gateway}"), error))
}

/// Routes to a public address: by the VPC that has it, or on this host itself.
pub(crate) async fn add_public_route(
    netlink: &Handle,
    link: &Link,
    gateway: Option<Ipv4Addr>,
    public: Ipv4Addr,
) -> Result<(), HostError> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(public, 32)
        .output_interface(link.index)
        .protocol(ROUTE_PROTOCOL);
    let route = match gateway {
        Some(gateway) => route.gateway(gateway).onlink(),
        None => route.scope(RouteScope::Link),
    };
    let added = netlink.route().add(route.build()).replace().execute().await;
    added.map_err(|error| failed(format!("route the public address {public}"), error))
}

/// Takes the route to a public address by a link back.
pub(crate) async fn delete_public_route(
    netlink: &Handle,
    link: u32,
    public: Ipv4Addr,
) -> Result<(), HostError> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(public, 32)
        .output_interface(link)
        .scope(RouteScope::NoWhere)
        .protocol(ROUTE_PROTOCOL);
    unless_gone(netlink.route().del(route.build()).execute().await, || {
        format!("take back the route to {public}")
    })
}

/// Answers ARP for an address on a link.
pub(crate) async fn add_proxy(netlink: &Handle, link: u32, address: Ipv4Addr) -> Result<(), HostError> {
    let neighbour = netlink.neighbours().add(link, address.into()).flags(NeighbourFlags::Proxy);
    let added = neighbour.replace().execute().await;
    added.map_err(|error| failed(format!("answer for {address}"), error))
}

/// Answers for an address no more, on any link.
pub(crate) async fn delete_proxies(netlink: &Handle, address: Ipv4Addr) -> Result<(), HostError> {
    let request = netlink.neighbours().get().set_address_family(AddressFamily::Inet).proxies();
    let proxies: Result<Vec<_>, _> = request.execute().try_collect().await;
    for proxy in proxies.map_err(|error| failed("list for whom ARP is answered", error))? {
        let is_it = proxy.attributes.iter().any(|attribute| {
            matches!(attribute, NeighbourAttribute::Destination(NeighbourAddress::Inet(this)) if *this == address)
        });
        if is_it && proxy.header.flags.contains(NeighbourFlags::Proxy) {
            let mut neighbour = netlink.neighbours().add(proxy.header.ifindex, address.into());
            let mut message = std::mem::take(neighbour.message_mut());
            message.header.flags = NeighbourFlags::Proxy;
            let deleted = netlink.neighbours().del(message).execute().await;
            unless_gone(deleted, || format!("answer for {address} no more"))?;
        }
    }
    Ok(())
}

/// A route of the main table; others are for packets that their rules choose, or have the host's own addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) destination: Ipv4Net,
    /// The index of the link.
    pub(crate) link: Option<u32>,
    pub(crate) is_ours: bool,
}

/// All routes.
pub(crate) async fn routes(netlink: &Handle) -> Result<Vec<Route>, HostError> {
    let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut messages = std::pin::pin!(netlink.route().get(all).execute());
    let mut routes = Vec::new();
    while let Some(route) = messages.try_next().await.map_err(|error| failed("list routes", error))? {
        if route.header.table != RouteHeader::RT_TABLE_MAIN {
            continue;
        }
        let mut address = Ipv4Addr::UNSPECIFIED;
        let mut link = None;
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(destination)) => address = *destination,
                RouteAttribute::Oif(index) => link = Some(*index),
                _ => {}
            }
        }
        if let Ok(destination) = Ipv4Net::new(address, route.header.destination_prefix_length) {
            let is_ours = route.header.protocol == ROUTE_PROTOCOL;
            routes.push(Route { destination, link, is_ours });
        }
    }
    Ok(routes)
}

/// A route of somebody else's to addresses of `cidr`, or to a larger network around it. A default route is none.
pub(crate) fn foreign_route(routes: &[Route], cidr: Ipv4Net) -> Option<Ipv4Net> {
    let destinations = routes.iter().filter(|route| !route.is_ours).map(|route| route.destination);
    destinations
        .filter(|destination| destination.prefix_len() > 0)
        .find(|destination| destination.contains(&cidr) || cidr.contains(destination))
}

/// The link by which this host would reach an address if it were not ours: where others may ask for it.
pub(crate) fn link_towards(routes: &[Route], address: Ipv4Addr) -> Option<u32> {
    let others = routes.iter().filter(|route| !route.is_ours && route.destination.contains(&address));
    others.max_by_key(|route| route.destination.prefix_len()).and_then(|route| route.link)
}

fn unless_gone(done: Result<(), rtnetlink::Error>, what: impl Fn() -> String) -> Result<(), HostError> {
    match done {
        Err(error) if ![libc::ESRCH, libc::ENOENT, libc::ENODEV].iter().any(|code| is(&error, *code)) => {
            Err(failed(what(), error))
        }
        _ => Ok(()),
    }
}

fn is(error: &rtnetlink::Error, code: libc::c_int) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -code)
}

fn failed(what: impl Into<String>, error: rtnetlink::Error) -> HostError {
    let source = match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    };
    HostError::new(what, source)
}
