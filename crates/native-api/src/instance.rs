//! Instances: what a launch asks for, what an instance is, what may be changed of it.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::number::{at_most, given};
use crate::{
    AccountId, AddressId, ClientToken, ConsoleOffset, DeviceName, HopLimit, HostName, ImageId, InstanceId,
    InstanceTypeName, KeyPairName, LaunchCount, NetworkInterfaceId, PageSize, PageToken, PeriodCount,
    PlaceName, PrincipalName, ProductCode, ReservationId, ResourceName, SecurityGroupId, SizeGib, SizeMib,
    SnapshotId, SubnetId, TagFilter, Tags, TcpPort, UserData, VolumeId, VolumeType, VpcId, WaitMs,
};

/// Body of `POST /v1/instances`: instances of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LaunchRequest {
    /// The image.
    pub image: ImageId,
    /// vCPUs, memory and disk by name; see `GET /v1/instance-types`.
    pub instance_type: InstanceTypeName,
    /// How many. Default: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Count>,
    /// The key pair whose public half goes into the guest. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_pair: Option<KeyPairName>,
    /// What to call them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What cloud-init or its like reads at the first boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
    /// What the guest is to call itself. Of several instances, all but the first get a number behind it. Default: one
    /// that is made of the private address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<HostName>,
    /// The disk that it boots from. Default: as the image is, gone with the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_disk: Option<SystemDisk>,
    /// More disks, in the order of their slots, at most 16.
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<16, _, _>")]
    pub data_disks: Vec<DataDisk>,
    /// Its network interfaces in the order of their slots, at most 16, all in one VPC and zone; in the place of `subnet`,
    /// `private_address` and `security_groups`. Default: one new one, as these say.
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<16, _, _>")]
    pub network_interfaces: Vec<LaunchInterface>,
    /// Where its network interface is. Default: the account's default subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<SubnetId>,
    /// Its address in the subnet; for one instance only. Default: a free one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "ipv4"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_address: Option<Ipv4Addr>,
    /// Its security groups, at most 16. Default: the VPC's default group.
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<16, _, _>")]
    pub security_groups: Vec<SecurityGroupId>,
    /// Give its first network interface, which is a new one, a public address while it exists. Default: as the subnet says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_address: Option<bool>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// What it does by itself.
    #[serde(default)]
    pub rules: Rules,
    /// How it is paid for.
    #[serde(default)]
    pub charge: Charge,
    /// The role whose credentials the guest gets from its metadata service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<PrincipalName>,
    /// How the guest gets at its metadata.
    #[serde(default, skip_serializing_if = "MetadataOptions::is_default")]
    pub metadata_options: MetadataOptions,
    /// The cloud that the guest is to believe to be in.
    #[serde(default, skip_serializing_if = "Cloud::is_native")]
    pub cloud: Cloud,
    /// Give it a read-only disk with its metadata and user data, labelled `config-2` as OpenStack's config drives are. It is
    /// there whether the metadata service answers or not, and takes the place of the seed disk of a `native` guest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub config_drive: bool,
    /// Makes it safe to send this again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<ClientToken>,
    /// Only say what would be launched.
    #[serde(default)]
    pub dry_run: bool,
}

/// How many instances: as many as there is room for, up to `max`, or none if there is no room for `min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The fewest that are of any use; not above `max`.
    pub min: LaunchCount,
    /// The most that are wanted.
    pub max: LaunchCount,
}

/// A network interface of an instance that is launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LaunchInterface {
    /// One that is made with the instance.
    New(NewLaunchInterface),
    /// One that no instance has; for one instance only.
    Existing(ExistingLaunchInterface),
}

/// A network interface that is made with an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLaunchInterface {
    /// The subnet. Default: the account's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<SubnetId>,
    /// Its address in the subnet; for one instance only. Default: a free one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "ipv4"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_address: Option<Ipv4Addr>,
    /// Its security groups, at most 16. Default: the VPC's default group.
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<16, _, _>")]
    pub security_groups: Vec<SecurityGroupId>,
    /// Delete it when the instance is terminated.
    #[serde(default = "yes")]
    pub delete_with_instance: bool,
}

