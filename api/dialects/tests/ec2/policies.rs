//! What policies allow of EC2: all of it, only looking, or single resources.

use compute::identity::{AttachedTo, KeyOwner, PolicyRef};

use super::caller::{Caller, Host};
use super::instances::{host, running};

/// A user with a key.
pub async fn user(host: &Host, root: &Caller, name: &str) -> Caller {
    let now = host.node.compute.clock().now();
    host.identity.create_user(root.account, name, "", now).await.unwrap();
    host.key(root.account, &KeyOwner::User(name.to_owned())).await
}

/// Gives a user a policy that allows these actions on these resources.
pub async fn allow(host: &Host, root: &Caller, user: &str, policy: &str, actions: &str, resources: &str) {
    let now = host.node.compute.clock().now();
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{actions},"Resource":{resources}}}]}}"#
    );
    host.identity.create_policy(root.account, policy, "", &document, now).await.unwrap();
    attach(host, root, user, PolicyRef::Custom(policy.to_owned())).await;
}

async fn attach(host: &Host, root: &Caller, user: &str, policy: PolicyRef) {
    host.identity.attach_policy(root.account, &policy, AttachedTo::User(user)).await.unwrap();
}

#[tokio::test]
async fn whoever_may_only_look_changes_nothing() {
    let (host, root, image) = host().await;
    let id = running(&root, &image, &[]).await;
    let ann = user(&host, &root, "ann").await;
    ann.ec2("DescribeInstances", &[]).await.refused(403, "UnauthorizedOperation");
    attach(&host, &root, "ann", PolicyRef::BuiltIn("AmazonEC2ReadOnlyAccess".to_owned())).await;
    assert_eq!(ann.ec2("DescribeInstances", &[]).await.ok().all("ownerId")[0], root.account.to_string());
    ann.ec2("GetConsoleOutput", &[("InstanceId", &id)]).await.ok();
    // What they may not is told before what is wrong with it, and before what a dry run would say.
    for more in [&[("InstanceId.1", id.as_str())][..], &[], &[("DryRun", "true")]] {
        ann.ec2("StopInstances", more).await.refused(403, "UnauthorizedOperation");
    }
    attach(&host, &root, "ann", PolicyRef::BuiltIn("AmazonEC2FullAccess".to_owned())).await;
    ann.ec2("StopInstances", &[("InstanceId.1", id.as_str()), ("Force", "true")]).await.ok();
}

#[tokio::test]
async fn one_instance_can_be_allowed_and_another_not() {
    let (host, root, image) = host().await;
    let (mine, other) = (running(&root, &image, &[]).await, running(&root, &image, &[]).await);
    let ann = user(&host, &root, "ann").await;
    let resource = format!(r#""arn:aws:ec2:*:{}:instance/{mine}""#, root.account);
    allow(&host, &root, "ann", "one", r#""ec2:*""#, &resource).await;
    let both = [("InstanceId.1", mine.as_str()), ("InstanceId.2", other.as_str()), ("Force", "true")];
    ann.ec2("StopInstances", &both).await.refused(403, "UnauthorizedOperation");
    ann.ec2("DescribeInstances", &[]).await.refused(403, "UnauthorizedOperation");
    ann.ec2("StopInstances", &[both[0], both[2]]).await.ok();
    ann.ec2("CreateTags", &[("ResourceId.1", &*mine), ("Tag.1.Key", "a")]).await.ok();
    let tags = [("ResourceId.1", &*other), ("Tag.1.Key", "a")];
    ann.ec2("CreateTags", &tags).await.refused(403, "UnauthorizedOperation");
}

#[tokio::test]
async fn what_is_made_with_tags_needs_leave_for_both() {
    let (host, root, _) = host().await;
    let ann = user(&host, &root, "ann").await;
    allow(&host, &root, "ann", "make", r#""ec2:CreateVolume""#, r#""*""#).await;
    let plain = [("AvailabilityZone", "local-a"), ("Size", "1")];
    ann.ec2("CreateVolume", &plain).await.ok();
    let specification =
        [("TagSpecification.1.ResourceType", "volume"), ("TagSpecification.1.Tag.1.Key", "a")];
    let tagged = [plain, specification].concat();
    ann.ec2("CreateVolume", &tagged).await.refused(403, "UnauthorizedOperation");
    let volumes = format!(r#""arn:aws:ec2:*:{}:volume/*""#, root.account);
    allow(&host, &root, "ann", "tag", r#""ec2:CreateTags""#, &volumes).await;
    ann.ec2("CreateVolume", &tagged).await.ok();
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
    "Principal":{"Service":"SERVICE"}}]}"#;

#[tokio::test]
async fn a_profile_is_given_only_by_whoever_may_pass_its_role() {
    let (host, root, image) = host().await;
    let now = host.node.compute.clock().now();
    for (name, service) in [("app", "ec2.amazonaws.com"), ("elsewhere", "ecs.aliyuncs.com")] {
        let trust = TRUST.replace("SERVICE", service);
        host.identity.create_role(root.account, name, "", &trust, 3600, now).await.unwrap();
    }
    let launch = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    let with = |name: &'static str, value: &str| {
        let mut all: Vec<(&str, String)> =
            launch.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        all.push((name, value.to_owned()));
        all
    };
    let run = async |caller: &Caller, pairs: Vec<(&str, String)>| {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        caller.ec2("RunInstances", &pairs).await
    };
    let arn = format!("arn:aws:iam::{}:instance-profile/app", root.account);
    let shown = run(&root, with("IamInstanceProfile.Arn", &arn)).await.ok();
    assert_eq!(shown.all("arn"), [arn.as_str()]);
    let stranger = "arn:aws:iam::000000000000:instance-profile/app";
    for (name, value) in [
        ("IamInstanceProfile.Name", "nobody"),
        ("IamInstanceProfile.Name", "elsewhere"),
        ("IamInstanceProfile.Arn", stranger),
        ("IamInstanceProfile.Arn", "app"),
    ] {
        run(&root, with(name, value)).await.refused(400, "InvalidParameterValue");
    }
    let ann = user(&host, &root, "ann").await;
    attach(&host, &root, "ann", PolicyRef::BuiltIn("AmazonEC2FullAccess".to_owned())).await;
    run(&ann, with("IamInstanceProfile.Name", "app")).await.refused(403, "UnauthorizedOperation");
    let role = format!(r#""arn:aws:iam::{}:role/app""#, root.account);
    allow(&host, &root, "ann", "pass", r#""iam:PassRole""#, &role).await;
    run(&ann, with("IamInstanceProfile.Name", "app")).await.ok();
}
