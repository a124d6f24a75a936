//! The configuration: one TOML file, in which everything has a default and nothing unknown is taken. `bothyd check-config`
//! prints what is in force.

mod alibaba;
mod ec2;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use compute::capacity::{Amounts, Overcommit};
use compute::charge;
use compute::dns::{DomainError, Domains};
use compute::lifecycle::Limits;
use compute::resource::{Catalog, InstanceType, Zone};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

pub use alibaba::Alibaba;
pub use ec2::Ec2;

/// Where the file is unless another is named.
pub const DEFAULT_PATH: &str = "/etc/bothy/bothyd.toml";

/// Most servers of a kind that guests are told, as DHCP tells them.
const MAX_SERVERS: usize = 8;

/// All that can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The host's name among those that share a record store.
    pub node: String,
    /// Records, images, volumes, consoles. Must survive a reboot.
    pub state_folder: PathBuf,
    /// Sockets and what else lives as long as the host is up.
    pub run_folder: PathBuf,
    /// The program bothy-vmm.
    pub vmm: PathBuf,
    /// The key that secrets are sealed with; kept apart from the state, so that a copy of that gives nothing away.
    pub host_key: PathBuf,
    /// Where VMMs are confined and accounted for: `auto`, `systemd`, `none`, or a folder of a cgroup v2 tree.
    pub cgroup: String,
    /// Who may ask, and where.
    pub api: Api,
    /// The guests' network.
    pub network: Network,
    /// What may be promised.
    pub capacity: Capacity,
    /// What an account may have unless it is allowed something else.
    pub quota: Quota,
    /// How long things may take.
    pub limits: Seconds,
    /// Instances that are paid in advance.
    pub subscription: SubscriptionRules,
    /// Images.
    pub images: Images,
    /// What Alibaba Cloud's API needs.
    pub alibaba: Alibaba,
    /// What images of Amazon EC2's first years need.
    pub ec2: Ec2,
    /// The region's name, as clients say it.
    pub region: String,
    /// The zones' names, at least one.
    pub zones: Vec<String>,
    /// Instance types; empty for the usual ones.
    pub instance_types: Vec<InstanceType>,
}

/// Who may ask, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// The unix socket of the native API, for the operator: root, and the members of `group`.
    pub socket: PathBuf,
    /// A group whose members are operators, besides root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Addresses on which the native API is served to callers with access keys. Others than loopback ones need a certificate.
    pub listen: Vec<SocketAddr>,
    /// Addresses on which Alibaba Cloud's API is served: ECS, VPC, RAM and STS, all on each. Others than loopback ones need a
    /// certificate.
    pub alibaba: Vec<SocketAddr>,
    /// Addresses on which Amazon's EC2 API is served, with as much of STS as its clients need. Others than loopback ones need a
    /// certificate.
    pub ec2: Vec<SocketAddr>,
    /// A certificate chain for TLS, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
}

/// The guests' network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The guests' addresses. The first is the router's.
    pub cidr: Ipv4Net,
    /// What the names of taps begin with.
    pub prefix: String,
    /// The name of the nftables table.
    pub table: String,
    /// Name servers that guests are told; empty for the router of each one's subnet, where bothyd serves the names of its
    /// network and passes on all other questions.
    pub dns: Vec<Ipv4Addr>,
    /// Whom bothyd asks for names that are not its own; empty for the host's own name servers.
    pub resolvers: Vec<IpAddr>,
    /// Time servers that guests are told; empty for the router, where bothyd tells the host's time. That one is not told by
    /// DHCP while nobody keeps the host's clock.
    pub ntp: Vec<Ipv4Addr>,
    /// The domain of names that are known in a guest's own network; empty for `REGION.compute.internal`.
    pub internal_domain: String,
    /// The domain of the names of public addresses; empty for `public.REGION.compute.internal`.
    pub public_domain: String,
    /// The MTU that guests are told, in bytes.
    pub mtu: u16,
    /// Addresses for the links between this host and the networks of VPCs: no VPC can have them.
    pub transfer: Ipv4Net,
    /// Public addresses that can be allocated.
    pub public_addresses: Vec<Ipv4Net>,
}

/// What may be promised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capacity {
    /// vCPUs; left out: as many as the host has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<u64>,
    /// Guest memory in MiB; left out: the host's but for a tenth, at least 512 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Disk space in GiB; left out: what the state folder's file system has for volumes, but for a twentieth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<u64>,
    /// Percent of each that is promised.
    pub overcommit: Overcommit,
}

