//! A daemon after another: machines that were left running, and whatever a daemon leaves that is killed at any moment.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bothyd::vmms::{CgroupChoice, Vmms, VmmsConfig};
use compute::id::{Id, Instance};
use compute::lifecycle::Report;
use tokio::time::timeout;
use vmm_api::VmState;

use crate::world::{self, LIMITS, World, cgroup, fake_vmm, remove, until, vm};
use crate::{os, skip};

pub async fn adoption() {
    let world = World::bare();
    let vmms = world.open().await;
    let [quiet, rebooting, off, dying] = [1, 2, 3, 4].map(Id::new);
    vmms.boot(quiet, vm(""), LIMITS).await.unwrap();
    vmms.boot(rebooting, vm("fake:reboot-after-ms=200"), LIMITS).await.unwrap();
    vmms.boot(off, vm("fake:power-off-after-ms=200"), LIMITS).await.unwrap();
    vmms.boot(dying, vm("fake:die-after-ms=200"), LIMITS).await.unwrap();
    let pid = world.pid(quiet);
    drop(vmms);
    // While nobody looks.
    let limit = Duration::from_secs(30);
    world.client(rebooting).wait_for(|info| info.boots == 2, limit).await.unwrap();
    world.client(off).wait_for(|info| info.state == VmState::Exited, limit).await.unwrap();
    until("its process to end", || (!world.processes().contains_key(&dying)).then_some(())).await;
    assert_eq!(world.told.lock().unwrap().len(), 0);

    let vmms = world.open().await;
    assert_eq!(vmms.look(quiet).await.report, Report::Running);
    assert_eq!(vmms.look(rebooting).await.report, Report::Running);
    assert_eq!(vmms.look(off).await.report, Report::PoweredOff);
    let sight = vmms.look(dying).await;
    assert!(sight.report == Report::Died && sight.reason.contains("while nobody looked"), "{sight:?}");
    world.wait_told(rebooting, Report::GuestRebooted).await;
    assert_eq!(world.pid(quiet), pid);
    vmms.boot(quiet, vm(""), LIMITS).await.unwrap();
    assert_eq!(world.pid(quiet), pid);

    // What happens from now on is told, and once.
    vmms.look(quiet).await;
    vmms.press_power_button(quiet).await.unwrap();
    world.wait_told(quiet, Report::PoweredOff).await;
    assert_eq!(world.told.lock().unwrap().len(), 2, "{:?}", world.told);
    drop(vmms);

    // What was told to one daemon is not told to the next.
    let vmms = world.open().await;
    assert_eq!(vmms.look(rebooting).await.report, Report::Running);
    assert_eq!(vmms.look(quiet).await.report, Report::PoweredOff);
    vmms.press_power_button(rebooting).await.unwrap();
    world.wait_told(rebooting, Report::PoweredOff).await;
    assert_eq!(world.told(rebooting).len(), 2);
    world.end(vmms).await;
}

pub async fn a_vmm_that_hangs() {
    let world = World::bare();
    let limit = Duration::from_millis(200);
    let patient = VmmsConfig { answer_limit: limit, work_limit: limit, ..world.config() };
    let vmms = world.open_with(patient.clone()).await;
    let id = Id::new(1);
    vmms.boot(id, vm("fake:hang-socket"), LIMITS).await.unwrap();
    drop(vmms);
    let vmms = world.open_with(patient).await;
    let sight = vmms.look(id).await;
    assert!(sight.report == Report::Running && sight.reason.contains("does not answer"), "{sight:?}");
    let sight = vmms.press_power_button(id).await.unwrap_err();
    assert!(sight.report == Report::Running && sight.reason.contains("does not answer"), "{sight:?}");
    assert!(vmms.boot(id, vm(""), LIMITS).await.unwrap_err().to_string().contains("does not answer"));
    let asked = async { [vmms.pause(id).await, vmms.resume(id).await, vmms.reset(id).await] };
    let answers = timeout(Duration::from_secs(30), asked).await.expect("nobody waits for ever");
    for answer in answers {
        assert!(answer.as_ref().unwrap_err().to_string().contains("does not answer"), "{answer:?}");
    }
    assert_eq!(vmms.console(id, None, 4).await.unwrap().bytes, b" 1\r\n", "from its log");
    // It is watched all the same.
    Command::new("kill").args(["-KILL", &world.pid(id).to_string()]).status().unwrap();
    world.wait_told(id, Report::Died).await;
    vmms.boot(id, vm("fake:hang-socket"), LIMITS).await.unwrap();
    world.end(vmms).await;
}

