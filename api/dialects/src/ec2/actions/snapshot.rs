//! A snapshot: what is shown of it, and what it is filtered by.

use compute::resource::{Snapshot, SnapshotState};

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{states, tags, time};

/// What is shown of a snapshot.
pub fn view(snapshot: &Snapshot) -> Tree {
    Tree::new()
        .text("snapshotId", snapshot.id.written())
        .text("volumeId", snapshot.volume.written())
        .text_if("status", states::snapshot(snapshot.state))
        .text("startTime", time::written(snapshot.created))
        .text("progress", progress(snapshot))
        .text("ownerId", &snapshot.account)
        .text("volumeSize", gib(snapshot))
        .text("description", &snapshot.description)
        .and(tags::set(Tree::new(), &snapshot.tags))
        .text("encrypted", false)
        .text("storageTier", "standard")
}

fn progress(snapshot: &Snapshot) -> &'static str {
    if snapshot.state == SnapshotState::Completed { "100%" } else { "0%" }
}

/// Its volume's size, in GiB.
fn gib(snapshot: &Snapshot) -> u64 {
    snapshot.size_mib.div_ceil(1024)
}

/// What snapshots can be filtered by besides tags.
pub const FILTERS: &[&str] = &[
    "description",
    "encrypted",
    "owner-alias",
    "owner-id",
    "progress",
    "snapshot-id",
    "start-time",
    "status",
    "storage-tier",
    "transfer-type",
    "volume-id",
    "volume-size",
];

/// What a snapshot has by the name of a filter.
pub fn fields(snapshot: &Snapshot, name: &str) -> Option<String> {
    match name {
        "description" => Some(snapshot.description.clone()),
        "encrypted" => Some("false".to_owned()),
        "owner-id" => Some(snapshot.account.clone()),
        "progress" => Some(progress(snapshot).to_owned()),
        "snapshot-id" => Some(snapshot.id.written()),
        "start-time" => Some(time::written(snapshot.created)),
        "status" => states::snapshot(snapshot.state).map(str::to_owned),
        "storage-tier" => Some("standard".to_owned()),
        "volume-id" => Some(snapshot.volume.written()),
        "volume-size" => Some(gib(snapshot).to_string()),
        _ => None,
    }
}