/// What an account may have; 0 for no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Instances that run at a time. EC2's of 2007 is 20.
    pub instances: u64,
    /// vCPUs.
    pub vcpus: u64,
    /// Guest memory, in MiB.
    pub memory_mib: u64,
    /// Disk space, in GiB.
    pub disk_gib: u64,
}

/// How long things may take, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seconds {
    /// For a VM to run, from the request on.
    pub start: u64,
    /// For a guest to shut down after the power button.
    pub stop: u64,
    /// For a guest to shut down and be booted again.
    pub reboot: u64,
    /// For a guest to shut down before it is terminated.
    pub terminate: u64,
}

/// Instances that are paid in advance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubscriptionRules {
    /// How long before the end an automatic renewal is tried, in hours.
    pub renew_before_hours: u64,
    /// How long an instance that expired stays locked before it is released, in hours.
    pub locked_hours: u64,
}

/// Images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// Largest disk of an image, in GiB.
    pub max_gib: u64,
    /// Longest time that converting one may take, in seconds.
    pub import_seconds: u64,
    /// Longest time that fetching one from a server may take, in seconds. Proxies are taken from the daemon's environment
    /// (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
    pub fetch_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: host_name(),
            state_folder: "/var/lib/bothy".into(),
            run_folder: "/run/bothy".into(),
            vmm: beside("bothy-vmm"),
            host_key: "/etc/bothy/host-key".into(),
            cgroup: "auto".to_owned(),
            api: Api::default(),
            network: Network::default(),
            capacity: Capacity::default(),
            quota: Quota::default(),
            limits: Seconds::default(),
            subscription: SubscriptionRules::default(),
            images: Images::default(),
            alibaba: Alibaba::default(),
            ec2: Ec2::default(),
            region: Catalog::default().region,
            zones: Catalog::default().zones.into_iter().map(|zone| zone.name).collect(),
            instance_types: Vec::new(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            socket: "/run/bothy/api.sock".into(),
            group: None,
            listen: Vec::new(),
            alibaba: Vec::new(),
            ec2: Vec::new(),
            tls_certificate: None,
            tls_key: None,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        let hostnet::Config { cidr, prefix, table, .. } = hostnet::Config::default();
        let transfer = hostnet::VpcsConfig::default().transfer;
        Self {
            cidr,
            prefix,
            table,
            dns: Vec::new(),
            resolvers: Vec::new(),
            ntp: Vec::new(),
            internal_domain: String::new(),
            public_domain: String::new(),
            mtu: 1500,
            transfer,
            public_addresses: Vec::new(),
        }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self { instances: 20, vcpus: 0, memory_mib: 0, disk_gib: 0 }
    }
}

impl Default for Seconds {
    fn default() -> Self {
        let Limits { start, stop, reboot, terminate } = Limits::default();
        Self {
            start: start.as_secs(),
            stop: stop.as_secs(),
            reboot: reboot.as_secs(),
            terminate: terminate.as_secs(),
        }
    }
}

impl Default for SubscriptionRules {
    fn default() -> Self {
        let charge::Policy { renew_before, locked_for } = charge::Policy::default();
        let hours = |duration: Duration| duration.as_secs() / 3600;
        Self { renew_before_hours: hours(renew_before), locked_hours: hours(locked_for) }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self { max_gib: 2048, import_seconds: 3600, fetch_seconds: 24 * 3600 }
    }
}

