//! One object of each type that the daemon answers with, as it is sent.

use native_api::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What the guest printed.
pub const CONSOLE: &str = "Debian GNU/Linux 12 web ttyS0\r\n\r\nweb login: ";

/// What an instance says to whoever connects to it.
pub const BANNER: &str = "SSH-2.0-OpenSSH_9.2p1\r\n";

/// What tells the certificate from others.
pub const FINGERPRINT: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

const AT: &str = "2026-01-02T03:04:05Z";
const ACCOUNT: &str = "123456789012";

/// The sample of a type.
pub fn of(name: &str) -> Value {
    let policy = r#"{"Version":"1","Statement":[]}"#;
    match name {
        "Instance" => json!({
            "id": "i-00000001", "account": ACCOUNT, "reservation": "r-00000001", "launch_index": 0, "name": "web",
            "state": "running", "revision": 7, "image": "ami-00000001", "instance_type": "m1.small", "vcpus": 1,
            "memory_mib": 2048, "key_pair": "laptop", "host_name": "web-1", "zone": "local-1a",
            "disks": [{ "device": "vda", "volume": "vol-00000001", "size_gib": 8, "delete_with_instance": true }],
            "network_interfaces": [{
                "index": 0, "id": "eni-00000001", "mac": "02:00:0a:00:00:05", "vpc": "vpc-00000001",
                "subnet": "subnet-00000001", "private_address": "127.0.0.1", "security_groups": ["sg-00000001"],
            }],
            "private_address": "127.0.0.1", "tags": { "team": "storage" },
            "rules": { "start": true, "on_power_off": "stop", "on_failure": "report", "after_host_reboot": "start" },
            "charge": { "pay_as_you_go": {} },
            "metadata_options": { "enabled": true, "tokens": "optional", "hop_limit": 1, "tags": false },
            "cloud": "ec2", "config_drive": true, "product_codes": [], "created_at": AT, "started_at": AT,
        }),
        "Launched" => json!({ "reservation": "r-00000001", "instances": [of("Instance")] }),
        "InstanceType" => json!({
            "name": "m1.small", "vcpus": 1, "memory_mib": 2048, "ephemeral_gib": 10, "max_network_interfaces": 2,
            "max_volumes": 16,
        }),
        "Job" => json!({
            "id": "job-00000001", "account": ACCOUNT, "kind": "import_image", "state": "succeeded",
            "done_bytes": 1024, "total_bytes": 1024, "image": "ami-00000001", "created_at": AT, "ended_at": AT,
        }),
        "Image" => json!({
            "id": "ami-00000001", "account": ACCOUNT, "name": "debian", "state": "available", "architecture": "x86_64",
            "boot": "disk", "bytes": 2_147_483_648_u64, "sha256": "0".repeat(64), "public": true, "product_codes": [],
            "data_disks": [{ "device": "sdf", "snapshot": "snap-00000001", "size_gib": 10, "delete_with_instance": true }],
            "tags": {}, "created_at": AT,
        }),
        "Volume" => json!({
            "id": "vol-00000001", "account": ACCOUNT, "name": "data", "state": "in_use", "size_gib": 8,
            "volume_type": "local", "zone": "local-1a",
            "attachment": { "instance": "i-00000001", "device": "vdb", "delete_with_instance": false, "attached_at": AT },
            "tags": {}, "created_at": AT,
        }),
        "Snapshot" => json!({
            "id": "snap-00000001", "account": ACCOUNT, "name": "nightly", "state": "available", "volume": "vol-00000001",
            "size_gib": 8, "tags": {}, "created_at": AT,
        }),
        "KeyPair" => json!({
            "id": "key-00000001", "name": "laptop", "algorithm": "ed25519", "public_key": "ssh-ed25519 AAAA",
            "fingerprints": { "md5": "00:11", "sha256": "abc=" }, "tags": {}, "created_at": AT,
        }),
        "Vpc" => json!({
            "id": "vpc-00000001", "account": ACCOUNT, "name": "shop", "cidr": "10.0.0.0/16", "is_default": true, "tags": {},
            "created_at": AT,
        }),
        "Subnet" => json!({
            "id": "subnet-00000001", "account": ACCOUNT, "vpc": "vpc-00000001", "name": "front", "cidr": "10.0.1.0/24",
            "zone": "local-1a", "private": true, "free_addresses": 250, "is_default": false, "tags": {}, "created_at": AT,
        }),
        "NetworkInterface" => json!({
            "id": "eni-00000001", "account": ACCOUNT, "name": "second", "vpc": "vpc-00000001", "subnet": "subnet-00000001",
            "mac": "02:00:0a:00:00:05", "private_address": "10.0.1.5", "public_address": "198.51.100.7",
            "address": "eipalloc-00000001", "security_groups": ["sg-00000001"], "instance": "i-00000001", "index": 1,
            "delete_with_instance": false, "tags": {}, "created_at": AT,
        }),
        "SecurityGroup" => json!({
            "id": "sg-00000001", "account": ACCOUNT, "vpc": "vpc-00000001", "name": "web", "is_default": false,
            "rules": rules(), "tags": {}, "created_at": AT,
        }),
        "SecurityGroupCounts" => {
            let traffic = |packets: u64| json!({ "packets": packets, "bytes": packets * 60 });
            let counts = rules().into_iter().zip([12, 0, 3]);
            json!({
                "rules": counts.map(|(rule, count)| json!({ "rule": rule, "passed": traffic(count) })).collect::<Value>(),
                "dropped_ingress": traffic(5), "dropped_egress": traffic(0),
            })
        }
        "Address" => json!({
            "id": "eipalloc-00000001", "account": ACCOUNT, "name": "front", "public_address": "198.51.100.7",
            "instance": "i-00000001", "network_interface": "eni-00000001", "tags": {}, "created_at": AT,
        }),
        "NewKeyPair" => json!({ "key_pair": of("KeyPair"), "private_key": "-----BEGIN PRIVATE KEY-----\n" }),
        "Account" => json!({
            "id": ACCOUNT, "name": "ci", "enabled": true, "quotas": { "instances": 20 }, "created_at": AT,
        }),
        "User" => {
            json!({ "name": "builder", "account": ACCOUNT, "policies": ["AdministratorAccess"], "created_at": AT })
        }
        "AccessKey" => {
            json!({ "id": "AKIAIOSFODNN7EXAMPLE", "account": ACCOUNT, "active": true, "created_at": AT })
        }
        "NewAccessKey" => json!({ "access_key": of("AccessKey"), "secret": "shown-once" }),
        "Certificate" => json!({
            "fingerprint": FINGERPRINT, "account": ACCOUNT, "pem": "-----BEGIN CERTIFICATE-----\n", "created_at": AT,
        }),
        "Role" => json!({
            "name": "reader", "account": ACCOUNT, "trust_policy": policy, "max_session_seconds": 3600, "policies": [],
            "created_at": AT,
        }),
        "Policy" => json!({ "name": "look", "built_in": false, "document": policy, "created_at": AT }),
        "Health" => json!({ "version": "9.9.9", "revision": 7 }),
        "Host" => json!({
            "name": "node-1", "version": "9.9.9", "vmm_version": "9.9.8", "kernel": "6.1.0", "zone": "local-1a",
            "started_at": AT, "capacity": { "vcpus": 8, "memory_mib": 32768, "disk_gib": 500 },
            "used": { "instances": 1, "vcpus": 1, "memory_mib": 2048, "disk_gib": 8 },
            "disk_free_bytes": 1_000_000_000, "reflink": true,
        }),
        other => panic!("there is no sample of {other}"),
    }
}