/// A network interface that an instance is to have from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExistingLaunchInterface {
    /// The network interface.
    pub id: NetworkInterfaceId,
    /// Delete it when the instance is terminated.
    #[serde(default)]
    pub delete_with_instance: bool,
}

/// The disk that an instance boots from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SystemDisk {
    /// Not below the image's size, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<SizeGib>,
    /// Delete it when the instance is terminated.
    #[serde(default = "yes")]
    pub delete_with_instance: bool,
    /// How it is stored.
    #[serde(default)]
    pub volume_type: VolumeType,
}

fn yes() -> bool {
    true
}

/// Another disk of an instance that is launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DataDisk {
    /// What is on it.
    pub content: DiskContent,
    /// Its size. For a snapshot's content the snapshot's size is the least and the default; for ephemeral disks and swap
    /// areas the default is what the instance type has, else a little; it must be there for what is blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<SizeGib>,
    /// Delete it when the instance is terminated. Ephemeral disks and swap areas always are.
    #[serde(default = "yes")]
    pub delete_with_instance: bool,
    /// How it is stored.
    #[serde(default)]
    pub volume_type: VolumeType,
}

/// What is on a new disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DiskContent {
    /// Zeroes.
    Blank,
    /// An empty file system that lives as long as the instance.
    Ephemeral,
    /// A swap area that lives as long as the instance.
    Swap,
    /// The content of a snapshot.
    Snapshot(SnapshotId),
}

/// What an instance does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Start as soon as it is created.
    pub start: bool,
    /// When the guest powers off.
    pub on_power_off: OnPowerOff,
    /// When its VM ends by a fault.
    pub on_failure: OnFailure,
    /// When the host was rebooted while it ran.
    pub after_host_reboot: AfterHostReboot,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            start: true,
            on_power_off: OnPowerOff::Stop,
            on_failure: OnFailure::Report,
            after_host_reboot: AfterHostReboot::Start,
        }
    }
}

/// When the guest powers off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnPowerOff {
    /// The instance is stopped.
    Stop,
    /// The instance is terminated.
    Terminate,
}

/// When a VM ends by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The instance is shown as failed.
    Report,
    /// It is booted again.
    Restart,
    /// It is terminated.
    Terminate,
}

/// When the host was rebooted while an instance ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AfterHostReboot {
    /// It is booted again.
    Start,
    /// It is stopped.
    Stop,
    /// It is terminated.
    Terminate,
}

/// A cloud that a guest can believe to be in: which image runs unchanged. Its SMBIOS strings say so, and its metadata service
/// speaks that cloud's dialect alone. It cannot be changed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// None but this: a seed disk tells the guest the most important, and its metadata service speaks all dialects.
    #[default]
    Native,
    /// Amazon EC2.
    Ec2,
    /// Alibaba Cloud ECS.
    Alibaba,
    /// Huawei Cloud ECS, which is an OpenStack.
    Huawei,
}

impl Cloud {
    // Not written, so that a request with a client token is the same as before there was a choice.
    fn is_native(&self) -> bool {
        *self == Self::Native
    }
}

/// How a guest gets at what its metadata service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MetadataOptions {
    /// Whether it is answered at all.
    pub enabled: bool,
    /// Whether it has to show a token.
    pub tokens: MetadataTokens,
    /// How many hops an answer with a token gets. With 1 it reaches the guest, and nothing behind it.
    pub hop_limit: HopLimit,
    /// Whether the instance's tags are there.
    pub tags: bool,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        Self { enabled: true, tokens: MetadataTokens::Optional, hop_limit: HopLimit::MIN, tags: false }
    }
}

impl MetadataOptions {
    // Not written, so that a request with a client token is the same as before there were these.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a guest has to show its metadata service a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MetadataTokens {
    /// It may.
    Optional,
    /// It must.
    Required,
}

/// How an instance is paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Charge {
    /// By use.
    PayAsYouGo(PayAsYouGo),
    /// In advance.
    Subscription(NewSubscription),
}

impl Default for Charge {
    fn default() -> Self {
        Self::PayAsYouGo(PayAsYouGo::default())
    }
}

/// Paid by use, until it is terminated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PayAsYouGo {
    /// Terminate it at this time: at least 30 minutes and at most 3 years ahead, whole minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_at: Option<Timestamp>,
}

