//! The configuration of a VM: the body of `PUT /v1/vm`. Sent whole, never patched; unknown fields are refused.
//!
//! Only shapes and defaults are decided here. Whether values make sense on this host (memory there is, a tap that
//! exists) is decided by the VMM, when it is told the configuration or when it boots.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::nic::{DhcpRoute, Guard, MetadataRelay};

/// A whole virtual machine, as wished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VmConfig {
    /// Number of vCPUs, from 1 to what KVM allows.
    pub vcpus: u32,
    /// Hardware threads per core that the guest sees: 1 or 2. `vcpus` must be a multiple of it.
    #[serde(default = "one")]
    pub threads_per_core: u32,
    /// Guest memory.
    pub memory: Memory,
    /// What to boot.
    pub boot: Boot,
    /// Disks in the order of their PCI slots: the first one is usually the guest's `/dev/vda`.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// Network interfaces in the order of their PCI slots.
    #[serde(default)]
    pub nics: Vec<Nic>,
    /// The serial console.
    #[serde(default)]
    pub console: ConsoleConfig,
    /// Who the guest believes to be, by SMBIOS.
    #[serde(default)]
    pub smbios: Smbios,
}

fn one() -> u32 {
    1
}

/// Guest memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Size in MiB, at least 64.
    pub size_mib: u64,
    /// Back it by a memfd that other processes can map, instead of private anonymous memory.
    #[serde(default)]
    pub shared: bool,
    /// Take it from the host's reserved 2 MiB huge pages. Without it, transparent huge pages are asked for.
    #[serde(default)]
    pub huge_pages: bool,
}

/// What to boot: a kernel file, or whatever the system disk holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Boot {
    /// A kernel given as a file.
    Kernel(KernelBoot),
    /// The newest kernel on the first disk, read anew at each boot.
    Disk(DiskBoot),
}

/// Boot a kernel that lies on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KernelBoot {
    /// A bzImage or an uncompressed x86-64 ELF kernel.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kernel: PathBuf,
    /// Initial RAM disk, if any.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<PathBuf>,
    /// Kernel command line.
    #[serde(default)]
    pub cmdline: String,
}

/// Boot what the first disk says: its partition table, file system and boot entries are read in a confined process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DiskBoot {
    /// Added to the command line that the disk gives, after a blank.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub append_cmdline: String,
}

/// A virtio-blk disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Its serial: 1 to 20 bytes of printable ASCII, unique in the machine. The guest finds the disk at
    /// `/dev/disk/by-id/virtio-ID`.
    pub id: String,
    /// A raw image file or a block device.
    pub source: DiskSource,
    /// Refuse the guest's writes.
    #[serde(default)]
    pub read_only: bool,
    /// Bypass the host's page cache (O_DIRECT). Left out: on for a block device, off for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<bool>,
}

/// Where a disk's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiskSource {
    /// A file or block device, by path.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    Path(PathBuf),
    /// A descriptor that the VMM inherited.
    Fd(i32),
}

/// A virtio-net interface on a tap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// The host's end.
    pub tap: TapSource,
    /// The guest's MAC address. Left out: one derived from the VM's id and the position, the same at each boot.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "52:54:00:12:34:56"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// The MTU that the guest is told, 68 to 65535 bytes. Left out: the guest's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// Answer the guest's DHCP requests with this, in the VMM itself: what it sends to UDP port 67 never reaches the tap.
    /// Left out: such packets go to the tap like all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<Dhcp>,
    /// Relay the guest's connections to its metadata service. Left out: such packets go to the tap like all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataRelay>,
    /// Let the guest send in its own name only. Left out: what it sends is for the host to judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
}

/// What a network interface's DHCP service answers: one lease, for this guest alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Dhcp {
    /// The guest's address, one that a machine of the subnet can have.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "10.0.0.5"))]
    pub address: Ipv4Addr,
    /// Bits of the subnet's mask, 1 to 32. With 32 the guest is also told a route to its router.
    pub prefix_len: u8,
    /// The router, which is also who answers as the DHCP server. In the subnet, unless that has 32 bits.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "10.0.0.1"))]
    pub router: Ipv4Addr,
    /// Name servers, at most 8.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Ipv4Addr>,
    /// Time servers, at most 8. Clients that take no more than the shortest messages may not get them.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<Ipv4Addr>,
    /// The host name, whatever the guest asks for: at most 63 letters, digits and hyphens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// The domain, if any: a DNS name of at most 253 characters. Clients that take no more than the shortest messages do
    /// not get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The MTU, in bytes, at least 68 and at most that of the interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// How long a lease lasts, in seconds, at least 60.
    #[serde(default = "an_hour")]
    pub lease_seconds: u32,
    /// Routes besides the one to the router, at most 8. Clients that take no more than the shortest messages get them in
    /// the place of a long host name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<DhcpRoute>,
}

