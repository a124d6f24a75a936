//! The node itself: places, instance types, what it has and uses; jobs, events and usage records.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AccountId, ErrorBody, ImageId, InstanceId, InstanceTypeName, JobId, PageSize, PageToken, PlaceName,
    ProductCode, Revision, SizeMib, WaitMs,
};

/// A region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Region {
    /// Its name.
    pub name: PlaceName,
    /// Whether this daemon is of it.
    pub here: bool,
}

/// A zone of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Zone {
    /// Its name.
    pub name: PlaceName,
    /// The region.
    pub region: PlaceName,
    /// Whether instances can be launched there.
    pub available: bool,
}

/// An instance type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceType {
    /// Its name.
    pub name: InstanceTypeName,
    /// vCPUs.
    pub vcpus: u32,
    /// Guest memory.
    pub memory_mib: SizeMib,
    /// Disk space that comes with it for ephemeral disks, in GiB; 0 for none.
    pub ephemeral_gib: u32,
    /// Most network interfaces.
    pub max_network_interfaces: u32,
    /// Most volumes, the system disk among them.
    pub max_volumes: u32,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its turn.
    Queued,
    /// It is at work.
    Running,
    /// It is done.
    Succeeded,
    /// It could not be done; nothing of it is left.
    Failed,
}

impl JobState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Makes an image of files, on the host or on a server.
    ImportImage,
    /// Makes an image of a snapshot.
    CreateImage,
}

/// A long operation. Goes on when the daemon is killed and started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub account: AccountId,
    /// What it does.
    pub kind: JobKind,
    /// Its state.
    pub state: JobState,
    /// Bytes that are done, of the step that it is at: an image on a server is first fetched and then converted.
    pub done_bytes: u64,
    /// Bytes in all, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// The image that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageId>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// Query of `GET /v1/events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EventQuery {
    /// Only events after this revision. Default: only what happens from the time of asking on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Revision>,
    /// End the stream when so long nothing happened, in milliseconds. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<WaitMs>,
}

/// Something that changed: one line of `GET /v1/events`. Tells what to look at anew, not how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its number, with which to go on. Several events of one transaction have the same.
    pub revision: Revision,
    /// When.
    pub at: Timestamp,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The kind of resource: `instance`, `volume`, `job` and so on. `gap` if the events since the revision asked for are
    /// no longer all there: look at everything anew.
    pub kind: EventKind,
    /// The resource's id or name; empty for `gap`.
    pub resource: String,
    /// What happened.
    pub change: Change,
    /// The state that it is in since, of resources that have states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The kind of resource that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the resource of that name")]
pub enum EventKind {
    Gap,
    Account,
    User,
    AccessKey,
    Certificate,
    Role,
    Policy,
    Instance,
    Reservation,
    Image,
    Volume,
    Snapshot,
    KeyPair,
    Vpc,
    Subnet,
    NetworkInterface,
    SecurityGroup,
    Address,
    Job,
    Usage,
}

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Created,
    /// It is another than before.
    Changed,
    /// It is gone.
    Deleted,
}

/// Query of `GET /v1/usage`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UsageQuery {
    /// Most items on a page. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Only use that was not over before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Only use that began before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Only of this instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Only of images with this product code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_code: Option<ProductCode>,
}

/// A usage record: one stretch of time in which an instance ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageRecord {
    /// The instance.
    pub instance: InstanceId,
    /// Whose it was.
    pub account: AccountId,
    /// Its type at that time.
    pub instance_type: InstanceTypeName,
    /// Product codes of its image at that time.
    pub product_codes: Vec<ProductCode>,
    /// When it began to run.
    pub since: Timestamp,
    /// When it ceased; left out if it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Hours of it within `from` and `to`, each begun hour counted whole.
    pub hours: u64,
}

/// Whether the daemon is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// Version of the daemon.
    pub version: String,
    /// The revision of the last change on record.
    pub revision: Revision,
}

/// The host and the daemon on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Host {
    /// What it is called.
    pub name: String,
    /// Version of the daemon.
    pub version: String,
    /// Version of the program that runs each VM.
    pub vmm_version: String,
    /// The host's kernel.
    pub kernel: String,
    /// The zone.
    pub zone: PlaceName,
    /// When the daemon was started.
    pub started_at: Timestamp,
    /// What may be promised to instances.
    pub capacity: Amounts,
    /// What is promised to them.
    pub used: Amounts,
    /// Bytes that the file system with the disks has left.
    pub disk_free_bytes: u64,
    /// Whether disks share blocks with the images that they were made of.
    pub reflink: bool,
}

/// Amounts of what instances use up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Amounts {
    /// Instances; left out for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u64>,
    /// vCPUs.
    pub vcpus: u64,
    /// Guest memory, in MiB.
    pub memory_mib: u64,
    /// Disk space as guests see it, in GiB.
    pub disk_gib: u64,
}