/// Why a configuration is none.
#[derive(Debug, thiserror::Error)]
pub enum ReadConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, or has something that is not known.
    #[error("{} is no configuration: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// A value makes no sense.
    #[error("{name}: {why}")]
    Value {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Config {
    /// Reads a file. Without one, where it is usually, everything has its default.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no configuration.
    pub fn read(path: Option<&Path>) -> Result<Self, ReadConfigError> {
        let usual = Path::new(DEFAULT_PATH);
        let (path, may_be_absent) = path.map_or((usual, true), |path| (path, false));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if may_be_absent && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ReadConfigError::Read { path: path.to_owned(), source }),
        };
        let parsed: Result<Self, _> = toml::from_str(&text);
        let mut config = parsed
            .map_err(|source| ReadConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        config.check()?;
        config.name_domains();
        Ok(config)
    }

    /// Says which domains are in force where the file does not.
    fn name_domains(&mut self) {
        if let Ok(domains) = self.domains() {
            let [internal, _] = domains.all_internal();
            internal.clone_into(&mut self.network.internal_domain);
            domains.public().clone_into(&mut self.network.public_domain);
        }
    }

    fn check(&self) -> Result<(), ReadConfigError> {
        let refuse = |name, why: &str| Err(ReadConfigError::Value { name, why: why.to_owned() });
        let is_word = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if !is_word(&self.node) {
            return refuse("node", "must be letters, digits, -, _ or .");
        }
        if !is_word(&self.region) {
            return refuse("region", "must be letters, digits, -, _ or .");
        }
        if self.zones.is_empty() || !self.zones.iter().all(|zone| is_word(zone)) {
            return refuse("zones", "must be at least one, of letters, digits, -, _ or .");
        }
        for (name, path) in [
            ("state_folder", &self.state_folder),
            ("run_folder", &self.run_folder),
            ("vmm", &self.vmm),
            ("host_key", &self.host_key),
            ("api.socket", &self.api.socket),
        ] {
            if !path.is_absolute() {
                return refuse(name, "must be an absolute path");
            }
        }
        if self.host_key.starts_with(&self.state_folder) {
            return refuse(
                "host_key",
                "must not be in the state folder: a copy of that would give all secrets away",
            );
        }
        if self.api.tls_certificate.is_some() != self.api.tls_key.is_some() {
            return refuse("api.tls_key", "a certificate and its key are given together");
        }
        let Api { listen, alibaba, ec2, .. } = &self.api;
        for (name, addresses) in [("api.listen", listen), ("api.alibaba", alibaba), ("api.ec2", ec2)] {
            let exposed = addresses.iter().any(|address| !address.ip().is_loopback());
            if exposed && self.api.tls_certificate.is_none() {
                return refuse(
                    name,
                    "others than loopback addresses need api.tls_certificate and api.tls_key",
                );
            }
        }
        if !(1280..=9000).contains(&self.network.mtu) {
            return refuse("network.mtu", "must be between 1280 and 9000");
        }
        if !(8..=28).contains(&self.network.cidr.prefix_len()) {
            return refuse("network.cidr", "must be between /8 and /28");
        }
        if self.network.public_addresses.iter().any(|net| net.prefix_len() < 16) {
            return refuse("network.public_addresses", "must be networks of at least 16 bits");
        }
        if self.network.dns.len() > MAX_SERVERS || self.network.ntp.len() > MAX_SERVERS {
            return refuse("network.dns", "must be at most 8 servers, as must network.ntp");
        }
        if let Err(error) = self.domains() {
            let why =
                format!("{error} (as network.public_domain, it is of the region where it is not given)");
            return refuse("network.internal_domain", &why);
        }
        self.alibaba.check()?;
        self.ec2.check()?;
        for instance_type in &self.instance_types {
            if !is_word(&instance_type.name) || instance_type.vcpus == 0 || instance_type.memory_mib < 64 {
                return refuse("instance_types", "each needs a name, a vCPU and 64 MiB at least");
            }
        }
        Ok(())
    }

    /// What is offered.
    pub fn catalog(&self) -> Catalog {
        let usual = Catalog::default();
        Catalog {
            region: self.region.clone(),
            zones: self.zones.iter().map(|name| Zone { name: name.clone() }).collect(),
            instance_types: match self.instance_types.is_empty() {
                true => usual.instance_types,
                false => self.instance_types.clone(),
            },
        }
    }

    /// The domains of names.
    ///
    /// # Errors
    ///
    /// They cannot be had; not of a configuration that was read.
    pub fn domains(&self) -> Result<Domains, DomainError> {
        let Network { internal_domain, public_domain, .. } = &self.network;
        if !internal_domain.is_empty() && !public_domain.is_empty() {
            return Domains::new(internal_domain, public_domain);
        }
        let usual = Domains::of_region(&self.region)?;
        let [internal, _] = usual.all_internal();
        let internal = if internal_domain.is_empty() { internal } else { internal_domain };
        let public = if public_domain.is_empty() { usual.public() } else { public_domain };
        Domains::new(internal, public)
    }

    /// How long things may take.
    pub fn lifecycle_limits(&self) -> Limits {
        let seconds = Duration::from_secs;
        Limits {
            start: seconds(self.limits.start),
            stop: seconds(self.limits.stop),
            reboot: seconds(self.limits.reboot),
            terminate: seconds(self.limits.terminate),
        }
    }

    /// How subscriptions are dealt with.
    pub fn charging(&self) -> charge::Policy {
        let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3600));
        charge::Policy {
            renew_before: hours(self.subscription.renew_before_hours),
            locked_for: hours(self.subscription.locked_hours),
        }
    }

    /// What an account may have.
    pub fn allowance(&self) -> Amounts {
        let limit = |amount| if amount == 0 { u64::MAX } else { amount };
        Amounts {
            instances: limit(self.quota.instances),
            vcpus: limit(self.quota.vcpus),
            memory_mib: limit(self.quota.memory_mib),
            disk_gib: limit(self.quota.disk_gib),
        }
    }

    /// As a file, defaults included.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a configuration is plain tables")
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    if name.is_empty() { "node".to_owned() } else { name }
}

