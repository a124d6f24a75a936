//! The world outside the core, as traits: the machines of instances, the networks that they are in, and the disks behind
//! volumes, images and snapshots. The daemon implements them with VMMs, taps, rules and files; tests have worlds of their own, which they can break.
//!
//! Everything here may be asked twice: finding its own earlier result is success. Whoever asks may be killed at any moment.

mod network;

use std::net::Ipv4Addr;
use std::path::PathBuf;

pub use network::{
    ConnectError, Connection, GroupCounts, GroupPlan, GuardPlan, MemberPlan, NetworkPlan, Networks, Traffic,
};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::id::{Id, Instance, NetworkInterface, Volume};
use crate::image_url::{ImageUrl, UrlPrefix};
use crate::lifecycle::Report;
use crate::store::Answer;

/// What a machine is built of, at each boot anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachinePlan {
    /// Whose machine it is.
    pub instance: Id<Instance>,
    /// vCPUs.
    pub vcpus: u32,
    /// Guest memory, in MiB.
    pub memory_mib: u64,
    /// What to boot.
    pub boot: BootPlan,
    /// Disks in the order of their slots; the system disk first.
    pub disks: Vec<DiskPlan>,
    /// Network interfaces in the order of their slots.
    pub nics: Vec<NicPlan>,
    /// Who the guest believes to be.
    pub smbios: SmbiosPlan,
    /// What cloud-init finds on a small read-only disk behind the others.
    pub seed: SeedPlan,
}

/// A small read-only disk behind the others on which cloud-init finds its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeedPlan {
    /// There is none: the guest asks its metadata service.
    None,
    /// These files, for cloud-init's datasource NoCloud.
    NoCloud(Vec<(&'static str, Vec<u8>)>),
    /// OpenStack's config drive, with what the metadata service would tell at this moment.
    ConfigDrive,
}

/// What to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootPlan {
    /// What the system disk says.
    Disk,
    /// A kernel that lies on the host, and the file system on the first disk.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// The initial RAM disk, if there is one.
        initrd: Option<PathBuf>,
        /// The command line.
        cmdline: String,
    },
}

/// A disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// The volume.
    pub volume: Id<Volume>,
    /// Refuse the guest's writes.
    pub read_only: bool,
}

/// A network interface of a machine, with what DHCP tells the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicPlan {
    /// The network interface.
    pub interface: Id<NetworkInterface>,
    /// The network that it is in.
    pub network: NetworkPlan,
    /// The guest's MAC address.
    pub mac: [u8; 6],
    /// The guest's address.
    pub address: Ipv4Addr,
    /// Bits of the subnet's mask.
    pub prefix_len: u8,
    /// The subnet's router.
    pub router: Ipv4Addr,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Time servers.
    pub ntp: Vec<Ipv4Addr>,
    /// The host name with its domain.
    pub name: String,
    /// The MTU, in bytes.
    pub mtu: u16,
    /// How many hops behind the guest its metadata service can be reached.
    pub hop_limit: u8,
}

/// SMBIOS strings, by which guests tell clouds apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmbiosPlan {
    /// Manufacturer of the system.
    pub manufacturer: String,
    /// Product name.
    pub product: String,
    /// Serial number.
    pub serial: String,
    /// System UUID.
    pub uuid: Option<uuid::Uuid>,
    /// Asset tag of the chassis.
    pub asset_tag: String,
}

/// Why the host did not do what it was asked. Nothing half done is left that a repetition would not find.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It has not enough of something; the request can be repeated when it has.
    #[error("{0}")]
    Exhausted(String),
    /// It can never be done as it was asked.
    #[error("{0}")]
    Refused(String),
    /// The host failed.
    #[error("{0}")]
    Failed(String),
}

/// What was seen of an instance's machine, with a reason in words where it is not what was wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What was seen.
    pub report: Report,
    /// Why, in a line: which vCPU, which signal, which error. Empty where there is nothing to say.
    pub reason: String,
}

/// What is told whenever something happens to a machine by itself. Given once, when the world is opened; must not block.
pub type Tell = std::sync::Arc<dyn Fn(Id<Instance>, Sight) + Send + Sync>;

/// A stretch of a console's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleOutput {
    /// Bytes of output before the first one here, since the console began.
    pub offset: u64,
    /// The output.
    pub bytes: Vec<u8>,
}

/// A console in both directions: reading gives what the guest prints, writing types. Ends with the machine.
pub trait Console: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Console for T {}

