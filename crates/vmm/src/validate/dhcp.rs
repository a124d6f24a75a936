//! Checks what a network interface's guest is to be told by DHCP: that a client can do something with it, and that it fits
//! the options it is sent in.

use std::net::Ipv4Addr;

use vmm_api::{Dhcp, DhcpRoute, ErrorBody};

use super::{MIN_MTU, invalid};

/// Most servers of a kind. Clients keep three name servers.
const MAX_SERVERS: usize = 8;
/// Longest host name, which is one label of a DNS name (RFC 1035, 2.3.4).
const MAX_LABEL_BYTES: usize = 63;
/// Longest DNS name as it is written (RFC 1035, 2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;
/// Most routes: with them, an answer fits the smallest client if its host name is left out.
const MAX_ROUTES: usize = 8;
/// Shortest lease, in seconds: a client would do nothing but renew it.
const MIN_LEASE_SECONDS: u32 = 60;

/// Refuses a lease that no client could use. `nic_mtu` is the interface's own.
pub(super) fn lease(dhcp: &Dhcp, nic_mtu: Option<u16>) -> Result<(), ErrorBody> {
    addresses(dhcp)?;
    servers("name", &dhcp.dns)?;
    servers("time", &dhcp.ntp)?;
    if let Some(name) = dhcp.host_name.as_ref().filter(|name| !is_label(name)) {
        return Err(invalid(
            format!("{name:?} cannot be a host name"),
            format!("use 1 to {MAX_LABEL_BYTES} letters, digits and hyphens, no hyphen first or last"),
        ));
    }
    let is_domain = |name: &str| name.len() <= MAX_DOMAIN_BYTES && name.split('.').all(is_label);
    if let Some(name) = dhcp.domain.as_ref().filter(|name| !is_domain(name)) {
        return Err(invalid(
            format!("{name:?} cannot be a domain"),
            format!(
                "use at most {MAX_DOMAIN_BYTES} characters: names of letters, digits and hyphens, with dots between"
            ),
        ));
    }
    if let Some(mtu) = dhcp.mtu {
        let most = nic_mtu.unwrap_or(u16::MAX);
        if mtu < MIN_MTU || mtu > most {
            return Err(invalid(
                format!("an MTU of {mtu} bytes by DHCP does not go with this interface"),
                format!("give {MIN_MTU} to {most}"),
            ));
        }
    }
    routes(dhcp)?;
    if dhcp.lease_seconds < MIN_LEASE_SECONDS {
        return Err(invalid(
            format!("a lease of {} seconds is too short", dhcp.lease_seconds),
            format!("give at least {MIN_LEASE_SECONDS}"),
        ));
    }
    Ok(())
}

fn servers(kind: &str, servers: &[Ipv4Addr]) -> Result<(), ErrorBody> {
    if servers.len() > MAX_SERVERS {
        let hint = format!("give at most {MAX_SERVERS}");
        return Err(invalid(format!("{} {kind} servers are too many", servers.len()), hint));
    }
    match servers.iter().find(|server| !is_unicast(**server)) {
        Some(server) => Err(invalid(
            format!("{server} can be no {kind} server of a guest"),
            "give an address that the guest can send to",
        )),
        None => Ok(()),
    }
}

fn routes(dhcp: &Dhcp) -> Result<(), ErrorBody> {
    if dhcp.routes.len() > MAX_ROUTES {
        return Err(invalid(
            format!("{} routes are too many", dhcp.routes.len()),
            format!("give at most {MAX_ROUTES}"),
        ));
    }
    for DhcpRoute { destination, via } in &dhcp.routes {
        if destination.trunc() != *destination {
            return Err(invalid(
                format!("{destination} is no network: it has host bits"),
                format!("give {}", destination.trunc()),
            ));
        }
        if !via.is_unspecified() && (!is_unicast(*via) || *via == dhcp.address) {
            return Err(invalid(
                format!("{via} can be no next hop of {}", dhcp.address),
                "give another unicast address, or 0.0.0.0 for a destination on the link",
            ));
        }
    }
    Ok(())
}

