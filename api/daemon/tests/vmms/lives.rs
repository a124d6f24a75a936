//! One daemon and its VMMs: what a machine's life looks like from outside, and each way it can end.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bothyd::vmms::{CgroupChoice, OpenVmmsError, Vmms, VmmsConfig};
use compute::id::Id;
use compute::lifecycle::Report;
use compute::outside::HostError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use vmm_api::VmState;

use crate::skip;
use crate::world::{LIMITS, World, cgroup, config, fake_vmm, remove, until, vm};

pub async fn a_life() {
    let world = World::bare();
    let vmms = world.open().await;
    let id = Id::new(1);
    assert_eq!(vmms.look(id).await.report, Report::Lost);
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    let pid = world.pid(id);
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    assert_eq!(world.pid(id), pid, "what runs is not started again");
    assert_eq!(vmms.look(id).await.report, Report::Running);
    assert_eq!(vmms.present().await.unwrap(), [id]);

    // It is alone: a session of its own, and nothing open of ours.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(&fields[2..5], [&pid.to_string(), &pid.to_string(), "0"], "group, session, terminal");
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let target = fs::read_link(entry.unwrap().path()).unwrap();
        let target = target.to_str().unwrap();
        let is_own =
            ["/dev/null", "socket:", "anon_inode:", "pipe:"].iter().any(|own| target.starts_with(own));
        assert!(is_own || target == world.run_folder(id).join("stderr").to_str().unwrap(), "{target}");
    }

    let output = vmms.console(id, None, 1000).await.unwrap();
    assert_eq!(output.bytes, b"fake guest of i-00000001: boot 1\r\n");
    let output = vmms.console(id, Some(5), 5).await.unwrap();
    assert_eq!((output.offset, &output.bytes[..]), (5, &b"guest"[..]));
    let mut stream = vmms.attach_console(id, None).await.unwrap();
    stream.write_all(b"echo").await.unwrap();
    let mut echo = [0; 4];
    timeout(Duration::from_secs(10), stream.read_exact(&mut echo)).await.unwrap().unwrap();
    assert_eq!(&echo, b"echo");
    assert!(vmms.metrics(id).await.unwrap().contains("bothy_vmm_boots_total 1"));
    assert!(
        matches!(vmms.clean_up(id).await, Err(HostError::Failed(message)) if message.contains("kill it first"))
    );

    vmms.press_power_button(id).await.unwrap();
    let sight = world.wait_told(id, Report::PoweredOff).await;
    assert_eq!(sight.reason, "the guest powered off");
    assert_eq!(vmms.look(id).await, sight, "it can be seen again");
    assert_eq!(vmms.press_power_button(id).await, Err(sight));
    assert_eq!(world.pid(id), pid, "its VMM stays until it is killed");
    assert!(vmms.boot(id, vm(""), LIMITS).await.unwrap_err().to_string().contains("kill its VMM first"));
    assert!(vmms.reset(id).await.is_err());

    vmms.kill(id).await.unwrap();
    vmms.kill(id).await.unwrap();
    assert_eq!(vmms.look(id).await.report, Report::Lost);
    assert_eq!(vmms.press_power_button(id).await.unwrap_err().report, Report::Lost);
    vmms.clean_up(id).await.unwrap();
    vmms.clean_up(id).await.unwrap();
    assert!(!world.run_folder(id).exists());
    assert!(matches!(vmms.usage(id).await, Err(HostError::Refused(_))));
    assert!(matches!(vmms.metrics(id).await, Err(HostError::Refused(_))));
    assert!(matches!(vmms.attach_console(id, None).await, Err(HostError::Refused(_))));
    // Its console outlives it.
    let output = vmms.console(id, None, 6).await.unwrap();
    assert_eq!((output.offset, &output.bytes[..]), (32, &b"\r\necho"[..]));
    assert_eq!(vmms.present().await.unwrap(), [id]);
    vmms.forget(id).await.unwrap();
    assert_eq!(world.told(id).len(), 1);
    world.nothing_is_left(&vmms).await;
    // One that never was.
    remove(&vmms, Id::new(2)).await.unwrap();
}

pub async fn ends_of_a_machine() {
    let world = World::bare();
    let vmms = world.open().await;
    let cases = [
        ("fake:power-off-after-ms=5", Report::PoweredOff, "the guest powered off"),
        ("fake:fault-after-ms=5", Report::Died, "vCPU 0: triple fault at 0xfa4e"),
    ];
    for (number, (words, report, reason)) in (1..).zip(cases) {
        let id = Id::new(number);
        vmms.boot(id, vm(words), LIMITS).await.unwrap();
        assert_eq!(world.wait_told(id, report).await.reason, reason);
        // A process that answers no more, as one does that is about to be gone, unsays nothing.
        let kill =
            |signal: &str| Command::new("kill").args([signal, &world.pid(id).to_string()]).status().unwrap();
        kill("-STOP");
        assert_eq!(vmms.look(id).await.report, report);
        // What comes after its end is no news.
        kill("-KILL");
        until("its process to end", || world.processes().is_empty().then_some(())).await;
        assert_eq!(vmms.look(id).await.report, report);
        remove(&vmms, id).await.unwrap();
        assert_eq!(world.told(id).len(), 1, "{:?}", world.told(id));
    }
    world.end(vmms).await;
}