/// A process that ends closes its socket first, and is there for a moment yet.
pub async fn a_last_breath() {
    let world = World::bare();
    let id = Id::new(1);
    for boots_again in [false, true] {
        let vmms = world.open().await;
        vmms.boot(id, vm(""), LIMITS).await.unwrap();
        drop(vmms);
        fs::remove_file(world.run_folder(id).join("control")).unwrap();
        let vmms = world.open().await;
        let pid = world.pid(id);
        let ending = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
        };
        if boots_again {
            let (booted, ()) = tokio::join!(vmms.boot(id, vm(""), LIMITS), ending);
            booted.unwrap();
            assert_ne!(world.pid(id), pid);
        } else {
            let (sight, ()) = tokio::join!(vmms.look(id), ending);
            assert_eq!(sight.report, Report::Died, "{sight:?}");
        }
        remove(&vmms, id).await.unwrap();
        world.nothing_is_left(&vmms).await;
    }
}

pub async fn never_booted() {
    let world = World::bare();
    let id = Id::new(1);
    for words in ["fake:slow-boot-ms=60000", "fake:refuse-boot"] {
        let vmms =
            world.open_with(VmmsConfig { answer_limit: Duration::from_millis(300), ..world.config() }).await;
        // A daemon that stops in the midst of a boot: its future is dropped with all it holds.
        {
            let boot = vmms.boot(id, vm(words), LIMITS);
            tokio::pin!(boot);
            let socket = world.run_folder(id).join("control");
            tokio::select! {
                _ = &mut boot => {}
                () = until("a socket", || socket.exists().then_some(())) => {}
            }
        }
        drop(vmms);
        let vmms =
            world.open_with(VmmsConfig { answer_limit: Duration::from_millis(300), ..world.config() }).await;
        assert_eq!(vmms.look(id).await.report, Report::Lost);
        vmms.boot(id, vm(""), LIMITS).await.unwrap();
        world.pid(id);
        remove(&vmms, id).await.unwrap();
        world.nothing_is_left(&vmms).await;
    }
    assert_eq!(world.told(id), []);
}

pub async fn records_that_lie() {
    let world = World::bare();
    let vmms = world.open().await;
    let id = Id::new(1);
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    let path = world.run_folder(id).join("vmm.json");
    let record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    vmms.kill(id).await.unwrap();

    let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
    let bystanders_pid = bystander.id();
    let lies: [&dyn Fn(&mut serde_json::Value); 3] = [
        // The pid is another's by now, who started later. Said of the record, since both may have started in one tick.
        &|record| {
            let started = record["process"]["started"].as_u64().unwrap();
            record["process"] = serde_json::json!({ "pid": bystanders_pid, "started": started - 1 });
        },
        // The host was rebooted, and has a process with this pid and start time again.
        &|record| record["boot_id"] = "another".into(),
        &|record| record["process"] = "none".into(),
    ];
    for lie in lies {
        let mut record = record.clone();
        lie(&mut record);
        fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
        let sight = vmms.look(id).await;
        assert!(matches!(sight.report, Report::Died | Report::Lost), "{sight:?}");
        vmms.kill(id).await.unwrap();
        assert!(!path.exists() && bystander.try_wait().unwrap().is_none());
    }
    // The same of a VM that runs.
    vmms.boot(id, vm(""), LIMITS).await.unwrap();
    fs::write(&path, "{").unwrap();
    vmms.kill(id).await.unwrap();
    assert!(world.processes().is_empty());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    world.end(vmms).await;
}

pub async fn not_on_record() {
    let mut worlds = vec![World::bare()];
    match cgroup() {
        Ok(cgroup) => worlds.push(World::new(cgroup)),
        Err(reason) => skip(&reason),
    }
    for world in worlds {
        let vmms = world.open().await;
        let [stray, lost] = [1, 2].map(Id::new);
        // One that this daemon knows nothing of, in a folder that is not there; and one whose record is gone.
        let control = world.run_folder(stray).join("control");
        let arguments = [os("--id"), os("i-00000001"), os("--control"), control.as_os_str()];
        fs::create_dir(world.run_folder(stray)).unwrap();
        let mut child = Command::new(fake_vmm()).args(arguments).spawn().unwrap();
        until("its socket", || control.exists().then_some(())).await;
        fs::remove_dir_all(world.run_folder(stray)).unwrap();
        vmms.boot(lost, vm(""), LIMITS).await.unwrap();
        fs::remove_file(world.run_folder(lost).join("vmm.json")).unwrap();

        assert_eq!(vmms.present().await.unwrap(), [stray, lost]);
        assert_eq!(vmms.look(stray).await.report, Report::Lost);
        if world.cgroup == CgroupChoice::None {
            assert!(vmms.clean_up(stray).await.is_err());
        }
        assert!(vmms.clean_up(lost).await.is_err());
        vmms.kill(stray).await.unwrap();
        assert!(child.try_wait().unwrap().is_some(), "it is gone when kill answers");
        vmms.kill(lost).await.unwrap();
        assert!(world.processes().is_empty());
        world.end(vmms).await;
    }
}

