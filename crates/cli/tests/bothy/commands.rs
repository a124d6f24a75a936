//! Every command's happy path: what it asks the daemon for, and what it prints.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use native_api::Operation::{self, *};
use serde_json::{Value, json};

use crate::{Ran, User, samples};

/// Command line, what is asked in this order, what is among the output.
const HAPPY: &[(&str, &[Operation], &str)] = &[
    (
        "launch debian",
        &[ListImages, ListInstanceTypes, LaunchInstances],
        "i-00000001  web   running  m1.small",
    ),
    ("launch ami-00000001 --type m1.small --wait", &[LaunchInstances, GetInstance], "running"),
    ("ls", &[ListInstances], "i-00000001"),
    ("ls --all --state running --tag team", &[ListInstances], "127.0.0.1"),
    ("show web", &[ListInstances, GetInstance], "vda  vol-00000001  8 GiB, deleted with it"),
    ("show web", &[ListInstances, GetInstance], "ec2, with a config drive"),
    ("start i-00000001 --wait", &[StartInstance, GetInstance], "running"),
    ("stop i-00000001 --force", &[StopInstance], "i-00000001"),
    ("reboot i-00000001", &[RebootInstance], "i-00000001"),
    ("terminate web i-00000002", &[ListInstances, TerminateInstance, TerminateInstance], "i-00000001"),
    ("console web --history", &[ListInstances, GetConsole], "web login: "),
    ("image ls --name debian", &[ListImages], "2.00 GiB"),
    ("image show debian", &[ListImages, GetImage], "x86_64"),
    ("image set ami-00000001 --public true --name other", &[UpdateImage], "debian"),
    ("image rm debian", &[ListImages, DeregisterImage], "removed ami-00000001"),
    ("volume create --size 8 --name data --wait", &[CreateVolume, GetVolume], "8 GiB"),
    ("volume create --snapshot nightly", &[ListSnapshots, CreateVolume], "vol-00000001"),
    ("volume ls --instance web", &[ListInstances, ListVolumes], "in_use"),
    ("volume show data", &[ListVolumes, GetVolume], "i-00000001 as vdb, kept"),
    ("volume attach data web --device vdb", &[ListVolumes, ListInstances, AttachVolume], "vdb"),
    ("volume detach vol-00000001 --force", &[DetachVolume], "vol-00000001"),
    ("volume grow vol-00000001 20", &[UpdateVolume], "vol-00000001"),
    ("volume rm data", &[ListVolumes, DeleteVolume], "deleted vol-00000001"),
    (
        "snapshot create data --name nightly --wait",
        &[ListVolumes, CreateSnapshot, GetSnapshot],
        "snap-00000001",
    ),
    ("snapshot ls --volume data", &[ListVolumes, ListSnapshots], "nightly"),
    ("snapshot show nightly", &[ListSnapshots, GetSnapshot], "vol-00000001"),
    ("snapshot rm nightly", &[ListSnapshots, DeleteSnapshot], "deleted snap-00000001"),
    ("key ls", &[ListKeyPairs], "SHA256:abc"),
    ("key show laptop", &[ListKeyPairs, GetKeyPair], "ssh-ed25519 AAAA"),
    ("key rm laptop", &[ListKeyPairs, DeleteKeyPair], "deleted key-00000001"),
    ("vpc create 10.0.0.0/16 --name shop --description d --tag a=b", &[CreateVpc], "vpc-00000001"),
    ("vpc ls", &[ListVpcs], "vpc-00000001  shop  10.0.0.0/16  yes"),
    ("vpc show shop", &[ListVpcs, GetVpc], "addresses    10.0.0.0/16"),
    ("vpc rm shop", &[ListVpcs, DeleteVpc], "deleted vpc-00000001"),
    ("subnet create shop 10.0.1.0/24 --private --zone local-1a", &[ListVpcs, CreateSubnet], "250 free"),
    ("subnet ls --vpc shop", &[ListVpcs, ListSubnets], "front  vpc-00000001  10.0.1.0/24  250   yes"),
    ("subnet show front", &[ListSubnets, GetSubnet], "private      yes"),
    ("subnet rm front", &[ListSubnets, DeleteSubnet], "deleted subnet-00000001"),
    ("group create web", &[CreateSecurityGroup, ListSecurityGroups], "sg-00000001"),
    ("group ls --vpc shop", &[ListVpcs, ListSecurityGroups], "web   vpc-00000001  2   1"),
    ("group show sg-00000001", &[GetSecurityGroup, ListSecurityGroups], "tcp 22 from 0.0.0.0/0  (for all)"),
    ("group show web", &[ListSecurityGroups, GetSecurityGroup, ListSecurityGroups], "all from group web"),
    (
        "group show sg-00000001 --counts",
        &[GetSecurityGroupCounts, GetSecurityGroup, ListSecurityGroups],
        "tcp 22 from 0.0.0.0/0  (for all)  12 packets, 720 B",
    ),
    (
        "group allow sg-00000001 tcp 80 from anywhere",
        &[GetSecurityGroup, UpdateSecurityGroupRules, ListSecurityGroups],
        "all to 0.0.0.0/0",
    ),
    (
        "group authorize web --vpc shop all from group web",
        &[
            ListVpcs,
            ListSecurityGroups,
            GetSecurityGroup,
            ListSecurityGroups,
            UpdateSecurityGroupRules,
            ListSecurityGroups,
        ],
        "web",
    ),
    (
        "group revoke sg-00000001 tcp 22 from 0.0.0.0/0",
        &[GetSecurityGroup, UpdateSecurityGroupRules, ListSecurityGroups],
        "web",
    ),
    ("group rm web --vpc vpc-00000001", &[ListSecurityGroups, DeleteSecurityGroup], "deleted sg-00000001"),
    ("address allocate --name front", &[AllocateAddress], "198.51.100.7"),
    ("address ls", &[ListAddresses], "eipalloc-00000001  front  198.51.100.7  i-00000001  eni-00000001"),
    ("address show 198.51.100.7", &[ListAddresses, GetAddress], "eipalloc-00000001"),
    (
        "address associate front web --reassociate",
        &[ListAddresses, ListInstances, AssociateAddress],
        "i-00000001",
    ),
    ("address associate front eni-00000001", &[ListAddresses, AssociateAddress], "eni-00000001"),
    ("address disassociate eipalloc-00000001", &[DisassociateAddress], "front"),
    ("address release front", &[ListAddresses, ReleaseAddress], "released eipalloc-00000001"),
    (
        "interface create front --group web --address 10.0.1.5",
        &[ListSubnets, GetSubnet, ListSecurityGroups, CreateNetworkInterface],
        "eni-00000001",
    ),
    ("interface ls --instance web", &[ListInstances, ListNetworkInterfaces], "10.0.1.5  198.51.100.7"),
    ("interface ls --instance i-00000009 -q", &[ListNetworkInterfaces], ""),
    (
        "interface show second",
        &[ListNetworkInterfaces, GetNetworkInterface],
        "i-00000001, its number 1, kept",
    ),
    (
        "interface set eni-00000001 --group web --name first",
        &[GetNetworkInterface, GetSubnet, ListSecurityGroups, UpdateNetworkInterface],
        "sg-00000001",
    ),
    (
        "interface attach second web",
        &[ListNetworkInterfaces, ListInstances, AttachNetworkInterface],
        "eni-00000001",
    ),
    ("interface detach eni-00000001", &[DetachNetworkInterface], "eni-00000001"),
    ("interface rm second", &[ListNetworkInterfaces, DeleteNetworkInterface], "deleted eni-00000001"),
    ("connect web 80", &[ListInstances, ConnectToInstance], samples::BANNER),
    ("account create ci --instances 20", &[CreateAccount], "20 instances"),
    ("account ls", &[ListAccounts], "enabled"),
    ("account show ci", &[ListAccounts, GetAccount], "123456789012"),
    ("account quota ci --vcpus 4", &[ListAccounts, UpdateAccount], "ci"),
    ("account disable ci", &[ListAccounts, UpdateAccount], "ci"),
    ("account enable 123456789012", &[UpdateAccount], "ci"),
    ("account rm ci", &[ListAccounts, DeleteAccount], "deleted 123456789012"),
    ("user create builder", &[CreateUser], "builder"),
    ("user ls", &[ListUsers], "AdministratorAccess"),
    ("user show builder", &[GetUser], "builder"),
    ("user attach builder AdministratorAccess", &[AttachUserPolicy], "AdministratorAccess"),
    ("user detach builder look", &[DetachUserPolicy], "builder"),
    ("user rm builder", &[DeleteUser], "deleted builder"),
    ("access-key create --user builder", &[CreateAccessKey], "shown-once"),
    ("access-key ls --user builder", &[ListAccessKeys], "AKIAIOSFODNN7EXAMPLE"),
    ("access-key deactivate AKIAIOSFODNN7EXAMPLE", &[UpdateAccessKey], "AKIAIOSFODNN7EXAMPLE"),
    ("access-key activate AKIAIOSFODNN7EXAMPLE", &[UpdateAccessKey], "active"),
    ("access-key rm AKIAIOSFODNN7EXAMPLE", &[DeleteAccessKey], "deleted AKIAIOSFODNN7EXAMPLE"),
    ("certificate ls", &[ListCertificates], samples::FINGERPRINT),
    ("role ls", &[ListRoles], "reader"),
    ("role show reader", &[GetRole], "3600 s"),
    ("role attach reader look", &[AttachRolePolicy], "reader"),
    ("role detach reader look", &[DetachRolePolicy], "reader"),
    ("role rm reader", &[DeleteRole], "deleted reader"),
    ("policy ls", &[ListPolicies], "look"),
    ("policy show look", &[GetPolicy], "Statement"),
    ("policy rm look", &[DeletePolicy], "deleted look"),
    ("jobs ls", &[ListJobs], "1.00 KiB of 1.00 KiB"),
    ("jobs show job-00000001 --wait", &[GetJob], "ami-00000001"),
    ("events --wait-ms 100", &[StreamEvents], "8 2026-01-02T03:04:05Z instance i-00000001 changed running"),
    ("types", &[ListInstanceTypes], "m1.small"),
    ("host", &[GetHost], "8 vCPUs, 32768 MiB memory, 500 GiB disk"),
    ("version", &[GetHealth], "9.9.9"),
];

