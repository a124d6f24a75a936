//! `cargo xtask bench api`: a bothyd with thousands of instances on record and running, in a network of its own, with its
//! state on a real disk. What is measured is in `describe`, `launches` and `guest`, what it is held against in `bare`.

mod bare;
mod describe;
mod guest;
pub mod launches;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use native_api::{Client, InstanceState};

use super::table::{AIM, Better, Sample, Table};
use crate::build::{self, Profile};
use crate::daemon::{Daemon, Node};
use crate::isolation::{self, Folders};
use crate::progress::Step;
use crate::{guest_image, host_vm, image, packages, tree};

/// Measures the daemon, with VMMs that have no guest: lists, launches, memory, restart.
///
/// A bothyd of its own, in a network of its own, with its state on a disk; the VMMs are fakes, which boot in a millisecond,
/// so that all time is the daemon's. First a part of the instances is launched and runs; the others are launched with
/// `start: false`: complete, with their volumes, and never started. Latencies are from a request's first byte to its
/// answer's last, on connections that stay open for lists and a new one for each launch; p50 and p99.
///
/// `aim` is what we want, with the ratio of what there is to it: below 1 is good with ↓, above 1 with ↑. `bare` is what
/// SQLite alone does on the same disk, one commit of 4 KiB after the other: what the launches per second are to be read
/// against, as a launch is acknowledged when its records are on disk. Clients and fakes share the processors with the
/// daemon.
///
/// With --guest, also the time from a launch's request to the guest's first line from user space, and that of the bare
/// VMM with the same kernel and initrd by turns, on a host whose KVM runs Linux.
#[derive(clap::Args)]
pub struct Arguments {
    /// Instances on record
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=50_000))]
    instances: u32,
    /// How many of them run
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    vmms: u32,
    /// How long lists are asked for, for each number of connections
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Where the daemon's state is, on the disk that is to be measured [default: target/bench]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Also launch real guests
    #[arg(long)]
    guest: bool,
    /// Guests of each kind
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Measure programs that are not optimized: for work on the benchmark itself, not for figures
    #[arg(long)]
    debug_build: bool,
}

/// The second half, isolated.
#[derive(clap::Args)]
pub struct StoryArguments {
    bothyd: PathBuf,
    vmm: PathBuf,
    folder: PathBuf,
    output: PathBuf,
    instances: u32,
    vmms: u32,
    seconds: u64,
}

/// The half with guests, on the KVM host.
#[derive(clap::Args)]
pub struct GuestStoryArguments {
    bothyd: PathBuf,
    vmm: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    runs: u32,
}

const OURS: &str = "bothyd";
const BARE: &str = "bare";

/// Launches by one client, before those by several.
const ALONE: u32 = 100;
/// Clients that launch at a time.
pub const AT_ONCE: u32 = 16;
/// Connections that ask for lists.
const CONNECTIONS: [u32; 2] = [1, 8];
/// How often the daemon is restarted with what there is.
const RESTARTS: u32 = 3;
/// How long the daemon has nothing to do before its memory is read: it frees some of what it used.
const REST: Duration = Duration::from_secs(2);
/// Longest time for all to run after they were launched.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Room for all, whatever the machine has; a network that has an address for each.
pub(super) const SETTINGS: &str = "[capacity]\nvcpus = 1000000\nmemory_mib = 1000000000\ndisk_gib = 1000000000\n\
     [quota]\ninstances = 0\n[network]\ncidr = '10.64.0.0/12'";

