//! Completion scripts, read by the shells that they are for, where these are installed; and every command's help.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::User;

#[test]
fn shells_can_read_their_scripts() {
    let user = User::new();
    for (shell, arguments) in [("bash", ["-n"].as_slice()), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
        let script = user.succeed(&format!("completion {shell}"));
        assert!(
            ["access-key", "no-progress", "subnet", "authorize"].iter().all(|word| script.contains(word)),
            "{shell}"
        );
        let child = Command::new(shell).args(arguments).stdin(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            eprintln!("{shell} is not installed: its script was not read");
            continue;
        };
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{shell} does not understand its script");
    }
    assert!(user.daemon.asked().is_empty());
}

#[test]
fn help_teaches() {
    let user = User::new();
    let help = user.succeed("--help");
    for text in ["Examples:", "bothy launch debian", "Exit codes:", "5  timed out waiting", "access-key"] {
        assert!(help.contains(text), "{text} is not in {help}");
    }
    for command in [
        "launch",
        "stop",
        "terminate",
        "console",
        "ssh",
        "connect",
        "vpc create",
        "subnet create",
        "group create",
        "group allow",
        "group revoke",
        "address associate",
        "interface set",
        "image import",
        "volume create",
        "key create",
        "certificate add",
        "certificate rm",
        "events",
        "doctor",
    ] {
        let help = user.succeed(&format!("{command} --help"));
        assert!(help.contains("Examples:"), "{command}");
    }
}
