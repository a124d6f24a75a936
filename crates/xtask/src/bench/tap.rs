//! The tap between host and guest, with the host's address on it. Dropping it removes it.

use std::process::Command;

use anyhow::{Context, ensure};

const HOST_ADDRESS: &str = "10.98.0.1/24";

/// The guest's address on it, of the same /24.
pub const GUEST_ADDRESS: &str = "10.98.0.2";

/// A tap.
pub struct Tap {
    name: String,
}

impl Tap {
    /// Makes it, and brings it up.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        ip(&["tuntap", "add", name, "mode", "tap", "vnet_hdr"])?;
        let tap = Self { name: name.to_owned() };
        ip(&["address", "add", HOST_ADDRESS, "dev", name])?;
        ip(&["link", "set", name, "up"])?;
        Ok(tap)
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