/// What a machine used since it was booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineMetrics {
    /// Time that its vCPUs ran, in milliseconds.
    pub cpu_ms: u64,
    /// Memory of the host that its VMM uses now, in bytes.
    pub memory_bytes: u64,
    /// Bytes read from its disks.
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

/// The machines of instances.
pub trait Machines: Send + Sync {
    /// Makes the instance's VMM with all it needs on the host, and boots its VM. Answers when the VM runs. What happens to
    /// it from then on is told. If a VM of this instance runs already, that is success.
    fn boot<'a>(&'a self, plan: &'a MachinePlan) -> Answer<'a, Result<(), HostError>>;

    /// Looks at the instance's machine, and from then on tells what happens to it: how a daemon that was started again
    /// finds the machines that it left running.
    fn look(&self, instance: Id<Instance>) -> Answer<'_, Sight>;

    /// Presses the power button. `Err` is what was seen instead of a running VM.
    fn press_power_button(&self, instance: Id<Instance>) -> Answer<'_, Result<(), Sight>>;

    /// Resets the VM, and answers when it runs again.
    fn reset(&self, instance: Id<Instance>) -> Answer<'_, Result<(), HostError>>;

    /// Lets the VM stand still until `resume`, or until the machine is looked at. Where there is no VM, nothing happens.
    fn pause(&self, instance: Id<Instance>) -> Answer<'_, Result<(), HostError>>;

    /// Lets it go on. Where there is no VM, nothing happens.
    fn resume(&self, instance: Id<Instance>) -> Answer<'_, Result<(), HostError>>;

    /// Sets how many hops behind the guest its metadata service can be reached by its first `nics` interfaces. `Refused` if
    /// there is no VM.
    fn set_hop_limit(
        &self,
        instance: Id<Instance>,
        nics: usize,
        hop_limit: u8,
    ) -> Answer<'_, Result<(), HostError>>;

    /// Ends the VMM, and answers when its process and all its children are gone, or none was there.
    fn kill(&self, instance: Id<Instance>) -> Answer<'_, Result<(), HostError>>;

    /// Removes what a machine leaves on the host: taps, rules, cgroup, socket, run folder. Only asked when it was killed.
    /// Its console's output is kept until `forget`.
    fn clean_up(&self, instance: Id<Instance>) -> Answer<'_, Result<(), HostError>>;

    /// Removes also what is kept of a machine that was: the console's log.
    fn forget(&self, instance: Id<Instance>) -> Answer<'_, Result<(), HostError>>;

    /// The last output of the console, at most `limit` bytes of it, of a machine that runs or of the last one that did.
    fn console(
        &self,
        instance: Id<Instance>,
        offset: Option<u64>,
        limit: usize,
    ) -> Answer<'_, Result<ConsoleOutput, HostError>>;

    /// Waits until the console has output behind `offset`, or the machine runs no more. May be dropped while it waits.
    fn wait_console(&self, instance: Id<Instance>, offset: u64) -> Answer<'_, Result<(), HostError>>;

    /// Attaches to the console of a machine that runs, with the output from `offset` on, or from now on. `Refused` if none
    /// runs.
    fn attach_console(
        &self,
        instance: Id<Instance>,
        offset: Option<u64>,
    ) -> Answer<'_, Result<Box<dyn Console>, HostError>>;

    /// What a machine that runs used until now. `Refused` if none runs.
    fn metrics(&self, instance: Id<Instance>) -> Answer<'_, Result<MachineMetrics, HostError>>;

    /// All instances of which anything is on the host, machine or leavings: whatever is not on record is removed.
    fn present(&self) -> Answer<'_, Result<Vec<Id<Instance>>, HostError>>;
}

/// What a new disk has on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskContent {
    /// Zeroes.
    Blank,
    /// The content of an image's disk.
    Image {
        /// The hash of the image's content.
        sha256: String,
    },
    /// The content of a snapshot.
    Snapshot {
        /// Its id.
        snapshot: Id<crate::id::Snapshot>,
    },
    /// An ext3 file system (EC2 2007-03-01, the instance's sda2), with the key in `openssh_id.pub` in its root.
    Ephemeral {
        /// A line of `authorized_keys`, if the instance has a key pair.
        public_key: Option<String>,
    },
    /// A swap area (EC2 2007-03-01, the instance's sda3).
    Swap,
}

/// A disk image that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedDisk {
    /// The hash of the content as the guest sees it, in hexadecimal digits: its name.
    pub sha256: String,
    /// Its size as the guest sees it, in bytes.
    pub bytes: u64,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ImageSource {
    /// A file on the host.
    File(PathBuf),
    /// What a server has.
    Url(UrlSource),
}

