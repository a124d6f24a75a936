//! Images, volumes and snapshots: what disks are made of, disks, and what was on them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::number::{at_most, some_at_most};
use crate::{
    AccountId, ClientToken, Description, HostPath, ImageId, ImageUrl, InstanceId, JobId, PageSize, PageToken,
    PlaceName, ProductCode, ResourceName, Sha256, SizeGib, SnapshotId, TagFilter, Tags, VolumeId,
};

/// Body of `POST /v1/image-imports`: makes an image of files, on the host or on a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportImage {
    /// What to call it; unique among the account's images.
    pub name: ResourceName,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// The files.
    pub source: ImportSource,
    /// What processors it is for.
    #[serde(default)]
    pub architecture: Architecture,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Makes it safe to send this again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<ClientToken>,
}

/// Files that an image is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ImportSource {
    /// A whole disk, with a partition table and what boots on it.
    Disk(ImportDisk),
    /// A file system with the kernel that is to boot it.
    FileSystem(ImportFileSystem),
}

/// A whole disk: raw, qcow2 or VHD, by what it is. It has either a path or a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportDisk {
    /// The file, on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<HostPath>,
    /// The file, on a server; the daemon fetches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<ImageUrl>,
    /// What the file's bytes, or those of the disk in it, must hash to. Default: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
}

/// A file system, with no partition table around it, and a kernel on the host. It has either a path or a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportFileSystem {
    /// The file system: raw, qcow2 or VHD, on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<HostPath>,
    /// The same on a server; the daemon fetches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<ImageUrl>,
    /// What the file's bytes, or those of the disk in it, must hash to. Default: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// A bzImage or an uncompressed x86-64 ELF kernel.
    pub kernel: HostPath,
    /// Initial RAM disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<HostPath>,
    /// Kernel command line. Default: one that finds the file system and the console.
    #[cfg_attr(feature = "openapi", schema(max_length = 1024, pattern = "^[\\x20-\\x7e]*$"))]
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "cmdline")]
    pub cmdline: Option<String>,
}

/// Reads a command line: the kernel takes bytes, and what no console can show has no place there.
fn cmdline<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let fits = |text: &String| text.len() <= 1024 && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if text.as_ref().is_none_or(fits) {
        return Ok(text);
    }
    Err(serde::de::Error::custom("a command line has at most 1024 printable ASCII characters"))
}

/// What processors an image is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Architecture {
    /// 64-bit x86.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// 32-bit x86; its kernel may be a 64-bit one.
    #[serde(rename = "i386")]
    I386,
}

/// Body of `POST /v1/images`: makes an image of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateImage {
    /// What to call it; unique among the account's images.
    pub name: ResourceName,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// The snapshot of a system disk. How it boots is taken from the image that this disk was made of.
    pub snapshot: SnapshotId,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Makes it safe to send this again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<ClientToken>,
}

/// Body of `PATCH /v1/images/{image_id}`. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpdateImage {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// A new description; an empty one for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Whether every account may launch it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// The accounts that may launch it, besides its owner: the whole list, at most 100.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_at_most::<100, _, _>")]
    pub launch_permissions: Option<Vec<AccountId>>,
    /// Its product codes: the whole list, at most 16. A code that is there cannot be taken away.
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_at_most::<16, _, _>")]
    pub product_codes: Option<Vec<ProductCode>>,
}

/// The state of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// It is being made; its job says how far it is.
    Creating,
    /// It can be launched.
    Available,
    /// It could not be made; its job says why.
    Failed,
}

/// How an image boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BootKind {
    /// What the disk itself says.
    Disk,
    /// A kernel that came with it.
    Kernel,
}

