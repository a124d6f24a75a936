//! A host with one of each: what actions are asked about where all of them are asked. Parameters name it in braces.

use std::collections::BTreeMap;

use super::caller::{Answered, Caller, Host, Pairs};
use super::instances::{until, wait};
use super::soap;

pub const PUBLIC_KEY: &str = "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSU9FQVJJekNJV1lIdFNXMmNtTmVDTE92V3BlRG40ai82bHBVNm1hR2tFUWg=";
/// Who may have the role.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
    "Principal":{"AWS":"arn:aws:iam::ACCOUNT:root"}}]}"#;
const OLD: &str = "2007-03-01";
const NEW: &str = "2016-11-15";

/// A host, whose account has one of each.
pub struct Fixture {
    pub host: Host,
    pub root: Caller,
    /// Of another account, which has nothing.
    pub stranger: Caller,
    /// What is there, by the names below.
    names: BTreeMap<&'static str, String>,
}

/// Something that is made: its name, the version and the action, what it is asked with, and the element that has it.
type Made = (&'static str, &'static str, &'static str, Pairs<'static>, &'static str);

/// What is made first, in this order.
const MADE: &[Made] = &[
    ("key", NEW, "ImportKeyPair", &[("KeyName", "mine"), ("PublicKeyMaterial", PUBLIC_KEY)], "keyPairId"),
    ("vpc", NEW, "CreateVpc", &[("CidrBlock", "10.1.0.0/16")], "vpcId"),
    ("spare vpc", NEW, "CreateVpc", &[("CidrBlock", "10.2.0.0/16")], "vpcId"),
    ("subnet", NEW, "CreateSubnet", &[("VpcId", "{vpc}"), ("CidrBlock", "10.1.0.0/24")], "subnetId"),
    ("spare subnet", NEW, "CreateSubnet", &[("VpcId", "{vpc}"), ("CidrBlock", "10.1.1.0/24")], "subnetId"),
    (
        "group",
        NEW,
        "CreateSecurityGroup",
        &[("GroupName", "web"), ("GroupDescription", "front end"), ("VpcId", "{vpc}")],
        "groupId",
    ),
    (
        "spare group",
        NEW,
        "CreateSecurityGroup",
        &[("GroupName", "spare"), ("GroupDescription", "for nobody"), ("VpcId", "{vpc}")],
        "groupId",
    ),
    (
        "rule",
        NEW,
        "AuthorizeSecurityGroupIngress",
        &[
            ("GroupId", "{group}"),
            ("IpProtocol", "tcp"),
            ("FromPort", "22"),
            ("ToPort", "22"),
            ("CidrIp", "10.0.0.0/8"),
        ],
        "securityGroupRuleId",
    ),
    (
        "egress rule",
        NEW,
        "AuthorizeSecurityGroupEgress",
        &[
            ("GroupId", "{group}"),
            ("IpPermissions.1.IpProtocol", "udp"),
            ("IpPermissions.1.FromPort", "53"),
            ("IpPermissions.1.ToPort", "53"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
        ],
        "securityGroupRuleId",
    ),
    ("interface", NEW, "CreateNetworkInterface", &[("SubnetId", "{subnet}")], "networkInterfaceId"),
    ("spare interface", NEW, "CreateNetworkInterface", &[("SubnetId", "{subnet}")], "networkInterfaceId"),
    ("address", NEW, "AllocateAddress", &[], "allocationId"),
    ("used address", NEW, "AllocateAddress", &[], "allocationId"),
    ("", OLD, "CreateSecurityGroup", &[("GroupName", "old"), ("GroupDescription", "front end")], ""),
    ("", OLD, "CreateSecurityGroup", &[("GroupName", "empty"), ("GroupDescription", "for nobody")], ""),
    (
        "",
        OLD,
        "AuthorizeSecurityGroupIngress",
        &[("GroupName", "old"), ("IpProtocol", "tcp"), ("FromPort", "80"), ("ToPort", "80")],
        "",
    ),
    (
        "",
        OLD,
        "ModifyImageAttribute",
        &[("ImageId", "{old image}"), ("Attribute", "productCodes"), ("ProductCode.1", "774F4FF8")],
        "",
    ),
    ("volume", NEW, "CreateVolume", &[("AvailabilityZone", "local-a"), ("Size", "1")], "volumeId"),
    (
        "running",
        NEW,
        "RunInstances",
        &[
            ("ImageId", "{image}"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("InstanceType", "m1.small"),
            ("KeyName", "mine"),
            ("SubnetId", "{subnet}"),
            ("SecurityGroupId.1", "{group}"),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "team"),
            ("TagSpecification.1.Tag.1.Value", "blue"),
        ],
        "instanceId",
    ),
    (
        "stopped",
        NEW,
        "RunInstances",
        &[
            ("ImageId", "{image}"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("InstanceType", "m1.small"),
            ("SubnetId", "{subnet}"),
            ("UserData", "aGVsbG8="),
            ("BlockDeviceMapping.1.DeviceName", "/dev/sdf"),
            ("BlockDeviceMapping.1.Ebs.VolumeSize", "2"),
        ],
        "instanceId",
    ),
    (
        "old",
        OLD,
        "RunInstances",
        &[
            ("ImageId", "{old image}"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("KeyName", "mine"),
            ("SecurityGroup.1", "old"),
        ],
        "instanceId",
    ),
];

/// What is made once the instances run and one is stopped.
const THEN: &[Made] = &[
    (
        "used volume",
        NEW,
        "DescribeVolumes",
        &[
            ("Filter.1.Name", "attachment.instance-id"),
            ("Filter.1.Value.1", "{stopped}"),
            ("Filter.2.Name", "attachment.device"),
            ("Filter.2.Value.1", "/dev/sdf"),
        ],
        "volumeId",
    ),
    (
        "system volume",
        NEW,
        "DescribeVolumes",
        &[
            ("Filter.1.Name", "attachment.instance-id"),
            ("Filter.1.Value.1", "{stopped}"),
            ("Filter.2.Name", "attachment.device"),
            ("Filter.2.Value.1", "/dev/sda1"),
        ],
        "volumeId",
    ),
    ("snapshot", NEW, "CreateSnapshot", &[("VolumeId", "{volume}")], "snapshotId"),
    ("system snapshot", NEW, "CreateSnapshot", &[("VolumeId", "{system volume}")], "snapshotId"),
    (
        "attachment",
        NEW,
        "AttachNetworkInterface",
        &[("NetworkInterfaceId", "{interface}"), ("InstanceId", "{stopped}"), ("DeviceIndex", "1")],
        "attachmentId",
    ),
    (
        "association",
        NEW,
        "AssociateAddress",
        &[("AllocationId", "{used address}"), ("NetworkInterfaceId", "{interface}")],
        "associationId",
    ),
];

impl Fixture {
    pub async fn start() -> Self {
        let host = Host::start().await;
        let image = host.node.image(&host.node.operator(), "debian").await;
        let (root, stranger) = (host.default_account().await, host.stranger().await);
        let now = host.node.compute.clock().now();
        let trust = TRUST.replace("ACCOUNT", &root.account.to_string());
        host.identity.create_role(root.account, "deployer", "", &trust, 3600, now).await.unwrap();
        let old = soap::image(&host, &root).await;
        let names = [("account", root.account.to_string()), ("image", image), ("old image", old)];
        let mut fixture = Self { host, root, stranger, names: BTreeMap::from(names) };
        fixture.make_all(MADE).await;
        for name in ["running", "stopped", "old"] {
            until(&fixture.root, &fixture.names[name], "running").await;
        }
        let stop = fixture.fill(&[("InstanceId.1", "{stopped}"), ("Force", "true")]);
        fixture.ask(NEW, "StopInstances", &stop).await;
        until(&fixture.root, &fixture.names["stopped"], "stopped").await;
        let volume = [("VolumeId.1", fixture.names["volume"].as_str())];
        wait(&fixture.root, "DescribeVolumes", &volume, "available").await;
        fixture.make_all(THEN).await;
        for name in ["snapshot", "system snapshot"] {
            let snapshot = [("SnapshotId.1", fixture.names[name].as_str())];
            wait(&fixture.root, "DescribeSnapshots", &snapshot, "completed").await;
        }
        fixture
    }

    async fn make_all(&mut self, all: &[Made]) {
        for (name, version, action, asked, element) in all {
            let made = self.ask(version, action, &self.fill(asked)).await;
            if !name.is_empty() {
                let id = made.all(element).into_iter().next();
                self.names.insert(name, id.unwrap_or_else(|| panic!("{element} in {}", made.text)));
            }
        }
    }

    async fn ask(&self, version: &str, action: &str, asked: &[(String, String)]) -> Answered {
        let pairs: Vec<(&str, &str)> =
            asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.root.asks(version, action, &pairs).await.ok()
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
