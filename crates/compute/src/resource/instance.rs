//! The record of an instance, and of the reservation that it was launched in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MetadataOptions, Resource, Tags, bare_device, owned_key};
use crate::capacity::Amounts;
use crate::charge::{Terms, Usage};
use crate::dns::private_label;
use crate::id::{ImageId, InstanceId, InterfaceId, KeyPairId, ReservationId, VolumeId};
use crate::key_pair::PublicKey;
use crate::lifecycle::{Progress, Rules, State};
use crate::outside::BootPlan;
use crate::secrets::Sealed;
use crate::store::Key;

/// How long a terminated instance is still shown. EC2 says about an hour.
pub const HELD_AFTER_END: Duration = Duration::from_secs(3600);

/// The cloud that a guest believes to be in: the one whose API launched it, or what our own API was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// Our own.
    #[default]
    Native,
    /// Amazon EC2.
    Ec2,
    /// Alibaba Cloud ECS.
    Alibaba,
    /// Huawei Cloud ECS.
    Huawei,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Native, Self::Ec2, Self::Alibaba, Self::Huawei];

    /// Who runs its instances, as the trust policies of its roles call it.
    pub const fn service(self) -> &'static str {
        match self {
            Self::Native => "bothy",
            Self::Ec2 => "ec2.amazonaws.com",
            Self::Alibaba => "ecs.aliyuncs.com",
            Self::Huawei => "op_svc_ecs",
        }
    }

    /// The host name of an instance that nobody chose one for: of its address, and Alibaba's of its id.
    pub fn host_name(self, id: InstanceId, address: Ipv4Addr) -> String {
        match self {
            Self::Native | Self::Ec2 | Self::Huawei => private_label(address),
            Self::Alibaba => format!("iZ{:08x}Z", id.number()),
        }
    }
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The account.
    pub account: String,
    /// The launch it came from.
    pub reservation: ReservationId,
    /// Its place among those of its image in that launch, from 0 (EC2's AMI launch index).
    pub launch_index: u32,
    /// The host that runs it.
    pub node: String,
    /// The cloud its guest believes to be in.
    pub cloud: Cloud,
    /// A name for people; need not be unique.
    pub name: String,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// The guest's host name.
    pub host_name: String,
    /// The image it was launched from.
    pub image: ImageId,
    /// The instance type's name.
    pub instance_type: String,
    /// vCPUs.
    pub vcpus: u32,
    /// Guest memory, in MiB.
    pub memory_mib: u64,
    /// The zone.
    pub zone: String,
    /// What to boot.
    pub boot: InstanceBoot,
    /// The key pair it was launched with, as it was then.
    #[serde(default)]
    pub key_pair: Option<InstanceKey>,
    /// The password for the guest's first user, for clouds that set one.
    #[serde(default)]
    pub password: Option<Sealed>,
    /// What the user gave to the guest, in base64.
    #[serde(default)]
    pub user_data: String,
    /// Pairs that the guest can read.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// How the guest gets at its metadata.
    #[serde(default)]
    pub metadata_options: MetadataOptions,
    /// Whether it has a disk with its metadata, as OpenStack's config drives.
    #[serde(default)]
    pub config_drive: bool,
    /// The role whose credentials the guest gets.
    #[serde(default)]
    pub role: Option<String>,
    /// Its volumes in the order of their slots; the system disk first.
    pub disks: Vec<InstanceDisk>,
    /// Its network interfaces in the order of their slots.
    pub interfaces: Vec<InterfaceId>,
    /// Its private address: the first interface's, kept when that is gone.
    pub private_address: Option<Ipv4Addr>,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
    /// How it is paid for.
    pub terms: Terms,
    /// Product codes of its image.
    #[serde(default)]
    pub product_codes: Vec<String>,
    /// What it does by itself.
    pub rules: Rules,
    /// Refuse to terminate it.
    #[serde(default)]
    pub protected: bool,
    /// Where it is in its life.
    pub progress: Progress,
    /// Why it came to be in its state, where there is something to say.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Faults of its VM since it last ran well.
    #[serde(default)]
    pub faults: Faults,
    /// The use that is open: since when it runs.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it was last started.
    #[serde(default)]
    pub started: Option<Timestamp>,
    /// When it was terminated.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// What its dialect keeps for itself.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub dialect: serde_json::Value,
}

