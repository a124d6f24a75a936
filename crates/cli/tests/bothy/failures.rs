//! How commands fail: a line of what, a line of what to do, and an exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use native_api::{ErrorCode, Operation};
use serde_json::json;

use crate::{Ran, User, samples};

#[test]
fn refusals_have_their_exit_codes() {
    let user = User::new();
    for &code in ErrorCode::ALL {
        user.daemon.refuse(Operation::ListInstances, code);
        let ran = user.run("ls");
        let expected = match code {
            ErrorCode::NotFound => 3,
            ErrorCode::Unauthenticated | ErrorCode::AccessDenied => 6,
            _ => 1,
        };
        assert_eq!(ran.code, expected, "{code:?}");
        // How a key is sent is for programs; people are told where to put it.
        let hint = match code {
            ErrorCode::Unauthenticated => {
                "name an access key with --access-key and BOTHY_SECRET, or in ~/.config/bothy/credentials"
            }
            _ => "do something else",
        };
        assert_eq!(ran.stderr, format!("bothy: it cannot be ({})\n  {hint}\n", code.as_str()));
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn wrong_usage_is_told_before_anything_is_asked() {
    let user = User::new();
    let lines = [
        "nonsense",
        "launch",
        "launch debian --count 0",
        "launch debian --data-disk tape:1",
        "launch debian --tag =x",
        "launch debian --cloud azure",
        "launch debian --for 5m",
        "ls --state asleep",
        "ls --endpoint nowhere",
        "ls --account me",
        "volume create",
        "volume grow vol-00000001 0",
        "start",
        "terminate",
        "show i-00000001 --timeout 5",
        "jobs show 7",
        "key create ../../etc/passwd",
        "user create .hidden",
        "completion csh",
        "image import x --initrd y",
        "vpc create 10.0.0.0",
        "subnet create shop",
        "group allow web",
        "group allow web tcp 22",
        "group create web --allow all",
        "address associate front",
        "interface create front --address here",
        "connect web 0",
        "connect web ssh",
        "ssh web --port 0",
    ];
    for line in lines {
        let ran = user.run(line);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{line}: {}", ran.stderr);
        assert!(!ran.stderr.is_empty(), "{line}");
    }
    assert!(user.daemon.asked().is_empty());
}

#[test]
fn a_name_is_of_one_thing_or_refused() {
    let user = User::new();
    user.daemon.answer(Operation::ListInstances, [(200, json!({ "items": [] }))]);
    let ran = user.run("show web");
    assert_eq!((ran.code, ran.stderr.as_str()), (3, "bothy: there is no instance \"web\"\n  see bothy ls\n"));
    let two = [samples::of("Instance"), samples::with("Instance", json!({ "id": "i-00000002" }))];
    user.daemon.answer(Operation::ListInstances, [(200, json!({ "items": two }))]);
    let ran = user.run("terminate web");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("2 instances are called \"web\": i-00000001, i-00000002"), "{}", ran.stderr);
    let asked = user.daemon.asked();
    assert!(asked.iter().all(|asked| asked.operation == Operation::ListInstances), "nothing was terminated");
    user.daemon.answer(Operation::ListKeyPairs, [(200, json!({ "items": [samples::of("KeyPair")] }))]);
    assert_eq!(user.run("key show desktop").code, 3);
    let two = [samples::of("SecurityGroup"), samples::with("SecurityGroup", json!({ "id": "sg-00000002" }))];
    user.daemon.answer(Operation::ListSecurityGroups, [(200, json!({ "items": two }))]);
    let ran = user.run("group rm web");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("or by its VPC with --vpc"), "{}", ran.stderr);
    user.daemon.answer(Operation::ListAddresses, [(200, json!({ "items": [] }))]);
    assert_eq!(user.run("address release 198.51.100.7").code, 3);
}

#[test]
fn of_several_the_others_are_done() {
    let user = User::new();
    let refusal = serde_json::to_value(ErrorCode::WrongState.body("it is locked", "renew it")).unwrap();
    user.daemon.answer(Operation::StartInstance, [(409, refusal), (202, samples::of("Instance"))]);
    let ran = user.run("start i-00000009 i-00000001");
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("i-00000001"));
    assert_eq!(ran.stderr, "bothy: it is locked (wrong_state)\n  renew it\n");
}

#[test]
fn a_daemon_that_is_not_there_is_told() {
    let user = User::new();
    for endpoint in ["unix:/nonexistent/api.sock", "http://127.0.0.1:1"] {
        let ran = user.run(&format!("ls --endpoint {endpoint}"));
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        assert!(ran.stderr.contains("is bothyd running?"), "{}", ran.stderr);
    }
    assert!(user.succeed("version --endpoint unix:/nonexistent/api.sock").contains("not reached"));
    let ran = user.run("doctor --endpoint unix:/nonexistent/api.sock");
    assert!(ran.stdout.contains("systemctl start bothyd"), "{}", ran.stdout);
}