/// Paid for a time in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// For how long.
    pub period: Period,
    /// Renew it by this when it comes to its end. Default: let it run out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_renew: Option<Period>,
}

/// A time that is paid for in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Period {
    /// Weeks of seven days.
    Weeks(PeriodCount),
    /// Calendar months.
    Months(PeriodCount),
}

/// Answer to a launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Launched {
    /// The launch.
    pub reservation: ReservationId,
    /// The instances as they begin.
    pub instances: Vec<Instance>,
}

/// Answer to a launch with `dry_run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LaunchPreview {
    /// How many would be launched.
    pub count: LaunchCount,
}

/// The instances of one launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// Whose it is.
    pub account: AccountId,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Its instances, also those that are terminated, as long as they are on record.
    pub instances: Vec<InstanceId>,
}

/// The state of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Its volumes and network interfaces are being made.
    Creating,
    /// Complete, and never started.
    Created,
    /// Its VM is being booted.
    Starting,
    /// Its VM runs; whether the guest has come up is the guest's affair.
    Running,
    /// The guest was told to go down and will be booted again.
    Rebooting,
    /// The guest was told to go down.
    Stopping,
    /// It has no VM. Its volumes and addresses are kept.
    Stopped,
    /// As `stopping`, as its subscription expired.
    Locking,
    /// As `stopped`, as its subscription expired. It can be renewed or terminated.
    Locked,
    /// What it has is being given back.
    Terminating,
    /// Nothing of it is left but its record.
    Terminated,
    /// It could not be booted, or its VM ended by a fault. It can be started, stopped or terminated.
    Failed,
}

/// An instance as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Whose it is.
    pub account: AccountId,
    /// The launch it came from.
    pub reservation: ReservationId,
    /// Its place in that launch, from 0.
    pub launch_index: u32,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Its state.
    pub state: InstanceState,
    /// Why it is in this state, in a line, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// The revision of its last change; see `GET /v1/events`.
    pub revision: crate::Revision,
    /// The image it was launched from.
    pub image: ImageId,
    /// Its type.
    pub instance_type: InstanceTypeName,
    /// vCPUs.
    pub vcpus: u32,
    /// Guest memory, in MiB.
    pub memory_mib: SizeMib,
    /// The key pair whose public half went into the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_pair: Option<KeyPairName>,
    /// What the guest is told to call itself.
    pub host_name: HostName,
    /// Where it is.
    pub zone: PlaceName,
    /// Its disks in the order of their slots; the first is the system disk.
    pub disks: Vec<InstanceDisk>,
    /// Its network interfaces in the order of their slots.
    pub network_interfaces: Vec<InstanceInterface>,
    /// The address of its first network interface.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "ipv4"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_address: Option<Ipv4Addr>,
    /// The public address of its first network interface.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "ipv4"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_address: Option<Ipv4Addr>,
    /// Its tags.
    pub tags: Tags,
    /// What it does by itself.
    pub rules: Rules,
    /// How it is paid for.
    pub charge: ChargeState,
    /// The role that the guest can assume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<PrincipalName>,
    /// How the guest gets at its metadata.
    pub metadata_options: MetadataOptions,
    /// The cloud that the guest believes to be in.
    pub cloud: Cloud,
    /// Whether it has a config drive.
    pub config_drive: bool,
    /// Product codes of its image when it was launched.
    pub product_codes: Vec<ProductCode>,
    /// When it was launched.
    pub created_at: Timestamp,
    /// When it was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was terminated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminated_at: Option<Timestamp>,
}

/// A disk of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceDisk {
    /// What its users call it; where nobody did, what a Linux guest usually does: `vda` is the system disk.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[0-9A-Za-z]+$"))]
    pub device: String,
    /// The volume.
    pub volume: VolumeId,
    /// Its size.
    pub size_gib: SizeGib,
    /// Whether it is deleted when the instance is terminated.
    pub delete_with_instance: bool,
}

/// A network interface of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceInterface {
    /// Its slot, from 0.
    pub index: u32,
    /// The network interface.
    pub id: NetworkInterfaceId,
    /// Its MAC address.
    pub mac: crate::MacAddress,
    /// The VPC that it is in.
    pub vpc: VpcId,
    /// The subnet that it is in.
    pub subnet: SubnetId,
    /// Its address.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "ipv4"))]
    pub private_address: Ipv4Addr,
    /// Its public address.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "ipv4"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_address: Option<Ipv4Addr>,
    /// The allocation of that address, unless it belongs to the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressId>,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroupId>,
}