pub async fn ends_of_a_process() {
    let world = World::bare();
    let vmms = world.open().await;
    let id = Id::new(1);
    vmms.boot(id, vm("fake:die-after-ms=5"), LIMITS).await.unwrap();
    let sight = world.wait_told(id, Report::Died).await;
    assert!(sight.reason.contains("SIGABRT"), "{sight:?}");
    assert_eq!(vmms.look(id).await, sight);
    assert_eq!(vmms.press_power_button(id).await.unwrap_err().report, Report::Died);

    for (number, signal) in (2..).zip(["KILL", "TERM"]) {
        let id = Id::new(number);
        vmms.boot(id, vm("fake:ignore-button"), LIMITS).await.unwrap();
        vmms.press_power_button(id).await.unwrap();
        Command::new("kill").args([&format!("-{signal}"), &world.pid(id).to_string()]).status().unwrap();
        let sight = world.wait_told(id, Report::Died).await;
        let expected = if signal == "KILL" { "SIGKILL" } else { "exit status: 0" };
        assert!(sight.reason.contains(expected), "{sight:?}");
        assert_eq!(world.told(id).len(), 1);
    }
    // It can be booted right away: what the dead one left is no hindrance.
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    world.end(vmms).await;
}

pub async fn guest_reboots_and_resets() {
    let world = World::bare();
    let vmms = world.open().await;
    let id = Id::new(1);
    vmms.boot(id, vm("fake:reboot-after-ms=5"), LIMITS).await.unwrap();
    world.wait_told(id, Report::GuestRebooted).await;
    vmms.reset(id).await.unwrap();
    assert_eq!(world.client(id).info().await.unwrap().boots, 3);
    vmms.press_power_button(id).await.unwrap();
    world.wait_told(id, Report::PoweredOff).await;
    assert_eq!(world.told(id).len(), 2, "a reset that was asked for is no guest's reboot");
    world.end(vmms).await;
}

