//! Which name servers to tell guests: the host's own, where a guest can reach them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use resolv_conf::{Config, ScopedIp};

/// Where a host says whom it asks.
const RESOLVERS: &str = "/etc/resolv.conf";

/// Where systemd-resolved says whom it asks in turn, when it is the host's only name server.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// The IPv4 name servers of this host that can be reached from elsewhere, in its order of preference. Where it only has one
/// of its own on a loopback address, as with systemd-resolved, those that this one asks. Empty if there is none.
pub fn dns_servers() -> Vec<Ipv4Addr> {
    first_usable(&[Path::new(RESOLVERS), Path::new(UPSTREAM)])
}

fn first_usable(files: &[&Path]) -> Vec<Ipv4Addr> {
    let servers = files.iter().filter_map(|file| fs::read(file).ok()).map(|text| usable(&text));
    servers.into_iter().find(|servers| !servers.is_empty()).unwrap_or_default()
}

fn usable(text: &[u8]) -> Vec<Ipv4Addr> {
    // Lines that are not understood do not hide those that are.
    let (config, _) = Config::parse_with_errors(text);
    let addresses = config.nameservers.iter().filter_map(|server| match server {
        ScopedIp::V4(address) => Some(*address),
        ScopedIp::V6(..) => None,
    });
    addresses.filter(|address| !address.is_loopback() && !address.is_unspecified()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_that_a_guest_can_reach() {
        let address = |last| Ipv4Addr::new(192, 0, 2, last);
        for (text, expected) in [
            ("nameserver 192.0.2.1\nnameserver 192.0.2.2\n", vec![address(1), address(2)]),
            ("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n", vec![]),
            ("nameserver 127.0.0.1\nnameserver 192.0.2.3\n", vec![address(3)]),
            ("nameserver ::1\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\n", vec![]),
            ("nameserver 0.0.0.0\n", vec![]),
            ("nonsense here\nnameserver\nnameserver 1.2.3\nnameserver 192.0.2.4\n", vec![address(4)]),
            ("", vec![]),
        ] {
            assert_eq!(usable(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(usable(&[0xff, 0, b'\n']), [] as [Ipv4Addr; 0]);
    }

    #[test]
    fn a_local_server_leads_to_those_that_it_asks() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let stub = write("stub", "nameserver 127.0.0.53\n");
        let upstream = write("upstream", "nameserver 192.0.2.9\n");
        let missing = folder.path().join("missing");
        let found = vec![Ipv4Addr::new(192, 0, 2, 9)];
        assert_eq!(first_usable(&[&stub, &upstream]), found);
        assert_eq!(first_usable(&[&missing, &upstream]), found);
        assert_eq!(first_usable(&[&upstream, &stub]), found);
        assert_eq!(first_usable(&[&stub, &missing]), [] as [Ipv4Addr; 0]);
    }
}