/// How an instance is paid for, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChargeState {
    /// By use.
    PayAsYouGo(PayAsYouGo),
    /// In advance.
    Subscription(Subscription),
}

/// A time that is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Subscription {
    /// When it runs out.
    pub expires_at: Timestamp,
    /// What it is renewed by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_renew: Option<Period>,
}

/// Query of `GET /v1/instances`. An instance is listed if it meets each filter that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct InstanceQuery {
    /// Most items on a page. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Only these; given several times for several. One that does not exist is no error.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<100, _, _>")]
    pub id: Vec<InstanceId>,
    /// Only those in one of these states.
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<12, _, _>")]
    pub state: Vec<InstanceState>,
    /// Only those with this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Only those with each of these tags.
    #[cfg_attr(feature = "openapi", schema(max_items = 10))]
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<10, _, _>")]
    pub tag: Vec<TagFilter>,
}

/// Body of `PATCH /v1/instances/{instance_id}`. What is left out stays; either all of it is changed or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UpdateInstance {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// What the guest reads at its next boot. Only while the instance is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
    /// What the guest is to call itself from its next boot on. Only while the instance is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_name: Option<HostName>,
    /// Another type. Only while the instance is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<InstanceTypeName>,
    /// What it does by itself, the whole of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
    /// What to renew a subscription by; null to let it run out.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Period>))]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub auto_renew: Option<Option<Period>>,
    /// When to terminate an instance that is paid by use; null for never.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = "date-time"))]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub release_at: Option<Option<Timestamp>>,
    /// The role that the guest can assume; null for none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<PrincipalName>))]
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub role: Option<Option<PrincipalName>>,
    /// How the guest gets at its metadata, the whole of it; from its next request on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_options: Option<MetadataOptions>,
}

/// Body of stop, reboot and detach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Force {
    /// Do not ask the guest: pull the plug.
    pub force: bool,
}

/// Body of `POST /v1/instances/{instance_id}/renew`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// For how long, from the present end on.
    pub period: Period,
}

/// Query of `GET /v1/instances/{instance_id}/console`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleQuery {
    /// Bytes of output before the first one wanted. Default: the oldest that is kept; for a stream, what comes from the
    /// time of asking on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<ConsoleOffset>,
    /// Longest time to wait for output, in milliseconds. Default: 0. A stream does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<WaitMs>,
}

/// Query of `POST /v1/instances/{instance_id}/connect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConnectQuery {
    /// The port. Default: 22.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<TcpPort>,
    /// Longest time to wait for the guest's answer, in milliseconds. Default: 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<WaitMs>,
}

/// The user data of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceUserData {
    /// What the guest reads; empty if it was given none.
    pub user_data: UserData,
}

/// What an instance uses at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceMetrics {
    /// When it was measured.
    pub at: Timestamp,
    /// Time that its vCPUs ran, in milliseconds since its VM was booted.
    pub cpu_ms: u64,
    /// Memory of the host that its VMM uses, in bytes.
    pub memory_bytes: u64,
    /// Bytes read from its disks, since its VM was booted.
    pub disk_read_bytes: u64,
    /// Bytes written to its disks.
    pub disk_write_bytes: u64,
    /// Reads from its disks.
    pub disk_reads: u64,
    /// Writes to its disks.
    pub disk_writes: u64,
    /// Bytes that its network interfaces received.
    pub net_receive_bytes: u64,
    /// Bytes that its network interfaces sent.
    pub net_send_bytes: u64,
    /// Packets that its network interfaces received.
    pub net_receive_packets: u64,
    /// Packets that its network interfaces sent.
    pub net_send_packets: u64,
}

/// Body of `POST /v1/volumes/{volume_id}/attach`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AttachVolume {
    /// The instance.
    pub instance: InstanceId,
    /// What the guest is to call it. Default: the first free name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceName>,
    /// Delete it when the instance is terminated.
    #[serde(default)]
    pub delete_with_instance: bool,
}