#[test]
fn every_command_asks_and_prints() {
    let user = User::new();
    for (line, operations, expected) in HAPPY {
        let printed = user.succeed(line);
        assert!(printed.contains(expected), "{line} printed {printed:?}");
        let asked: Vec<_> = user.daemon.asked().iter().map(|asked| asked.operation).collect();
        assert_eq!(asked, *operations, "{line}");
    }
}

#[test]
fn json_is_the_object_of_the_api() {
    let user = User::new();
    let json = |line: &str| -> Value { serde_json::from_str(&user.succeed(line)).expect(line) };
    assert_eq!(json("ls --json"), json!([samples::of("Instance")]));
    assert_eq!(json("--json show i-00000001"), samples::of("Instance"));
    assert_eq!(json("launch ami-00000001 --json"), samples::of("Launched"));
    assert_eq!(json("terminate i-00000001 --json"), json!([samples::of("Instance")]));
    assert_eq!(json("host --json"), samples::of("Host"));
    assert_eq!(json("access-key create --json"), samples::of("NewAccessKey"));
    assert_eq!(user.succeed("volume rm vol-00000001 --json"), "", "there is no object");
    let lines = user.succeed("events --wait-ms 1 --json");
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, samples::events());
}

#[test]
fn quiet_is_ids_and_what_cannot_be_asked_again() {
    let user = User::new();
    assert_eq!(user.succeed("ls -q"), "i-00000001\n");
    assert_eq!(user.succeed("launch ami-00000001 -q --wait"), "i-00000001\n");
    assert_eq!(user.succeed("volume rm vol-00000001 -q"), "");
    assert_eq!(user.succeed("certificate ls -q"), format!("{}\n", samples::FINGERPRINT));
    assert_eq!(user.succeed("access-key create -q"), "AKIAIOSFODNN7EXAMPLE shown-once\n");
}