fn an_hour() -> u32 {
    3600
}

/// Which tap a network interface is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TapSource {
    /// An existing tap, by name.
    Name(String),
    /// A descriptor of an attached tap that the VMM inherited, opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR.
    Fd(i32),
}

/// The serial console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// Bytes of output kept in memory for `GET /v1/vm/console`; the oldest go first.
    pub history_bytes: u32,
    /// Also append the output to this file.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// When the log file reaches this size in bytes it becomes `LOG.1` (replacing an older one) and a new one starts.
    pub log_bytes: u64,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self { history_bytes: 1 << 20, log: None, log_bytes: 16 << 20 }
    }
}

/// SMBIOS strings, from which cloud-init and others tell what cloud they are in. Each at most 64 bytes of printable
/// ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Smbios {
    /// Manufacturer of system, board and chassis; also the BIOS vendor.
    pub manufacturer: String,
    /// Product name of the system.
    pub product: String,
    /// Version of the system.
    pub version: String,
    /// Serial number of the system, board and chassis. Empty: the VM's id.
    pub serial: String,
    /// System UUID. Left out: one derived from the VM's id, the same at each boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Asset tag of the chassis.
    pub asset_tag: String,
}

impl Default for Smbios {
    fn default() -> Self {
        Self {
            manufacturer: "bothy".into(),
            product: "bothy VM".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            serial: String::new(),
            uuid: None,
            asset_tag: String::new(),
        }
    }
}

/// A unicast MAC address, written `52:54:00:12:34:56`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

/// Why a text is no MAC address for an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacAddressError {
    /// Not six pairs of hexadecimal digits.
    #[error("a MAC address is six pairs of hexadecimal digits with colons between, as in 52:54:00:12:34:56")]
    Malformed,
    /// The group bit is set, or all bits are zero.
    #[error("an interface needs a unicast MAC address: the first pair must be even, and not all pairs zero")]
    NotUnicast,
}

impl FromStr for MacAddress {
    type Err = MacAddressError;

    fn from_str(text: &str) -> Result<Self, MacAddressError> {
        let mut bytes = [0; 6];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair = pairs.next().ok_or(MacAddressError::Malformed)?;
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(MacAddressError::Malformed);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| MacAddressError::Malformed)?;
        }
        match (pairs.next(), bytes[0] & 1, bytes) {
            (Some(_), _, _) => Err(MacAddressError::Malformed),
            (None, 1, _) | (None, _, [0, 0, 0, 0, 0, 0]) => Err(MacAddressError::NotUnicast),
            _ => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for MacAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses() {
        let cases = [
            ("52:54:00:12:34:56", Ok("52:54:00:12:34:56")),
            ("52:54:00:AB:cd:56", Ok("52:54:00:ab:cd:56")),
            ("53:54:00:12:34:56", Err(MacAddressError::NotUnicast)),
            ("00:00:00:00:00:00", Err(MacAddressError::NotUnicast)),
            ("52:54:00:12:34", Err(MacAddressError::Malformed)),
            ("52:54:00:12:34:56:78", Err(MacAddressError::Malformed)),
            ("52:54:00:12:34:+6", Err(MacAddressError::Malformed)),
            ("", Err(MacAddressError::Malformed)),
        ];
        for (text, expected) in cases {
            let parsed = text.parse::<MacAddress>().map(|mac| mac.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_small_configuration_gets_defaults_and_unknown_fields_are_refused() {
        let text = r#"{"vcpus":1,"memory":{"size_mib":64},"boot":{"disk":{}},
                       "disks":[{"id":"sys","source":{"path":"/d"}}],"nics":[{"tap":{"fd":3}}]}"#;
        let config: VmConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.threads_per_core, 1);
        assert_eq!(config.console.history_bytes, 1 << 20);
        let again: VmConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);

        let unknown = text.replace("\"vcpus\"", "\"cpus\":2,\"vcpus\"");
        assert!(
            serde_json::from_str::<VmConfig>(&unknown)
                .unwrap_err()
                .to_string()
                .contains("unknown field `cpus`")
        );
    }
}
