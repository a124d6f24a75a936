//! A host with one of each: what actions are asked about in tests that ask all of them. Parameters name it in braces.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::caller::{Caller, Host, Pairs};

/// Who may have the roles: the cloud's service, and all of the account's users.
const TRUST: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"],"RAM":["acs:ram::{account}:root"]}}],"Version":"1"}"#;
/// Nobody but a service.
const CLOSED: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;
pub const POLICY: &str =
    r#"{"Statement":[{"Action":"ecs:Describe*","Effect":"Allow","Resource":"*"}],"Version":"1"}"#;
pub const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOEARIzCIWYHtSW2cmNeCLOvWpeDn4j/6lpU6maGkEQh";

/// A host, whose account has one of each.
pub struct Fixture {
    /// Ends with this.
    _host: Host,
    pub root: Caller,
    /// Of another account, which has nothing.
    pub stranger: Caller,
    /// What is there, by the names below.
    names: BTreeMap<&'static str, String>,
}

/// What is made, in this order: its name, the action, what it is asked with, and where the answer has it.
const MADE: &[(&str, &str, Pairs<'_>, &str)] = &[
    ("role", "CreateRole", &[("RoleName", "Used"), ("AssumeRolePolicyDocument", TRUST)], "/Role/RoleName"),
    (
        "spare role",
        "CreateRole",
        &[("RoleName", "Spare"), ("AssumeRolePolicyDocument", TRUST)],
        "/Role/RoleName",
    ),
    ("", "CreateRole", &[("RoleName", "Closed"), ("AssumeRolePolicyDocument", CLOSED)], ""),
    (
        "policy",
        "CreatePolicy",
        &[("PolicyName", "Reading"), ("PolicyDocument", POLICY)],
        "/Policy/PolicyName",
    ),
    (
        "spare policy",
        "CreatePolicy",
        &[("PolicyName", "Spare"), ("PolicyDocument", POLICY)],
        "/Policy/PolicyName",
    ),
    ("user", "CreateUser", &[("UserName", "ann")], "/User/UserName"),
    ("spare user", "CreateUser", &[("UserName", "bob")], "/User/UserName"),
    ("", "CreateAccessKey", &[("UserName", "ann")], ""),
    ("key", "CreateAccessKey", &[("UserName", "ann")], "/AccessKey/AccessKeyId"),
    (
        "",
        "AttachPolicyToRole",
        &[("PolicyType", "Custom"), ("PolicyName", "Reading"), ("RoleName", "Used")],
        "",
    ),
    (
        "",
        "AttachPolicyToUser",
        &[("PolicyType", "Custom"), ("PolicyName", "Reading"), ("UserName", "ann")],
        "",
    ),
    ("key pair", "ImportKeyPair", &[("KeyPairName", "mine"), ("PublicKeyBody", PUBLIC_KEY)], "/KeyPairName"),
    ("vpc", "CreateVpc", &[("CidrBlock", "192.168.0.0/16"), ("VpcName", "mine")], "/VpcId"),
    ("spare vpc", "CreateVpc", &[("CidrBlock", "172.16.0.0/12")], "/VpcId"),
    (
        "switch",
        "CreateVSwitch",
        &[("VpcId", "{vpc}"), ("CidrBlock", "192.168.1.0/24"), ("ZoneId", "local-a")],
        "/VSwitchId",
    ),
    (
        "spare switch",
        "CreateVSwitch",
        &[("VpcId", "{vpc}"), ("CidrBlock", "192.168.2.0/24"), ("ZoneId", "local-a")],
        "/VSwitchId",
    ),
    ("group", "CreateSecurityGroup", &[("VpcId", "{vpc}"), ("SecurityGroupName", "web")], "/SecurityGroupId"),
    (
        "spare group",
        "CreateSecurityGroup",
        &[("VpcId", "{vpc}"), ("SecurityGroupName", "spare")],
        "/SecurityGroupId",
    ),
    (
        "other group",
        "CreateSecurityGroup",
        &[("VpcId", "{vpc}"), ("SecurityGroupName", "other")],
        "/SecurityGroupId",
    ),
    (
        "",
        "AuthorizeSecurityGroup",
        &[
            ("SecurityGroupId", "{group}"),
            ("IpProtocol", "tcp"),
            ("PortRange", "22/22"),
            ("SourceCidrIp", "10.0.0.0/8"),
        ],
        "",
    ),
    (
        "",
        "AuthorizeSecurityGroupEgress",
        &[
            ("SecurityGroupId", "{group}"),
            ("IpProtocol", "udp"),
            ("PortRange", "53/53"),
            ("DestCidrIp", "10.0.0.0/8"),
        ],
        "",
    ),
    (
        "running",
        "CreateInstance",
        &[
            ("ImageId", "{image}"),
            ("InstanceType", "ecs.n1.small"),
            ("VSwitchId", "{switch}"),
            ("SecurityGroupId", "{group}"),
            ("InstanceName", "running"),
            ("KeyPairName", "mine"),
            ("RamRoleName", "Used"),
            ("Tag.1.Key", "team"),
            ("Tag.1.Value", "blue"),
        ],
        "/InstanceId",
    ),
    (
        "stopped",
        "CreateInstance",
        &[
            ("ImageId", "{image}"),
            ("InstanceType", "ecs.n1.small"),
            ("VSwitchId", "{switch}"),
            ("SecurityGroupIds", "{group},{other group}"),
            ("InstanceName", "stopped"),
            ("UserData", "IyEvYmluL3NoCg=="),
            ("DataDisk.1.Size", "20"),
            ("DataDisk.1.Category", "cloud_ssd"),
        ],
        "/InstanceId",
    ),
    (
        "prepaid",
        "CreateInstance",
        &[
            ("ImageId", "{image}"),
            ("InstanceType", "ecs.n1.small"),
            ("VSwitchId", "{switch}"),
            ("SecurityGroupId", "{group}"),
            ("InstanceName", "prepaid"),
            ("InstanceChargeType", "PrePaid"),
            ("Period", "1"),
        ],
        "/InstanceId",
    ),
    ("disk", "CreateDisk", &[("Size", "20"), ("DiskCategory", "cloud_ssd"), ("DiskName", "data")], "/DiskId"),
    ("address", "AllocateEipAddress", &[("Bandwidth", "10")], "/AllocationId"),
    ("used address", "AllocateEipAddress", &[("Bandwidth", "10")], "/AllocationId"),
];

/// What is found once that is there: its name, the action, what it is asked with, the place, and the status it must have.
const FOUND: &[(&str, &str, Pairs<'_>, &str, &str)] = &[
    ("", "DescribeInstances", &[("InstanceIds", r#"["{running}"]"#)], "/Instances/Instance/0", "Stopped"),
    ("", "DescribeInstances", &[("InstanceIds", r#"["{stopped}"]"#)], "/Instances/Instance/0", "Stopped"),
    ("", "DescribeInstances", &[("InstanceIds", r#"["{prepaid}"]"#)], "/Instances/Instance/0", "Stopped"),
    ("", "DescribeDisks", &[("DiskIds", r#"["{disk}"]"#)], "/Disks/Disk/0", "Available"),
    (
        "used disk",
        "DescribeDisks",
        &[("InstanceId", "{stopped}"), ("DiskType", "data")],
        "/Disks/Disk/0",
        "In_use",
    ),
    (
        "system disk",
        "DescribeDisks",
        &[("InstanceId", "{stopped}"), ("DiskType", "system")],
        "/Disks/Disk/0",
        "In_use",
    ),
];

/// And what is made of that.
const THEN: &[(&str, &str, Pairs<'_>, &str)] = &[
    ("", "StartInstance", &[("InstanceId", "{running}")], ""),
    ("", "AssociateEipAddress", &[("AllocationId", "{used address}"), ("InstanceId", "{stopped}")], ""),
    ("snapshot", "CreateSnapshot", &[("DiskId", "{system disk}"), ("SnapshotName", "before")], "/SnapshotId"),
    ("data snapshot", "CreateSnapshot", &[("DiskId", "{used disk}")], "/SnapshotId"),
    ("spare snapshot", "CreateSnapshot", &[("DiskId", "{disk}")], "/SnapshotId"),
];

const LAST: &[(&str, &str, Pairs<'_>, &str, &str)] = &[
    ("", "DescribeInstances", &[("InstanceIds", r#"["{running}"]"#)], "/Instances/Instance/0", "Running"),
    (
        "",
        "DescribeSnapshots",
        &[("SnapshotIds", r#"["{snapshot}"]"#)],
        "/Snapshots/Snapshot/0",
        "accomplished",
    ),
    (
        "",
        "DescribeSnapshots",
        &[("SnapshotIds", r#"["{data snapshot}"]"#)],
        "/Snapshots/Snapshot/0",
        "accomplished",
    ),
    (
        "",
        "DescribeSnapshots",
        &[("SnapshotIds", r#"["{spare snapshot}"]"#)],
        "/Snapshots/Snapshot/0",
        "accomplished",
    ),
];

/// Of the snapshots.
const COPIES: &[(&str, &str, Pairs<'_>, &str)] = &[
    ("", "CreateImage", &[("SnapshotId", "{snapshot}"), ("ImageName", "copy")], ""),
    ("", "CreateDisk", &[("SnapshotId", "{data snapshot}")], ""),
];

impl Fixture {
    pub async fn start() -> Self {
        Self::of(Host::start().await).await
    }

    /// One of each, on this host.
    pub async fn of(host: Host) -> Self {
        let (root, stranger) = (host.root().await, host.stranger().await);
        let names = BTreeMap::from([("account", root.account.to_string()), ("image", host.image())]);
        let mut fixture = Self { _host: host, root, stranger, names };
        for (name, action, asked, place) in MADE {
            fixture.make(name, action, asked, place).await;
        }
        for (name, action, asked, place, status) in FOUND {
            fixture.find(name, action, asked, place, status).await;
        }
        for (name, action, asked, place) in THEN {
            fixture.make(name, action, asked, place).await;
        }
        for (name, action, asked, place, status) in LAST {
            fixture.find(name, action, asked, place, status).await;
        }
        for (name, action, asked, place) in COPIES {
            fixture.make(name, action, asked, place).await;
        }
        fixture
    }

    async fn make(&mut self, name: &'static str, action: &str, asked: Pairs<'_>, place: &str) {
        let made = self.ask(action, asked).await;
        if !name.is_empty() {
            let id =
                made.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("{place} in {made}"));
            self.names.insert(name, id.to_owned());
        }
    }

    async fn find(&mut self, name: &'static str, action: &str, asked: Pairs<'_>, place: &str, status: &str) {
        let seen = async {
            loop {
                let answer = self.ask(action, asked).await;
                let found = answer.pointer(place).cloned().unwrap_or_default();
                if found["Status"] == status {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(60), seen).await;
        let seen = seen.unwrap_or_else(|_| panic!("{action} {asked:?} shows nothing that is {status}"));
        if !name.is_empty() {
            self.names.insert(name, seen["DiskId"].as_str().unwrap().to_owned());
        }
    }

    async fn ask(&self, action: &str, asked: Pairs<'_>) -> Value {
        let filled = self.fill(asked);
        let filled: Vec<(&str, &str)> =
            filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = self.root.call(version(action), action, &filled).await;
        assert_eq!(answer.status, 200, "{action} {filled:?}: {}", answer.text);
        answer.json()
    }

    /// Parameters, with what the braces name.
    pub fn fill(&self, pairs: Pairs<'_>) -> Vec<(String, String)> {
        let fill = |(name, value): &(&str, &str)| {
            let mut value = (*value).to_owned();
            for (known, is) in &self.names {
                value = value.replace(&format!("{{{known}}}"), is);
            }
            ((*name).to_owned(), value)
        };
        pairs.iter().map(fill).collect()
    }
}

/// The version of the first product that has an action of this name.
pub fn version(action: &str) -> &'static str {
    let row = dialects::alibaba::coverage().into_iter().find(|row| row.action == action);
    let product = row.unwrap_or_else(|| panic!("there is no action {action}")).product;
    match product.split(' ').next().unwrap() {
        "Ecs" => super::caller::ECS,
        "Vpc" => "2016-04-28",
        "Ram" => super::caller::RAM,
        _ => super::caller::STS,
    }
}