pub async fn boots_that_fail() {
    let world = World::bare();
    let vmms = world.open().await;
    let id = Id::new(1);
    let error = vmms.boot(id, vm("fake:refuse-boot"), LIMITS).await.unwrap_err();
    assert!(matches!(&error, HostError::Failed(message) if message.contains("/dev/kvm")), "{error:?}");
    let error = vmms.boot(id, vm("fake:die-on-boot"), LIMITS).await.unwrap_err();
    assert!(
        error.to_string().contains("exit status: 7; it said last: fake-vmm: told to die on boot"),
        "{error}"
    );
    let error = vmms.boot(id, vm("fake:nonsense"), LIMITS).await.unwrap_err();
    assert!(matches!(&error, HostError::Refused(message) if message.contains("fake:nonsense")), "{error:?}");
    assert!(world.processes().is_empty());
    assert_eq!(vmms.look(id).await.report, Report::Lost);
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    assert_eq!(world.told(id), []);
    remove(&vmms, id).await.unwrap();
    drop(vmms);

    let vmms = world.open_with(VmmsConfig { program: "/no/bothy-vmm".into(), ..world.config() }).await;
    let error = vmms.boot(id, vm(""), LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("/no/bothy-vmm: No such file"), "{error}");
    drop(vmms);
    // There, and no program.
    let vmms = world.open_with(VmmsConfig { program: "/etc/passwd".into(), ..world.config() }).await;
    let error = vmms.boot(id, vm(""), LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("cannot start /etc/passwd: Permission denied"), "{error}");
    drop(vmms);
    // One that never listens.
    let script = world.folder.path().join("deaf");
    fs::write(&script, "#!/bin/sh\nwhile :; do sleep 1000; done\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let start_limit = Duration::from_millis(300);
    let vmms = world.open_with(VmmsConfig { program: script, start_limit, ..world.config() }).await;
    let error = vmms.boot(id, vm(""), LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("did not come within"), "{error}");
    assert!(world.processes().is_empty());
    world.end(vmms).await;
}

pub async fn a_boot_that_is_given_up() {
    let world = World::bare();
    let vmms = world.open().await;
    let id = Id::new(1);
    // Given up at many moments, up to the one at which it waits for the guest.
    for round in 0..12 {
        let boot = vmms.boot(id, vm("fake:slow-boot-ms=60000"), LIMITS);
        let _ = timeout(Duration::from_millis(2 * round), boot).await;
        vmms.kill(id).await.unwrap();
        assert!(world.processes().is_empty(), "round {round}");
        vmms.clean_up(id).await.unwrap();
    }
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    world.end(vmms).await;
}

pub async fn what_cannot_be() {
    let world = World::bare();
    let tell = || std::sync::Arc::new(|_, _| {});
    let deep = world.folder.path().join("x".repeat(90));
    let error = Vmms::open(VmmsConfig { run_folder: deep, ..world.config() }, tell()).await.err().unwrap();
    assert!(matches!(error, OpenVmmsError::PathTooLong { bytes, .. } if bytes > 107), "{error}");
    let error =
        Vmms::open(VmmsConfig { program: "bothy-vmm".into(), ..world.config() }, tell()).await.err().unwrap();
    assert!(matches!(error, OpenVmmsError::Relative(_)), "{error}");
    let no_cgroup = CgroupChoice::Cgroup2(world.folder.path().join("cgroup"));
    let error = Vmms::open(VmmsConfig { cgroup: no_cgroup, ..world.config() }, tell()).await.err().unwrap();
    assert!(error.to_string().contains("not in a cgroup v2 tree"), "{error}");
    let vmms = world.open().await;
    let error = Vmms::open(world.config(), tell()).await.err().unwrap();
    assert!(matches!(error, OpenVmmsError::InUse(_)), "{error}");
    // What is no instance's is left alone, and is none.
    fs::create_dir(world.folder.path().join("run/another's")).unwrap();
    assert_eq!(vmms.present().await.unwrap(), []);
    fs::remove_dir(world.folder.path().join("run/another's")).unwrap();
    assert!(bothyd::vmms::raise_descriptor_limit().unwrap() >= 1024);
    world.end(vmms).await;
}

pub async fn console_over_boots() {
    let world = World::bare();
    let vmms = world.open_with(VmmsConfig { console_log_bytes: 10_000, ..world.config() }).await;
    let id = Id::new(1);
    let line = b"fake guest of i-00000001: boot 1\r\n";
    let line_bytes = line.len() as u64;
    vmms.boot(id, vm("fake:print=6000"), LIMITS).await.unwrap();
    remove_all_but_console(&vmms, id).await;
    // Killed by another, so that nobody asked how much it had printed.
    vmms.boot(id, vm("fake:print=1000"), LIMITS).await.unwrap();
    let output = vmms.console(id, Some(0), 34).await.unwrap();
    assert_eq!((output.offset, &output.bytes[..]), (line_bytes + 6000, &line[..]), "the run there is now");
    Command::new("kill").args(["-KILL", &world.pid(id).to_string()]).status().unwrap();
    world.wait_told(id, Report::Died).await;
    let output = vmms.console(id, None, 1 << 20).await.unwrap();
    assert_eq!(output.offset, line_bytes + 6000);
    assert_eq!(output.bytes.len() as u64, line_bytes + 1000);
    remove_all_but_console(&vmms, id).await;

    // Its log is rotated, and more is printed than is kept in memory.
    vmms.boot(id, vm("fake:print=2000000"), LIMITS).await.unwrap();
    let output = vmms.console(id, None, 10).await.unwrap();
    assert_eq!((output.offset, output.bytes.len()), (3 * line_bytes + 7000 + 2_000_000 - 10, 10));
    let output = vmms.console(id, Some(0), 3 << 20).await.unwrap();
    assert_eq!(output.bytes.len(), 1 << 20);
    assert_eq!(output.offset + (1 << 20), 3 * line_bytes + 7000 + 2_000_000);
    remove_all_but_console(&vmms, id).await;
    let kept = vmms.console(id, None, 10).await.unwrap();
    assert_eq!((kept.offset, &kept.bytes[..]), (3 * line_bytes + 2_006_990, &b"xxxxxxxxxx"[..]));
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    assert_eq!(vmms.console(id, None, 1000).await.unwrap().offset, 3 * line_bytes + 2_007_000);
    world.end(vmms).await;
}

async fn remove_all_but_console(vmms: &Vmms, id: Id<compute::id::Instance>) {
    vmms.kill(id).await.unwrap();
    vmms.clean_up(id).await.unwrap();
}

pub async fn children_go_with_it() {
    children_go(false).await;
}

pub async fn children_go_after_it_died() {
    children_go(true).await;
}

async fn children_go(dies_first: bool) {
    let mut worlds = vec![World::bare()];
    match cgroup() {
        Ok(cgroup) => worlds.push(World::new(cgroup)),
        Err(reason) => skip(&reason),
    }
    for world in worlds {
        let vmms = world.open().await;
        let id = Id::new(1);
        vmms.boot(id, vm("fake:stubborn-child"), LIMITS).await.unwrap();
        let pid = world.pid(id);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let child: u32 = children.trim().parse().unwrap();
        if dies_first {
            Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
            world.wait_told(id, Report::Died).await;
        }
        vmms.kill(id).await.unwrap();
        // Whose child it is now may take its time to wait for it.
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        world.end(vmms).await;
    }
}

pub async fn in_cgroups() {
    let world = match cgroup() {
        Ok(cgroup) => World::new(cgroup),
        Err(reason) => return skip(&reason),
    };
    let CgroupChoice::Cgroup2(parent) = world.cgroup.clone() else { unreachable!() };
    let vmms = world.open().await;
    let id = Id::new(1);
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    let folder = parent.join(id.to_string());
    let procs = fs::read_to_string(folder.join("cgroup.procs")).unwrap();
    assert_eq!(procs.trim(), world.pid(id).to_string());
    for (file, limit) in [
        ("memory.max", "336592896"),
        ("cpu.max", "200000 100000"),
        ("cpu.weight", "100"),
        ("pids.max", "513"),
    ] {
        match fs::read_to_string(folder.join(file)) {
            Ok(text) => assert_eq!(text.trim(), limit, "{file}"),
            Err(_) => skip(&format!("there is no {file}")),
        }
    }
    // Whatever is in it is the VMM's.
    let mut intruder = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(folder.join("cgroup.procs"), intruder.id().to_string()).unwrap();
    Command::new("kill").args(["-KILL", &world.pid(id).to_string()]).status().unwrap();
    world.wait_told(id, Report::Died).await;
    assert!(vmms.clean_up(id).await.unwrap_err().to_string().contains("kill it first"));
    vmms.kill(id).await.unwrap();
    assert!(!intruder.wait().unwrap().success());

    // A cgroup alone is a leaving, also of a daemon that died before it had a folder.
    remove(&vmms, id).await.unwrap();
    fs::create_dir(&folder).unwrap();
    assert_eq!(vmms.present().await.unwrap(), [id]);
    world.end(vmms).await;
}

pub async fn out_of_memory() {
    let world = match cgroup() {
        Ok(cgroup) => World::new(cgroup),
        Err(reason) => return skip(&reason),
    };
    let CgroupChoice::Cgroup2(parent) = world.cgroup.clone() else { unreachable!() };
    let vmms = world.open().await;
    let id = Id::new(1);
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    let limit = parent.join(id.to_string()).join("memory.max");
    if !limit.exists() {
        skip("the cgroup v2 tree has no memory controller");
        return world.end(vmms).await;
    }
    // What it has is more than this, and it needs more when it is asked something.
    let _ = fs::write(parent.join(id.to_string()).join("memory.swap.max"), "0");
    fs::write(limit, "65536").unwrap();
    let asking = async {
        while world.client(id).info().await.is_ok() {}
        std::future::pending().await
    };
    let sight = tokio::select! {
        sight = world.wait_told(id, Report::Died) => sight,
        () = asking => unreachable!(),
    };
    assert!(sight.reason.contains("out-of-memory killer"), "{sight:?}");
    world.end(vmms).await;
}

/// Runs `on_a_full_disk` where it can make one.
pub async fn full_disk() {
    let folder = tempfile::tempdir().unwrap();
    fake_vmm();
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$1" && exec "$0" full "$1""#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(folder.path())
        .output()
        .expect("unshare is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub async fn on_a_full_disk(folder: &Path) {
    let vmms = Vmms::open(config(folder, CgroupChoice::None), std::sync::Arc::new(|_, _| {})).await.unwrap();
    let (id, other) = (Id::new(1), Id::new(2));
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    let ballast = folder.join("ballast");
    let mut bytes = vec![1; 2 << 20];
    while !bytes.is_empty() {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&ballast).unwrap();
        if std::io::Write::write_all(&mut file, &bytes).is_err() {
            bytes.truncate(bytes.len() / 2);
        }
    }
    let error = vmms.boot(other, vm(""), LIMITS).await.unwrap_err();
    assert!(
        matches!(&error, HostError::Exhausted(message) if message.contains("No space left")),
        "{error:?}"
    );
    // What runs goes on, and can be ended.
    assert_eq!(vmms.look(id).await.report, Report::Running);
    remove(&vmms, id).await.unwrap();
    remove(&vmms, other).await.unwrap();
    fs::remove_file(ballast).unwrap();
    vmms.boot(other, vm(""), LIMITS).await.unwrap();
    let info = vmm_api::Client::new(folder.join("run").join(other.to_string()).join("control"))
        .info()
        .await
        .unwrap();
    assert_eq!(info.state, VmState::Running);
    remove(&vmms, other).await.unwrap();
}
