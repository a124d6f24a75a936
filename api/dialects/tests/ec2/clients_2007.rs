//! Clients of 2007 and those that stand in for them, unmodified: boto by Query, and zeep by SOAP with the WSDL that the service
//! tells; see `python` about where they come from and when this runs.

use std::path::{Path, PathBuf};

use compute::capacity::Amounts;
use rcgen::{CertificateParams, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::caller::{Caller, Host};
use super::clients::PYTHON;
use super::python::{script, set_clock, told};

/// All operations of that version.
const OPERATIONS: [&str; 20] = [
    "AuthorizeSecurityGroupIngress",
    "ConfirmProductInstance",
    "CreateKeyPair",
    "CreateSecurityGroup",
    "DeleteKeyPair",
    "DeleteSecurityGroup",
    "DeregisterImage",
    "DescribeImageAttribute",
    "DescribeImages",
    "DescribeInstances",
    "DescribeKeyPairs",
    "DescribeSecurityGroups",
    "GetConsoleOutput",
    "ModifyImageAttribute",
    "RebootInstances",
    "RegisterImage",
    "ResetImageAttribute",
    "RevokeSecurityGroupIngress",
    "RunInstances",
    "TerminateInstances",
];

/// A host with images that can be registered, and an account that may have five instances, with a certificate.
struct World {
    host: Host,
    root: Caller,
    /// The certificate, and that of somebody whom nobody knows.
    keys: TempDir,
    python: PathBuf,
}

/// The world, with its clock at the clients' own; `None` where there are no clients.
async fn world() -> Option<World> {
    let python = PYTHON.get().await?;
    let host = Host::start().await;
    set_clock(&host.node);
    let root = host.root().await;
    let quotas = Amounts { instances: 5, ..Amounts::UNLIMITED };
    host.identity.set_quotas(root.account, quotas).await.unwrap();
    let keys = tempfile::tempdir().unwrap();
    let pem = certificate(keys.path(), "first");
    certificate(keys.path(), "stranger");
    let now = host.node.compute.clock().now();
    host.identity.upload_certificate(root.account, &pem, now).await.unwrap();
    images(host.images.path(), &root.account.to_string());
    Some(World { host, root, keys, python })
}

/// Makes a certificate as people made them for themselves, and tells it in PEM.
fn certificate(folder: &Path, name: &str) -> String {
    let key = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let made = CertificateParams::new([format!("{name}.example")]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), made.pem()).unwrap();
    made.pem()
}

/// An image for all, one of this account's, one of another's, and one that cannot be read.
fn images(folder: &Path, account: &str) {
    let bucket = folder.join("bucket");
    std::fs::create_dir(&bucket).unwrap();
    for (name, text) in [
        ("web.img", "a disk".to_owned()),
        ("mine.manifest.xml", manifest("web.img", account)),
        ("other.manifest.xml", manifest("web.img", "999999999999")),
        ("broken.manifest.xml", "<manifest><image/></manifest>".to_owned()),
    ] {
        std::fs::write(bucket.join(name), text).unwrap();
    }
}

fn manifest(file: &str, account: &str) -> String {
    format!("<manifest><image><name>{file}</name><user>{account}</user></image></manifest>")
}

