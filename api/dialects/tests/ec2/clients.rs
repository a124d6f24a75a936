//! The cloud's own SDKs and command line, unmodified: see `python` about where they come from and when this runs.

use std::path::Path;

use serde_json::{Value, json};

use super::caller::{Caller, Host};
use super::python::{Python, script, set_clock, told};

/// For all tests of this cloud.
pub static PYTHON: Python = Python::new("ec2-clients", "ec2-requirements.txt", &[]);

/// What a script says that is told where the API is and who asks.
async fn tell(python: &Path, name: &str, root: &Caller) -> Value {
    let mut command = script(python, name);
    command.arg(root.address.port().to_string()).args(["local", &root.id, &root.secret]);
    told(&mut command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_sdk_makes_networks_and_takes_them_down() {
    let Some(python) = PYTHON.get().await else { return };
    let host = Host::start().await;
    set_clock(&host.node);
    let told = tell(&python, "ec2_networks.py", &host.root().await).await;
    let attributes = [
        "default-vpc",
        "max-elastic-ips",
        "max-instances",
        "supported-platforms",
        "vpc-max-elastic-ips",
        "vpc-max-security-groups-per-interface",
    ];
    let wanted = json!({
        "odd": [],
        "regions": ["local"],
        "zones": [["local-a", "available"]],
        "attributes": attributes,
        "free": 251,
        "by_tag": [true],
        "conflict": "InvalidSubnet.Conflict",
        "added": ["sgr"],
        "twice": "InvalidPermission.Duplicate",
        "app": [{"protocol": "-1", "ports": [null, null], "ranges": [], "groups": 1}],
        "used": "DependencyViolation",
        "rules": [[false, "-1"], [false, "tcp"], [true, "-1"], [true, "-1"]],
        "modified": [true, 22, true, "shell"],
        "left": [[], []],
        "unknown": "InvalidPermission.NotFound",
        "once": true,
        "leads": [true, true, "web", "available"],
        "addresses": [true],
        "held": "InvalidIPAddress.InUse",
        "full": ["DependencyViolation", "DependencyViolation"],
        "gone": "InvalidVpcID.NotFound",
        // All that have a row but for those that attach interfaces to instances.
        "answered": 26,
    });
    assert_eq!(told, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_walk_through_the_life_of_instances() {
    let Some(python) = PYTHON.get().await else { return };
    let (host, root, _) = super::instances::host().await;
    set_clock(&host.node);
    let told = tell(&python, "ec2_instances.py", &root).await;
    let wanted = json!({
        "attached": ["attached", "/dev/sdh", true],
        "behavior": "terminate",
        "changed": "m1.large",
        "cli": ["", "running", true, "root"],
        "cli_refused": [true, true],
        "console": [true, true],
        "copy": [6, true, true],
        "deregistered": ["success", "success"],
        "description": "better",
        "ended": [400, "IncorrectInstanceState"],
        "ending": ["running", "running"],
        "filtered": 2,
        "first_of": [true, true, true],
        "grown": [4, 6, [400, "InvalidParameterValue"]],
        "image": [true, true, [400, "InvalidAMIName.Duplicate"], [["/dev/sda1", true], ["/dev/sdf", false]]],
        "image_gone": "InvalidAMIID",
        "in_use": [[400, "VolumeInUse"], [400, "VolumeInUse"], [400, "IncorrectState"]],
        "instance": {"devices": [["/dev/sda1", "attached", true], ["/dev/sdf", "attached", false]], "groups": ["web"], "key": "mine", "monitoring": "enabled", "private": true, "public": true, "root": "/dev/sda1", "tags": [{"Key": "Name", "Value": "web"}], "token": "once", "tokens": "required", "type": "m1.small", "zone": "local-a"},
        "interfaces": [
            [
                [0, true, true, "", ["default"]],
                [1, true, false, "", ["default"]],
                [2, true, false, "inner", ["inner"]],
            ],
            [[true, "available"]],
            [400, "InvalidNetworkInterface.InUse"],
        ],
        "key_refused": [[400, "InvalidKeyPair.Duplicate"], [400, "InvalidKey.Format"], [400, "InvalidKeyPair.NotFound"]],
        "keys": ["-----BEGIN OPENSSH PRIVATE KEY-----", "ed25519", "AAAAC3NzaC1lZDI1NTE5"],
        "launched": ["pending", 2, true, [400, "IdempotentParameterMismatch"], [412, "DryRunOperation"]],
        "left": [["available", 5], ["available", 5]],
        "odd": [],
        "options": ["disabled", 2],
        "permissions": [[{"Group": "all"}, {"UserId": "123456789012"}], []],
        "presigned": 200,
        "protected": [400, "OperationNotPermitted"],
        "running": [400, "IncorrectInstanceState"],
        "snapshots": ["before"],
        "status": ["passed", "passed"],
        "stopping": ["running", "running"],
        "tags": [[["image", "a", "1"], ["image", "b", "2"], ["key-pair", "a", "1"], ["key-pair", "b", "2"]], ["b"]],
        "types": [true, "m1.small"],
        "user_data": "#!/bin/sh\necho hello\n",
        "volume_gone": [400, "InvalidVolume.NotFound"],
        "who": "root",
        "wrong": [403, "SignatureDoesNotMatch"],
        // All of instances, volumes, snapshots, images, keys and tags, and what they need of networks.
        "answered": 45,
    });
    assert_eq!(told, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_before_sign_in_their_own_ways() {
    let Some(python) = PYTHON.get().await else { return };
    let (host, root, _) = super::instances::host().await;
    set_clock(&host.node);
    let told = tell(&python, "ec2_old.py", &root).await;
    let boto = json!([[true], 1, "m1.large", [400, "InvalidInstanceID.NotFound", true]]);
    let libcloud = json!(["cloud", 1, [2], true]);
    let wanted = json!({
        "boto": boto,
        "boto_path": boto,
        "boto_2": boto,
        "libcloud": libcloud,
        "libcloud_4": libcloud,
    });
    assert_eq!(told, wanted);
}
