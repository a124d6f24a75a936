//! The tap between host and guest, with the host's address on it. Dropping it removes it.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, ensure};
use vmm_api::MacAddress;

use super::peers::Nic;

const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
const GUEST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);

/// A tap.
pub struct Tap {
    name: String,
}

impl Tap {
    /// Makes it, and brings it up.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        ip(&["tuntap", "add", name, "mode", "tap", "vnet_hdr"])?;
        let tap = Self { name: name.to_owned() };
        ip(&["address", "add", &format!("{HOST_ADDRESS}/24"), "dev", name])?;
        ip(&["link", "set", name, "up"])?;
        Ok(tap)
    }
}

/// The network interface of a guest on the tap of this name.
pub fn nic(name: &str) -> Nic {
    Nic {
        tap: name.to_owned(),
        namespace: None,
        mac: MacAddress([0x52, 0x54, 0, 0, 0, 2]),
        address: GUEST_ADDRESS,
        router: HOST_ADDRESS,
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("ip").args(arguments).status().context("running ip")?;
    ensure!(status.success(), "ip {} failed", arguments.join(" "));
    Ok(())
}
