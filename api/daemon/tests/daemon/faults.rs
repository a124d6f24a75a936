//! What happens to a host and to its guests without anybody asking for it: the power fails, VMMs die, the disk is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use native_api::InstanceState::{Failed, Running, Stopped, Terminated};
use native_api::{ErrorBody, ErrorCode, Instance, InstanceId, Job, JobState, Operation, Volume};
use serde_json::{Value, json};

use crate::node::{in_namespace, mount_tmpfs, until};
use crate::story::Story;

/// Launches an instance with these rules.
async fn with_rules(story: &mut Story, image: &native_api::ImageId, rules: Value) -> InstanceId {
    let launched = story.launch(json!({"image": image, "instance_type": "tiny", "rules": rules})).await;
    launched[0].clone()
}

#[test]
fn after_a_reboot_of_the_host_instances_go_on_as_they_were_told_to() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        story.start().await;
        let image = story.import_disk("disk").await;
        let mut instances = Vec::new();
        for rule in ["start", "stop", "terminate", "start"] {
            instances.push(with_rules(&mut story, &image, json!({"after_host_reboot": rule})).await);
        }
        let [starts, stops, terminates, stopped] = &instances[..] else { panic!("{instances:?}") };
        for id in &instances {
            story.runs(id).await;
        }
        story.act(stopped, Operation::StopInstance, false, Stopped).await;
        let before = story.node.vmms();

        story.node.lose_power().await;
        instances.iter().for_each(|id| story.may_change(id));
        story.start().await;
        let after = story.reaches(stops, Stopped).await;
        assert!(after.state_reason.is_some(), "{after:?}");
        story.reaches(terminates, Terminated).await;
        story.runs(starts).await;
        story.reaches(stopped, Stopped).await;
        let now = story.node.vmms();
        assert_eq!(now.keys().collect::<Vec<_>>(), [starts.as_str()]);
        assert_ne!(now[starts.as_str()], before[starts.as_str()]);
        story.end().await;
    });
}

#[test]
fn what_becomes_of_an_instance_whose_vmm_dies_is_as_it_was_told_and_why_is_kept() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        story.start().await;
        let image = story.import_disk("disk").await;
        let mut instances = Vec::new();
        for rule in ["report", "restart", "terminate"] {
            instances.push(with_rules(&mut story, &image, json!({"on_failure": rule})).await);
        }
        let [reports, restarts, terminates] = &instances[..] else { panic!("{instances:?}") };
        for id in &instances {
            story.runs(id).await;
        }
        let before = story.node.vmms();
        for id in &instances {
            story.may_change(id);
            kill(before[id.as_str()][0]);
        }
        let reason = |instance: &Instance| instance.state_reason.clone().unwrap_or_default();
        let failed = story.reaches(reports, Failed).await;
        assert!(reason(&failed).contains("signal: 9"), "{failed:?}");
        let gone = story.reaches(terminates, Terminated).await;
        assert!(reason(&gone).contains("signal: 9"), "{gone:?}");
        let path = story.node.path().to_owned();
        let old = before[restarts.as_str()].clone();
        until("another VMM", || {
            let vmms = crate::host::processes(&path, false);
            vmms.get(restarts.as_str()).is_some_and(|new| *new != old).then_some(())
        })
        .await;
        story.runs(restarts).await;

        // While nobody looks, too; and a daemon that comes later still knows what the one before knew.
        let pid = story.node.vmms()[restarts.as_str()][0];
        story.node.kill().await;
        story.may_change(restarts);
        kill(pid);
        story.start().await;
        assert_eq!(reason(&story.reaches(reports, Failed).await), reason(&failed));
        assert_eq!(reason(&story.reaches(terminates, Terminated).await), reason(&gone));
        story.runs(restarts).await;
        story.act(reports, Operation::StartInstance, false, Running).await;
        story.end().await;
    });
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_full_disk_fails_the_one_request_and_nothing_else() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        let state = story.node.path().join("state");
        fs::create_dir(&state).unwrap();
        mount_tmpfs(&state, "size=12m,mode=700");
        story.start().await;
        let image = story.import_disk("disk").await;
        let runs = story.launch(json!({"image": image, "instance_type": "tiny"})).await;
        story.runs(&runs[0]).await;

        // An image that has no room, made where there is.
        let big = story.file("big", 24 << 20);
        let import = json!({"name": "big", "source": {"disk": {"path": big}}});
        let job: Job = story.call(Operation::ImportImage, &[], import).await.unwrap();
        let failed = story.job(&job.id).await;
        let error = failed.error.clone().expect("it failed");
        assert!(failed.state == JobState::Failed && error.code == ErrorCode::StorageFull, "{failed:?}");
        assert!(error.message.contains("disk is full"), "{error}");
        assert_eq!(fs::read_dir(state.join("images")).unwrap().count(), 1);

        // No room for a record.
        fill(&state.join("ballast"));
        let create = json!({"size_gib": 1});
        let refused = story.call::<Volume>(Operation::CreateVolume, &[], create.clone()).await.unwrap_err();
        let is_clear = |refused: &ErrorBody| {
            // It is the daemon's own disk, not one that the caller may have less of.
            refused.code == ErrorCode::Unavailable
                && refused.message.contains("the disk of the record store is full")
        };
        assert!(is_clear(&refused), "{refused}");
        let stop = json!({"force": false});
        let id = runs[0].as_str();
        let refused = story.call::<Instance>(Operation::StopInstance, &[id], stop.clone()).await.unwrap_err();
        assert!(is_clear(&refused), "{refused}");
        assert_eq!(story.instance(&runs[0]).await.state, Running);
        story.check().await;

        fs::remove_file(state.join("ballast")).unwrap();
        story.create_volume("later").await;
        story.act(&runs[0], Operation::StopInstance, false, Stopped).await;
        story.act(&runs[0], Operation::StartInstance, false, Running).await;
        story.end().await;
    });
}

/// Writes until there is no room at all.
fn fill(path: &Path) {
    let mut bytes = vec![1; 1 << 20];
    let mut file = File::create(path).unwrap();
    while !bytes.is_empty() {
        if file.write_all(&bytes).is_err() {
            bytes.truncate(bytes.len() / 2);
        }
    }
}
