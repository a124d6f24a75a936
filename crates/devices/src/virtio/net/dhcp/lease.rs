//! What a DHCP message of the guest gets for an answer (RFC 2131). Pure: there is one lease, it is always there, and it is
//! always this guest's, so nothing has to be kept between two messages.
//!
//! Of the guest's wishes only those count that the protocol needs: it gets its own configuration, or nothing.

use std::net::Ipv4Addr;

use dhcproto::v4::borrowed::Message as View;
use dhcproto::v4::{DhcpOption, DhcpOptions, Flags, HType, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Encodable, Encoder};
use ipnet::Ipv4Net;

use super::super::frame::SERVICE_MAC;
use super::DhcpConfig;
use super::frame::Addresses;

/// What a client takes at least, and more only if it says so: a packet of 576 bytes (RFC 2131, 2) without its headers.
const MIN_CLIENT_BYTES: usize = 576 - 28;

/// Messages of BOOTP have at least this length, and some clients still want it (RFC 1542, 2.1).
const MIN_MESSAGE_BYTES: usize = 300;

/// Longest client identifier that is sent back: the longest DUID with its type and IAID (RFC 4361, 6.1). With it, and
/// without the domain, all that we send fits the smallest client.
const MAX_CLIENT_ID_BYTES: usize = 135;

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The client gets what it may have.
    Answer(Addresses, Vec<u8>),
    /// The client is told that an address is not for it here.
    Refusal(Addresses, Vec<u8>),
    /// There is nothing to say: the message is for another server, of another client, or wants no answer.
    Nothing,
    /// The client says that somebody else has its address.
    Declined,
    /// It is no DHCP request.
    Malformed,
}

/// A request, as far as it matters.
struct Request {
    kind: MessageType,
    xid: u32,
    broadcast: bool,
    /// The address that the client has.
    ciaddr: Ipv4Addr,
    /// The relay on the way.
    giaddr: Ipv4Addr,
    chaddr: [u8; 6],
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    client_id: Option<Vec<u8>>,
    /// The longest message that the client takes.
    max_bytes: usize,
}

/// Decides on `message`, which came from and to these addresses.
pub(super) fn answer(config: &DhcpConfig, mac: [u8; 6], addresses: &Addresses, message: &[u8]) -> Outcome {
    let Some(request) = parse(message) else { return Outcome::Malformed };
    let to_us = addresses.destination.is_broadcast()
        || addresses.destination == config.router
        || addresses.destination == config.subnet_broadcast();
    // What came over a relay, or for another card, is of a machine behind the guest: no business of ours.
    if !to_us || !request.giaddr.is_unspecified() || request.chaddr != mac {
        return Outcome::Nothing;
    }
    let is_ours = |address: Ipv4Addr| address == config.address;
    match request.kind {
        MessageType::Discover => granted(config, addresses, &request, MessageType::Offer),
        MessageType::Request if request.server.is_some_and(|server| server != config.router) => {
            Outcome::Nothing
        }
        // Selecting and rebooting clients name the address in an option, renewing and rebinding ones have it (4.3.2).
        MessageType::Request => match (request.requested, request.ciaddr) {
            (None, Ipv4Addr::UNSPECIFIED) => Outcome::Malformed,
            (Some(wanted), _) if !is_ours(wanted) => refused(config, addresses, &request),
            (None, wanted) if !is_ours(wanted) => refused(config, addresses, &request),
            (Some(_), _) | (None, _) => granted(config, addresses, &request, MessageType::Ack),
        },
        MessageType::Inform if is_ours(request.ciaddr) => {
            granted(config, addresses, &request, MessageType::Ack)
        }
        MessageType::Decline => Outcome::Declined,
        // A released lease is there again as soon as it is asked for.
        _ => Outcome::Nothing,
    }
}

