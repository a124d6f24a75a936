//! What a host offers: its region and zones, and the instance types. Comes from the configuration, and has no records.

use serde::{Deserialize, Serialize};

use crate::capacity::Amounts;

/// All that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// The region's name, as `cn-hangzhou`.
    pub region: String,
    /// Its zones, at least one; the first is the default.
    pub zones: Vec<Zone>,
    /// Instance types.
    pub instance_types: Vec<InstanceType>,
}

/// An availability zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name.
    pub name: String,
}

/// An instance type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceType {
    /// Its name.
    pub name: String,
    /// vCPUs.
    pub vcpus: u32,
    /// Guest memory, in MiB.
    pub memory_mib: u64,
    /// Size of the ephemeral disk, in GiB; 0 for none.
    #[serde(default)]
    pub ephemeral_gib: u64,
    /// Size of the swap disk, in MiB; 0 for none.
    #[serde(default)]
    pub swap_mib: u64,
    /// Most that passes between each of its interfaces and the outside, each way, in Mbit/s; 0 for no limit.
    #[serde(default)]
    pub bandwidth_mbps: u32,
}

impl InstanceType {
    /// What one instance of it takes, without its volumes.
    pub fn amounts(&self) -> Amounts {
        Amounts { instances: 1, vcpus: u64::from(self.vcpus), memory_mib: self.memory_mib, disk_gib: 0 }
    }
}

/// Name, vCPUs, memory in MiB, ephemeral disk in GiB, swap in MiB, bandwidth in Mbit/s.
type Row = (&'static str, u32, u64, u64, u64, u32);

/// The types that are offered unless the configuration has others. Ours; then those that the clouds' manuals and clients
/// name most.
const DEFAULT_TYPES: &[Row] = &[
    ("tiny", 1, 256, 0, 0, 0),
    ("small", 1, 1024, 0, 0, 0),
    ("medium", 2, 2048, 0, 0, 0),
    ("large", 2, 4096, 0, 0, 0),
    ("xlarge", 4, 8192, 0, 0, 0),
    // Amazon EC2 (2007-03-01: m1.small alone, 1.75 GB, 160 GB of disk and 250 Mbit/s)
    ("m1.small", 1, 1740, 147, 896, 250),
    ("m1.large", 2, 7680, 840, 0, 0),
    ("m1.xlarge", 4, 15360, 1680, 0, 0),
    ("t2.nano", 1, 512, 0, 0, 0),
    ("t2.micro", 1, 1024, 0, 0, 0),
    ("t2.small", 1, 2048, 0, 0, 0),
    ("t2.medium", 2, 4096, 0, 0, 0),
    ("t3.micro", 2, 1024, 0, 0, 0),
    ("t3.small", 2, 2048, 0, 0, 0),
    ("t3.medium", 2, 4096, 0, 0, 0),
    ("m5.large", 2, 8192, 0, 0, 0),
    // Alibaba Cloud ECS
    ("ecs.t1.small", 1, 1024, 0, 0, 0),
    ("ecs.s1.small", 1, 2048, 0, 0, 0),
    ("ecs.s2.large", 2, 4096, 0, 0, 0),
    ("ecs.n1.tiny", 1, 1024, 0, 0, 0),
    ("ecs.n1.small", 1, 2048, 0, 0, 0),
    ("ecs.n1.medium", 2, 4096, 0, 0, 0),
    ("ecs.n4.small", 1, 2048, 0, 0, 0),
    ("ecs.g6.large", 2, 8192, 0, 0, 0),
    // Huawei Cloud ECS
    ("s2.small.1", 1, 1024, 0, 0, 0),
    ("s3.medium.2", 1, 2048, 0, 0, 0),
    ("s3.large.2", 2, 4096, 0, 0, 0),
    ("s6.small.1", 1, 1024, 0, 0, 0),
    ("c3.large.2", 2, 4096, 0, 0, 0),
];

impl Default for Catalog {
    fn default() -> Self {
        let instance_type = |&(name, vcpus, memory_mib, ephemeral_gib, swap_mib, bandwidth_mbps): &Row| {
            InstanceType { name: name.to_owned(), vcpus, memory_mib, ephemeral_gib, swap_mib, bandwidth_mbps }
        };
        Self {
            region: "local".to_owned(),
            zones: vec![Zone { name: "local-a".to_owned() }],
            instance_types: DEFAULT_TYPES.iter().map(instance_type).collect(),
        }
    }
}

impl Catalog {
    /// The type of this name, if it is offered.
    pub fn instance_type(&self, name: &str) -> Option<&InstanceType> {
        self.instance_types.iter().find(|offered| offered.name == name)
    }
}
