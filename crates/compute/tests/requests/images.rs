//! Images of volumes: the image and its snapshot are asked for at once, and are both there or neither is.

use compute::compute::{ComputeError, NewImage, NewSnapshot};
use compute::resource::{ImageState, SnapshotState};

use super::host::{Host, request};

#[tokio::test]
async fn an_image_of_a_volume_has_a_snapshot_that_stays() {
    let host = Host::start().await;
    let (compute, account) = (&host.compute, &host.accounts[0]);
    let image = host.image(None).await;
    let instance = host.launch(account, request(image)).await;
    let snapshot = NewSnapshot::of(instance.disks[0].volume);
    let new = NewImage { name: "golden".to_owned(), ..NewImage::default() };
    let (made, job) = compute.image_of_volume(account, &new, &snapshot).await.unwrap();
    let made = made.unwrap();
    assert_eq!(made.state, ImageState::Pending);
    let taken = made.snapshot.unwrap();
    while compute.job(account, job.id).await.unwrap().ended.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(compute.image(account, made.id).await.unwrap().state, ImageState::Available);
    assert_eq!(compute.snapshot(account, taken).await.unwrap().state, SnapshotState::Completed);
    compute.delete_snapshot(account, taken).await.unwrap();

    // A name that is taken leaves no snapshot.
    let twice = compute.image_of_volume(account, &new, &snapshot).await;
    assert!(matches!(twice, Err(ComputeError::Exists { what: "image", .. })), "{twice:?}");
    let left = compute.snapshots(account, None, 10, |snapshot| snapshot.id != taken).await.unwrap();
    assert!(left.items.is_empty(), "{left:?}");
}
