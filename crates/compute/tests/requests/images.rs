//! Images of volumes: the image and its snapshots are asked for at once, and are all there or none is.

use compute::compute::{
    ComputeError, DiskRequest, ImageChange, ImageDiskContent, InstanceRequest, NewImage, NewImageDisk,
    NewSnapshot, SourceRequest,
};
use compute::id::{ImageId, JobId, SnapshotId};
use compute::outside::DiskContent;
use compute::resource::{Image, ImageState, Instance, SnapshotState, Volume};

use super::host::{Host, request};

#[tokio::test]
async fn an_image_of_a_volume_has_a_snapshot_that_stays() {
    let host = Host::start().await;
    let (compute, account) = (&host.compute, &host.accounts[0]);
    let image = host.image(None).await;
    let instance = host.launch(account, request(image)).await;
    let snapshot = NewSnapshot::of(instance.disks[0].volume);
    let new = NewImage { name: "golden".to_owned(), ..NewImage::default() };
    let (made, job) = compute.image_of_volume(account, &new, &snapshot, &[]).await.unwrap();
    let made = made.unwrap();
    assert_eq!(made.state, ImageState::Pending);
    let taken = made.snapshot.unwrap();
    ended(&host, account, job.id).await;
    assert_eq!(compute.image(account, made.id).await.unwrap().state, ImageState::Available);
    assert_eq!(compute.snapshot(account, taken).await.unwrap().state, SnapshotState::Completed);
    compute.delete_snapshot(account, taken).await.unwrap();

    // A name that is taken leaves no snapshot.
    let twice = compute.image_of_volume(account, &new, &snapshot, &[]).await;
    assert!(matches!(twice, Err(ComputeError::Exists { what: "image", .. })), "{twice:?}");
    let left = compute.snapshots(account, None, 10, |snapshot| snapshot.id != taken).await.unwrap();
    assert!(left.items.is_empty(), "{left:?}");
}

async fn ended(host: &Host, account: &str, job: JobId) {
    while host.compute.job(account, job).await.unwrap().ended.is_none() {
        tokio::task::yield_now().await;
    }
}

fn data_disk(device: &str, content: ImageDiskContent, size_gib: Option<u64>) -> NewImageDisk {
    NewImageDisk {
        device: device.to_owned(),
        content,
        size_gib,
        delete_with_instance: false,
        category: "gp3".to_owned(),
    }
}

/// An image of an instance's system disk, with a data disk `/dev/sdf` that has what is on the instance's own, of 2 GiB, and a
/// blank one `/dev/sdg`.
async fn with_data(host: &Host, account: &str) -> Image {
    let image = host.image(None).await;
    let disk =
        DiskRequest { size_gib: Some(2), device: Some("/dev/sdf".to_owned()), ..DiskRequest::default() };
    let instance = host.launch(account, InstanceRequest { disks: vec![disk], ..request(image) }).await;
    let [system, data] = [0, 1].map(|index| NewSnapshot::of(instance.disks[index].volume));
    let new = NewImage { name: "golden".to_owned(), ..NewImage::default() };
    let data = [
        data_disk("/dev/sdf", ImageDiskContent::Volume(data), None),
        data_disk("/dev/sdg", ImageDiskContent::Blank, Some(3)),
    ];
    let (made, job) = host.compute.image_of_volume(account, &new, &system, &data).await.unwrap();
    ended(host, account, job.id).await;
    host.compute.image(account, made.unwrap().id).await.unwrap()
}

/// Names, sizes in GiB and snapshots of an instance's data disks, and whether they go with it.
async fn data_of(host: &Host, instance: &Instance) -> Vec<(String, u64, Option<SnapshotId>, bool)> {
    let mut seen = Vec::new();
    for disk in &instance.disks[1..] {
        let volume: Volume = host.compute.volume(&instance.account, disk.volume).await.unwrap();
        let snapshot = match volume.content {
            DiskContent::Snapshot { snapshot } => Some(snapshot),
            _ => None,
        };
        seen.push((disk.device.clone(), volume.size_gib(), snapshot, disk.delete_with_instance));
    }
    seen
}