/// What a server has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlSource {
    /// Where it is.
    pub url: ImageUrl,
    /// The folders that the server may not lead out of by redirects. None: it may lead anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<UrlPrefix>,
}

/// The beginning of what a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The first bytes.
    pub bytes: Vec<u8>,
    /// How many there are in all, if the server says it.
    pub of: Option<u64>,
}

/// How far a long operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all; 0 if that is not known.
    pub of: u64,
}

/// Told how far a long operation is; must not block.
pub type Progressing = std::sync::Arc<dyn Fn(Done) + Send + Sync>;

/// The disks behind volumes, images and snapshots.
pub trait Disks: Send + Sync {
    /// Makes a volume's disk. One that is there, of this size, is success.
    fn create<'a>(
        &'a self,
        volume: Id<Volume>,
        bytes: u64,
        content: &'a DiskContent,
    ) -> Answer<'a, Result<(), HostError>>;

    /// Makes it larger; what is new reads as zeroes. Never smaller.
    fn grow(&self, volume: Id<Volume>, bytes: u64) -> Answer<'_, Result<(), HostError>>;

    /// Removes it. Nobody can read its blocks afterwards. One that is not there is success.
    fn delete(&self, volume: Id<Volume>) -> Answer<'_, Result<(), HostError>>;

    /// Whether a snapshot is taken at one moment. Where it is not, nobody may write to the volume meanwhile.
    fn snapshots_at_once(&self) -> bool;

    /// Keeps what is on a volume now as a snapshot. One that is there is success.
    fn snapshot(
        &self,
        volume: Id<Volume>,
        snapshot: Id<crate::id::Snapshot>,
    ) -> Answer<'_, Result<(), HostError>>;

    /// Removes a snapshot. One that is not there is success.
    fn delete_snapshot(&self, snapshot: Id<crate::id::Snapshot>) -> Answer<'_, Result<(), HostError>>;

    /// Makes an image's disk out of a file on the host: raw, qcow2 or VHD, by what it is. What is not whole and sound is
    /// refused, and nothing of it is left.
    fn import<'a>(
        &'a self,
        file: &'a std::path::Path,
        expected_sha256: Option<&'a str>,
        progress: Progressing,
    ) -> Answer<'a, Result<ImportedDisk, HostError>>;

    /// The first bytes of what a server has, at most so many of them. Waits for seconds only.
    fn peek<'a>(&'a self, source: &'a UrlSource, bytes: usize) -> Answer<'a, Result<Beginning, HostError>>;

    /// Fetches what a server has, for a job, and says in which file it is. What is there already, whole or in part, is not
    /// fetched again. It is whole, or it is refused.
    fn fetch<'a>(
        &'a self,
        job: Id<crate::id::Job>,
        source: &'a UrlSource,
        progress: Progressing,
    ) -> Answer<'a, Result<PathBuf, HostError>>;

    /// Removes what was fetched for a job, whole or in part. Nothing there is success.
    fn delete_fetched(&self, job: Id<crate::id::Job>) -> Answer<'_, Result<(), HostError>>;

    /// Makes an image's disk of a snapshot.
    fn image_of(
        &self,
        snapshot: Id<crate::id::Snapshot>,
        progress: Progressing,
    ) -> Answer<'_, Result<ImportedDisk, HostError>>;

    /// Removes an image's disk. One that is not there is success.
    fn delete_image<'a>(&'a self, sha256: &'a str) -> Answer<'a, Result<(), HostError>>;

    /// Keeps a copy of a kernel or an initial RAM disk, and says where. The same content twice is one copy.
    fn keep_file<'a>(&'a self, file: &'a std::path::Path) -> Answer<'a, Result<PathBuf, HostError>>;

    /// Removes such a copy. One that is not there is success.
    fn delete_file<'a>(&'a self, kept: &'a std::path::Path) -> Answer<'a, Result<(), HostError>>;

    /// All that is there: whatever is not on record is removed.
    fn present(&self) -> Answer<'_, Result<PresentDisks, HostError>>;

    /// Bytes that the file system has left for new disks.
    fn free_bytes(&self) -> Answer<'_, Result<u64, HostError>>;
}

/// All disks that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresentDisks {
    /// Volumes.
    pub volumes: Vec<Id<Volume>>,
    /// Snapshots.
    pub snapshots: Vec<Id<crate::id::Snapshot>>,
    /// Images, by the hash of their content.
    pub images: Vec<String>,
    /// Copies of kernels and initial RAM disks.
    pub files: Vec<PathBuf>,
    /// Jobs for which something was fetched.
    pub fetched: Vec<Id<crate::id::Job>>,
}