impl World {
    /// What a script says.
    async fn tell(&self, name: &str, more: &[&str]) -> Value {
        let mut command = script(&self.python, name);
        command.arg(self.host.address.port().to_string());
        command.arg(self.keys.path()).arg(self.root.account.to_string()).args(more);
        told(&mut command).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zeep_asks_all_operations_by_the_wsdl() {
    let Some(world) = world().await else { return };
    let told = world.tell("ec2_soap.py", &[]).await;
    let client = |code: &str| format!("SOAP-ENV:Client.{code}");
    let wanted = json!({
        "key": ["-----BEGIN RSA PRIVATE KEY-----", 20],
        "key_known": true,
        "key_refused": (["InvalidKeyPair.Duplicate", "InvalidKeyPair.NotFound"].map(client)),
        "groups": {
            "app": [["tcp", 0, 65535, "web"]],
            "web": [["tcp", 80, 81, "0.0.0.0/0", "10.0.0.0/8"], ["icmp", -1, -1, "0.0.0.0/0"]],
        },
        "default": [["tcp", 0, 65535, "default"], ["udp", 0, 65535, "default"], ["icmp", -1, -1, "default"]],
        "group_refused": ([
            "InvalidGroup.Duplicate",
            "InvalidGroup.Reserved",
            "InvalidGroup.Reserved",
            "InvalidGroup.NotFound",
            "InvalidPermission.Duplicate",
            "InvalidPermission.Malformed",
            "InvalidPermission.Malformed",
            "InvalidPermission.NotFound",
        ].map(client)),
        "image": ["bucket/web.img", "available", true, false],
        "shared": [["all", null], [null, "123456789012"]],
        "found": [true, true],
        "reset": true,
        "code": "774F4FF8",
        "image_refused": ([
            "InvalidManifest",
            "InvalidParameterValue",
            "AuthFailure",
            "InvalidManifest",
            "InvalidParameterValue",
            "InvalidAMIAttributeItemValue",
            "InvalidAMIAttributeItemValue",
            "InvalidAMIID.NotFound",
            "InvalidAMIID.Malformed",
            "InvalidUserID.Malformed",
        ].map(client)),
        // The account's five: one and two are the fewest, and the two that are left go to each in turn.
        "launched": [{"first": [0, 1], "second": [0, 1, 2]}, ["web"], "pending", ""],
        "running": [16, true, true, "mine"],
        "product": "774F4FF8",
        "launch_refused": ([
            "InstanceLimitExceeded",
            "InvalidParameterCombination",
            "InvalidParameterCombination",
            "InvalidKeyPair.NotFound",
            "InvalidGroup.NotFound",
            "InvalidAMIID.NotFound",
            "InvalidAMIID.Malformed",
            "InvalidParameterValue",
            "InvalidParameterValue",
        ].map(client)),
        "console": [true, true],
        "confirmed": [true, true],
        "not_confirmed": [false, null],
        "in_use": client("InvalidGroup.InUse"),
        "ended": ["running", "shutting-down"],
        "again": [48, 48],
        "instance_refused": ([
            "InvalidInstanceID.NotFound",
            "InvalidInstanceID.Malformed",
            "InvalidInstanceID.NotFound",
        ].map(client)),
        "left": ["deregistered", "deregistered"],
        "unavailable": client("InvalidAMIID.Unavailable"),
        "operations": OPERATIONS,
        "invalid": [],
    });
    assert_eq!(told, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_answered_who_did_not_sign_what_is_answered() {
    let Some(world) = world().await else { return };
    let told = world.tell("ec2_attacks.py", &[]).await;
    let fault = |code: &str| json!([500, format!("SOAP-ENV:Client.{code}")]);
    let (refused, expired, malformed) =
        (fault("AuthFailure"), fault("RequestExpired"), fault("MalformedSOAPMessage"));
    let forged = fault("SignatureDoesNotMatch");
    let wanted = json!({
        "answered": [200, null],
        "sha256": [200, null],
        "known": ["answered", "sha256"],
        "sent again": refused,
        "changed": forged,
        "unsigned": refused,
        "no signature": refused,
        "no timestamp": refused,
        "timestamp not signed": refused,
        "too old": expired,
        "too early": expired,
        "has expired": expired,
        "stranger's": refused,
        "stranger's key": forged,
        "body wrapped": refused,
        "body wrapped in security": refused,
        "same id": refused,
        "timestamp wrapped": expired,
        "two timestamps": refused,
        "two signatures": refused,
        "two headers": malformed,
        "two bodies": malformed,
        "other algorithm": refused,
        "outside": refused,
        "document type": malformed,
        "entity": malformed,
        "deep": malformed,
        "wide": malformed,
        "no xml": malformed,
        "not utf-8": malformed,
        "large": fault("RequestEntityTooLarge"),
    });
    assert_eq!(told, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn boto_asks_all_operations_by_query() {
    let Some(world) = world().await else { return };
    let told = world.tell("ec2_boto.py", &[&world.root.id, &world.root.secret]).await;
    let refused = |code: &str| json!([400, code]);
    let wanted = json!({
        "key": ["-----BEGIN RSA PRIVATE KEY-----", 20],
        "known": true,
        "key_refused": (["InvalidKeyPair.Duplicate", "InvalidKeyPair.NotFound", "MissingParameter"].map(refused)),
        "rules": [
            ["tcp", "22", "22", ["192.0.2.1/32"]],
            ["tcp", "0", "65535", ["front-ACCOUNT"]],
            ["udp", "0", "65535", ["front-ACCOUNT"]],
            ["icmp", "-1", "-1", ["front-ACCOUNT"]],
        ],
        "group_refused": ([
            "InvalidPermission.Duplicate",
            "InvalidPermission.Duplicate",
            "InvalidParameterCombination",
            "InvalidPermission.Malformed",
            "InvalidGroup.NotFound",
            "InvalidGroup.Duplicate",
            "InvalidGroup.Reserved",
            "InvalidGroup.Reserved",
        ].map(refused)),
        "empty": true,
        "not_granted": refused("InvalidPermission.NotFound"),
        "permissions": {"groups": ["all"], "user_ids": ["123456789012"]},
        "public": true,
        "reset": {},
        "image_refused": ([
            "InvalidParameterValue",
            "InvalidParameterValue",
            "InvalidAMIAttributeItemValue",
            "InvalidAMIID.Malformed",
            "InvalidAMIID.NotFound",
            "InvalidUserID.Malformed",
            "UnknownParameter",
        ].map(refused)),
        "launched": [2, ["0", "1"], ["front"]],
        "running": [16, true, "boto"],
        "console": true,
        "coded": true,
        "confirmed": true,
        "rebooted": true,
        "launch_refused": ([
            "UnknownParameter",
            "InvalidParameterCombination",
            "InvalidParameterCombination",
            "InvalidParameterValue",
            "InvalidKeyPair.NotFound",
            "InstanceLimitExceeded",
        ].map(refused)),
        "in_use": refused("InvalidGroup.InUse"),
        "ended": true,
        "again": true,
        "unavailable": refused("InvalidAMIID.Unavailable"),
        "by_hand": {
            "0": [200, 1],
            "1": [200, 1],
            "flipped": [[403, "SignatureDoesNotMatch"], [403, "SignatureDoesNotMatch"]],
            "late": refused("RequestExpired"),
            "empty": [200, 1],
            "bare": [200, 1],
            "unknown": refused("UnknownParameter"),
            "both": refused("InvalidParameterCombination"),
            "no_key": [401, "AuthFailure"],
            "no_action": refused("InvalidAction"),
        },
        "operations": OPERATIONS,
    });
    assert_eq!(told, wanted);
}