/// `None` if it is no DHCP request of an Ethernet card. Options after a broken one are not there.
fn parse(message: &[u8]) -> Option<Request> {
    let view = View::new(message).ok()?;
    // In this order: the view's `chaddr` is only sound where the length is.
    if view.opcode() != Opcode::BootRequest || view.htype() != HType::Eth || view.hlen() != 6 {
        return None;
    }
    let mut request = Request {
        kind: MessageType::Unknown(0),
        xid: view.xid(),
        broadcast: view.flags().broadcast(),
        ciaddr: view.ciaddr(),
        giaddr: view.giaddr(),
        chaddr: view.chaddr().try_into().ok()?,
        requested: None,
        server: None,
        client_id: None,
        max_bytes: MIN_CLIENT_BYTES,
    };
    let mut kind = None;
    for option in view.opts() {
        let data = option.data();
        let address = || <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from);
        match option.code() {
            OptionCode::MessageType => {
                kind = Some(MessageType::from(*<&[u8; 1]>::try_from(data).ok()?.first()?))
            }
            OptionCode::RequestedIpAddress => request.requested = Some(address()?),
            OptionCode::ServerIdentifier => request.server = Some(address()?),
            OptionCode::ClientIdentifier if data.len() > MAX_CLIENT_ID_BYTES => return None,
            OptionCode::ClientIdentifier => request.client_id = Some(data.to_vec()),
            OptionCode::MaxMessageSize => {
                let packet = u16::from_be_bytes(data.try_into().ok()?);
                request.max_bytes = usize::from(packet).saturating_sub(28).max(MIN_CLIENT_BYTES);
            }
            _ => {}
        }
    }
    request.kind = kind?;
    Some(request)
}

/// An OFFER or ACK.
fn granted(config: &DhcpConfig, from: &Addresses, request: &Request, kind: MessageType) -> Outcome {
    let mut message = reply(config, request, kind);
    // One that asks with an address of its own wants no lease (RFC 2131, 4.3.5).
    if request.kind != MessageType::Inform {
        message.set_yiaddr(config.address);
        let lease = config.lease_seconds;
        let options = message.opts_mut();
        options.insert(DhcpOption::AddressLeaseTime(lease));
        // The defaults of RFC 2131, 4.4.5: half of it, and seven eighths.
        options.insert(DhcpOption::Renewal(lease / 2));
        options.insert(DhcpOption::Rebinding(lease - lease / 8));
    }
    if request.kind == MessageType::Request {
        message.set_ciaddr(request.ciaddr);
    }
    describe(config, message.opts_mut());
    let Some(mut bytes) = encode(&message) else { return Outcome::Nothing };
    // What a client can do without, in this order; its routes it cannot.
    for option in [OptionCode::NtpServers, OptionCode::DomainName, OptionCode::Hostname] {
        if bytes.len() > request.max_bytes {
            message.opts_mut().remove(option);
            let Some(shorter) = encode(&message) else { return Outcome::Nothing };
            bytes = shorter;
        }
    }
    let (destination_mac, destination) = if !request.ciaddr.is_unspecified() {
        (from.source_mac, request.ciaddr)
    } else if request.broadcast {
        ([0xff; 6], Ipv4Addr::BROADCAST)
    } else {
        (request.chaddr, config.address)
    };
    // Asked as the router, we answer as the router; its address on the wire is the host's to know.
    let is_unicast = from.destination_mac[0] & 1 == 0;
    let source_mac = if is_unicast { from.destination_mac } else { SERVICE_MAC };
    Outcome::Answer(Addresses { source_mac, source: config.router, destination_mac, destination }, bytes)
}

/// A NAK, which all may hear: the client's address is not to be relied on.
fn refused(config: &DhcpConfig, from: &Addresses, request: &Request) -> Outcome {
    let message = reply(config, request, MessageType::Nak);
    let Some(bytes) = encode(&message) else { return Outcome::Nothing };
    let is_unicast = from.destination_mac[0] & 1 == 0;
    let source_mac = if is_unicast { from.destination_mac } else { SERVICE_MAC };
    let to = Addresses {
        source_mac,
        source: config.router,
        destination_mac: [0xff; 6],
        destination: Ipv4Addr::BROADCAST,
    };
    Outcome::Refusal(to, bytes)
}