#[test]
fn what_is_no_daemon_is_told() {
    let user = User::new();
    user.daemon.answer(Operation::ListInstances, [(502, json!("bad gateway"))]);
    let ran = user.run("ls");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("something else than expected"), "{}", ran.stderr);
    user.daemon.answer(Operation::ListInstances, [(200, json!({ "items": [{ "id": 7 }] }))]);
    assert_eq!(user.run("ls").code, 1);
    user.daemon.answer(Operation::ListInstances, [(200, json!({ "items": [], "next_page_token": "same" }))]);
    let ran = user.run("ls");
    assert!(ran.stderr.contains("goes on where it was"), "it does not ask for ever: {}", ran.stderr);
}

#[test]
fn waiting_ends() {
    let user = User::new();
    let state = |state: &str, reason: &str| {
        (200, samples::with("Instance", json!({ "state": state, "state_reason": reason })))
    };
    user.daemon.answer(Operation::GetInstance, [state("starting", "")]);
    let ran = user.run("start i-00000001 --wait --timeout 1");
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("running of i-00000001 did not come within 1 s"), "{}", ran.stderr);
    user.daemon.answer(Operation::GetInstance, [state("failed", "no kernel on its disk")]);
    let ran = user.run("launch ami-00000001 --wait");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("i-00000001 is failed instead of running: no kernel"), "{}", ran.stderr);
    let error = ErrorCode::InvalidParameter.body("the file is no disk image", "see qemu-img info");
    let failed = samples::with("Job", json!({ "state": "failed", "error": error }));
    user.daemon.answer(Operation::GetJob, [(200, failed)]);
    let ran = user.run("jobs show job-00000001 --wait");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("job-00000001 failed: the file is no disk image"), "{}", ran.stderr);
    assert!(ran.stderr.contains("see qemu-img info"), "{}", ran.stderr);
    user.daemon.answer(Operation::GetInstance, [state("running", "")]);
    user.daemon.answer(Operation::ConnectToInstance, [(101, json!("HTTP/1.1 200\r\n"))]);
    let ran = user.run("ssh i-00000001 --wait --timeout 1");
    assert_eq!(ran.code, 5, "what is no ssh is not taken for it: {}", ran.stderr);
    assert!(ran.stderr.contains("bothy console i-00000001"), "{}", ran.stderr);
    user.daemon.refuse(Operation::ConnectToInstance, ErrorCode::AccessDenied);
    assert_eq!(user.run("ssh i-00000001 --wait").code, 6, "what waiting does not change is told at once");
    user.daemon.answer(Operation::GetInstance, [state("stopped", "")]);
    let ran = user.run("ssh i-00000001");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("is stopped, not running"), "{}", ran.stderr);
}

#[test]
fn credentials_that_others_can_read_are_not_used() {
    let user = User::new();
    let file = user.home().join(".config/bothy/credentials");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "access_key = AKIAIOSFODNN7EXAMPLE\nsecret = very-secret\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = user.run("ls --endpoint http://127.0.0.1:1");
    assert_eq!(ran.code, 6);
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(user.run("ls --endpoint http://127.0.0.1:1").code, 4, "they are read, and nobody is there");
    fs::write(&file, "very-secret\n").unwrap();
    let ran = user.run("ls --endpoint http://127.0.0.1:1");
    assert_eq!(ran.code, 1);
    assert!(!ran.stderr.contains("very-secret"), "{}", ran.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let user = User::new();
    let many: Vec<_> = (0..5000).map(|_| samples::of("Instance")).collect();
    user.daemon.answer(Operation::ListInstances, [(200, json!({ "items": many }))]);
    let mut child = user.command(["ls", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_name_cannot_control_the_terminal() {
    let user = User::new();
    let reason = "\u{1b}]0;owned\u{7}\nsecond";
    user.daemon.answer(
        Operation::GetInstance,
        [(200, samples::with("Instance", json!({ "state_reason": reason })))],
    );
    let printed = user.succeed("show i-00000001");
    assert!(!printed.contains('\u{1b}') && !printed.contains('\u{7}'), "{printed:?}");
    let body = ErrorCode::Internal.body("bad \u{1b}[2J", "");
    user.daemon.answer(Operation::GetInstance, [(500, serde_json::to_value(body).unwrap())]);
    assert!(!user.run("show i-00000001").stderr.contains('\u{1b}'));
}