/// A program that was installed with this one.
fn beside(name: &str) -> PathBuf {
    let ours = std::env::current_exe().ok();
    let folder = ours.as_deref().and_then(Path::parent).unwrap_or(Path::new("/usr/bin"));
    folder.join(name)
}

/// Sees to it that a folder that is named is there.
fn check_folder(name: &'static str, folder: Option<&Path>) -> Result<(), ReadConfigError> {
    match folder {
        Some(folder) if !folder.is_absolute() || !folder.is_dir() => {
            let why = format!("must be the absolute path of a folder, not {}", folder.display());
            Err(ReadConfigError::Value { name, why })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ReadConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bothyd.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(Some(&path))
    }

    #[test]
    fn everything_has_a_default_and_what_is_in_force_can_be_read_again() {
        let config = read("").unwrap();
        let mut usual = Config::default();
        usual.name_domains();
        assert_eq!(config, usual);
        assert!(config.to_toml().contains("internal_domain = \"local.compute.internal\""));
        assert_eq!(read(&config.to_toml()).unwrap(), config);
        let some = read(
            r#"
            region = "cn-hangzhou"
            zones = ["cn-hangzhou-b"]
            [capacity.overcommit]
            vcpus = 400
            [[instance_types]]
            name = "nano"
            vcpus = 1
            memory_mib = 128
            "#,
        )
        .unwrap();
        assert_eq!(some.capacity.overcommit.vcpus, 400);
        assert_eq!(some.catalog().instance_types.len(), 1);
        assert_eq!(read(&some.to_toml()).unwrap(), some);
    }

    #[test]
    fn names_are_in_the_domains_of_the_region_unless_others_are_chosen() {
        for (text, internal, public) in [
            ("", "local.compute.internal", "public.local.compute.internal"),
            ("region = 'eu'\n[network]\npublic_domain = 'vm.example'", "eu.compute.internal", "vm.example"),
            ("[network]\ninternal_domain = 'Lan'", "lan", "public.local.compute.internal"),
            ("region = 'a_b'\n[network]\ninternal_domain = 'a'\npublic_domain = 'b'", "a", "b"),
        ] {
            let domains = read(text).unwrap().domains().unwrap();
            assert_eq!((domains.all_internal()[0], domains.public()), (internal, public), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_or_makes_no_sense_is_refused_by_its_name() {
        let cases = [
            ("stat_folder = '/x'", "stat_folder"),
            ("[network]\nmtuu = 1", "mtuu"),
            ("zones = []", "zones"),
            ("state_folder = 'here'", "state_folder"),
            ("host_key = '/var/lib/bothy/key'", "host_key"),
            ("[api]\nlisten = ['0.0.0.0:1']", "api.listen"),
            ("[api]\nalibaba = ['0.0.0.0:1']", "api.alibaba"),
            ("[api]\nec2 = ['0.0.0.0:1']", "api.ec2"),
            ("[api]\ntls_key = '/k'", "api.tls_key"),
            ("[network]\nmtu = 10", "network.mtu"),
            ("[network]\ncidr = '10.0.0.0/30'", "network.cidr"),
            ("[network]\ninternal_domain = 'a..b'", "network.internal_domain"),
            ("[network]\ninternal_domain = 'a'\npublic_domain = 'A'", "network.public_domain"),
            ("region = 'a_b'", "network.internal_domain"),
            ("[network]\nresolvers = ['dns.example']", "resolvers"),
            ("[[instance_types]]\nname = 'x'\nvcpus = 0\nmemory_mib = 64", "instance_types"),
            ("node = 'a b'", "node"),
            ("node = 1", "node"),
        ];
        for (text, name) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(name), "{text}: {error}");
        }
        assert!(matches!(
            Config::read(Some(Path::new("/nowhere/bothyd.toml"))),
            Err(ReadConfigError::Read { .. })
        ));
    }
}