/// What each reply has.
fn reply(config: &DhcpConfig, request: &Request, kind: MessageType) -> Message {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(request.xid, none, none, none, none, &request.chaddr);
    message.set_opcode(Opcode::BootReply);
    if request.broadcast {
        message.set_flags(Flags::default().set_broadcast());
    }
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(config.router));
    if let Some(id) = &request.client_id {
        options.insert(DhcpOption::ClientIdentifier(id.clone()));
    }
    message
}

/// The configuration of the interface.
fn describe(config: &DhcpConfig, options: &mut DhcpOptions) {
    options.insert(DhcpOption::SubnetMask(config.mask()));
    options.insert(DhcpOption::Router(vec![config.router]));
    if config.prefix_len == 32 || !config.routes.is_empty() {
        options.insert(DhcpOption::ClasslessStaticRoute(routes(config)));
    }
    if !config.dns.is_empty() {
        options.insert(DhcpOption::DomainNameServer(config.dns.clone()));
    }
    if !config.ntp.is_empty() {
        options.insert(DhcpOption::NtpServers(config.ntp.clone()));
    }
    if let Some(name) = &config.host_name {
        options.insert(DhcpOption::Hostname(name.clone()));
    }
    if let Some(domain) = &config.domain {
        options.insert(DhcpOption::DomainName(domain.clone()));
    }
    if let Some(mtu) = config.mtu {
        options.insert(DhcpOption::InterfaceMtu(mtu));
    }
}

/// All routes: a client that gets any in this option looks at the option of the router no more (RFC 3442).
fn routes(config: &DhcpConfig) -> Vec<(Ipv4Net, Ipv4Addr)> {
    let mut routes = Vec::with_capacity(config.routes.len() + 2);
    if config.prefix_len == 32 {
        // A router that is in no subnet is reached over a route of its own, which only this option can say.
        routes.push((Ipv4Net::from(config.router), Ipv4Addr::UNSPECIFIED));
    }
    routes.extend_from_slice(&config.routes);
    if routes.iter().all(|(destination, _)| destination.prefix_len() > 0) {
        routes.push((Ipv4Net::default(), config.router));
    }
    routes
}

