//! What hosts live through, from the first start of a daemon to an empty host. A daemon may die anywhere in them.

use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::time::Instant;

use native_api::InstanceState::{Failed, Running, Stopped, Terminated};
use native_api::{Operation, VolumeState};
use serde_json::{Value, json};

use crate::node::{LOOK, PATIENCE};
use crate::story::Story;

/// A story, which may be lived several times.
pub type Tell = for<'a> fn(&'a mut Story) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// All of them.
pub const STORIES: &[(&str, Tell)] = &[
    ("a life", |story| Box::pin(a_life(story))),
    ("an image of a snapshot", |story| Box::pin(an_image_of_a_snapshot(story))),
    ("guests by themselves", |story| Box::pin(guests_by_themselves(story))),
    ("a network of its own", |story| Box::pin(a_network_of_its_own(story))),
    ("a cleared host", |story| Box::pin(a_cleared_host(story))),
    ("older records", |story| Box::pin(older_records(story))),
];

/// Everything that is asked of a daemon, in an order that makes sense.
async fn a_life(story: &mut Story) {
    story.start().await;
    let image = story.import_disk("disk").await;
    let with_kernel = story.import_kernel("kernel", "console=ttyS0").await;
    story.import_url("fetched").await;
    assert!(story.image(&image).await.bytes.is_some_and(|bytes| bytes == 256 << 10));
    let key = story.create_key("key").await;

    let data = json!([{"content": "blank", "size_gib": 1, "delete_with_instance": false}]);
    let two = story
        .launch(json!({
            "image": image, "instance_type": "tiny", "count": {"min": 2, "max": 2}, "key_pair": "key", "name": "pair",
            "data_disks": data, "user_data": "I2Nsb3VkLWNvbmZpZwo=",
        }))
        .await;
    let [first, second] = &two[..] else { panic!("{two:?}") };
    story.runs(first).await;
    story.runs(second).await;
    let one = story.launch(json!({"image": with_kernel, "instance_type": "tiny"})).await;
    story.runs(&one[0]).await;

    story.act(first, Operation::RebootInstance, false, Running).await;
    story.act(second, Operation::RebootInstance, true, Running).await;

    let volume = story.create_volume("volume").await;
    story.act(first, Operation::StopInstance, false, Stopped).await;
    let attach = json!({"instance": first});
    story.change_volume(&volume, Operation::AttachVolume, attach, VolumeState::InUse).await;
    story.act(first, Operation::StartInstance, false, Running).await;
    story.act(second, Operation::StopInstance, true, Stopped).await;

    // Of a disk that a guest writes to, and of one that nobody has.
    let system = story.instance(first).await.disks[0].volume.clone();
    let snapshot = story.snapshot(&system).await;
    story.act(first, Operation::StopInstance, false, Stopped).await;
    let no_force = json!({"force": false});
    story.change_volume(&volume, Operation::DetachVolume, no_force, VolumeState::Available).await;
    let larger = json!({"size_gib": 2});
    story.change_volume(&volume, Operation::UpdateVolume, larger, VolumeState::Available).await;
    story.snapshot(&volume).await;
    story.delete("volume", volume.as_str()).await;

    story.act(second, Operation::TerminateInstance, false, Terminated).await;
    story.delete("snapshot", snapshot.as_str()).await;
    story.delete("key", &key).await;
    story.end().await;
}

/// An image is made of what is on a disk. A story of its own, as a whole disk is hashed for it.
async fn an_image_of_a_snapshot(story: &mut Story) {
    story.start().await;
    let image = story.import_disk("disk").await;
    let original = story.launch(json!({"image": image, "instance_type": "tiny"})).await;
    story.runs(&original[0]).await;
    let system = story.instance(&original[0]).await.disks[0].volume.clone();
    let snapshot = story.snapshot(&system).await;
    let copy = story.create_image("copy", &snapshot).await;
    let copied = story.launch(json!({"image": copy, "instance_type": "tiny"})).await;
    story.runs(&copied[0]).await;
    story.end().await;
}

/// Guests that reboot, power off, and die.
async fn guests_by_themselves(story: &mut Story) {
    story.start().await;
    let mut launched = Vec::new();
    for words in ["fake:reboot-after-ms=100", "fake:power-off-after-ms=100", "fake:die-after-ms=100"] {
        let image = story.import_kernel(&words[5..words.len() - 4], words).await;
        launched.extend(story.launch(json!({"image": image, "instance_type": "tiny"})).await);
    }
    let [reboots, off, dies] = &launched[..] else { panic!("{launched:?}") };
    let off = story.reaches(off, Stopped).await;
    assert!(off.state_reason.is_some(), "{off:?}");
    let dead = story.reaches(dies, Failed).await;
    let reason = dead.state_reason.clone().unwrap_or_default();
    // Its signal is known to its parent alone, and that may be dead.
    assert!(reason.starts_with("its VMM ended"), "{dead:?}");

    story.runs(reboots).await;
    let record = story.node.path().join("run/vmms").join(reboots.as_str()).join("vmm.json");
    // By a daemon or the next one: asking it something shows that one is there.
    let deadline = Instant::now() + PATIENCE;
    while !was_seen(&record) {
        assert!(Instant::now() < deadline, "the reboot was never noted\n{}", story.node.log());
        story.instance(reboots).await;
        tokio::time::sleep(LOOK).await;
    }
    story.end().await;
}