#[test]
fn a_launch_asks_for_what_was_said() {
    let user = User::new();
    fs::write(user.home().join("job.sh"), "#!/bin/sh\n").unwrap();
    user.succeed(
        "launch ami-00000001 --type m1.small --key laptop --name web --host-name web-1 --count 2-5 --disk 20 --data-disk \
         swap:1 --data-disk snap-00000001,keep --user-data job.sh --subnet front --group web --security-group sg-00000002 \
         --address 10.0.1.9 --tag team=storage --role reader --ephemeral --public-address --client-token again \
         --cloud huawei --config-drive",
    );
    let mut all = user.daemon.asked();
    let names = all.iter().find(|asked| asked.operation == ListSecurityGroups).unwrap();
    assert_eq!(names.query, "vpc=vpc-00000001&name=web", "a group is one of the subnet's VPC");
    let asked = all.pop().unwrap();
    let expected = json!({
        "image": "ami-00000001", "instance_type": "m1.small", "count": { "min": 2, "max": 5 }, "key_pair": "laptop",
        "name": "web", "user_data": "IyEvYmluL3NoCg==", "host_name": "web-1",
        "system_disk": { "size_gib": 20, "delete_with_instance": true, "volume_type": "local" },
        "data_disks": [
            { "content": "swap", "size_gib": 1, "delete_with_instance": true, "volume_type": "local" },
            { "content": { "snapshot": "snap-00000001" }, "delete_with_instance": false, "volume_type": "local" },
        ],
        "subnet": "subnet-00000001", "security_groups": ["sg-00000001", "sg-00000002"], "private_address": "10.0.1.9",
        "public_address": true,
        "tags": { "team": "storage" },
        "rules": { "start": true, "on_power_off": "terminate", "on_failure": "report", "after_host_reboot": "terminate" },
        "charge": { "pay_as_you_go": {} }, "role": "reader", "cloud": "huawei", "config_drive": true, "client_token": "again", "dry_run": false,
    });
    assert_eq!(asked.body, expected);
    user.daemon.answer(LaunchInstances, [(200, json!({ "count": 3 }))]);
    assert!(user.succeed("launch ami-00000001 --dry-run").contains("would launch  3"));
}

