//! Checks what a network interface is to do for its guest besides DHCP: the way to the metadata service, and whose packets
//! it may send.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;

use devices::virtio::net::MAX_METADATA_ADDRESSES;
use vmm_api::{ErrorBody, ErrorCode, MetadataRelay, Nic, NicUpdate, VmConfig};

use super::dhcp::is_unicast;
use super::invalid;

/// Longest path of a unix socket (unix(7)).
const MAX_SOCKET_PATH_BYTES: usize = 107;
/// Most networks that a guest may send from; each packet is compared with them.
const MAX_GUARD_ADDRESSES: usize = 64;

/// Refuses services that could not work.
pub(super) fn services(nic: &Nic) -> Result<(), ErrorBody> {
    if let Some(relay) = &nic.metadata {
        metadata(relay, nic)?;
    }
    let addresses = nic.guard.as_ref().map_or(0, |guard| guard.addresses.len());
    if addresses > MAX_GUARD_ADDRESSES {
        return Err(invalid(
            format!("{addresses} addresses of a guard are too many"),
            format!("give at most {MAX_GUARD_ADDRESSES}, or networks that hold several"),
        ));
    }
    Ok(())
}

fn metadata(relay: &MetadataRelay, nic: &Nic) -> Result<(), ErrorBody> {
    let path = relay.socket.as_os_str().as_bytes();
    if !relay.socket.is_absolute() || path.len() > MAX_SOCKET_PATH_BYTES || path.contains(&0) {
        return Err(invalid(
            format!("{:?} can be no socket of a metadata service", relay.socket),
            format!("give an absolute path of at most {MAX_SOCKET_PATH_BYTES} bytes"),
        ));
    }
    if !(1..=MAX_METADATA_ADDRESSES).contains(&relay.addresses.len()) {
        return Err(invalid(
            format!("a metadata service cannot have {} addresses", relay.addresses.len()),
            format!("give 1 to {MAX_METADATA_ADDRESSES}"),
        ));
    }
    let mut seen = HashSet::new();
    for address in &relay.addresses {
        let is_taken = nic.dhcp.as_ref().is_some_and(|dhcp| [dhcp.address, dhcp.router].contains(address));
        if !is_unicast(*address) || is_taken || !seen.insert(*address) {
            return Err(invalid(
                format!("{address} can be no address of the metadata service"),
                "give unicast addresses, each once, neither the guest's nor its router's",
            ));
        }
    }
    hop_limit(relay.hop_limit)
}

fn hop_limit(hop_limit: u8) -> Result<(), ErrorBody> {
    if hop_limit == 0 {
        return Err(invalid("packets with a hop limit of 0 reach nobody", "give at least 1"));
    }
    Ok(())
}

/// Refuses a change of an interface that is not there, or has no metadata service.
pub fn update(config: &VmConfig, index: usize, update: &NicUpdate) -> Result<(), ErrorBody> {
    let Some(nic) = config.nics.get(index) else {
        return Err(ErrorCode::NotFound.body(
            format!("there is no network interface {index}"),
            format!("the machine has {}, counted from 0", config.nics.len()),
        ));
    };
    if nic.metadata.is_none() {
        return Err(invalid(
            format!("network interface {index} has no metadata service"),
            "give it one in the configuration, before the machine boots",
        ));
    }
    hop_limit(update.metadata_hop_limit)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn nic(change: &Value) -> Nic {
        let mut value = json!({
            "tap": {"name": "t"},
            "dhcp": {"address": "10.0.0.5", "prefix_len": 24, "router": "10.0.0.1"},
            "metadata": {"socket": "/run/s", "addresses": ["169.254.169.254"]},
        });
        for (name, field) in change.as_object().unwrap() {
            value["metadata"][name] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn metadata_services() {
        for (change, fine) in [
            (json!({}), true),
            (json!({"addresses": []}), false),
            (json!({"addresses": ["169.254.169.254", "100.100.100.200", "169.254.0.1", "1.2.3.4"]}), true),
            (json!({"addresses": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5"]}), false),
            (json!({"addresses": ["1.1.1.1", "1.1.1.1"]}), false),
            (json!({"addresses": ["10.0.0.5"]}), false),
            (json!({"addresses": ["10.0.0.1"]}), false),
            (json!({"addresses": ["224.0.0.1"]}), false),
            (json!({"addresses": ["0.0.0.0"]}), false),
            (json!({"socket": "run/s"}), false),
            (json!({"socket": "/\0"}), false),
            (json!({"socket": format!("/{}", "x".repeat(106))}), true),
            (json!({"socket": format!("/{}", "x".repeat(107))}), false),
            (json!({"hop_limit": 0}), false),
            (json!({"hop_limit": 1}), true),
            (json!({"hop_limit": 255}), true),
        ] {
            assert_eq!(services(&nic(&change)).is_ok(), fine, "{change}");
        }
        assert_eq!(nic(&json!({})).metadata.unwrap().hop_limit, 64);
    }

    #[test]
    fn guards_have_some_addresses_and_no_thousands() {
        let mut nic = nic(&json!({}));
        for (count, fine) in [(0, true), (64, true), (65, false)] {
            let addresses = vec!["10.0.0.5/32"; count];
            nic.guard = serde_json::from_value(json!({"addresses": addresses})).unwrap();
            assert_eq!(services(&nic).is_ok(), fine, "{count}");
        }
        let guard = serde_json::from_value::<vmm_api::Guard>(json!({"addresses": ["10.0.0.5"]}));
        assert!(guard.is_err(), "an address without its mask");
    }

    #[test]
    fn changes_of_what_is_there() {
        let mut config: VmConfig = serde_json::from_value(json!({
            "vcpus": 1, "memory": {"size_mib": 128}, "boot": {"disk": {}},
            "nics": [{"tap": {"name": "t"}}],
        }))
        .unwrap();
        config.nics.push(nic(&json!({})));
        let change = |index, metadata_hop_limit| update(&config, index, &NicUpdate { metadata_hop_limit });
        assert_eq!(change(1, 2), Ok(()));
        assert_eq!(change(1, 0).unwrap_err().code, ErrorCode::InvalidConfig);
        assert_eq!(change(0, 2).unwrap_err().code, ErrorCode::InvalidConfig);
        assert_eq!(change(2, 2).unwrap_err().code, ErrorCode::NotFound);
    }
}