/// Whether the daemon has dealt with something that the VMM told.
fn was_seen(record: &Path) -> bool {
    let record: Option<Value> = fs::read(record).ok().and_then(|text| serde_json::from_slice(&text).ok());
    record.is_some_and(|record| record["seen"].as_u64().is_some_and(|seen| seen > 0))
}

/// An instance in a VPC, whose group lets something in while it runs.
async fn a_network_of_its_own(story: &mut Story) {
    story.start().await;
    let image = story.import_disk("disk").await;
    let vpc =
        story.create_once("vpc", Operation::CreateVpc, json!({"name": "own", "cidr": "10.0.0.0/16"})).await;
    let subnet = json!({"name": "own", "vpc": vpc, "cidr": "10.0.1.0/24"});
    let subnet = story.create_once("subnet", Operation::CreateSubnet, subnet).await;
    let rule = json!({"direction": "ingress", "protocol": "tcp", "ports": {"from": 22, "to": 22}, "peer": {"cidr": "0.0.0.0/0"}});
    let group = json!({"name": "own", "vpc": vpc});
    let group = story.create_once("group", Operation::CreateSecurityGroup, group).await;
    // With its metadata on a disk, too.
    let request = json!({"image": image, "instance_type": "tiny", "subnet": subnet, "security_groups": [group],
        "cloud": "huawei", "config_drive": true});
    let inside = story.launch(request).await;
    let outside = story.launch(json!({"image": image, "instance_type": "tiny"})).await;
    story.runs(&inside[0]).await;
    story.runs(&outside[0]).await;
    story.add_rule(&group, rule).await;
    story.act(&inside[0], Operation::RebootInstance, true, Running).await;
    story.act(&inside[0], Operation::TerminateInstance, true, Terminated).await;
    for (kind, id) in [("group", &group), ("subnet", &subnet), ("vpc", &vpc)] {
        story.delete(kind, id).await;
    }
    story.end().await;
}

/// A host is cleared while instances run, and its daemon starts again.
async fn a_cleared_host(story: &mut Story) {
    story.start_for_good().await;
    let image = story.import_disk("disk").await;
    let stays = json!({"start": true, "after_host_reboot": "stop"});
    let [again, not] =
        [json!({}), stays].map(|rules| json!({"image": image, "instance_type": "tiny", "rules": rules}));
    let (again, not) = (story.launch(again).await, story.launch(not).await);
    let ((again, not), user_data) = ((&again[0], &not[0]), "I2Nsb3VkLWNvbmZpZwo=");
    let seeded = json!({"image": image, "instance_type": "tiny", "user_data": user_data});
    let seeded = story.launch(seeded).await;
    for id in [again, not, &seeded[0]] {
        story.runs(id).await;
    }
    story.stop().await;
    story.clear();
    assert!(story.node.vmms().is_empty());
    for id in [again, not, &seeded[0]] {
        story.may_change(id);
    }
    let left = story.node.leavings();
    let state = |file: &String| file.starts_with("file state/");
    assert!(left.iter().all(state), "only the state is left: {left:#?}");

    story.start_for_good().await;
    story.runs(again).await;
    story.runs(&seeded[0]).await;
    story.reaches(not, Stopped).await;
    story.end().await;
}

/// The records are those of a copy that was made before instances were launched: what is on none of them goes.
async fn older_records(story: &mut Story) {
    story.start_for_good().await;
    let image = story.import_disk("disk").await;
    let known = story.launch(json!({"image": image, "instance_type": "tiny"})).await;
    story.runs(&known[0]).await;
    story.stop().await;
    let (state, older) = (story.node.path().join("state"), story.node.path().join("older"));
    fs::create_dir(&older).unwrap();
    let move_records = |from: &Path, to: &Path| {
        for entry in fs::read_dir(from).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("records") {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    };
    move_records(&state, &older);

    story.start_for_good().await;
    let facts = story.facts();
    let other = story.import_kernel("kernel", "").await;
    let lost = story.launch(json!({"image": other, "instance_type": "tiny"})).await;
    story.runs(&lost[0]).await;
    let volume = story.create_volume("lost").await;
    story.snapshot(&volume).await;
    story.node.kill().await;
    story.restore(facts);
    for entry in fs::read_dir(&state).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("records") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    move_records(&older, &state);

    story.start().await;
    assert_eq!(story.node.vmms().keys().collect::<Vec<_>>(), [known[0].as_str()]);
    story.end().await;
}