#[tokio::test]
async fn whoever_launches_an_image_gets_its_data_disks() {
    let host = Host::start().await;
    let [account, other] = &host.accounts;
    let image = with_data(&host, account).await;
    assert_eq!(image.state, ImageState::Available);
    let snapshot = image.data_disks[0].snapshot.unwrap();
    for id in [snapshot, image.snapshot.unwrap()] {
        assert_eq!(host.compute.snapshot(account, id).await.unwrap().state, SnapshotState::Completed);
    }
    let share = ImageChange { permit: [other.clone()].into(), ..ImageChange::default() };
    host.compute.change_image(account, image.id, &share).await.unwrap();

    let of_both = |sdf: u64| {
        vec![("/dev/sdf".to_owned(), sdf, Some(snapshot), false), ("/dev/sdg".to_owned(), 3, None, false)]
    };
    let instance = host.launch(other, request(image.id)).await;
    assert_eq!(data_of(&host, &instance).await, of_both(2));

    // Left out, and of another size: what is on it is the image's, which the other account could not name by itself.
    let disks = vec![DiskRequest {
        size_gib: Some(4),
        device: Some("sdf".to_owned()),
        content: SourceRequest::Snapshot(snapshot),
        ..DiskRequest::default()
    }];
    let without = vec!["/dev/sdg".to_owned()];
    let wanted = InstanceRequest { disks: disks.clone(), without, ..request(image.id) };
    let instance = host.launch(other, wanted).await;
    assert_eq!(data_of(&host, &instance).await, [("sdf".to_owned(), 4, Some(snapshot), false)]);
    let plain = host.image(Some("")).await;
    let wanted = InstanceRequest { disks, ..request(plain) };
    let refused = host.try_launch(other, vec![wanted]).await.unwrap_err();
    assert!(matches!(refused, ComputeError::NotFound { what: "snapshot", .. }), "{refused:?}");
}

#[tokio::test]
async fn a_snapshot_stays_as_long_as_instances_get_disks_of_it() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = with_data(&host, account).await;
    let snapshot = image.data_disks[0].snapshot.unwrap();
    // Others that only boot from it do not hide the one that has it for a data disk, whichever comes first.
    for number in 0..8 {
        let new = NewImage { name: format!("boots from it {number}"), ..NewImage::default() };
        let (_, job) = host.compute.image_of_snapshot(account, &new, snapshot, &[]).await.unwrap();
        ended(&host, account, job.id).await;
    }
    let in_use = host.compute.delete_snapshot(account, snapshot).await.unwrap_err();
    let by_image =
        matches!(&in_use, ComputeError::InUse { what: "snapshot", by, .. } if *by == image.id.to_string());
    assert!(by_image, "{in_use:?}");
    host.compute.delete_image(account, image.id).await.unwrap();
    host.compute.delete_snapshot(account, snapshot).await.unwrap();
}

#[tokio::test]
async fn data_disks_that_cannot_be_leave_nothing() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(None).await;
    let instance = host.launch(account, request(image)).await;
    let system = NewSnapshot::of(instance.disks[0].volume);
    let new = NewImage { name: "golden".to_owned(), ..NewImage::default() };
    let blank = |device: &str| data_disk(device, ImageDiskContent::Blank, None);
    let of_volume = data_disk("/dev/sdf", ImageDiskContent::Volume(system.clone()), None);
    let foreign = ImageDiskContent::Snapshot(SnapshotId::draw());
    let many: Vec<_> = (0..60).map(|number| blank(&format!("/dev/disk{number}"))).collect();
    for data in [
        vec![of_volume.clone(), blank("sdf")],
        vec![of_volume.clone(), data_disk("/dev/sdg", foreign, None)],
        vec![NewImageDisk { size_gib: Some(0), ..of_volume }],
        many,
    ] {
        host.compute.image_of_volume(account, &new, &system, &data).await.unwrap_err();
    }
    let all = |_: &_| true;
    assert!(host.compute.snapshots(account, None, 10, all).await.unwrap().items.is_empty());
    let is_new = |image: &Image| image.name == "golden";
    let images = host.compute.images(account, None, 10, is_new).await.unwrap();
    assert_eq!(images.items.iter().map(|image| image.id).collect::<Vec<ImageId>>(), []);
}