#[test]
fn a_launch_asks_for_interfaces_in_their_order() {
    let user = User::new();
    user.succeed(
        "launch ami-00000001 --type m1.small --interface subnet-00000001:10.0.1.9 --interface eni-00000001 \
                  --interface subnet-00000002,keep --group sg-00000001",
    );
    let asked = user.daemon.asked().pop().unwrap();
    let groups = json!(["sg-00000001"]);
    assert_eq!(
        asked.body["network_interfaces"],
        json!([
            { "new": { "subnet": "subnet-00000001", "private_address": "10.0.1.9", "security_groups": groups,
                "delete_with_instance": true } },
            { "existing": { "id": "eni-00000001", "delete_with_instance": false } },
            { "new": { "subnet": "subnet-00000002", "security_groups": groups, "delete_with_instance": false } },
        ])
    );
    assert!(asked.body.get("security_groups").is_none() && asked.body.get("subnet").is_none());
}

#[test]
fn waiting_sees_the_state_come() {
    let user = User::new();
    let state = |state: &str| (200, samples::with("Instance", json!({ "state": state })));
    user.daemon.answer(GetInstance, [state("creating"), state("starting"), state("running")]);
    user.succeed("launch ami-00000001 --wait");
    let looks = user.daemon.asked().iter().filter(|asked| asked.operation == GetInstance).count();
    assert_eq!(looks, 3);
}

#[test]
fn names_and_ids_are_in_the_path() {
    let user = User::new();
    user.succeed("user attach builder a.b-c_d");
    assert_eq!(user.daemon.asked()[0].path, ["builder", "a.b-c_d"]);
    user.succeed("volume rm vol-00000009");
    assert_eq!(user.daemon.asked()[0].path, ["vol-00000009"]);
}

