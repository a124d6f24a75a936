//! What holds of every action that has a row: its caller's policies are asked, and nothing that is missing or not there is an
//! error of ours.

use super::caller::{Caller, Host, Pairs, STS};

/// Ids that have the form of one, and are of nothing; and what else some actions ask first.
const NOTHING: Pairs<'_> = &[
    ("AllocationId", "eip-00000001"),
    ("DiskId", "d-00000001"),
    ("ImageId", "m-00000001"),
    ("InstanceId", "i-00000001"),
    ("PolicyName", "nothing"),
    ("PolicyType", "Custom"),
    ("ResourceId", "i-00000001"),
    ("ResourceType", "instance"),
    ("RoleName", "nothing"),
    ("SecurityGroupId", "sg-00000001"),
    ("SnapshotId", "s-00000001"),
    ("UserName", "nothing"),
    ("VSwitchId", "vsw-00000001"),
    ("VpcId", "vpc-00000001"),
    // Of the actions that need more than an id.
    ("AutoRenew", "true"),
    ("CidrBlock", "10.1.0.0/24"),
    ("DestCidrIp", "10.0.0.0/8"),
    ("SourceCidrIp", "10.0.0.0/8"),
    ("Duration", "1"),
    ("InstanceType", "EcsInstance"), // of what an address leads to; an image is looked for before a type
    ("IpProtocol", "all"),
    ("NewSize", "30"),
    ("Period", "1"),
    ("Status", "Inactive"),
    ("Tag.1.Key", "key"),
    ("UserAccessKeyId", "AKIAAAAAAAAAAAAAAAAA"),
    ("ZoneId", "local-a"),
];

/// Those that make something, or that are about all there is: the others are done with one thing.
const WITHOUT_ONE: &[&str] =
    &["AllocateEipAddress", "AssumeRole", "GetCallerIdentity", "ImportImage", "ImportKeyPair"];

fn is_about_one(action: &str) -> bool {
    let makes = ["CreateAccessKey", "CreateInstance", "CreateSnapshot", "CreateVSwitch"];
    let lists = ["Describe", "List"].iter().any(|word| action.starts_with(word));
    let is_one = ["InstanceAttribute", "AutoRenewAttribute", "UserData", "GroupAttribute", "PoliciesForRole"];
    let is_of_one = is_one.iter().any(|word| action.ends_with(word));
    let is_bulk = ["AttachInstanceRamRole", "DeleteKeyPairs", "DetachInstanceRamRole", "RunInstances"];
    (!lists || is_of_one)
        && (!action.starts_with("Create") || makes.contains(&action))
        && !is_bulk.contains(&action)
        && !WITHOUT_ONE.contains(&action)
}

async fn nobody(host: &Host, root: &Caller) -> Caller {
    let now = host.node.compute.clock().now();
    host.identity.create_user(root.account, "nobody", "", now).await.unwrap();
    host.key(root.account, &compute::identity::KeyOwner::User("nobody".to_owned())).await
}

#[tokio::test]
async fn every_action_asks_the_callers_policies() {
    let host = Host::start().await;
    let root = host.root().await;
    let nobody = nobody(&host, &root).await;
    for row in dialects::alibaba::coverage() {
        let version = row.product.split(' ').next_back().unwrap();
        let answer = nobody.call(version, row.action, NOTHING).await;
        let code = match version {
            STS => continue, // one is of everybody, and the other is the core's to decide
            super::caller::RAM => "NoPermission",
            _ => "Forbidden.RAM",
        };
        answer.refused(403, code);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_missing_is_said() {
    let host = Host::start().await;
    let root = host.root().await;
    let (mut asked, mut wrong) = (0, Vec::new());
    for row in dialects::alibaba::coverage() {
        let version = row.product.split(' ').next_back().unwrap();
        let answer = root.call(version, row.action, &[]).await;
        assert!(answer.status == 200 || answer.status == 400, "{}: {}", row.action, answer.text);
        if answer.status == 400 {
            let code = answer.json()["Code"].clone();
            assert_eq!(code, "MissingParameter", "{}", row.action);
        }
        if is_about_one(row.action) {
            let answer = root.call(version, row.action, NOTHING).await;
            if answer.status != 404 {
                wrong.push(format!("{}: {}", row.action, answer.text));
            }
            asked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 40, "{asked} are about one thing");
}
