//! The cloud's own SDKs, unmodified. They are fetched from PyPI into a folder of cargo's, so this runs only where
//! `BOTHY_REQUIRE_CLIENTS` promises that it can, with a `python3` that has `venv`. There it fails if it cannot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::caller::{Caller, Host};

pub const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// Longest time for fetching them, and for what one does.
const PATIENCE: Duration = Duration::from_secs(300);

pub async fn run(command: &mut Command) -> Vec<u8> {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output());
    let output = output.await.unwrap_or_else(|_| panic!("{command:?} takes too long"));
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A Python that has the clients; `None`, and a line that says so, where they are not promised.
pub async fn python() -> Option<PathBuf> {
    if std::env::var_os("BOTHY_REQUIRE_CLIENTS").is_none() {
        eprintln!("skipped: BOTHY_REQUIRE_CLIENTS is not set: the cloud's own SDKs are fetched from PyPI");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ec2-clients");
    let python = folder.join("bin/python");
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await;
    // What is there from an earlier run is looked at by pip, and mostly left as it is.
    let requirements = Path::new(CLIENTS).join("ec2-requirements.txt");
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(quiet).arg(requirements)).await;
    Some(python)
}

/// What a script says that is told where the API is and who asks.
async fn tell(python: &Path, script: &str, root: &Caller) -> Value {
    let mut command = Command::new(python);
    command.arg(format!("{CLIENTS}/{script}")).arg(root.address.port().to_string());
    command.args(["local", &root.id, &root.secret]);
    // What the machine has of its own is not for these clients.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    serde_json::from_slice(&run(&mut command).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_sdk_makes_networks_and_takes_them_down() {
    let Some(python) = python().await else { return };
    let host = Host::start().await;
    // Clients sign with their own clock.
    let behind = Timestamp::now().duration_since(host.node.compute.clock().now());
    host.node.clock.advance(behind.try_into().expect("the test's clock begins in the past"));
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
        "left": [[], []],
        "unknown": "InvalidPermission.NotFound",
        "once": true,
        "leads": [true, true, "web", "available"],
        "addresses": [true],
        "held": "InvalidIPAddress.InUse",
        "full": ["DependencyViolation", "DependencyViolation"],
        "gone": "InvalidVpcID.NotFound",
        // All that have a row but for those that attach interfaces to instances.
        "answered": 25,
    });
    assert_eq!(told, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_walk_through_the_life_of_instances() {
    let Some(python) = python().await else { return };
    let (host, root, _) = super::instances::host().await;
    let behind = Timestamp::now().duration_since(host.node.compute.clock().now());
    host.node.clock.advance(behind.try_into().expect("the test's clock begins in the past"));
    let told = tell(&python, "ec2_instances.py", &root).await;
    let wanted = json!({
        "attached": ["attached", "/dev/sdh", true],
        "behavior": "terminate",
        "changed": "m1.large",
        "cli": ["", "running", true, "root"],
        "cli_refused": [true, true],
        "console": [true, true],
        "copy": [6, true, true],
        "deregistered": ["success"],
        "description": "better",
        "ended": [400, "IncorrectInstanceState"],
        "ending": ["running", "running"],
        "filtered": 2,
        "grown": [4, 6, [400, "InvalidParameterValue"]],
        "image": [true, true, [400, "InvalidAMIName.Duplicate"]],
        "image_gone": "InvalidAMIID",
        "in_use": [[400, "VolumeInUse"], [400, "VolumeInUse"], [400, "IncorrectState"]],
        "instance": {"devices": [["/dev/sda1", "attached", true], ["/dev/sdf", "attached", false]], "groups": ["web"], "key": "mine", "monitoring": "enabled", "private": true, "public": true, "root": "/dev/sda1", "tags": [{"Key": "Name", "Value": "web"}], "token": "once", "tokens": "required", "type": "m1.small", "zone": "local-a"},
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
        // All of instances, volumes, snapshots, images, keys and tags, and one of groups.
        "answered": 36,
    });
    assert_eq!(told, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_before_sign_in_their_own_ways() {
    let Some(python) = python().await else { return };
    let (host, root, _) = super::instances::host().await;
    let behind = Timestamp::now().duration_since(host.node.compute.clock().now());
    host.node.clock.advance(behind.try_into().expect("the test's clock begins in the past"));
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