/// A disk that instances of an image get besides the one that they boot from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageDisk {
    /// What its users call it.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9A-Za-z]+$"))]
    pub device: String,
    /// The snapshot that it begins with; none if it begins empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// Its size.
    pub size_gib: SizeGib,
    /// Whether it is deleted when its instance is terminated.
    pub delete_with_instance: bool,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Whose it is.
    pub account: AccountId,
    /// What people call it; unique among the account's images.
    pub name: ResourceName,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its state.
    pub state: ImageState,
    /// The job that makes it or made it, while that is on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// What processors it is for.
    pub architecture: Architecture,
    /// How it boots.
    pub boot: BootKind,
    /// Its size as a guest sees it, in bytes; once it is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The hash of its content as a guest sees it; once it is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Disks that its instances get besides.
    #[serde(default)]
    pub data_disks: Vec<ImageDisk>,
    /// Whether every account may launch it.
    pub public: bool,
    /// The accounts that may launch it, besides its owner; left out for all but the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_permissions: Option<Vec<AccountId>>,
    /// Its product codes.
    pub product_codes: Vec<ProductCode>,
    /// Its tags; those of its owner.
    pub tags: Tags,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// Query of `GET /v1/images`: one's own, and those that one may launch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ImageQuery {
    /// Most items on a page. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Only those with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Only those of this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
    /// Only those with each of these tags.
    #[cfg_attr(feature = "openapi", schema(max_items = 10))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<10, _, _>")]
    pub tag: Vec<TagFilter>,
}

/// How a volume is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VolumeType {
    /// On the host's own file system.
    #[default]
    Local,
}

/// Body of `POST /v1/volumes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateVolume {
    /// Its size. May be left out for a snapshot, whose size is then the volume's; never below that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<SizeGib>,
    /// What is on it. Default: zeroes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Where it is to be. Default: the only zone, or the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<PlaceName>,
    /// How it is stored.
    #[serde(default)]
    pub volume_type: VolumeType,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Makes it safe to send this again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<ClientToken>,
}

/// Body of `PATCH /v1/volumes/{volume_id}`. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpdateVolume {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// A larger size. A guest sees it from its next boot on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<SizeGib>,
    /// Whether it is deleted with the instance that it is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_with_instance: Option<bool>,
}

/// The state of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VolumeState {
    /// Its disk is being made.
    Creating,
    /// Nothing uses it.
    Available,
    /// It is being attached.
    Attaching,
    /// An instance has it, whether that runs or not.
    InUse,
    /// It is being detached.
    Detaching,
    /// It is being deleted.
    Deleting,
    /// Its disk could not be made.
    Failed,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Whose it is.
    pub account: AccountId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Its state.
    pub state: VolumeState,
    /// Why it is in this state, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// Its size.
    pub size_gib: SizeGib,
    /// How it is stored.
    pub volume_type: VolumeType,
    /// Where it is.
    pub zone: PlaceName,
    /// The snapshot it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// The image it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageId>,
    /// The instance that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
    /// Its tags.
    pub tags: Tags,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// Where a volume is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attachment {
    /// The instance.
    pub instance: InstanceId,
    /// What a Linux guest usually calls it.
    #[cfg_attr(feature = "openapi", schema(pattern = "^vd[a-z]$", min_length = 3, max_length = 3))]
    pub device: String,
    /// Whether it is deleted with the instance.
    pub delete_with_instance: bool,
    /// Since when.
    pub attached_at: Timestamp,
}

/// Query of `GET /v1/volumes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VolumeQuery {
    /// Most items on a page. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Only those with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Only those of this instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Only those in one of these states.
    #[cfg_attr(feature = "openapi", schema(max_items = 7))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<7, _, _>")]
    pub state: Vec<VolumeState>,
    /// Only those with each of these tags.
    #[cfg_attr(feature = "openapi", schema(max_items = 10))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<10, _, _>")]
    pub tag: Vec<TagFilter>,
}

/// Body of `POST /v1/snapshots`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateSnapshot {
    /// The volume. One that an instance uses is kept as after a power cut.
    pub volume: VolumeId,
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Makes it safe to send this again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<ClientToken>,
}

/// The state of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SnapshotState {
    /// It is being made.
    Creating,
    /// It is there.
    Available,
    /// It is being deleted.
    Deleting,
    /// It could not be made.
    Failed,
}

/// What was on a volume at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Whose it is.
    pub account: AccountId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its state.
    pub state: SnapshotState,
    /// Why it is in this state, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// The volume that it was made of, which may be gone.
    pub volume: VolumeId,
    /// The size of that volume.
    pub size_gib: SizeGib,
    /// Its tags.
    pub tags: Tags,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// Query of `GET /v1/snapshots`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotQuery {
    /// Most items on a page. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Only those with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Only those of this volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeId>,
    /// Only those with each of these tags.
    #[cfg_attr(feature = "openapi", schema(max_items = 10))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<10, _, _>")]
    pub tag: Vec<TagFilter>,
}
