//! `bothy console` on a terminal: keys go to the guest, and the terminal is afterwards what it was.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::{Ran, User, samples};

/// Reads until `wanted` was printed; the test's own time limit is what bounds it.
fn read_until(source: &mut impl Read, wanted: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(wanted.as_bytes()) {
        assert_eq!(source.read(&mut byte).unwrap(), 1, "it ended after {:?}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

#[test]
fn a_terminal_is_raw_while_attached_and_restored_after() {
    let user = User::new();
    let terminal = openpty(None, None).unwrap();
    let before = tcgetattr(terminal.slave.as_fd()).unwrap();
    assert!(before.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO));
    let mut command = user.command(["console", "web"]);
    let mut child = command.stdin(Stdio::from(terminal.slave.try_clone().unwrap())).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    read_until(&mut stdout, "web login: ");
    let during = tcgetattr(terminal.slave.as_fd()).unwrap();
    assert!(!during.local_flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG));
    let mut keyboard = std::fs::File::from(terminal.master);
    // Ctrl-C is the guest's; Ctrl-A twice is one for the guest.
    keyboard.write_all(b"root\r\x03\x01\x01").unwrap();
    keyboard.write_all(b"\x01x").unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("Ctrl-A x leaves"), "{}", ran.stderr);
    assert_eq!(tcgetattr(terminal.slave.as_fd()).unwrap(), before);
    // What was sent before the client left is read by the daemon in its own time.
    let late = Instant::now() + Duration::from_secs(60);
    while user.daemon.typed().len() < 7 {
        assert!(Instant::now() < late, "the guest got only {:?}", user.daemon.typed());
        std::thread::yield_now();
    }
    assert_eq!(user.daemon.typed(), b"root\r\x03\x01");
}

#[test]
fn a_terminal_is_restored_when_we_are_told_to_end() {
    let user = User::new();
    let terminal = openpty(None, None).unwrap();
    let before = tcgetattr(terminal.slave.as_fd()).unwrap();
    let mut command = user.command(["console", "web"]);
    let mut child = command.stdin(Stdio::from(terminal.slave.try_clone().unwrap())).spawn().unwrap();
    read_until(child.stdout.as_mut().unwrap(), "web login: ");
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(Ran::of(child.wait_with_output().unwrap()).code, 0);
    assert_eq!(tcgetattr(terminal.slave.as_fd()).unwrap(), before);
}

#[test]
fn without_a_terminal_input_is_passed_on_and_output_read_to_its_end() {
    let user = User::new();
    let mut child = user.command(["console", "i-00000001", "-q"]).stdin(Stdio::piped()).spawn().unwrap();
    // The guest of the tests hangs up at a q.
    child.stdin.take().unwrap().write_all(b"logout q").unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, samples::CONSOLE, ""));
    assert_eq!(user.daemon.typed(), b"logout q");
    assert_eq!(user.daemon.asked()[0].query, "offset=0");
    let mut child =
        user.command(["console", "i-00000001", "--from-now"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"q").unwrap();
    assert_eq!(Ran::of(child.wait_with_output().unwrap()).code, 0);
    assert_eq!(user.daemon.asked()[0].query, "");
}
