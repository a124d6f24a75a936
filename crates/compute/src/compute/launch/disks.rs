//! The disks of instances that are launched: how large each is, what is on it, and by which name users know it.

use super::InstanceRequest;
use crate::compute::{Compute, ComputeError};
use crate::id::{ImageId, SnapshotId};
use crate::outside::DiskContent;
use crate::resource::{
    Cloud, Image, ImageBoot, ImageDisk, InstanceKey, InstanceType, Resource, Snapshot, SnapshotState,
    VolumeKind, is_same_device,
};

/// Most volumes of an instance, the system disk among them; what the machine has slots for.
pub(crate) const MAX_DISKS: usize = 60;
/// Smallest disk that users ask for, in MiB: they say GiB.
pub(crate) const SMALLEST_MIB: u64 = 1024;
/// A swap area's size where neither the request nor the instance type says one, in MiB.
const SWAP_MIB: u64 = 512;
/// Largest volume, in GiB.
pub(crate) const MAX_VOLUME_GIB: u64 = 32 * 1024;

/// A disk of a new instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskRequest {
    /// Its size, in GiB; `None` for what its content takes, or for what the instance type has of it.
    pub size_gib: Option<u64>,
    /// What is on it.
    pub content: SourceRequest,
    /// The name that users know it by; `None` for the usual one, else the next free one, as `/dev/vdb`.
    pub device: Option<String>,
    /// Whether it goes with the instance.
    pub delete_with_instance: bool,
    /// The clouds' type of disk.
    pub category: String,
    /// A name for people.
    pub name: String,
}

/// What is on a new disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SourceRequest {
    /// Nothing.
    #[default]
    Blank,
    /// What a snapshot has.
    Snapshot(SnapshotId),
    /// An ext3 file system, with the key pair's public half in `openssh_id.pub`.
    Ephemeral,
    /// A swap area.
    Swap,
}

/// A disk whose parts have all been looked up.
pub(super) struct Disk {
    pub kind: VolumeKind,
    pub size_mib: u64,
    pub content: DiskContent,
    pub device: String,
    pub delete_with_instance: bool,
    pub category: String,
    pub name: String,
    pub image: Option<ImageId>,
}

impl Compute {
    pub(super) async fn disk_plans(
        &self,
        account: &str,
        request: &InstanceRequest,
        image: &Image,
        instance_type: &InstanceType,
        key: Option<&InstanceKey>,
    ) -> Result<Vec<Disk>, ComputeError> {
        let usual_device = |kind| usual_device(request.cloud, &image.boot, kind).map(str::to_owned);
        let content = image.disk.as_ref().map(|disk| disk.sha256.clone());
        let content = content.ok_or_else(|| ComputeError::invalid("image", "has no disk"))?;
        let system = &request.system_disk;
        let size_mib = disk_size(system.size_gib, image.size_gib() << 10, "system_disk")?;
        let mut disks = vec![Disk {
            kind: VolumeKind::System,
            size_mib,
            content: DiskContent::Image { sha256: content },
            device: (system.device.clone())
                .or_else(|| usual_device(VolumeKind::System))
                .unwrap_or_else(|| "/dev/vda".to_owned()),
            delete_with_instance: system.delete_with_instance,
            category: system.category.clone(),
            name: system.name.clone(),
            image: Some(image.id),
        }];
        disks.extend(of_image(image, request));
        if disks.len() + request.disks.len() > MAX_DISKS {
            return Err(ComputeError::Limit { what: "disks of an instance", most: MAX_DISKS as u64 });
        }
        for wanted in &request.disks {
            let (kind, usual, content) = match &wanted.content {
                SourceRequest::Blank => (VolumeKind::Data, SMALLEST_MIB, DiskContent::Blank),
                SourceRequest::Snapshot(snapshot) => {
                    // Whoever may launch an image gets what is on its data disks.
                    let owner = if image.has_data_of(*snapshot) { &image.account } else { account };
                    let snapshot = self.completed_snapshot(owner, *snapshot).await?;
                    (VolumeKind::Data, snapshot.size_mib, DiskContent::Snapshot { snapshot: snapshot.id })
                }
                SourceRequest::Ephemeral => {
                    let public_key = key.map(|key| format!("{} {}", key.public_key, key.name));
                    let usual = (instance_type.ephemeral_gib << 10).max(SMALLEST_MIB);
                    (VolumeKind::Ephemeral, usual, DiskContent::Ephemeral { public_key })
                }
                SourceRequest::Swap => {
                    let usual = if instance_type.swap_mib == 0 { SWAP_MIB } else { instance_type.swap_mib };
                    (VolumeKind::Swap, usual, DiskContent::Swap)
                }
            };
            let smallest = if kind == VolumeKind::Data { usual } else { SMALLEST_MIB };
            let size_mib = disk_size(wanted.size_gib, smallest, "disks")?;
            let size_mib = if wanted.size_gib.is_none() { usual } else { size_mib };
            let taken = |device: &str| disks.iter().any(|disk: &Disk| disk.device == device);
            let device = match &wanted.device {
                Some(device) if taken(device) => {
                    return Err(ComputeError::invalid("disks", format!("{device} is there twice")));
                }
                Some(device) => device.clone(),
                None => match usual_device(kind).filter(|device| !taken(device)) {
                    Some(device) => device,
                    None => free_device(taken)?,
                },
            };
            disks.push(Disk {
                kind,
                size_mib,
                content,
                device,
                // What comes with an instance goes with it.
                delete_with_instance: wanted.delete_with_instance || kind != VolumeKind::Data,
                category: wanted.category.clone(),
                name: wanted.name.clone(),
                image: None,
            });
        }
        Ok(disks)
    }