/// What an instance boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InstanceBoot {
    /// What its system disk says.
    Disk {},
    /// A kernel of its image.
    Kernel {
        /// The kernel.
        kernel: std::path::PathBuf,
        /// The initial RAM disk, if there is one.
        initrd: Option<std::path::PathBuf>,
        /// The command line.
        cmdline: String,
    },
}

impl InstanceBoot {
    /// The same for a machine.
    fn plan(&self) -> BootPlan {
        match self.clone() {
            Self::Disk {} => BootPlan::Disk,
            Self::Kernel { kernel, initrd, cmdline } => BootPlan::Kernel { kernel, initrd, cmdline },
        }
    }
}

/// A key pair as it was when an instance was launched with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceKey {
    /// Its id.
    pub id: KeyPairId,
    /// Its name.
    pub name: String,
    /// The public half.
    pub public_key: PublicKey,
}

/// A volume of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceDisk {
    /// The volume.
    pub volume: VolumeId,
    /// The name that users know it by, as `/dev/sdb`.
    pub device: String,
    /// Whether it goes with the instance.
    pub delete_with_instance: bool,
}

/// Why an instance is in its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// In a line.
    pub message: String,
    /// Whether it is that the host could not do its part. Then the message is the host's own, and may name its files.
    #[serde(default)]
    pub host_failed: bool,
    /// Since when.
    pub at: Timestamp,
}

/// Faults in a row, so that a guest that dies at once is not restarted for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// How many.
    pub count: u32,
    /// Not to be booted before.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
}

impl Instance {
    /// What its machine boots. A kernel of the host's knows disks by their order alone, and is told by which names their
    /// user does, for the host's initial RAM disk to give them those: `bothy.disks=sda1,sda2`. A disk whose name is none that
    /// a word can have is `-` there.
    pub fn boot_plan(&self) -> BootPlan {
        let name = |disk: &InstanceDisk| match bare_device(&disk.device) {
            name if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                name.to_owned()
            }
            _ => "-".to_owned(),
        };
        let mut plan = self.boot.plan();
        let are_virtio = self.disks.iter().all(|disk| disk.device.starts_with("/dev/vd"));
        if let (BootPlan::Kernel { cmdline, .. }, false) = (&mut plan, are_virtio) {
            let names: Vec<String> = self.disks.iter().map(name).collect();
            *cmdline = format!("{cmdline} bothy.disks={}", names.join(",")).trim_start().to_owned();
        }
        plan
    }

    /// The state.
    pub fn state(&self) -> State {
        self.progress.state()
    }

    /// What it takes of the host besides its volumes: nothing while it has no VM.
    pub fn amounts(&self) -> Amounts {
        let all =
            Amounts { instances: 1, vcpus: u64::from(self.vcpus), memory_mib: self.memory_mib, disk_gib: 0 };
        match self.state() {
            State::Creating if !self.rules.start_when_created => Amounts::default(),
            State::Creating | State::Starting | State::Running | State::Rebooting => all,
            State::Stopping | State::Locking | State::Terminating => all,
            State::Created | State::Stopped | State::Locked | State::Terminated | State::Failed => {
                Amounts::default()
            }
        }
    }

    /// The place that its password is sealed for.
    pub fn password_place(id: InstanceId) -> String {
        format!("instance/{id}/password")
    }
}

impl Resource for Instance {
    const NAME: &'static str = "instance";
    const WORD: &'static str = "instance";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}

/// The instances of one launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// The account.
    pub account: String,
    /// Its instances in the order of their launch index.
    pub instances: Vec<InstanceId>,
    /// Names of the security groups it was launched with, as they were then.
    pub security_groups: Vec<String>,
    /// When.
    pub created: Timestamp,
}

impl Resource for Reservation {
    const NAME: &'static str = "reservation";
    const WORD: &'static str = "reservation";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}
