//! The version of 2007 by Query: instances, groups and key pairs from their beginning to their end.

use compute::outside::HostError;

use super::caller::Host;
use super::soap::{image, until};
use super::world::store::INNER_DETAIL;

#[tokio::test]
async fn an_instance_lives_as_in_2007() {
    let host = Host::start().await;
    let root = host.root().await;
    let ami = image(&host, &root).await;
    let key = root.y2007("CreateKeyPair", &[("KeyName", "mine")]).await.ok();
    let fingerprint = key.all("keyFingerprint").pop().unwrap();
    assert!(fingerprint.split(':').count() == 20, "{fingerprint}");
    assert!(key.text.contains("-----BEGIN RSA PRIVATE KEY-----"), "{}", key.text);
    let asked = [
        ("ImageId", ami.as_str()),
        ("MinCount", "1"),
        ("MaxCount", "2"),
        ("KeyName", "mine"),
        ("SecurityGroup", ""),
        ("UserData", "aGVs\nbG8="),
        ("AddressingType", "public"),
    ];
    let launched = root.y2007("RunInstances", &asked).await.ok();
    let order: Vec<usize> = [
        "<reservationId>",
        "<ownerId>",
        "<groupSet>",
        "<instancesSet>",
        "<instanceId>",
        "<imageId>",
        "<instanceState>",
        "<privateDnsName",
        "<dnsName",
        "<keyName>",
        "<amiLaunchIndex>",
    ]
    .iter()
    .map(|name| launched.text.find(name).unwrap_or_else(|| panic!("{name}: {}", launched.text)))
    .collect();
    assert!(order.is_sorted(), "{}", launched.text);
    assert!(
        launched.text.contains("xmlns=\"http://ec2.amazonaws.com/doc/2007-03-01/\""),
        "{}",
        launched.text
    );
    assert!(
        !launched.text.contains("requestId") && !launched.text.contains("instanceType"),
        "{}",
        launched.text
    );
    let running = until(&root, "DescribeInstances", &[], "name", "running").await;
    assert_eq!(
        (running.all("amiLaunchIndex"), running.all("code")),
        (vec!["0".to_owned(), "1".to_owned()], vec!["16".to_owned(); 2])
    );
    assert!(running.all("dnsName").iter().chain(&running.all("privateDnsName")).all(|name| !name.is_empty()));
    let ids = running.all("instanceId");
    let (first, second) = (ids[0].as_str(), ids[1].as_str());
    root.y2007("RebootInstances", &[("InstanceId.1", first)]).await.ok();
    let console = root.y2007("GetConsoleOutput", &[("InstanceId.1", first)]).await.ok();
    assert!(console.all("output")[0].starts_with("bG9naW46I"), "{}", console.text);
    let ended =
        root.y2007("TerminateInstances", &[("InstanceId.1", first), ("InstanceId.2", first)]).await.ok();
    assert_eq!(ended.all("instanceId"), [first]);
    assert_eq!(ended.all("code")[1], "16", "{}", ended.text);
    until(&root, "DescribeInstances", &[("InstanceId", first)], "name", "terminated").await;
    root.y2007("TerminateInstances", &[("InstanceId", first)]).await.ok();
    // There are six public addresses: one of those is left with the other instance, and one was given back.
    let many = [("ImageId", ami.as_str()), ("MinCount", "1"), ("MaxCount", "50")];
    let many = root.y2007("RunInstances", &many).await.ok();
    assert_eq!(many.all("instanceId").len(), 5, "{}", many.text);
    let none = [("ImageId", ami.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    root.y2007("RunInstances", &none).await.refused(500, "InsufficientInstanceCapacity");
    // What has ended is passed over.
    root.y2007("RebootInstances", &[("InstanceId.1", first), ("InstanceId.2", second)]).await.ok();
    let other = host.stranger().await;
    let seen = other.y2007("DescribeInstances", &[("InstanceId", second)]).await.ok();
    assert!(seen.all("instanceId").is_empty(), "another's is left out");
}

#[tokio::test]
async fn groups_let_in_what_they_are_told() {
    let host = Host::start().await;
    let root = host.root().await;
    let owner = root.account.to_string();
    let of_default = root.y2007("DescribeSecurityGroups", &[("GroupName", "default")]).await.ok();
    assert_eq!(of_default.all("ipProtocol"), ["tcp", "udp", "icmp"], "{}", of_default.text);
    assert_eq!(of_default.all("fromPort"), ["0", "0", "-1"]);
    let web = [("GroupName", "web"), ("GroupDescription", "Web servers")];
    root.y2007("CreateSecurityGroup", &web).await.ok();
    let range = [("GroupName", "web"), ("IpProtocol", "tcp"), ("FromPort", "80"), ("ToPort", "80")];
    root.y2007("AuthorizeSecurityGroupIngress", &range).await.ok();
    let pair = [
        ("GroupName", "web"),
        ("SourceSecurityGroupName", "default"),
        ("SourceSecurityGroupOwnerId", owner.as_str()),
    ];
    root.y2007("AuthorizeSecurityGroupIngress", &pair).await.ok();
    let told = root.y2007("DescribeSecurityGroups", &[("GroupName.1", "web")]).await.ok();
    assert_eq!(told.all("ipProtocol"), ["tcp", "tcp", "udp", "icmp"], "{}", told.text);
    assert_eq!(told.all("cidrIp"), ["0.0.0.0/0"], "no source is any");
    for asked in [&range[..], &pair[..]] {
        root.y2007("AuthorizeSecurityGroupIngress", asked).await.refused(400, "InvalidPermission.Duplicate");
        root.y2007("RevokeSecurityGroupIngress", asked).await.ok();
        root.y2007("RevokeSecurityGroupIngress", asked).await.refused(400, "InvalidPermission.NotFound");
    }
    // An account's own group is changed like any other.
    let own = [("GroupName", "default"), pair[1], pair[2]];
    root.y2007("RevokeSecurityGroupIngress", &own).await.ok();
    let told = root.y2007("DescribeSecurityGroups", &[]).await.ok();
    assert!(told.all("ipProtocol").is_empty(), "{}", told.text);
    root.y2007("DeleteSecurityGroup", &[("GroupName", "web")]).await.ok();
}

#[tokio::test]
async fn a_host_that_fails_says_nothing_of_itself() {
    let host = Host::start().await;
    let root = host.root().await;
    let ami = image(&host, &root).await;
    host.node.world.real().trouble = Some(HostError::Failed(INNER_DETAIL.to_owned()));
    let launch = [("ImageId", ami.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    root.y2007("RunInstances", &launch).await.ok();
    let ended = until(&root, "DescribeInstances", &[], "name", "terminated").await;
    assert_eq!(ended.all("reason"), ["Server.InternalError: Internal error on launch"], "{}", ended.text);
    let today = root.ec2("DescribeInstances", &[]).await.ok();
    assert!(!today.text.contains(INNER_DETAIL), "{}", today.text);
    assert_eq!(today.all("message"), ["Server.InternalError: Internal error on launch"], "{}", today.text);
}
