//! The settings of the kernel that only have a file below /proc/sys. Written where they differ, so that a host on which
//! all is set already may have them read-only. They are those of the namespace of the thread that calls.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::HostError;

/// Lets the host forward IPv4. It stays so: others may have come to rely on it, and what may be forwarded is for rules.
pub(crate) fn forward_ipv4() -> Result<(), HostError> {
    set("net/ipv4/ip_forward", "1")
}

/// Sets up a tap, before it is up.
pub(crate) fn prepare_tap(tap: &str) -> Result<(), HostError> {
    // Answer ARP for whatever is routed elsewhere, which is all guests but this one; at once, since each guest is alone on
    // its wire and cannot be answered twice.
    set(&format!("net/ipv4/conf/{tap}/proxy_arp"), "1")?;
    set(&format!("net/ipv4/neigh/{tap}/proxy_delay"), "0")?;
    // Sources have to be those routed back here: the rules say so too, but not to ARP.
    set(&format!("net/ipv4/conf/{tap}/rp_filter"), "1")?;
    prepare_link(tap)
}

/// Sets up an end of the link between the host and a VPC, before it is up.
pub(crate) fn prepare_link(link: &str) -> Result<(), HostError> {
    set(&format!("net/ipv4/conf/{link}/accept_redirects"), "0")?;
    // The host has no IPv6 for guests, and its own services are not for them.
    match set(&format!("net/ipv6/conf/{link}/disable_ipv6"), "1") {
        Err(HostError::Kernel { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn set(name: &str, value: &str) -> Result<(), HostError> {
    let path = PathBuf::from("/proc/sys").join(name);
    let failed = |source| HostError::new(format!("set {name} to {value}"), source);
    if fs::read_to_string(&path).map_err(failed)?.trim() == value {
        return Ok(());
    }
    fs::write(&path, value).map_err(failed)
}
