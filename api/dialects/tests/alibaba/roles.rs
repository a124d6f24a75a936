//! RAM and STS, and what policies allow of ECS: sub-accounts, roles of instances, temporary credentials.

use compute::identity::{KeyForm, KeyOwner};

use super::caller::{Caller, ECS, Host, RAM, STS};
use super::fixture::Fixture;

const TRUST: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;

fn policy(actions: &str) -> String {
    format!(r#"{{"Statement":[{{"Action":[{actions}],"Resource":"*","Effect":"Allow"}}],"Version":"1"}}"#)
}

/// A user with a key, made through RAM.
async fn user(host: &Host, root: &Caller, name: &str) -> Caller {
    root.ram("CreateUser", &[("UserName", name)]).await;
    let made = root.ram("CreateAccessKey", &[("UserName", name)]).await;
    let text = |name: &str| made["AccessKey"][name].as_str().unwrap().to_owned();
    let (id, secret) = (text("AccessKeyId"), text("AccessKeySecret"));
    Caller { address: host.address, id, secret, ..root.clone() }
}

#[tokio::test]
async fn a_policy_that_comes_and_goes_turns_a_call() {
    let host = Host::start().await;
    let root = host.root().await;
    let ann = user(&host, &root, "ann").await;
    ann.call(ECS, "DescribeInstances", &[]).await.refused(403, "Forbidden.RAM");
    ann.call(RAM, "ListUsers", &[]).await.refused(403, "NoPermission");
    let attach = [("PolicyType", "System"), ("PolicyName", "AliyunECSReadOnlyAccess"), ("UserName", "ann")];
    root.ram("AttachPolicyToUser", &attach).await;
    root.call(RAM, "AttachPolicyToUser", &attach).await.refused(409, "EntityAlreadyExists.Policy");
    ann.ecs("DescribeInstances", &[]).await;
    ann.call(ECS, "StartInstance", &[("InstanceId", "i-1111")]).await.refused(403, "Forbidden.RAM");
    let full = [attach[0], ("PolicyName", "AliyunECSFullAccess"), attach[2]];
    root.ram("AttachPolicyToUser", &full).await;
    ann.call(ECS, "StartInstance", &[("InstanceId", "i-1111")])
        .await
        .refused(404, "InvalidInstanceId.NotFound");
    ann.call(RAM, "CreateUser", &[("UserName", "bob")]).await.refused(403, "NoPermission");
    let held = root.ram("ListPoliciesForUser", &[("UserName", "ann")]).await;
    assert_eq!(held["Policies"]["Policy"][1]["PolicyName"], "AliyunECSFullAccess");
    for policy in [attach, full] {
        root.ram("DetachPolicyFromUser", &policy).await;
    }
    ann.call(ECS, "DescribeInstances", &[]).await.refused(403, "Forbidden.RAM");
    let inactive = [("UserName", "ann"), ("UserAccessKeyId", ann.id.as_str()), ("Status", "Inactive")];
    root.ram("UpdateAccessKey", &inactive).await;
    ann.call(STS, "GetCallerIdentity", &[]).await.refused(400, "InvalidAccessKeyId.Inactive");
    root.call(RAM, "DeleteUser", &[("UserName", "ann")]).await.refused(409, "DeleteConflict.User.AccessKey");
    root.ram("DeleteAccessKey", &inactive[..2]).await;
    root.ram("DeleteUser", &[("UserName", "ann")]).await;
    assert!(root.ram("ListUsers", &[]).await["Users"]["User"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn one_instance_can_be_allowed_and_another_not() {
    let host = Host::start().await;
    let root = host.root().await;
    let ann = user(&host, &root, "ann").await;
    let create = [("ImageId", host.image()), ("InstanceType", "ecs.n1.small".to_owned())];
    let create: Vec<(&str, &str)> = create.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let made = root.ecs("CreateInstance", &create).await;
        ids.push(made["InstanceId"].as_str().unwrap().to_owned());
        root.until(ids.last().unwrap(), "Stopped").await;
    }
    let resource = format!("acs:ecs:*:{}:instance/{}", root.account, ids[0]);
    let document = policy("\"ecs:*\"").replace("\"Resource\":\"*\"", &format!("\"Resource\":\"{resource}\""));
    root.ram("CreatePolicy", &[("PolicyName", "One"), ("PolicyDocument", &document)]).await;
    root.ram("AttachPolicyToUser", &[("PolicyType", "Custom"), ("PolicyName", "One"), ("UserName", "ann")])
        .await;
    ann.ecs("StartInstance", &[("InstanceId", &ids[0])]).await;
    ann.call(ECS, "StartInstance", &[("InstanceId", &ids[1])]).await.refused(403, "Forbidden.RAM");
    // Of several, each has to be allowed.
    let both = [("InstanceId.1", ids[0].as_str()), ("InstanceId.2", ids[1].as_str()), ("Force", "true")];
    ann.call(ECS, "DeleteInstances", &both).await.refused(403, "Forbidden.RAM");
    let all = format!("[\"{}\"]", ids[1]);
    ann.call(ECS, "DescribeInstances", &[("InstanceIds", &all)]).await.refused(403, "Forbidden.RAM");
}

#[tokio::test]
async fn a_role_is_passed_only_where_that_is_allowed() {
    let host = Host::start().await;
    let root = host.root().await;
    let made =
        root.ram("CreateRole", &[("RoleName", "EcsRamRoleTest"), ("AssumeRolePolicyDocument", TRUST)]).await;
    assert_eq!(made["Role"]["Arn"], format!("acs:ram::{}:role/EcsRamRoleTest", root.account));
    let foreign = TRUST.replace("ecs.aliyuncs.com", "fc.aliyuncs.com");
    root.ram("CreateRole", &[("RoleName", "Foreign"), ("AssumeRolePolicyDocument", &foreign)]).await;
    let again = [("RoleName", "EcsRamRoleTest"), ("AssumeRolePolicyDocument", TRUST)];
    root.call(RAM, "CreateRole", &again).await.refused(409, "EntityAlreadyExists.Role");
    let bad = [("RoleName", "Bad"), ("AssumeRolePolicyDocument", "{")];
    root.call(RAM, "CreateRole", &bad).await.refused(400, "MalformedPolicyDocument");

    let ann = user(&host, &root, "ann").await;
    let document = policy("\"ecs:CreateInstance\",\"ecs:AttachInstanceRamRole\"");
    root.ram("CreatePolicy", &[("PolicyName", "Creates"), ("PolicyDocument", &document)]).await;
    root.ram(
        "AttachPolicyToUser",
        &[("PolicyType", "Custom"), ("PolicyName", "Creates"), ("UserName", "ann")],
    )
    .await;
    let image = host.image();
    let create =
        [("ImageId", image.as_str()), ("InstanceType", "ecs.xn4.small"), ("InstanceType", "ecs.n1.small")];
    let create = [create[0], create[2]];
    let with = [create[0], create[1], ("RamRoleName", "EcsRamRoleTest")];
    let plain = ann.ecs("CreateInstance", &create).await["InstanceId"].as_str().unwrap().to_owned();
    let refused = ann.call(ECS, "CreateInstance", &with).await.refused(403, "Forbidden.RAM");
    assert!(refused["Message"].as_str().unwrap().contains("ram:PassRole"), "{refused}");
    root.ram("CreatePolicy", &[("PolicyName", "Passes"), ("PolicyDocument", &policy("\"ram:PassRole\""))])
        .await;
    root.ram(
        "AttachPolicyToUser",
        &[("PolicyType", "Custom"), ("PolicyName", "Passes"), ("UserName", "ann")],
    )
    .await;
    ann.ecs("CreateInstance", &with).await;
    let other = [create[0], create[1], ("RamRoleName", "Foreign")];
    ann.call(ECS, "CreateInstance", &other).await.refused(403, "InvalidRamRole.NotEcsRole");

    let ids = format!("[\"{plain}\", \"i-1111\"]");
    let role = [("RamRoleName", "EcsRamRoleTest"), ("InstanceIds", ids.as_str())];
    ann.call(ECS, "AttachInstanceRamRole", &[role[0], ("InstanceIds", &plain)])
        .await
        .refused(400, "InvalidParameter");
    let attached = ann.ecs("AttachInstanceRamRole", &role).await;
    let results = &attached["AttachInstanceRamRoleResults"]["AttachInstanceRamRoleResult"];
    assert_eq!((&attached["FailCount"], &results[0]["Success"]), (&1.into(), &true.into()), "{attached}");
    assert_eq!(results[1]["Code"], "InvalidInstanceId.NotFound");
    let again = ann.ecs("AttachInstanceRamRole", &role).await;
    assert_eq!(again["FailCount"], 2, "one role for an instance");
    assert_eq!(root.ecs("DescribeInstanceRamRole", &role[..1]).await["TotalCount"], 2);
    root.call(RAM, "DeleteRole", &[("RoleName", "EcsRamRoleTest")])
        .await
        .refused(409, "DeleteConflict.Role.Instance");
    assert_eq!(root.ecs("DetachInstanceRamRole", &role).await["FailCount"], 1);
    let one = format!("[\"{plain}\"]");
    assert_eq!(root.ecs("DescribeInstanceRamRole", &[("InstanceIds", &one)]).await["TotalCount"], 0);
}

#[tokio::test]
async fn everybody_is_told_who_they_are() {
    let host = Host::start().await;
    let root = host.root().await;
    let account = root.account;
    let told = root.call(STS, "GetCallerIdentity", &[]).await.ok();
    assert_eq!(
        (&told["IdentityType"], &told["Arn"]),
        (&"Account".into(), &format!("acs:ram::{account}:root").into())
    );
    let ann = user(&host, &root, "ann").await;
    let told = ann.call(STS, "GetCallerIdentity", &[]).await.ok();
    assert_eq!(
        (&told["IdentityType"], &told["Arn"]),
        (&"RAMUser".into(), &format!("acs:ram::{account}:user/ann").into())
    );

    // What the metadata service hands to an instance is good here, with its token.
    root.ram("CreateRole", &[("RoleName", "EcsRamRoleTest"), ("AssumeRolePolicyDocument", TRUST)]).await;
    let (identity, now) = (&host.identity, host.node.compute.clock().now());
    let given = identity.credentials_for_instance(
        account,
        compute::id::InstanceId::new(7),
        "EcsRamRoleTest",
        "ecs.aliyuncs.com",
        KeyForm::Sts,
        now,
    );
    let given = given.await.unwrap();
    let guest = Caller {
        id: given.id.to_string(),
        secret: given.secret.expose().to_owned(),
        token: Some(given.token.expose().to_owned()),
        ..root.clone()
    };
    assert!(guest.id.starts_with("STS."));
    let told = guest.call(STS, "GetCallerIdentity", &[]).await.ok();
    assert_eq!(told["IdentityType"], "AssumedRoleUser");
    assert_eq!(told["Arn"], format!("acs:ram::{account}:assumed-role/EcsRamRoleTest/i-00000007"));
    guest.call(ECS, "DescribeInstances", &[]).await.refused(403, "Forbidden.RAM");
    let attach =
        [("PolicyType", "System"), ("PolicyName", "AliyunECSFullAccess"), ("RoleName", "EcsRamRoleTest")];
    root.ram("AttachPolicyToRole", &attach).await;
    guest.ecs("DescribeInstances", &[]).await;
    root.ram("DetachPolicyFromRole", &attach).await;
    guest.call(ECS, "DescribeInstances", &[]).await.refused(403, "Forbidden.RAM");
    let without = Caller { token: None, ..guest.clone() };
    without.call(STS, "GetCallerIdentity", &[]).await.refused(400, "MissingSecurityToken");
}

#[tokio::test]
async fn a_role_is_assumed_by_whom_it_trusts() {
    let host = Host::start().await;
    let root = host.root().await;
    let ann = user(&host, &root, "ann").await;
    let trust = format!(
        r#"{{"Statement":[{{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{{"RAM":["acs:ram::{}:user/ann"]}}}}],"Version":"1"}}"#,
        root.account
    );
    root.ram("CreateRole", &[("RoleName", "Reader"), ("AssumeRolePolicyDocument", &trust)]).await;
    root.ram(
        "AttachPolicyToRole",
        &[("PolicyType", "System"), ("PolicyName", "AliyunECSReadOnlyAccess"), ("RoleName", "Reader")],
    )
    .await;
    let arn = format!("acs:ram::{}:role/Reader", root.account);
    let assume = [("RoleArn", arn.as_str()), ("RoleSessionName", "work")];
    ann.call(STS, "AssumeRole", &assume).await.refused(403, "NoPermission");
    root.ram(
        "AttachPolicyToUser",
        &[("PolicyType", "System"), ("PolicyName", "AliyunSTSAssumeRoleAccess"), ("UserName", "ann")],
    )
    .await;
    for (more, code) in [
        (("DurationSeconds", "60"), "InvalidParameter.DurationSeconds"),
        (("Policy", "{"), "InvalidParameter.PolicyGrammar"),
    ] {
        ann.call(STS, "AssumeRole", &[assume[0], assume[1], more]).await.refused(400, code);
    }
    ann.call(STS, "AssumeRole", &[("RoleArn", "Reader"), assume[1]])
        .await
        .refused(400, "InvalidParameter.RoleArn");
    let given = ann.call(STS, "AssumeRole", &assume).await.ok();
    let text = |name: &str| given["Credentials"][name].as_str().unwrap().to_owned();
    assert_eq!(text("Expiration"), "2026-11-24T01:00:00Z");
    let reader = Caller {
        id: text("AccessKeyId"),
        secret: text("AccessKeySecret"),
        token: Some(text("SecurityToken")),
        ..ann.clone()
    };
    reader.ecs("DescribeInstances", &[]).await;
    reader.call(ECS, "StopInstance", &[("InstanceId", "i-1111")]).await.refused(403, "Forbidden.RAM");
    // Another account's key finds nothing of this one.
    let stranger = host.stranger().await;
    stranger.call(STS, "AssumeRole", &assume).await.refused(403, "NoPermission");
    stranger.call(RAM, "GetRole", &[("RoleName", "Reader")]).await.refused(404, "EntityNotExist.Role");
    let read =
        root.ram("GetPolicy", &[("PolicyType", "System"), ("PolicyName", "AliyunKMSFullAccess")]).await;
    assert!(read["DefaultPolicyVersion"]["PolicyDocument"].as_str().unwrap().contains("kms:*"));
    let own = host.key(root.account, &KeyOwner::User("ann".to_owned())).await;
    own.call(STS, "GetCallerIdentity", &[]).await.ok();
}

/// Each is told by itself, in an answer that is none of refusal.
#[tokio::test]
async fn roles_of_instances_are_given_and_taken_one_by_one() {
    let fixture = Fixture::start().await;
    let both = r#"["{running}","{stopped}"]"#;
    let codes = async |action: &str, role: &str| {
        let asked = fixture.fill(&[("RamRoleName", role), ("InstanceIds", both)]);
        let asked: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (&**name, &**value)).collect();
        let told = fixture.root.ecs(action, &asked).await;
        let results = told[format!("{action}Results")][format!("{action}Result")].as_array().unwrap().clone();
        let failed = results.iter().filter(|result| result["Success"] == false).count();
        assert_eq!(told["FailCount"], failed);
        results.iter().map(|result| result["Code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // The first has the other role.
    assert_eq!(codes("AttachInstanceRamRole", "Spare").await, ["InvalidInstance.AlreadyHasRamRole", "200"]);
    assert_eq!(codes("DetachInstanceRamRole", "Spare").await, ["InvalidRamRole.NotAttached", "200"]);
    assert_eq!(codes("DetachInstanceRamRole", "Used").await, ["200", "InvalidRamRole.NotAttached"]);
}
