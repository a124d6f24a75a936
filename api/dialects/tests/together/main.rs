//! One instance, seen and driven by turns through the native API, Amazon's and Alibaba Cloud's: whoever does something, all tell
//! the same of it at once.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

#[allow(dead_code)]
#[path = "../alibaba/caller.rs"]
mod alibaba;
#[allow(dead_code)]
#[path = "../native/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../ec2/caller.rs"]
mod ec2;
#[allow(dead_code)]
#[path = "../native/world.rs"]
mod world;

use std::time::Duration;

use dialects::server::Limits;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// Longest time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same state in the words of the native API, of EC2 and of Alibaba Cloud, which shows no more what is gone.
const RUNNING: [&str; 3] = ["running", "running", "Running"];
const STOPPED: [&str; 3] = ["stopped", "stopped", "Stopped"];
const TERMINATED: [&str; 3] = ["terminated", "terminated", ""];

/// A host with all APIs, and one account's callers of each.
struct Host {
    alibaba: alibaba::Caller,
    ec2: ec2::Caller,
    native: client::Client,
    image: String,
    host: alibaba::Host,
    _ec2: tokio::sync::watch::Sender<bool>,
}

impl Host {
    async fn start() -> Self {
        let host = alibaba::Host::start().await;
        let (compute, identity) = (host.node.compute.clone(), host.identity.clone());
        let service = dialects::ec2::Service::open(compute, identity, Limits::default(), Default::default())
            .await
            .unwrap();
        let (address, ending) = ec2::serve(service).await;
        let caller = host.root().await;
        let time = caller.time.clone();
        let ec2 = ec2::Caller {
            address,
            account: caller.account,
            id: caller.id.clone(),
            secret: caller.secret.clone(),
            time,
        };
        let (native, image) = (host.node.operator(), host.image.clone());
        Self { alibaba: caller, ec2, native, image, host, _ec2: ending }
    }

    async fn native(&self, id: &str) -> Value {
        self.native.get(&format!("/v1/instances/{id}")).await.status(200)
    }

    async fn alibaba(&self, id: &str) -> Value {
        let ids = json!([id]).to_string();
        let answer = self.alibaba.ecs("DescribeInstances", &[("InstanceIds", &ids)]).await;
        answer["Instances"]["Instance"][0].clone()
    }

    async fn ec2(&self, id: &str) -> ec2::Answered {
        self.ec2.ec2("DescribeInstances", &[("InstanceId.1", id)]).await.ok()
    }

    /// Its state in the words of each.
    async fn states(&self, id: &str) -> [String; 3] {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ec2 = self.ec2(id).await.all("name").swap_remove(0);
        [text(&self.native(id).await["state"]), ec2, text(&self.alibaba(id).await["Status"])]
    }

    /// Waits until all tell this state. None tells of a later one before: once the first does, all do.
    async fn until(&self, id: &str, expected: [&str; 3]) {
        let seen = async {
            while self.native(id).await["state"] != expected[0] {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{id} does not become {expected:?}"));
        assert_eq!(self.states(id).await, expected);
    }
}

#[tokio::test]
async fn an_instance_is_the_same_through_all_apis() {
    let host = Host::start().await;
    let launch = [
        ("ImageId", host.image.as_str()),
        ("InstanceType", "t3.small"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "team"),
        ("TagSpecification.1.Tag.1.Value", "blue"),
    ];
    let made = host.ec2.ec2("RunInstances", &launch).await.ok();
    let id = made.all("instanceId").remove(0);
    host.until(&id, RUNNING).await;

    // The same thing under each cloud's names.
    let (native, alibaba, ec2) = (host.native(&id).await, host.alibaba(&id).await, host.ec2(&id).await);
    let address = native["private_address"].as_str().unwrap();
    assert_eq!(alibaba["VpcAttributes"]["PrivateIpAddress"]["IpAddress"], json!([address]));
    assert_eq!(ec2.all("privateIpAddress")[0], address);
    assert_eq!(
        (&alibaba["InstanceType"], &native["instance_type"]),
        (&json!("t3.small"), &json!("t3.small"))
    );
    assert_eq!(alibaba["ImageId"], host.host.image());
    assert_eq!(ec2.all("imageId"), [host.image.as_str()]);
    assert_eq!(alibaba["Tags"]["Tag"], json!([{"TagKey": "team", "TagValue": "blue"}]));
    let disk =
        host.alibaba.ecs("DescribeDisks", &[("InstanceId", &id)]).await["Disks"]["Disk"][0]["DiskId"].clone();
    let volume = ec2.all("volumeId").remove(0);
    assert_eq!(disk.as_str().unwrap().strip_prefix("d-"), volume.strip_prefix("vol-"));

    // Each does what another undoes.
    host.alibaba.ecs("StopInstance", &[("InstanceId", &id)]).await;
    host.until(&id, STOPPED).await;
    host.native.bare("POST", &format!("/v1/instances/{id}/start")).await.status(202);
    host.until(&id, RUNNING).await;
    host.ec2.ec2("StopInstances", &[("InstanceId.1", &id)]).await.ok();
    host.until(&id, STOPPED).await;
    let tag = [
        ("ResourceType", "instance"),
        ("ResourceId.1", id.as_str()),
        ("Tag.1.Key", "team"),
        ("Tag.1.Value", "red"),
    ];
    host.alibaba.ecs("TagResources", &tag).await;
    assert_eq!(host.ec2(&id).await.all("value"), ["red"]);
    host.ec2.ec2("DeleteTags", &[("ResourceId.1", &id), ("Tag.1.Key", "team")]).await.ok();
    assert_eq!(host.alibaba(&id).await["Tags"]["Tag"], json!([]));
    host.alibaba.ecs("StartInstance", &[("InstanceId", &id)]).await;
    host.until(&id, RUNNING).await;

    // What keeps it from being deleted is another's word for the same protection.
    let protect = [("InstanceId", id.as_str()), ("DisableApiTermination.Value", "true")];
    host.ec2.ec2("ModifyInstanceAttribute", &protect).await.ok();
    assert_eq!(host.alibaba(&id).await["DeletionProtection"], true);
    let force = [("InstanceId", id.as_str()), ("Force", "true")];
    let refused = host.alibaba.call(alibaba::ECS, "DeleteInstance", &force).await;
    refused.refused(403, "InvalidOperation.DeletionProtection");
    let open = [("InstanceId", id.as_str()), ("DisableApiTermination.Value", "false")];
    host.ec2.ec2("ModifyInstanceAttribute", &open).await.ok();
    host.alibaba.ecs("DeleteInstance", &force).await;
    host.until(&id, TERMINATED).await;
}