/// Rules of a security group.
fn rules() -> [Value; 3] {
    let more = |mut rule: Value| {
        rule["verdict"] = "accept".into();
        rule["priority"] = 1.into();
        rule
    };
    [
        more(json!({ "direction": "ingress", "protocol": "tcp", "ports": { "from": 22, "to": 22 },
            "peer": { "cidr": "0.0.0.0/0" }, "description": "for all" })),
        more(
            json!({ "direction": "ingress", "protocol": "all", "peer": { "security_group": "sg-00000001" } }),
        ),
        more(json!({ "direction": "egress", "protocol": "all", "peer": { "cidr": "0.0.0.0/0" } })),
    ]
}

/// The sample with other fields.
pub fn with(name: &str, fields: Value) -> Value {
    let mut value = of(name);
    for (key, field) in fields.as_object().unwrap() {
        value[key] = field.clone();
    }
    value
}

/// Two events.
pub fn events() -> [Value; 2] {
    [
        json!({ "revision": 8, "at": AT, "kind": "instance", "resource": "i-00000001", "change": "changed", "state": "running" }),
        json!({ "revision": 9, "at": AT, "kind": "job", "resource": "job-00000001", "change": "created" }),
    ]
}

#[test]
fn samples_are_of_their_types() {
    fn whole<T: DeserializeOwned + Serialize>(name: &str) {
        let read: T = serde_json::from_value(of(name)).expect(name);
        assert_eq!(serde_json::to_value(read).unwrap(), of(name), "{name}");
    }
    whole::<Launched>("Launched");
    whole::<InstanceType>("InstanceType");
    whole::<Job>("Job");
    whole::<Image>("Image");
    whole::<Volume>("Volume");
    whole::<Snapshot>("Snapshot");
    whole::<NewKeyPair>("NewKeyPair");
    whole::<Vpc>("Vpc");
    whole::<Subnet>("Subnet");
    whole::<NetworkInterface>("NetworkInterface");
    whole::<SecurityGroup>("SecurityGroup");
    whole::<SecurityGroupCounts>("SecurityGroupCounts");
    whole::<Address>("Address");
    whole::<Account>("Account");
    whole::<User>("User");
    whole::<NewAccessKey>("NewAccessKey");
    whole::<Certificate>("Certificate");
    whole::<Role>("Role");
    whole::<Policy>("Policy");
    whole::<Health>("Health");
    whole::<Host>("Host");
}