#[test]
fn lists_are_read_to_their_end() {
    let user = User::new();
    let page = |id: &str, next: Option<&str>| {
        let mut page = json!({ "items": [samples::with("Instance", json!({ "id": id }))] });
        if let Some(next) = next {
            page["next_page_token"] = next.into();
        }
        (200, page)
    };
    user.daemon.answer(ListInstances, [page("i-00000001", Some("two")), page("i-00000002", None)]);
    assert_eq!(user.succeed("ls -q --tag team=storage"), "i-00000001\ni-00000002\n");
    let queries: Vec<_> = user.daemon.asked().into_iter().map(|asked| asked.query).collect();
    assert_eq!(queries, ["tag=team%3Dstorage", "tag=team%3Dstorage&page_token=two"]);
    let gone = samples::with("Instance", json!({ "state": "terminated" }));
    user.daemon.answer(ListInstances, [(200, json!({ "items": [gone] }))]);
    assert_eq!(user.succeed("ls -q"), "", "what is terminated is not shown");
    assert_eq!(user.succeed("ls -q --all"), "i-00000001\n");
}

#[test]
fn an_image_is_imported_from_where_the_daemon_finds_it() {
    let user = User::new();
    let file = user.home().join("debian-12.qcow2");
    fs::write(&file, "disk").unwrap();
    let whole = file.canonicalize().unwrap();
    assert!(user.succeed("image import debian-12.qcow2").contains("job-00000001"));
    let asked = user.daemon.asked().pop().unwrap();
    let source = json!({ "disk": { "path": whole } });
    assert_eq!(asked.body, json!({ "name": "debian-12", "source": source, "architecture": "x86_64" }));
    let running = samples::with("Job", json!({ "state": "running", "done_bytes": 1 }));
    user.daemon.answer(GetJob, [(200, running), (200, samples::of("Job"))]);
    let line = format!(
        "image import debian-12.qcow2 --name debian --sha256 {} --wait --kernel debian-12.qcow2",
        "0".repeat(64)
    );
    assert!(user.succeed(&line).contains("2.00 GiB"));
    let asked = user.daemon.asked();
    let operations: Vec<_> = asked.iter().map(|asked| asked.operation).collect();
    assert_eq!(operations, [ImportImage, GetJob, GetJob, GetImage]);
    assert_eq!(asked[0].body["source"]["file_system"]["kernel"], json!(whole));
    assert_eq!(user.run("image import missing.raw").code, 3);
}

#[test]
fn an_image_is_imported_from_where_the_daemon_fetches_it() {
    let user = User::new();
    let url = "https://images.example.org/debian-12.qcow2?signature=a.b";
    user.succeed(&format!("image import {url} --sha256 {}", "0".repeat(64)));
    let asked = user.daemon.asked().pop().unwrap();
    let source = json!({ "disk": { "url": url, "sha256": "0".repeat(64) } });
    assert_eq!(asked.body, json!({ "name": "debian-12", "source": source, "architecture": "x86_64" }));
    fs::write(user.home().join("vmlinuz"), "kernel").unwrap();
    user.succeed("image import http://images.example.org/root.img --kernel vmlinuz --name root");
    let asked = user.daemon.asked().pop().unwrap();
    let kernel = user.home().join("vmlinuz").canonicalize().unwrap();
    let source = json!({ "file_system": { "url": "http://images.example.org/root.img", "kernel": kernel } });
    assert_eq!(asked.body["source"], source);
    assert_eq!(user.run("image import https://").code, 2);
    assert!(user.daemon.asked().is_empty());
}

#[test]
fn a_private_key_is_kept_once_and_for_its_user_only() {
    let user = User::new();
    assert!(user.succeed("key create laptop").contains("private key in "));
    let kept = user.home().join(".config/bothy/keys/laptop");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "-----BEGIN PRIVATE KEY-----\n");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(kept.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    user.daemon.asked();
    let again = user.run("key create laptop");
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("will not be written over"), "{}", again.stderr);
    assert!(user.daemon.asked().is_empty(), "no key was made that could not be kept");
    user.daemon.refuse(CreateKeyPair, native_api::ErrorCode::AlreadyExists);
    assert_eq!(user.run("key create other").code, 1);
    assert!(!user.home().join(".config/bothy/keys/other").exists(), "nothing is left of what was refused");
    assert!(user.succeed("key ls").contains("yes"), "it is here");
}