/// Builds, and runs the parts.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    ensure!(arguments.vmms <= arguments.instances, "--vmms cannot be more than --instances");
    packages::ensure(&["iproute2", "nftables", "util-linux"])?;
    let profile = if arguments.debug_build { Profile::Debug } else { Profile::Release };
    let bothyd = build::program("bothyd", "bothyd", profile)?;
    let fake = build::program("fake-vmm", "fake-vmm", profile)?;
    let vmm = if arguments.guest { Some(build::program("vmm", "bothy-vmm", profile)?) } else { None };
    let output = tree::target().join("bench");
    let folder = arguments.folder.clone().unwrap_or_else(|| output.clone());
    for folder in [&output, &folder] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let folder = std::fs::canonicalize(folder).context("looking for the folder")?;
    let ourselves: OsString = std::env::current_exe().context("finding this program")?.into();

    let mut words = vec![ourselves.clone(), "bench-api-story".into()];
    words.extend([bothyd.clone(), fake, folder, output.join("bench-api.json")].map(OsString::from));
    let numbers = [u64::from(arguments.instances), u64::from(arguments.vmms), arguments.seconds];
    words.extend(numbers.map(|number| OsString::from(number.to_string())));
    let status = isolation::run(&words)?;
    if !status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let Some(vmm) = vmm else { return Ok(ExitCode::SUCCESS) };
    let tiny = image::tiny()?;
    let mut words = vec![ourselves, "bench-guest-story".into()];
    words.extend([bothyd, vmm, tiny.kernel, tiny.initrd].map(OsString::from));
    words.push(arguments.runs.to_string().into());
    let host = host_vm::Options { cpus: 2, ..host_vm::Options::default() };
    Ok(ExitCode::from(host_vm::execute(&host, &isolation::command(&words))?))
}

/// Measures the daemon.
pub fn tell(arguments: &StoryArguments) -> anyhow::Result<ExitCode> {
    isolation::settle(Folders::Own)?;
    let table = runtime()?.block_on(measure(arguments))?;
    let title = format!(
        "{} instances on record, {} of them running; lists for {} s",
        arguments.instances, arguments.vmms, arguments.seconds
    );
    show("api", &title, &table, &arguments.output)
}

/// Measures launches of guests.
pub fn tell_guest(arguments: &GuestStoryArguments) -> anyhow::Result<ExitCode> {
    isolation::settle(Folders::Shared)?;
    let table = runtime()?.block_on(guest::measure(arguments))?;
    let folder = std::env::var_os("HOST_VM_OUT").map_or_else(std::env::temp_dir, PathBuf::from);
    let title = format!(
        "a launch to user space: medians of {}, ratio = the daemon's over the bare VMM's",
        arguments.runs
    );
    show("api", &title, &table, &folder.join("bench-api-guest.json"))
}

/// Prints the table of a benchmark, and keeps it.
pub fn show(benchmark: &str, title: &str, table: &Table, output: &Path) -> anyhow::Result<ExitCode> {
    let report = serde_json::json!({"benchmark": benchmark, "what": title, "figures": table.json()});
    let text = serde_json::to_string_pretty(&report).context("writing JSON")?;
    std::fs::write(output, text + "\n").with_context(|| format!("writing {}", output.display()))?;
    println!("\n{benchmark}: {title}\n{}\nevery sample: {}", table.text(), output.display());
    Ok(ExitCode::SUCCESS)
}

/// One thread: clients must not take all processors from the daemon.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")
}