/// `None` if it cannot be written, which no configuration that was checked brings about.
fn encode(message: &Message) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(MIN_MESSAGE_BYTES * 2);
    message.encode(&mut Encoder::new(&mut bytes)).ok()?;
    if bytes.len() < MIN_MESSAGE_BYTES {
        bytes.resize(MIN_MESSAGE_BYTES, 0);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];

    fn largest() -> DhcpConfig {
        DhcpConfig {
            address: Ipv4Addr::new(10, 0, 0, 5),
            prefix_len: 32,
            router: Ipv4Addr::new(10, 0, 0, 1),
            dns: vec![Ipv4Addr::new(10, 0, 0, 2); 8],
            ntp: vec![Ipv4Addr::new(10, 0, 0, 3); 8],
            host_name: Some("h".repeat(63)),
            domain: Some("d".repeat(253)),
            mtu: Some(9000),
            lease_seconds: u32::MAX,
            routes: vec![("10.200.201.128/25".parse().unwrap(), Ipv4Addr::new(10, 0, 0, 9)); 8],
        }
    }

    fn ask(kind: MessageType, more: &[DhcpOption]) -> Vec<u8> {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new_with_id(7, none, none, none, none, &MAC);
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        for option in more {
            message.opts_mut().insert(option.clone());
        }
        encode(&message).unwrap()
    }

    fn from_anywhere() -> Addresses {
        Addresses {
            source_mac: MAC,
            source: Ipv4Addr::UNSPECIFIED,
            destination_mac: [0xff; 6],
            destination: Ipv4Addr::BROADCAST,
        }
    }

    fn answered(more: &[DhcpOption]) -> Vec<u8> {
        match answer(&largest(), MAC, &from_anywhere(), &ask(MessageType::Discover, more)) {
            Outcome::Answer(_, bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn has(message: &[u8], code: OptionCode) -> bool {
        View::new(message).unwrap().opts().any(|option| option.code() == code)
    }

    #[test]
    fn the_largest_answer_fits_what_a_client_takes() {
        let id = DhcpOption::ClientIdentifier(vec![9; MAX_CLIENT_ID_BYTES]);
        let small = answered(std::slice::from_ref(&id));
        assert!(small.len() <= MIN_CLIENT_BYTES, "{} bytes", small.len());
        assert!(!has(&small, OptionCode::DomainName) && !has(&small, OptionCode::Hostname));
        assert!(!has(&small, OptionCode::NtpServers));
        assert!(has(&small, OptionCode::ClasslessStaticRoute));
        let few = DhcpConfig { routes: Vec::new(), ..largest() };
        let message = ask(MessageType::Discover, std::slice::from_ref(&id));
        let Outcome::Answer(_, without) = answer(&few, MAC, &from_anywhere(), &message) else {
            panic!("none")
        };
        assert!(without.len() <= MIN_CLIENT_BYTES, "{} bytes", without.len());
        assert!(!has(&without, OptionCode::DomainName) && has(&without, OptionCode::Hostname));
        let large = answered(&[id, DhcpOption::MaxMessageSize(1500)]);
        assert!(has(&large, OptionCode::DomainName) && has(&large, OptionCode::ClasslessStaticRoute));
        assert!(has(&large, OptionCode::NtpServers));
        assert!(large.len() <= 1472);
        // A client may not make the limit smaller than all must take.
        assert_eq!(answered(&[DhcpOption::MaxMessageSize(0)]), answered(&[]));
    }

    #[test]
    fn routes_come_with_the_one_to_the_router() {
        let router = Ipv4Addr::new(10, 0, 0, 1);
        let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
        let link = (net("169.254.169.254/32"), Ipv4Addr::UNSPECIFIED);
        let to_router = (net("0.0.0.0/0"), router);
        let other = (net("0.0.0.0/0"), Ipv4Addr::new(10, 0, 0, 9));
        for (prefix_len, configured, told) in [
            (24, vec![], None),
            (24, vec![link], Some(vec![link, to_router])),
            (24, vec![other], Some(vec![other])),
            (32, vec![], Some(vec![(net("10.0.0.1/32"), Ipv4Addr::UNSPECIFIED), to_router])),
            (32, vec![link], Some(vec![(net("10.0.0.1/32"), Ipv4Addr::UNSPECIFIED), link, to_router])),
        ] {
            let config = DhcpConfig { prefix_len, routes: configured, ..largest() };
            let mut options = DhcpOptions::default();
            describe(&config, &mut options);
            let expected = told.map(DhcpOption::ClasslessStaticRoute);
            assert_eq!(options.get(OptionCode::ClasslessStaticRoute), expected.as_ref());
        }
    }

    #[test]
    fn no_message_at_all() {
        let good = ask(MessageType::Discover, &[]);
        let outcome = |bytes: &[u8]| answer(&largest(), MAC, &from_anywhere(), bytes);
        assert!(matches!(outcome(&good), Outcome::Answer(..)));
        for length in 0..243 {
            assert_eq!(outcome(&good[..length]), Outcome::Malformed, "cut to {length}");
        }
        // Reply, other hardware, lengths of the hardware address, no magic.
        for (at, byte) in [(0, 2), (1, 6), (2, 0), (2, 5), (2, 7), (2, 255), (236, 0)] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(outcome(&bytes), Outcome::Malformed, "{at}: {byte}");
        }
        // Options of a length that they cannot have.
        let message_type = 240..243;
        for option in [
            vec![50, 3, 1, 2, 3],
            vec![54, 0],
            vec![57, 1, 9],
            vec![53, 2, 1, 1],
            [&[61, 136], &[1; 136][..]].concat(),
        ] {
            let bytes = [&good[..message_type.end], &option, &[255]].concat();
            assert_eq!(outcome(&bytes), Outcome::Malformed, "{option:?}");
        }
        // One that is cut off is as if it were not there.
        let bytes = [&good[..message_type.end], &[50, 200, 1]].concat();
        assert!(matches!(outcome(&bytes), Outcome::Answer(..)));
    }
}
