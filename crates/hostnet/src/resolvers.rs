//! Whom this host asks for names. For who asks in its place: some of them answer nobody else.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use resolv_conf::{Config, ScopedIp};

/// Where a host says whom it asks.
const FILE: &str = "/etc/resolv.conf";

/// Whom to ask where there is no such file, or nobody in it (resolv.conf(5)).
const USUAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The name servers of this host, in its order of preference; a local one (systemd-resolved, dnsmasq) among them. At least
/// one, which may not be there.
pub fn resolvers() -> Vec<IpAddr> {
    // What cannot be read says nothing.
    read(&fs::read(FILE).unwrap_or_default())
}

fn read(text: &[u8]) -> Vec<IpAddr> {
    // Lines that are not understood do not hide those that are.
    let (config, _) = Config::parse_with_errors(text);
    let addresses = config.nameservers.iter().filter_map(|server| match server {
        ScopedIp::V4(address) => Some(IpAddr::V4(*address)),
        ScopedIp::V6(address, None) => Some(IpAddr::V6(*address)),
        // A name of a link: a router that is also known by another address, mostly.
        ScopedIp::V6(_, Some(_)) => None,
    });
    let mut addresses: Vec<IpAddr> = addresses.filter(|address| !address.is_unspecified()).collect();
    if addresses.is_empty() {
        addresses.push(USUAL);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_servers_that_can_be_asked() {
        let all = |text: &str| text.split(' ').map(|one| one.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (text, expected) in [
            ("nameserver 192.0.2.1\nnameserver 192.0.2.2\n", "192.0.2.1 192.0.2.2"),
            ("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n", "127.0.0.53"),
            ("nameserver ::1\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\n", "::1 2001:db8::1"),
            ("nameserver 0.0.0.0\nnameserver 192.0.2.3\n", "192.0.2.3"),
            ("nonsense here\nnameserver\nnameserver 1.2.3\nnameserver 192.0.2.4\n", "192.0.2.4"),
            ("nameserver 0.0.0.0\n", "127.0.0.1"),
            ("", "127.0.0.1"),
        ] {
            assert_eq!(read(text.as_bytes()), all(expected), "{text:?}");
        }
        assert_eq!(read(&[0xff, 0, b'\n']), [USUAL]);
    }
}