async fn measure(arguments: &StoryArguments) -> anyhow::Result<Table> {
    let disk =
        tempfile::Builder::new().prefix("api").tempdir_in(&arguments.folder).context("making a folder")?;
    let run = tempfile::tempdir_in("/run").context("making a folder")?;
    let mut table = Table::new(vec![OURS, AIM, BARE]);

    let step = Step::new("SQLite alone");
    let commits = bare::commits_per_second(disk.path(), Duration::from_secs(arguments.seconds.min(5)))?;
    step.done();

    let node = Node::new(
        &arguments.bothyd,
        &arguments.vmm,
        disk.path(),
        run.path(),
        &format!("cgroup = 'none'\n{SETTINGS}"),
    )?;
    let client = node.operator(None)?;
    let step = Step::new("bothyd, with an image");
    let mut daemon = node.start().await?;
    let kernel = guest_image::write(disk.path(), "kernel")?;
    let file_system = guest_image::write(disk.path(), "system")?;
    let boot = guest_image::Boot { kernel: &kernel, initrd: None, cmdline: "quiet" };
    let image =
        guest_image::import(&client, &guest_image::request("bench", &file_system, &boot, None)?).await?;
    step.done();
    table.add_aimed("memory without instances", "MiB", Better::Less, resting_mib(&daemon).await?, None);

    let launches = launches::Launches { client: client.clone(), image: image.id, start: true };
    let alone = (arguments.vmms / 2).clamp(1, ALONE);
    let step = Step::new(format!("{alone} launches, one after the other"));
    let launched = launches.run(alone, 1, &step).await?;
    step.done();
    launched.times.add(&mut table, "launch, one at a time", None);

    let begun = Instant::now();
    let many = arguments.vmms - alone;
    if many > 0 {
        let step = Step::new(format!("{many} launches, {AT_ONCE} at a time"));
        let launched = launches.run(many, AT_ONCE, &step).await?;
        launched.times.add(&mut table, &format!("launch, {AT_ONCE} at a time"), None);
        let (name, aim) = ("launches acknowledged", Some(150.0));
        table.add_aimed(name, "1/s", Better::More, launched.per_second(), aim);
        table.add(BARE, vec![Sample::new(name, "1/s", Better::More, commits)]);
        all_run(&client, arguments.vmms, PATIENCE, &step).await?;
        let per_second = f64::from(many) / begun.elapsed().as_secs_f64();
        step.done();
        table.add_aimed("launches until all run", "1/s", Better::More, per_second, None);
    }
    daemon = restarts(&node, daemon, &client, arguments.vmms, "", Some(2.0), &mut table).await?;

    let more = arguments.instances - arguments.vmms;
    if more > 0 {
        let step = Step::new(format!("{more} more instances that are not started, {AT_ONCE} at a time"));
        let launches = launches::Launches { start: false, ..launches };
        let created = launches.run(more, AT_ONCE, &step).await?;
        created.times.add(&mut table, &format!("create, {AT_ONCE} at a time"), None);
        table.add_aimed("creations acknowledged", "1/s", Better::More, created.per_second(), None);
        launches::settled(&client, &[InstanceState::Creating], PATIENCE, &step).await?;
        step.done();
    }
    for connections in CONNECTIONS {
        let step = Step::new(format!("lists of 100 of them, {connections} at a time"));
        let length = Duration::from_secs(arguments.seconds);
        let lists = describe::lists(&node, &client, connections, length).await?;
        step.done();
        let name = format!("list of 100, {connections} at a time");
        lists.times.add(&mut table, &name, Some(0.005));
        table.add_aimed(&name, "1/s", Better::More, lists.per_second(), None);
    }
    let name = format!("memory with {} instances", arguments.instances);
    table.add_aimed(&name, "MiB", Better::Less, resting_mib(&daemon).await?, None);
    let and = format!(", {} on record", arguments.instances);
    daemon = restarts(&node, daemon, &client, arguments.vmms, &and, None, &mut table).await?;
    // VMMs, taps and rules go with the namespaces.
    drop(daemon);
    Ok(table)
}

/// Kills the daemon and starts it, and measures from that start until it answers and all VMMs are seen as running.
async fn restarts(
    node: &Node,
    mut daemon: Daemon,
    client: &Client,
    vmms: u32,
    and: &str,
    aim: Option<f64>,
    table: &mut Table,
) -> anyhow::Result<Daemon> {
    for run in 1..=RESTARTS {
        let step = Step::new(format!("restart {run} of {RESTARTS} with {vmms} running{and}"));
        daemon.kill()?;
        let begun = Instant::now();
        daemon = node.spawn()?;
        // It answers when it has looked at each VMM.
        node.ready(&mut daemon).await?;
        let mut took = begun.elapsed();
        if launches::count(client, &[InstanceState::Running]).await? != vmms as usize {
            all_run(client, vmms, PATIENCE, &step).await?;
            took = begun.elapsed();
        }
        step.done();
        table.add_aimed(
            &format!("restart to {vmms} adopted{and}"),
            "s",
            Better::Less,
            took.as_secs_f64(),
            aim,
        );
    }
    Ok(daemon)
}

/// Waits until that many run, and none is on its way.
pub async fn all_run(client: &Client, vmms: u32, limit: Duration, step: &Step) -> anyhow::Result<()> {
    launches::settled(client, &[InstanceState::Creating, InstanceState::Starting], limit, step).await?;
    let running = launches::count(client, &[InstanceState::Running]).await?;
    ensure!(running == vmms as usize, "{running} of {vmms} instances run");
    Ok(())
}

/// Memory of the daemon after a rest, in MiB.
async fn resting_mib(daemon: &Daemon) -> anyhow::Result<f64> {
    tokio::time::sleep(REST).await;
    let path = format!("/proc/{}/status", daemon.pid());
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .with_context(|| format!("understanding {path}"))?;
    Ok(kib / 1024.0)
}