#[test]
fn files_and_stdin_are_read() {
    let user = User::new();
    fs::write(user.home().join("policy.json"), r#"{"Version":"1","Statement":[]}"#).unwrap();
    fs::write(user.home().join("id.pub"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me\n").unwrap();
    user.succeed("policy create look policy.json");
    user.succeed("policy update look policy.json");
    user.succeed("role create reader --trust policy.json --max-session 3600");
    user.succeed("key import laptop id.pub");
    let bodies: Vec<_> = user.daemon.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies[0], json!({ "name": "look", "document": r#"{"Version":"1","Statement":[]}"# }));
    assert_eq!(bodies[2]["max_session_seconds"], 3600);
    assert_eq!(bodies[3]["public_key"], "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me");
    let mut command = user.command(["policy", "create", "look", "-"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"{}").unwrap();
    assert_eq!(Ran::of(child.wait_with_output().unwrap()).code, 0);
    assert_eq!(user.daemon.asked()[0].body["document"], "{}");
}

#[test]
fn a_certificate_is_sent_and_a_private_key_is_not() {
    let user = User::new();
    let folder = user.home().display().to_string();
    // The line that the help teaches.
    let help = user.succeed("certificate add --help");
    let line = help.lines().find(|line| line.trim().starts_with("openssl ")).unwrap();
    let made = Command::new("sh").args(["-c", line]).current_dir(user.home()).output().unwrap();
    assert!(made.status.success(), "{line}: {}", String::from_utf8_lossy(&made.stderr));
    let pem = fs::read_to_string(user.home().join("cert.pem")).unwrap();
    assert!(user.succeed("certificate add cert.pem").contains(samples::FINGERPRINT));
    let asked = user.daemon.asked().remove(0);
    assert_eq!((asked.operation, asked.body), (UploadCertificate, json!({ "pem": pem })));

    let key = fs::read_to_string(user.home().join("pk.pem")).unwrap();
    fs::write(user.home().join("both.pem"), format!("{pem}{key}")).unwrap();
    for name in ["pk.pem", "both.pem"] {
        let ran = user.run(&format!("certificate add {folder}/{name}"));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("private key in it"), "{}", ran.stderr);
        assert!(!ran.stderr.contains(key.lines().nth(1).unwrap()), "{}", ran.stderr);
    }
    fs::write(user.home().join("der"), [0x30, 0x82, 0xff]).unwrap();
    assert_eq!(user.run("certificate add der").code, 2);
    assert_eq!(user.run("certificate add none.pem").code, 3);
    assert!(user.daemon.asked().is_empty());
    user.daemon.refuse(UploadCertificate, native_api::ErrorCode::AlreadyExists);
    assert_eq!(user.run("certificate add cert.pem").code, 1);
}

#[test]
fn a_certificate_is_deleted_by_its_fingerprint_as_openssl_prints_it() {
    let user = User::new();
    let mut printed: Vec<_> = samples::FINGERPRINT.to_uppercase().chars().collect();
    (1..32).rev().for_each(|byte| printed.insert(2 * byte, ':'));
    let printed: String = printed.into_iter().collect();
    for text in [samples::FINGERPRINT, &printed] {
        let said = user.succeed(&format!("certificate rm {text}"));
        assert_eq!(said, format!("deleted {}\n", samples::FINGERPRINT));
        let asked = user.daemon.asked().remove(0);
        assert_eq!((asked.operation, asked.path), (DeleteCertificate, vec![samples::FINGERPRINT.to_owned()]));
    }
    for text in ["", "ab:cd", &format!("{}0", samples::FINGERPRINT)] {
        assert_eq!(user.run(&format!("certificate rm {text}")).code, 2, "{text}");
    }
    assert!(user.daemon.asked().is_empty());
}

#[test]
fn ssh_is_run_with_the_instances_key_and_host_key() {
    let user = User::new();
    // An ssh that says what it was asked.
    let bin = user.home().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = "#!/bin/sh\necho $BOTHY_ACCOUNT\nfor argument; do echo \"$argument\"; done\nexit 42\n";
    fs::write(bin.join("ssh"), script).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    user.succeed("key create laptop");
    // A guest that comes up: nobody listens, then somebody does who is no ssh, then ssh.
    let code = native_api::ErrorCode::ConnectionRefused;
    let refusal = serde_json::to_value(code.body("nobody", "wait")).unwrap();
    let (early, ready) = (json!("starting\n"), json!(samples::BANNER));
    user.daemon.answer(ConnectToInstance, [(409, refusal), (101, early), (101, ready)]);
    let line = "ssh web --user debian --port 2222 --wait --account 210987654321 -- -v uname -a";
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let ran = Ran::of(user.command(line.split(' ')).env("PATH", path).output().unwrap());
    assert_eq!(ran.code, 42, "its exit code is ssh's: {}", ran.stderr);
    let asked = user.daemon.asked();
    let attempts: Vec<_> = asked.iter().filter(|asked| asked.operation == ConnectToInstance).collect();
    assert_eq!((attempts.len(), attempts[0].query.as_str()), (3, "port=2222&wait_ms=2000"));
    let config = user.home().join(".config/bothy");
    let proxy = format!("'{}' connect i-00000001 2222", env!("CARGO_BIN_EXE_bothy"));
    let expected = [
        "210987654321".into(),
        "-o".into(),
        format!("ProxyCommand={proxy}"),
        "-o".into(),
        format!("UserKnownHostsFile=\"{}\"", config.join("known_hosts").display()),
        "-o".into(),
        "HostKeyAlias=i-00000001".into(),
        "-o".into(),
        "StrictHostKeyChecking=accept-new".into(),
        "-o".into(),
        "IdentitiesOnly=yes".into(),
        "-i".into(),
        config.join("keys/laptop").display().to_string(),
        "-l".into(),
        "debian".into(),
        "-p".into(),
        "2222".into(),
        "-v".into(),
        "--".into(),
        "i-00000001".into(),
        "uname".into(),
        "-a".to_owned(),
    ];
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);

    // Somebody without keys has a place for host keys all the same.
    let other = User::new();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    assert_eq!(Ran::of(other.command(["ssh", "web"]).env("PATH", path).output().unwrap()).code, 42);
    assert!(other.home().join(".config/bothy").is_dir());
}

#[test]
fn a_connection_is_carried_both_ways_until_the_instance_has_said_all() {
    let user = User::new();
    let mut child =
        user.command(["connect", "i-00000001"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    // More than fits anywhere at once; the instance answers when it has heard all.
    let said = "hello ".repeat(50_000);
    let mut stdin = child.stdin.take().unwrap();
    let sent = said.clone();
    let sending = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, sent.as_bytes()).unwrap());
    let ran = Ran::of(child.wait_with_output().unwrap());
    sending.join().unwrap();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout == format!("{}{}", samples::BANNER, said.to_uppercase()));
    assert_eq!(user.daemon.asked()[0].query, "port=22");

    // The end of the instance is the end, whoever still might say something.
    user.daemon.answer(ConnectToInstance, [(101, json!("bye"))]);
    let mut child =
        user.command(["connect", "i-00000001", "80"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let kept = child.stdin.take();
    assert_eq!(Ran::of(child.wait_with_output().unwrap()).stdout, "bye");
    drop(kept);
    user.daemon.refuse(ConnectToInstance, native_api::ErrorCode::ConnectionRefused);
    let ran = user.run("connect web 80");
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (1, "bothy: it cannot be (connection_refused)\n  do something else\n")
    );
}

#[test]
fn rules_are_asked_for_as_they_were_said() {
    let user = User::new();
    let body = |user: &User, operation: Operation| -> Value {
        user.daemon.asked().into_iter().find(|asked| asked.operation == operation).unwrap().body
    };
    let rule = |direction: &str, protocol: &str, more: Value| {
        let mut rule =
            json!({ "direction": direction, "protocol": protocol, "verdict": "accept", "priority": 1 });
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let http =
        rule("ingress", "tcp", json!({ "ports": { "from": 80, "to": 80 }, "peer": { "cidr": "0.0.0.0/0" } }));
    let group = json!({ "peer": { "security_group": "sg-00000001" } });
    let all_out = rule("egress", "all", json!({ "peer": { "cidr": "0.0.0.0/0" } }));

    let mut allow = user.command([
        "group",
        "allow",
        "web",
        "tcp 80 from anywhere, all from group web",
        "--description",
        "d",
    ]);
    assert_eq!(Ran::of(allow.output().unwrap()).code, 0);
    let with_words = |mut rule: Value| {
        rule["description"] = "d".into();
        rule
    };
    let add = json!([with_words(http.clone()), with_words(rule("ingress", "all", group.clone()))]);
    assert_eq!(body(&user, UpdateSecurityGroupRules), json!({ "add": add }));

    // A rule about the group itself comes when there is one; what members send is up to them unless it is said.
    let mut create = user.command([
        "group",
        "create",
        "web",
        "--allow",
        "tcp 80 from anywhere",
        "--allow",
        "all from group web",
    ]);
    assert_eq!(Ran::of(create.output().unwrap()).code, 0);
    let asked = user.daemon.asked();
    assert_eq!(asked[0].body, json!({ "name": "web", "rules": [http, all_out] }));
    assert_eq!(asked[1].body, json!({ "add": [rule("ingress", "all", group.clone())] }));
    for (arguments, rules) in [
        (["--allow", "all to group db", "--vpc", "vpc-00000001"], json!([rule("egress", "all", group)])),
        (["--no-egress", "--vpc", "shop", "-q"], Value::Null),
    ] {
        let mut create = user.command(["group", "create", "web"].iter().chain(&arguments));
        assert_eq!(Ran::of(create.output().unwrap()).code, 0);
        assert_eq!(body(&user, CreateSecurityGroup)["rules"], rules);
    }

    // One that is not there was not taken away.
    let ran = user.run("group revoke sg-00000001 tcp 23 from 0.0.0.0/0");
    assert_eq!(ran.code, 3);
    let said = "bothy: web has no rule tcp 23 from 0.0.0.0/0\n  see bothy group show sg-00000001\n";
    assert_eq!(ran.stderr, said);
    assert!(user.daemon.asked().iter().all(|asked| asked.operation != UpdateSecurityGroupRules));
    user.succeed("group revoke sg-00000001 all from group web");
    assert_eq!(body(&user, UpdateSecurityGroupRules)["remove"].as_array().unwrap().len(), 1);
    let counts: Value = serde_json::from_str(&user.succeed("group show web --counts --json")).unwrap();
    assert_eq!(counts, samples::of("SecurityGroupCounts"));
}

#[test]
fn the_operator_and_others_say_who_they_are() {
    let user = User::new();
    user.succeed("ls --account 210987654321");
    assert_eq!(user.daemon.asked()[0].headers["bothy-account"], "210987654321");
    let mut command = user.command(["ls", "--access-key", "AKIAIOSFODNN7EXAMPLE"]);
    let ran =
        Ran::of(command.env("BOTHY_SECRET", "secret").env("BOTHY_SECURITY_TOKEN", "token").output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let headers = user.daemon.asked().remove(0).headers;
    // base64 of AKIAIOSFODNN7EXAMPLE:secret
    assert_eq!(headers["authorization"], "Basic QUtJQUlPU0ZPRE5ON0VYQU1QTEU6c2VjcmV0");
    assert_eq!(headers["bothy-security-token"], "token");
    assert_eq!(user.run("ls --access-key AKIAIOSFODNN7EXAMPLE").code, 2, "without its secret");
}

#[test]
fn the_doctor_looks_at_this_host() {
    let user = User::new();
    let state = user.home().join("state");
    let ran = user.run(&format!("doctor --json --state {}", state.display()));
    let findings: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let missing = findings.iter().any(|finding| finding["verdict"] == "missing");
    assert_eq!(ran.code, i32::from(missing));
    let find = |check: &str| findings.iter().find(|finding| finding["check"] == check).expect(check);
    assert_eq!(find("processor")["verdict"], "ok");
    assert!(find("bothyd")["found"].as_str().unwrap().ends_with("version 9.9.9"));
    let is_kvm_there = std::path::Path::new("/dev/kvm").exists();
    assert!(is_kvm_there || find("/dev/kvm")["verdict"] == "missing");
    for finding in &findings {
        assert!(finding["verdict"] == "ok" || finding["advice"] != "", "{finding}");
    }
    let table = user.run(&format!("doctor --state {}", state.display()));
    assert!(table.stdout.contains("this host can"), "{}", table.stdout);
}