    pub(crate) async fn completed_snapshot(
        &self,
        account: &str,
        id: SnapshotId,
    ) -> Result<Snapshot, ComputeError> {
        let snapshot = self.get_owned::<Snapshot>(account, &id.to_string()).await?.value;
        if snapshot.state == SnapshotState::Completed {
            return Ok(snapshot);
        }
        let (state, wanted) = (format!("{:?}", snapshot.state).to_lowercase(), "completed");
        Err(ComputeError::WrongState { what: Snapshot::NAME, id: id.to_string(), state, wanted })
    }
}

/// The data disks of an image, but for those that are not wanted or asked for otherwise. What is on them is there as long as the
/// image is.
fn of_image<'a>(image: &'a Image, request: &'a InstanceRequest) -> impl Iterator<Item = Disk> + 'a {
    let named = request.disks.iter().filter_map(|wanted| wanted.device.as_ref());
    let otherwise: Vec<&String> = named.chain(&request.without).collect();
    let is_wanted = move |disk: &&ImageDisk| !otherwise.iter().any(|name| is_same_device(name, &disk.device));
    image.data_disks.iter().filter(is_wanted).map(|disk| Disk {
        kind: VolumeKind::Data,
        size_mib: disk.size_mib,
        content: match disk.snapshot {
            Some(snapshot) => DiskContent::Snapshot { snapshot },
            None => DiskContent::Blank,
        },
        device: disk.device.clone(),
        delete_with_instance: disk.delete_with_instance,
        category: disk.category.clone(),
        name: String::new(),
        image: None,
    })
}

/// What a cloud calls a disk that nobody has named: EC2 of 2007, whose images have a kernel of the host's, all of its own.
fn usual_device(cloud: Cloud, boot: &ImageBoot, kind: VolumeKind) -> Option<&'static str> {
    match (cloud, boot, kind) {
        (Cloud::Ec2, ImageBoot::Kernel { .. }, VolumeKind::System) => Some("/dev/sda1"),
        (Cloud::Ec2, ImageBoot::Kernel { .. }, VolumeKind::Ephemeral) => Some("/dev/sda2"),
        (Cloud::Ec2, ImageBoot::Kernel { .. }, VolumeKind::Swap) => Some("/dev/sda3"),
        (Cloud::Ec2, ImageBoot::Kernel { .. }, VolumeKind::Data) | (_, ImageBoot::Disk {}, _) => None,
        (Cloud::Native | Cloud::Alibaba | Cloud::Huawei, ImageBoot::Kernel { .. }, _) => None,
    }
}

/// The size of a disk, in MiB.
pub(crate) fn disk_size(
    wanted_gib: Option<u64>,
    smallest_mib: u64,
    parameter: &'static str,
) -> Result<u64, ComputeError> {
    match wanted_gib {
        None => Ok(smallest_mib),
        Some(gib) if gib == 0 || gib > MAX_VOLUME_GIB => {
            Err(ComputeError::invalid(parameter, format!("a disk has 1 to {MAX_VOLUME_GIB} GiB, not {gib}")))
        }
        Some(gib) if gib << 10 < smallest_mib => {
            let why =
                format!("{gib} GiB is too small for what is on it: {} GiB", smallest_mib.div_ceil(1024));
            Err(ComputeError::invalid(parameter, why))
        }
        Some(gib) => Ok(gib << 10),
    }
}

/// The next name of a disk that is not taken, as Linux would call it.
pub(crate) fn free_device(taken: impl Fn(&str) -> bool) -> Result<String, ComputeError> {
    let letters = || 'a'..='z';
    let names = letters()
        .skip(1)
        .map(|letter| format!("/dev/vd{letter}"))
        .chain(letters().flat_map(|first| letters().map(move |second| format!("/dev/vd{first}{second}"))));
    let mut free = names.filter(|name| !taken(name));
    free.next().ok_or(ComputeError::Limit { what: "disks of an instance", most: MAX_DISKS as u64 })
}