fn addresses(dhcp: &Dhcp) -> Result<(), ErrorBody> {
    let Dhcp { address, prefix_len, router, .. } = *dhcp;
    if !(1..=32).contains(&prefix_len) {
        return Err(invalid(format!("a subnet mask has no {prefix_len} bits"), "give 1 to 32"));
    }
    let mask = u32::MAX << (32 - u32::from(prefix_len));
    // A subnet of two, and one of one, has neither its own address nor one for all (RFC 3021).
    let is_host = |address: Ipv4Addr| {
        let host = u32::from(address) & !mask;
        is_unicast(address) && (prefix_len >= 31 || host != 0 && host != !mask)
    };
    if !is_host(address) {
        return Err(invalid(
            format!("{address}/{prefix_len} is no address for a machine"),
            "give a unicast address that is neither the subnet's first nor its last",
        ));
    }
    let is_near = (u32::from(address) ^ u32::from(router)) & mask == 0;
    if router == address || !is_host(router) || !(is_near || prefix_len == 32) {
        return Err(invalid(
            format!("{router} can be no router of {address}/{prefix_len}"),
            "give another address of the same subnet; with 32 bits, any other unicast address",
        ));
    }
    Ok(())
}

pub(super) fn is_unicast(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    // 0.0.0.0/8 is this network, 224.0.0.0/4 multicast, and what follows reserved (RFC 6890).
    (1..=223).contains(&first) && !address.is_loopback()
}

fn is_label(name: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vmm_api::ErrorCode;

    use super::*;

    fn accepts(change: Value) -> bool {
        let mut value = json!({"address": "10.0.0.5", "prefix_len": 24, "router": "10.0.0.1"});
        for (name, field) in change.as_object().unwrap() {
            value[name] = field.clone();
        }
        match lease(&serde_json::from_value(value).unwrap(), Some(1500)) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.code, ErrorCode::InvalidConfig);
                false
            }
        }
    }

    #[test]
    fn leases() {
        let servers = |count| vec!["8.8.8.8"; count];
        let routes = |count, destination: &str, via: &str| {
            vec![json!({"destination": destination, "via": via}); count]
        };
        for (change, fine) in [
            (json!({}), true),
            (json!({"prefix_len": 0}), false),
            (json!({"prefix_len": 33}), false),
            (json!({"prefix_len": 255}), false),
            (json!({"prefix_len": 1}), true),
            (json!({"prefix_len": 30}), false), // the router is not in it
            (json!({"prefix_len": 32}), true),
            (json!({"prefix_len": 31, "address": "10.0.0.0"}), true),
            (json!({"address": "10.0.0.0"}), false),
            (json!({"address": "10.0.0.255"}), false),
            (json!({"address": "10.0.0.1"}), false), // the router's
            (json!({"address": "0.0.0.0", "prefix_len": 32}), false),
            (json!({"address": "127.0.0.5", "router": "127.0.0.1"}), false),
            (json!({"address": "224.0.0.5", "router": "224.0.0.1"}), false),
            (json!({"address": "255.255.255.255", "prefix_len": 32}), false),
            (json!({"router": "10.0.1.1"}), false),
            (json!({"router": "10.0.0.255"}), false),
            (json!({"router": "192.168.7.1", "prefix_len": 32}), true),
            (json!({"dns": servers(8)}), true),
            (json!({"dns": servers(9)}), false),
            (json!({"dns": ["127.0.0.53"]}), false),
            (json!({"ntp": servers(8)}), true),
            (json!({"ntp": servers(9)}), false),
            (json!({"ntp": ["224.0.1.1"]}), false),
            (json!({"host_name": "web-1"}), true),
            (json!({"host_name": "x".repeat(63)}), true),
            (json!({"host_name": "x".repeat(64)}), false),
            (json!({"host_name": ""}), false),
            (json!({"host_name": "-a"}), false),
            (json!({"host_name": "a.b"}), false),
            (json!({"host_name": "hütte"}), false),
            (json!({"domain": "eu.compute.internal"}), true),
            (json!({"domain": "a..b"}), false),
            (json!({"domain": "a.".repeat(127)}), false),
            (json!({"domain": "a.".repeat(126) + "a"}), true),
            (json!({"domain": "aa.".repeat(84) + "aa"}), false),
            (json!({"mtu": 67}), false),
            (json!({"mtu": 1500}), true),
            (json!({"mtu": 1501}), false),
            (json!({"routes": routes(8, "169.254.169.254/32", "0.0.0.0")}), true),
            (json!({"routes": routes(9, "169.254.169.254/32", "0.0.0.0")}), false),
            (json!({"routes": routes(1, "0.0.0.0/0", "10.0.0.9")}), true),
            (json!({"routes": routes(1, "10.9.0.1/16", "10.0.0.1")}), false),
            (json!({"routes": routes(1, "10.9.0.0/16", "10.0.0.5")}), false), // itself
            (json!({"routes": routes(1, "10.9.0.0/16", "224.0.0.1")}), false),
            (json!({"lease_seconds": 59}), false),
            (json!({"lease_seconds": u32::MAX}), true),
        ] {
            assert_eq!(accepts(change.clone()), fine, "{change}");
        }
    }
}
