//! The record of an image, and who may see it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Resource, Tags};
use crate::id::{ImageId, JobId, SnapshotId};
use crate::outside::ImportedDisk;
use crate::store::Key;

/// What machines an image is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// 64-bit x86.
    #[default]
    X86_64,
    /// 32-bit x86, as images of 2007 say. The machine is the same.
    I386,
}

/// Where an image is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// Its disk is being imported or copied.
    Pending,
    /// Instances can be launched from it.
    Available,
    /// It was deregistered, and is still shown to its owner as EC2 of 2007 does; nothing can be launched from it.
    Deregistered,
}

/// What an instance of an image boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ImageBoot {
    /// The image is a whole disk, and says itself.
    Disk {},
    /// The image is a bare file system, or whatever the kernel makes of it.
    Kernel {
        /// The kernel: before the import a file on the host, afterwards our copy.
        kernel: PathBuf,
        /// The initial RAM disk, likewise.
        #[serde(default)]
        initrd: Option<PathBuf>,
        /// The command line.
        #[serde(default)]
        cmdline: String,
    },
}

/// A data disk that an instance of an image gets besides the one that it boots from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageDisk {
    /// The name that users know it by.
    pub device: String,
    /// What is on it: a snapshot of the image's owner, which stays as long as the image does. `None` for nothing.
    pub snapshot: Option<SnapshotId>,
    /// Its size, in MiB.
    pub size_mib: u64,
    /// Whether it goes with its instance.
    pub delete_with_instance: bool,
    /// The clouds' type of disk.
    #[serde(default)]
    pub category: String,
}

/// What the host boots images with that are bare file systems, and whose cloud lets nobody choose a kernel (EC2 of 2007).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKernel {
    /// The kernel, a file on the host.
    pub kernel: PathBuf,
    /// The initial RAM disk, likewise. It is to give the disks the names in `bothy.disks` on the command line.
    pub initrd: Option<PathBuf>,
    /// The command line, to which the core adds that word.
    pub cmdline: String,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// The account that owns it.
    pub account: String,
    /// A name for people.
    pub name: String,
    /// Words about it.
    #[serde(default)]
    pub description: String,
    /// What it is for.
    #[serde(default)]
    pub architecture: Architecture,
    /// Its disk; none while it is pending.
    #[serde(default)]
    pub disk: Option<ImportedDisk>,
    /// What to boot.
    pub boot: ImageBoot,
    /// Smallest system disk, in GiB; at least what its content takes.
    #[serde(default)]
    pub min_disk_gib: u64,
    /// Its state.
    pub state: ImageState,
    /// Whether everybody may launch it.
    #[serde(default)]
    pub public: bool,
    /// Accounts that may launch it besides its owner.
    #[serde(default)]
    pub launch_permissions: BTreeSet<String>,
    /// Product codes.
    #[serde(default)]
    pub product_codes: Vec<String>,
    /// The job that makes it or made it; its record goes before the image's.
    #[serde(default)]
    pub job: Option<JobId>,
    /// The snapshot it was made of.
    #[serde(default)]
    pub snapshot: Option<SnapshotId>,
    /// Disks that its instances get besides the one that they boot from.
    #[serde(default)]
    pub data_disks: Vec<ImageDisk>,
    /// Where it came from: a file's name, a manifest.
    #[serde(default)]
    pub location: String,
    /// Tags, its owner's.
    #[serde(default)]
    pub tags: Tags,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it was deregistered. Its record is kept for a while then, without a disk and without its name.
    #[serde(default)]
    pub deregistered: Option<Timestamp>,
    /// What its dialect keeps for itself.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub dialect: serde_json::Value,
}

impl Image {
    /// Whether an account may launch instances from it, and so may see it.
    pub fn is_for(&self, account: &str) -> bool {
        self.account == account || self.public || self.launch_permissions.contains(account)
    }

    /// Its data disk that users know by this name, with or without `/dev/`.
    pub fn data_disk(&self, device: &str) -> Option<&ImageDisk> {
        self.data_disks.iter().find(|disk| is_same_device(&disk.device, device))
    }

    /// Whether its instances get a data disk with what this snapshot has.
    pub fn has_data_of(&self, snapshot: SnapshotId) -> bool {
        self.data_disks.iter().any(|disk| disk.snapshot == Some(snapshot))
    }

    /// Its size in whole GiB, rounded up, and at least one.
    pub fn size_gib(&self) -> u64 {
        let content = self.disk.as_ref().map_or(0, |disk| disk.bytes.div_ceil(1 << 30));
        content.max(self.min_disk_gib).max(1)
    }

    /// Where the image of this id is kept.
    pub fn key_of(id: ImageId) -> Key {
        Key::new([Self::WORD, &id.to_string()]).expect("ids are plain words")
    }
}

impl Resource for Image {
    const NAME: &'static str = "image";
    const WORD: &'static str = "image";

    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
}

/// A device's name without `/dev/`.
pub fn bare_device(name: &str) -> &str {
    name.strip_prefix("/dev/").unwrap_or(name)
}

/// Whether two names are of one device: users say `sdf` for `/dev/sdf`.
pub fn is_same_device(one: &str, other: &str) -> bool {
    bare_device(one) == bare_device(other)
}
