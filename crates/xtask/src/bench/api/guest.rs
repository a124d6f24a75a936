//! From a launch's request to the guest's first line from user space, and from the start of a bare VMM's process to the same
//! line: same kernel, initrd, command line, memory and numbers of disks and interfaces. By turns.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use native_api::{Client, ConsoleQuery, ImageId, InstanceId, InstanceState};

use super::super::guest::Guest;
use super::super::peers::{BOTHY, Disk, Machine};
use super::super::table::{Better, Sample, Table};
use super::super::tap::{self, Tap};
use super::{GuestStoryArguments, OURS, SETTINGS, launches};
use crate::daemon::Node;
use crate::guest_image;
use crate::progress::Step;

const BARE: &str = "bare VMM";

/// What the guest prints first.
const MARK: &[u8] = b"BOTHY-USERSPACE";
/// The guest ends by itself when it was seen.
const CMDLINE: &str = "console=ttyS0 quiet bothy.run=dHJ1ZQ==";
/// As the instance type `tiny` has.
const MEMORY_MIB: u64 = 256;
const TAP: &str = "bothy-bench";
/// Longest time for a guest to come up or to go, on a nested host.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(2);

/// All runs.
pub async fn measure(arguments: &GuestStoryArguments) -> anyhow::Result<Table> {
    let scratch = std::env::var_os("HOST_VM_SCRATCH").map_or_else(std::env::temp_dir, Into::into);
    let disk = tempfile::tempdir_in(scratch).context("making a folder")?;
    let run = tempfile::tempdir_in("/run").context("making a folder")?;
    // In memory: the nested host reads the machine's files slowly.
    let memory = tempfile::tempdir_in("/dev/shm").context("making a folder in memory")?;
    let step = Step::new("copying programs and images");
    let copy = |from: &Path, name: &str| {
        let to = memory.path().join(name);
        std::fs::copy(from, &to).with_context(|| format!("copying {}", from.display()))?;
        anyhow::Ok(to)
    };
    let (bothyd, vmm) = (copy(&arguments.bothyd, "bothyd")?, copy(&arguments.vmm, "bothy-vmm")?);
    let (kernel, initrd) = (copy(&arguments.kernel, "vmlinuz")?, copy(&arguments.initrd, "initrd")?);
    step.done();

    let _tap = Tap::new(TAP)?;
    let bare_disk = disk.path().join("bare.raw");
    std::fs::File::create(&bare_disk).and_then(|file| file.set_len(1 << 30)).context("making a disk")?;
    let machine = Machine {
        kernel: kernel.clone(),
        initrd: initrd.clone(),
        cmdline: CMDLINE.to_owned(),
        memory_mib: MEMORY_MIB,
        disks: vec![Disk { path: bare_disk, direct: false }],
        nic: tap::nic(TAP),
    };

    let step = Step::new("bothyd, with an image");
    let node = Node::new(&bothyd, &vmm, disk.path(), run.path(), SETTINGS)?;
    let daemon = node.start().await?;
    let client = node.operator(None)?;
    let file_system = guest_image::write(disk.path(), "system")?;
    let boot = guest_image::Boot { kernel: &kernel, initrd: Some(&initrd), cmdline: CMDLINE };
    let image =
        guest_image::import(&client, &guest_image::request("tiny", &file_system, &boot, None)?).await?;
    step.done();

    let mut table = Table::new(vec![OURS, BARE]);
    // The first of each does not count.
    for run in 0..=arguments.runs {
        let step = Step::new(format!("guest {run} of {}", arguments.runs));
        let mut guest = Guest::start(&BOTHY, &machine, &vmm)?;
        let (_, alone) = guest.wait_line("BOTHY-USERSPACE")?;
        guest.wait_exit()?;
        let launched = launch(&client, &image.id).await.with_context(|| node.log_tail())?;
        step.done();
        if run > 0 {
            let sample = |name, time: Duration| Sample::new(name, "s", Better::Less, time.as_secs_f64());
            table.add(OURS, vec![sample("to user space", launched)]);
            table.add(BARE, vec![sample("to user space", alone)]);
            table.add(OURS, vec![sample("the daemon's own share", launched.saturating_sub(alone))]);
        }
    }
    daemon.end().await?;
    node.clear()?;
    Ok(table)
}

/// Launches an instance and says how long it took to user space. It is gone afterwards.
async fn launch(client: &Client, image: &ImageId) -> anyhow::Result<Duration> {
    let request = launches::request(image, true)?;
    let asked = Instant::now();
    let launched = client.launch_instances(&request).await.context("launching")?;
    let id = &launched.instances.first().context("an instance was launched")?.id;
    let (mut printed, mut next) = (Vec::new(), 0_u64);
    let took = loop {
        let query = ConsoleQuery { offset: Some(next.try_into()?), wait_ms: Some(1000.try_into()?) };
        let news = client.console(id, &query).await.context("reading the console")?;
        next = news.offset + news.bytes.len() as u64;
        printed.extend(news.bytes);
        if printed.windows(MARK.len()).any(|window| window == MARK) {
            break asked.elapsed();
        }
        let said = String::from_utf8_lossy(&printed);
        ensure!(
            asked.elapsed() < PATIENCE,
            "no guest in user space within {PATIENCE:?}; it printed:\n{said}"
        );
        // Before there is a VMM, nothing waits.
        tokio::time::sleep(LOOK).await;
    };
    end(client, id).await?;
    Ok(took)
}

async fn end(client: &Client, id: &InstanceId) -> anyhow::Result<()> {
    let look = async || client.get_instance(id).await;
    let stopped = |instance: &native_api::Instance| instance.state == InstanceState::Stopped;
    client.wait_until("the guest's power-off", PATIENCE, look, stopped).await?;
    client.terminate_instance(id).await.context("terminating")?;
    let ended = |instance: &native_api::Instance| instance.state == InstanceState::Terminated;
    client.wait_until("the end of the instance", PATIENCE, look, ended).await?;
    Ok(())
}