/// Instances of the daemon that is killed.
const INSTANCES: u32 = 4;

/// Boots, ends and boots machines again, for ever, and says so.
pub async fn daemon(arguments: &[OsString]) {
    let [folder, cgroup] = arguments else { panic!("{arguments:?}") };
    let cgroup = if cgroup == "none" { CgroupChoice::None } else { CgroupChoice::Cgroup2(cgroup.into()) };
    let config = world::config(Path::new(folder), cgroup);
    let vmms = Arc::new(Vmms::open(config, Arc::new(|_, _| {})).await.unwrap());
    let mut works = tokio::task::JoinSet::new();
    for id in (0..INSTANCES).map(Id::new) {
        works.spawn(work(Arc::clone(&vmms), id));
    }
    works.join_all().await;
}

async fn work(vmms: Arc<Vmms>, id: Id<Instance>) {
    loop {
        vmms.look(id).await;
        vmms.boot(id, vm("fake:child"), LIMITS).await.unwrap();
        println!("{id}");
        vmms.kill(id).await.unwrap();
        vmms.clean_up(id).await.unwrap();
        vmms.boot(id, vm(""), LIMITS).await.unwrap();
        println!("{id}");
        if id.number().is_multiple_of(2) {
            remove(&vmms, id).await.unwrap();
        }
    }
}

pub async fn at_any_moment() {
    let mut worlds = vec![("none".into(), World::bare())];
    match cgroup() {
        Ok(CgroupChoice::Cgroup2(parent)) => {
            worlds.push((parent.clone().into_os_string(), World::new(CgroupChoice::Cgroup2(parent))));
        }
        Ok(_) => unreachable!(),
        Err(reason) => skip(&reason),
    }
    fake_vmm();
    for (cgroup, world) in worlds {
        let (mut adopted, mut booted) = (0, 0);
        for round in 0..40_u32 {
            let mut child = world::daemon(&[os("daemon"), world.folder.path().as_os_str(), &cgroup])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            // So many machines, and then a moment of any length: where in its work it is then is chance.
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let machines = round as usize % 7;
            assert_eq!(lines.by_ref().take(machines).filter(Result::is_ok).count(), machines);
            tokio::time::sleep(Duration::from_micros(u64::from(round * 7919 % 12_000))).await;
            child.kill().unwrap();
            child.wait().unwrap();

            let vmms = world.open().await;
            let present = vmms.present().await.unwrap();
            for id in (0..INSTANCES).map(Id::<Instance>::new) {
                let before = world.processes().remove(&id);
                let sight = vmms.look(id).await;
                match sight.report {
                    Report::Running => {
                        adopted += 1;
                        vmms.boot(id, vm(""), LIMITS).await.unwrap();
                        // Its helper was it, too, when it was forked and had not become the helper yet.
                        let was = before.clone().unwrap_or_default();
                        assert!(was.contains(&world.pid(id)), "the one that ran goes on: {was:?}");
                    }
                    // It may have been killed, and not yet taken off the record.
                    Report::Lost | Report::Died => {
                        booted += 1;
                        vmms.boot(id, vm(""), LIMITS).await.unwrap();
                    }
                    Report::PoweredOff | Report::GuestRebooted => panic!("{sight:?}"),
                }
                assert!(before.is_none() || present.contains(&id), "{before:?} in {present:?}");
                world.pid(id);
                assert_eq!(world.client(id).info().await.unwrap().state, VmState::Running);
            }
            // Every third round the next daemon finds them running.
            if round % 3 != 0 {
                for id in vmms.present().await.unwrap() {
                    remove(&vmms, id).await.unwrap();
                }
                world.nothing_is_left(&vmms).await;
            }
        }
        println!("  {adopted} were adopted, {booted} were booted anew");
        assert!(adopted > 0 && booted > 0);
        let vmms = world.open().await;
        world.end(vmms).await;
    }
}
