//! Instances and what belongs to them, from being launched to being gone; and that no account sees another's.

use std::time::Duration;

use super::caller::{Answered, Caller, Host, Pairs};

/// Longest time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host with an image, its account's caller, and the image's id.
pub async fn host() -> (Host, Caller, String) {
    let host = Host::start().await;
    let image = host.node.image(&host.node.operator(), "debian").await;
    let caller = host.default_account().await;
    (host, caller, image)
}

/// An instance that runs.
pub async fn running(caller: &Caller, image: &str, more: Pairs<'_>) -> String {
    let pairs = [&[("ImageId", image), ("MinCount", "1"), ("MaxCount", "1")], more].concat();
    let made = caller.ec2("RunInstances", &pairs).await.ok();
    let id = made.all("instanceId").remove(0);
    until(caller, &id, "running").await;
    id
}

/// Waits until an instance is in this state.
pub async fn until(caller: &Caller, id: &str, state: &str) -> Answered {
    wait(caller, "DescribeInstances", &[("InstanceId.1", id)], state).await
}

/// Waits until an answer has this word among its states.
pub async fn wait(caller: &Caller, action: &str, more: Pairs<'_>, state: &str) -> Answered {
    let seen = async {
        loop {
            let answer = caller.ec2(action, more).await.ok();
            let states = ["name", "status", "imageState"].map(|name| answer.all(name)).concat();
            if states.iter().any(|seen| seen == state) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await;
    seen.unwrap_or_else(|_| panic!("{action} {more:?} does not become {state}"))
}

#[tokio::test]
async fn acting_tells_the_states_before_and_after_and_is_done_once() {
    let (_host, root, image) = host().await;
    let id = running(&root, &image, &[]).await;
    let one = [("InstanceId.1", id.as_str())];
    let change = |answer: &Answered| {
        let tag = |name: &str| answer.text.split(name).nth(1).unwrap_or_default().to_owned();
        let name = |text: String| text.split("<name>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        (name(tag("<previousState>")), name(tag("<currentState>")))
    };
    let states = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let started = root.ec2("StartInstances", &one).await.ok();
    assert_eq!(change(&started), states("running", "running"), "what runs is started already");
    let stopped = root.ec2("StopInstances", &[one[0], ("Force", "true")]).await.ok();
    assert_eq!(change(&stopped).0, "running");
    until(&root, &id, "stopped").await;
    assert_eq!(change(&root.ec2("StopInstances", &one).await.ok()), states("stopped", "stopped"));
    root.ec2("RebootInstances", &one).await.refused(400, "IncorrectInstanceState");
    // Once in a list is enough.
    let twice = [("InstanceId.1", id.as_str()), ("InstanceId.2", id.as_str())];
    let ended = root.ec2("TerminateInstances", &twice).await.ok();
    assert_eq!(ended.all("instanceId"), [id.as_str()]);
    until(&root, &id, "terminated").await;
    assert_eq!(change(&root.ec2("TerminateInstances", &one).await.ok()), states("terminated", "terminated"));
    for action in ["StartInstances", "StopInstances", "RebootInstances"] {
        root.ec2(action, &one).await.refused(400, "IncorrectInstanceState");
    }
}

#[tokio::test]
async fn what_cannot_be_done_with_one_is_done_with_none() {
    let (_host, root, image) = host().await;
    let (first, second) = (running(&root, &image, &[]).await, running(&root, &image, &[]).await);
    let protect = [("InstanceId", second.as_str()), ("DisableApiTermination.Value", "true")];
    root.ec2("ModifyInstanceAttribute", &protect).await.ok();
    let both = [("InstanceId.1", first.as_str()), ("InstanceId.2", second.as_str())];
    root.ec2("TerminateInstances", &both).await.refused(400, "OperationNotPermitted");
    let unknown = [("InstanceId.1", first.as_str()), ("InstanceId.2", "i-0000000a")];
    root.ec2("StopInstances", &unknown).await.refused(400, "InvalidInstanceID.NotFound");
    let tried = [("InstanceId.1", first.as_str()), ("DryRun", "true")];
    root.ec2("TerminateInstances", &tried).await.refused(412, "DryRunOperation");
    until(&root, &first, "running").await;
}

#[tokio::test]
async fn a_launch_is_repeated_by_its_token_only_as_it_was() {
    let (_host, root, image) = host().await;
    let more = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "2"), ("ClientToken", "t1")];
    let first = root.ec2("RunInstances", &more).await.ok();
    assert_eq!(root.ec2("RunInstances", &more).await.ok().all("instanceId"), first.all("instanceId"));
    let other = [more[0], more[1], ("MaxCount", "1"), more[3]];
    root.ec2("RunInstances", &other).await.refused(400, "IdempotentParameterMismatch");
    let shown =
        root.ec2("DescribeInstances", &[("Filter.1.Name", "client-token"), ("Filter.1.Value.1", "t1")]);
    assert_eq!(shown.await.ok().all("amiLaunchIndex"), ["0", "1"]);
}

#[tokio::test]
async fn pages_have_all_instances_once() {
    let (_host, root, image) = host().await;
    let many = [("ImageId", image.as_str()), ("MinCount", "7"), ("MaxCount", "7")];
    let mut made = root.ec2("RunInstances", &many).await.ok().all("instanceId");
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut page = vec![("MaxResults", "3")];
        page.extend(token.as_deref().map(|token| ("NextToken", token)));
        let answer = root.ec2("DescribeInstances", &page).await.ok();
        seen.extend(answer.all("instanceId"));
        match answer.all("nextToken").pop() {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    made.sort();
    seen.sort();
    assert_eq!(seen, made);
}

#[tokio::test]
async fn another_account_sees_nothing_and_changes_nothing() {
    let (host, root, image) = host().await;
    let id = running(&root, &image, &[]).await;
    let volume = root.ec2("DescribeVolumes", &[]).await.ok().all("volumeId").remove(0);
    let snapshot =
        root.ec2("CreateSnapshot", &[("VolumeId", &volume)]).await.ok().all("snapshotId").remove(0);
    let stranger = host.stranger().await;
    for action in
        ["DescribeInstances", "DescribeVolumes", "DescribeSnapshots", "DescribeImages", "DescribeTags"]
    {
        let answer = stranger.ec2(action, &[]).await.ok();
        assert!(!answer.text.contains("<item>"), "{action}: {}", answer.text);
    }
    let cases: &[(&str, Pairs<'_>, &str)] = &[
        ("DescribeInstances", &[("InstanceId.1", &id)], "InvalidInstanceID.NotFound"),
        ("TerminateInstances", &[("InstanceId.1", &id)], "InvalidInstanceID.NotFound"),
        ("GetConsoleOutput", &[("InstanceId", &id)], "InvalidInstanceID.NotFound"),
        ("CreateImage", &[("InstanceId", &id), ("Name", "x")], "InvalidInstanceID.NotFound"),
        ("DeleteVolume", &[("VolumeId", &volume)], "InvalidVolume.NotFound"),
        ("CreateSnapshot", &[("VolumeId", &volume)], "InvalidVolume.NotFound"),
        ("DeleteSnapshot", &[("SnapshotId", &snapshot)], "InvalidSnapshot.NotFound"),
        ("DeregisterImage", &[("ImageId", &image)], "InvalidAMIID.NotFound"),
        (
            "RunInstances",
            &[("ImageId", &image), ("MinCount", "1"), ("MaxCount", "1")],
            "InvalidAMIID.NotFound",
        ),
        ("CreateTags", &[("ResourceId.1", &id), ("Tag.1.Key", "a")], "InvalidInstanceID.NotFound"),
    ];
    for (action, more, code) in cases {
        stranger.ec2(action, more).await.refused(400, code);
    }
    // An image that is given to somebody may be launched, and no more.
    let user = stranger.account.to_string();
    let give = [("ImageId", image.as_str()), ("LaunchPermission.Add.1.UserId", &user)];
    root.ec2("ModifyImageAttribute", &give).await.ok();
    assert_eq!(stranger.ec2("DescribeImages", &[]).await.ok().all("imageId"), [image.as_str()]);
    running(&stranger, &image, &[]).await;
    stranger.ec2("DeregisterImage", &[("ImageId", &image)]).await.refused(400, "AuthFailure");
    let explicit = [("ExecutableBy.1", "self")];
    assert_eq!(stranger.ec2("DescribeImages", &explicit).await.ok().all("imageId"), [image.as_str()]);
}

#[tokio::test]
async fn an_image_of_an_instance_comes_with_its_snapshot() {
    let (host, root, image) = host().await;
    let id = running(&root, &image, &[]).await;
    let named = [("InstanceId", id.as_str()), ("Name", "golden")];
    let made = root.ec2("CreateImage", &named).await.ok().all("imageId").remove(0);
    let shown = wait(&root, "DescribeImages", &[("ImageId.1", &made)], "available").await;
    let snapshot = shown.all("snapshotId").remove(0);
    wait(&root, "DescribeSnapshots", &[("SnapshotId.1", &snapshot)], "completed").await;
    assert_eq!(host.node.world.real().snapshots.len(), 1);
    root.ec2("CreateImage", &named).await.refused(400, "InvalidAMIName.Duplicate");
    assert_eq!(
        root.ec2("DescribeSnapshots", &[]).await.ok().all("snapshotId").len(),
        1,
        "none is left of it"
    );
}

#[tokio::test]
async fn a_snapshot_stays_as_long_as_there_is_an_image_of_it() {
    let (_host, root, image) = host().await;
    let id = running(&root, &image, &[]).await;
    let made = [("InstanceId", id.as_str()), ("Name", "golden")];
    let golden = root.ec2("CreateImage", &made).await.ok().all("imageId").remove(0);
    let shown = wait(&root, "DescribeImages", &[("ImageId.1", &golden)], "available").await;
    let snapshot = shown.all("snapshotId").remove(0);
    wait(&root, "DescribeSnapshots", &[("SnapshotId.1", &snapshot)], "completed").await;
    let same = [
        ("Name", "same"),
        ("RootDeviceName", "/dev/sda1"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
        ("BlockDeviceMapping.1.Ebs.SnapshotId", &snapshot),
    ];
    let same = root.ec2("RegisterImage", &same).await.ok().all("imageId").remove(0);
    wait(&root, "DescribeImages", &[("ImageId.1", &same)], "available").await;

    let delete = [("SnapshotId", snapshot.as_str())];
    root.ec2("DeleteSnapshot", &delete).await.refused(400, "InvalidSnapshot.InUse");
    let with_it = [("ImageId", golden.as_str()), ("DeleteAssociatedSnapshots", "true")];
    let told = root.ec2("DeregisterImage", &with_it).await.ok();
    assert_eq!(told.all("returnCode"), ["skipped"], "the other image has it");
    root.ec2("DeleteSnapshot", &delete).await.refused(400, "InvalidSnapshot.InUse");
    let with_it = [("ImageId", same.as_str()), ("DeleteAssociatedSnapshots", "true")];
    let told = root.ec2("DeregisterImage", &with_it).await.ok();
    assert_eq!(told.all("returnCode"), ["success"]);
}

#[tokio::test]
async fn an_image_has_all_volumes_of_its_instance() {
    let (_host, root, image) = host().await;
    let data = [
        ("BlockDeviceMapping.1.DeviceName", "/dev/sdf"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "2"),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "false"),
        ("BlockDeviceMapping.2.DeviceName", "/dev/sdg"),
        ("BlockDeviceMapping.2.Ebs.VolumeSize", "3"),
    ];
    let id = running(&root, &image, &data).await;
    let made = [
        ("InstanceId", id.as_str()),
        ("Name", "golden"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/sdg"),
        ("BlockDeviceMapping.1.NoDevice", ""),
        ("BlockDeviceMapping.2.DeviceName", "/dev/sdh"),
        ("BlockDeviceMapping.2.Ebs.VolumeSize", "5"),
    ];
    let golden = root.ec2("CreateImage", &made).await.ok().all("imageId").remove(0);
    let shown = wait(&root, "DescribeImages", &[("ImageId.1", &golden)], "available").await;
    assert_eq!(shown.all("deviceName"), ["/dev/sda1", "/dev/sdf", "/dev/sdh"]);
    assert_eq!(shown.all("volumeSize"), ["2", "2", "5"]);
    assert_eq!(shown.all("deleteOnTermination"), ["true", "false", "true"]);
    let snapshots = shown.all("snapshotId");
    assert_eq!(snapshots.len(), 2, "nothing is on the third");
    let filter = [
        ("Filter.1.Name", "block-device-mapping.snapshot-id"),
        ("Filter.1.Value.1", &snapshots[1]),
        ("Filter.2.Name", "block-device-mapping.volume-size"),
        ("Filter.2.Value.1", "5"),
    ];
    assert_eq!(root.ec2("DescribeImages", &filter).await.ok().all("imageId"), [golden.as_str()]);

    // What is not said of a disk is as the image has it.
    let more = [
        ("BlockDeviceMapping.1.DeviceName", "/dev/sdf"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "4"),
        ("BlockDeviceMapping.2.DeviceName", "/dev/sdh"),
        ("BlockDeviceMapping.2.NoDevice", ""),
    ];
    let id = running(&root, &golden, &more).await;
    let of_it = [("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", id.as_str())];
    let volumes = root.ec2("DescribeVolumes", &of_it).await.ok();
    let mut sizes = volumes.all("size");
    sizes.sort();
    assert_eq!(sizes, ["2", "4"]);
    assert!(volumes.all("snapshotId").contains(&snapshots[1]), "{}", volumes.text);
    let shown = root.ec2("DescribeInstances", &[("InstanceId.1", &id)]).await.ok();
    assert_eq!(shown.all("deleteOnTermination")[..2], ["true", "false"]);

    // Of the same snapshots by hand.
    let same = [
        ("Name", "same"),
        ("RootDeviceName", "/dev/sda1"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
        ("BlockDeviceMapping.1.Ebs.SnapshotId", &snapshots[0]),
        ("BlockDeviceMapping.2.DeviceName", "/dev/sdf"),
        ("BlockDeviceMapping.2.Ebs.SnapshotId", &snapshots[1]),
    ];
    let same = root.ec2("RegisterImage", &same).await.ok().all("imageId").remove(0);
    let shown = wait(&root, "DescribeImages", &[("ImageId.1", &same)], "available").await;
    assert_eq!(shown.all("snapshotId"), snapshots);
    for (image, code) in [(&golden, "skipped"), (&same, "success")] {
        let with_all = [("ImageId", image.as_str()), ("DeleteAssociatedSnapshots", "true")];
        assert_eq!(root.ec2("DeregisterImage", &with_all).await.ok().all("returnCode"), [code, code]);
    }
}
