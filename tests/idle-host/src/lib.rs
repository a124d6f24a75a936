//! A host without machines, networks and disks, which says that it did whatever it is asked: for tests of what stands in front
//! of the core and asks for records only, as the metadata and the name service do. Nothing is noted; who has to see what is
//! asked of a host has a world of his own.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::Duration;

use compute::id::{InstanceId, InterfaceId, JobId, SnapshotId, VolumeId, VpcId};
use compute::lifecycle::Report;
use compute::outside::{
    Beginning, ConnectError, Connection, Console, ConsoleOutput, DiskContent, Disks, GroupCounts, GroupPlan,
    GuardPlan, HostError, ImportedDisk, MachineMetrics, MachinePlan, Machines, NetworkPlan, Networks,
    PresentDisks, Progressing, Sight, UrlSource,
};
use compute::store::Answer;

/// The host. Whatever is asked of it is done.
#[derive(Clone, Copy, Debug)]
pub struct IdleHost;

type Did<'a, T> = Answer<'a, Result<T, HostError>>;

fn did<'a, T: Send + 'a>(value: T) -> Did<'a, T> {
    Box::pin(async { Ok(value) })
}

impl Machines for IdleHost {
    fn boot<'a>(&'a self, _: &'a MachinePlan) -> Did<'a, ()> {
        did(())
    }
    fn look(&self, _: InstanceId) -> Answer<'_, Sight> {
        Box::pin(async { Sight { report: Report::Running, reason: String::new() } })
    }
    fn press_power_button(&self, _: InstanceId) -> Answer<'_, Result<(), Sight>> {
        Box::pin(async { Ok(()) })
    }
    fn reset(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn pause(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn resume(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn set_hop_limit(&self, _: InstanceId, _: usize, _: u8) -> Did<'_, ()> {
        did(())
    }
    fn kill(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn clean_up(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn forget(&self, _: InstanceId) -> Did<'_, ()> {
        did(())
    }
    fn console(&self, _: InstanceId, _: Option<u64>, _: usize) -> Did<'_, ConsoleOutput> {
        did(ConsoleOutput::default())
    }
    fn wait_console(&self, _: InstanceId, _: u64) -> Did<'_, ()> {
        did(())
    }
    fn attach_console(&self, _: InstanceId, _: Option<u64>) -> Did<'_, Box<dyn Console>> {
        Box::pin(async { Err(HostError::Refused("there is none".to_owned())) })
    }
    fn metrics(&self, _: InstanceId) -> Did<'_, MachineMetrics> {
        did(MachineMetrics::default())
    }
    fn present(&self) -> Did<'_, Vec<InstanceId>> {
        did(Vec::new())
    }
}

impl Networks for IdleHost {
    fn guard<'a>(&'a self, _: NetworkPlan, _: &'a GuardPlan) -> Did<'a, ()> {
        did(())
    }
    fn counts<'a>(&'a self, _: NetworkPlan, _: &'a GroupPlan) -> Did<'a, GroupCounts> {
        did(GroupCounts::default())
    }
    fn connect(
        &self,
        _: NetworkPlan,
        _: InterfaceId,
        _: SocketAddrV4,
        _: Duration,
    ) -> Answer<'_, Result<Box<dyn Connection>, ConnectError>> {
        Box::pin(async { Err(ConnectError::Refused) })
    }
    fn remove(&self, _: VpcId) -> Did<'_, ()> {
        did(())
    }
    fn present(&self) -> Did<'_, Vec<VpcId>> {
        did(Vec::new())
    }
}

impl Disks for IdleHost {
    fn create<'a>(&'a self, _: VolumeId, _: u64, _: &'a DiskContent) -> Did<'a, ()> {
        did(())
    }
    fn grow(&self, _: VolumeId, _: u64) -> Did<'_, ()> {
        did(())
    }
    fn delete(&self, _: VolumeId) -> Did<'_, ()> {
        did(())
    }
    fn snapshots_at_once(&self) -> bool {
        true
    }
    fn snapshot(&self, _: VolumeId, _: SnapshotId) -> Did<'_, ()> {
        did(())
    }
    fn delete_snapshot(&self, _: SnapshotId) -> Did<'_, ()> {
        did(())
    }
    fn import<'a>(&'a self, _: &'a Path, _: Option<&'a str>, _: Progressing) -> Did<'a, ImportedDisk> {
        did(ImportedDisk { sha256: format!("{:064x}", 0xabc), bytes: 1 << 30 })
    }
    fn peek<'a>(&'a self, _: &'a UrlSource, bytes: usize) -> Did<'a, Beginning> {
        did(Beginning { bytes: vec![0; bytes], of: None })
    }
    fn fetch<'a>(&'a self, _: JobId, _: &'a UrlSource, _: Progressing) -> Did<'a, PathBuf> {
        did(PathBuf::from("/fetched"))
    }
    fn delete_fetched(&self, _: JobId) -> Did<'_, ()> {
        did(())
    }
    fn image_of(&self, _: SnapshotId, _: Progressing) -> Did<'_, ImportedDisk> {
        did(ImportedDisk { sha256: format!("{:064x}", 0xdef), bytes: 1 << 30 })
    }
    fn delete_image<'a>(&'a self, _: &'a str) -> Did<'a, ()> {
        did(())
    }
    fn keep_file<'a>(&'a self, file: &'a Path) -> Did<'a, PathBuf> {
        did(file.to_owned())
    }
    fn delete_file<'a>(&'a self, _: &'a Path) -> Did<'a, ()> {
        did(())
    }
    fn present(&self) -> Did<'_, PresentDisks> {
        did(PresentDisks::default())
    }
    fn free_bytes(&self) -> Did<'_, u64> {
        did(1 << 40)
    }
}
