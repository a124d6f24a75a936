//! `cargo xtask soak`: random operations by several clients while the daemon and its VMMs are killed, and what must hold
//! whatever happens. Here are the rounds; `client` is who asks, `operations` for what, `model` what there is by the answers,
//! `check` and `leavings` compare that with the daemon's word and with the host.

mod chance;
mod check;
mod client;
mod counts;
mod images;
mod leavings;
mod model;
mod operations;

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::{JoinSet, LocalSet};

use crate::build::{self, Profile};
use crate::daemon::{Daemon, Node};
use crate::host::Host;
use crate::isolation::{self, Folders};
use crate::progress::Step;
use crate::{host_vm, image, packages, tree};
use chance::Chance;
use check::View;
use client::{User, World};
use images::{Kind, Sources};

/// Random operations on a daemon that is killed now and then, as its VMMs are; after each kill, everything is checked.
///
/// Several clients, each with an account of its own, launch, start, stop, reboot and terminate instances, make, attach, grow
/// and delete volumes, snapshots, images and keys, and set tags. The VMMs are fakes, some of which die, hang, ignore the
/// power button or leave processes behind; with --guests they are real, on a host whose KVM runs Linux, with tiny guests.
/// Meanwhile VMMs are killed, and the daemon is, also while it takes over what the one before left.
///
/// What must hold after each round, within two minutes or, with guests, ten:
///
///   everything that was acknowledged is there, as it was acknowledged, and nothing else
///   every instance is in a state that stays, and in the one that was asked for unless its VMM died
///   no VMM runs twice, or without its instance
///   no process, file, tap, rule or cgroup is without its owner, and none is missing
///
/// At the end, or after Ctrl-C, all is terminated and deleted, and the host is as it was before. If something does not hold,
/// it is said with the end of the daemon's log, and the exit status is 1. The seed decides what is asked and killed, not
/// when the daemon gets to it: a run with the same seed is similar, not the same.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// What decides all that is random [default: another one each time]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Clients at a time [default: 6; with --guests 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    clients: Option<u64>,
    /// Real VMMs with tiny guests
    #[arg(long)]
    guests: bool,
    /// Programs that are not optimized, which are there sooner
    #[arg(long)]
    debug_build: bool,
}

/// The second half, isolated.
#[derive(clap::Args)]
pub struct StoryArguments {
    bothyd: PathBuf,
    vmm: PathBuf,
    /// Where the daemon's state is; `-` for the scratch folder of the host
    folder: PathBuf,
    minutes: u64,
    seed: u64,
    clients: u64,
    /// Kernel and initial RAM disk of guests
    guest: Vec<PathBuf>,
}

/// Longest time for clients to come to a rest.
const PATIENCE: Duration = Duration::from_secs(240);
/// Longest time for everything to settle.
const SETTLED: Duration = Duration::from_secs(120);
/// With real guests, on a host whose processor may be emulated.
const GUEST_SETTLED: Duration = Duration::from_secs(600);
/// Longest time for what is on the host to be what it should be.
const HOST_PATIENCE: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often something is said where there is no terminal.
const TELL: Duration = Duration::from_secs(30);

/// Room for all, and guests that do not go are not waited for long.
const SETTINGS: &str = "cgroup = 'none'\n[capacity]\nvcpus = 100000\nmemory_mib = 100000000\ndisk_gib = 100000000\n[quota]\ninstances = 0\n\
     [limits]\nstart = 60\nstop = 2\nreboot = 2\nterminate = 2\n";
/// On a host with real guests: they take what they take, and their time.
const GUEST_SETTINGS: &str = "[capacity]\ndisk_gib = 100000000\n[capacity.overcommit]\nvcpus = 10000\n[quota]\ninstances = 0\n\
     [limits]\nstart = 300\nstop = 20\nreboot = 20\nterminate = 20\n";

/// Builds, and runs the rounds where they can be run.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure(&["iproute2", "nftables", "util-linux"])?;
    let profile = if arguments.debug_build { Profile::Debug } else { Profile::Release };
    let bothyd = build::program("bothyd", "bothyd", profile)?;
    let vmm = match arguments.guests {
        true => build::program("vmm", "bothy-vmm", profile)?,
        false => build::program("fake-vmm", "fake-vmm", profile)?,
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = arguments.seed.unwrap_or(u64::from(now.subsec_nanos()) << 10 ^ now.as_secs());
    let folder = tree::target().join("soak");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let clients = arguments.clients.unwrap_or(if arguments.guests { 2 } else { 6 });
    let mut words: Vec<OsString> = vec![std::env::current_exe().context("finding this program")?.into()];
    words.push("soak-story".into());
    words.extend([bothyd, vmm, if arguments.guests { "-".into() } else { folder }].map(OsString::from));
    words.extend([arguments.minutes, seed, clients].map(|number| OsString::from(number.to_string())));
    if !arguments.guests {
        return Err(isolation::become_isolated(&words));
    }
    let tiny = image::tiny()?;
    words.extend([tiny.kernel, tiny.initrd].map(OsString::from));
    let options = host_vm::Options { timeout: arguments.minutes * 60 + 3600, ..host_vm::Options::default() };
    Ok(ExitCode::from(host_vm::execute(&options, &isolation::command(&words))?))
}

/// Runs the rounds.
pub fn tell(arguments: &StoryArguments) -> anyhow::Result<ExitCode> {
    let has_guests = !arguments.guest.is_empty();
    isolation::settle(if has_guests { Folders::Shared } else { Folders::Own })?;
    let before = Host::look()?;
    let folder = match arguments.folder == Path::new("-") {
        true => std::env::var_os("HOST_VM_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from),
        false => arguments.folder.clone(),
    };
    let disk = tempfile::Builder::new().prefix("soak").tempdir_in(folder).context("making a folder")?;
    let run = tempfile::tempdir_in("/run").context("making a folder")?;
    let settings = if has_guests { GUEST_SETTINGS } else { SETTINGS };
    let node = Node::new(&arguments.bothyd, &arguments.vmm, disk.path(), run.path(), settings)?;
    eprintln!("seed {}", arguments.seed);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting a runtime")?;
    let mut soak =
        Soak { node: Some(node), chance: Chance::new(arguments.seed, 0), daemon: None, world: None };
    let result = LocalSet::new().block_on(&runtime, soak.run(arguments, disk.path()));
    if let Some(world) = &soak.world {
        println!("\n{}\nseed {}", world.counts.borrow(), arguments.seed);
    }
    if let Err(error) = result {
        let log = soak.log_tail();
        drop(soak);
        let kept = disk.keep();
        bail!(
            "{error:#}\n\nthe end of the daemon's log:\n{log}\n\nthe whole of it, and its state: {}; seed {}",
            kept.display(),
            arguments.seed
        );
    }
    drop(soak);
    disk.close().context("removing the folder")?;
    run.close().context("removing the folder")?;
    let left = Host::look()?.since(&before);
    ensure!(left.is_empty(), "the host is not as it was (seed {}):\n{}", arguments.seed, left.join("\n"));
    println!("everything held, and the host is as it was");
    Ok(ExitCode::SUCCESS)
}

/// A soak test under way.
struct Soak {
    /// Before there is a world.
    node: Option<Node>,
    world: Option<Rc<World>>,
    daemon: Option<Daemon>,
    chance: Chance,
}

impl Soak {
    fn log_tail(&self) -> String {
        let node = self.node.as_ref().or(self.world.as_ref().map(|world| &world.node));
        node.map(Node::log_tail).unwrap_or_default()
    }

    async fn run(&mut self, arguments: &StoryArguments, disk: &Path) -> anyhow::Result<()> {
        let guest = match arguments.guest.as_slice() {
            [kernel, initrd] => Some((kernel.clone(), initrd.clone())),
            _ => None,
        };
        let kinds: &[Kind] = if guest.is_some() { images::GUESTS } else { images::FAKES };
        let step = Step::new("bothyd, with images and accounts");
        let node = self.node.as_ref().context("a run has its node")?;
        self.daemon = Some(node.start().await?);
        let operator = node.operator(None)?;
        let sources = Sources::new(disk, guest)?;
        let bases = sources.import_all(&operator, kinds).await?;
        let world = Rc::new(World {
            patience: if sources.initrd.is_some() { GUEST_SETTLED } else { SETTLED },
            most: if sources.initrd.is_some() { 2 } else { 8 },
            node: self.node.take().context("a run has its node")?,
            sources,
            bases,
            counts: RefCell::default(),
            open: Cell::new(false),
            busy: Cell::new(0),
            broken: RefCell::new(None),
            outages: Cell::new(0),
            disturbed: RefCell::default(),
            launched: RefCell::default(),
        });
        world.counts.borrow_mut().starts += 1;
        self.world = Some(Rc::clone(&world));
        let mut users = Vec::new();
        for index in 0..arguments.clients {
            users.push(User::new(&world, arguments.seed, index).await?);
        }
        step.done();

        let step = Step::new(format!("{} minutes of operations and kills", arguments.minutes));
        let end = Instant::now() + Duration::from_secs(arguments.minutes * 60);
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let (mut round, mut told) = (0, Instant::now());
        let length = if world.most > 2 { 1000..5000 } else { 20_000..60_000 };
        while Instant::now() < end {
            round += 1;
            let pause = length.start + self.chance.below(length.end - length.start);
            let mut working = open(&world, users);
            let stop = tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(pause)) => false,
                _ = &mut interrupted => true,
            };
            if !stop {
                self.disturb(&world).await?;
            }
            users = close(&world, &mut working).await?;
            if stop {
                eprintln!("interrupted: ends");
                break;
            }
            check(&world, &mut users).await.with_context(|| format!("after round {round}"))?;
            let counts = world.counts.borrow();
            let text = format!("round {round}: {} requests, {} kills", counts.asked(), counts.kills);
            step.say(&text);
            if !std::io::stderr().is_terminal() && told.elapsed() > TELL {
                eprintln!("  {text}");
                told = Instant::now();
            }
        }
        step.done();
        self.end(&world, users).await
    }

    /// Kills VMMs, or the daemon, or both.
    async fn disturb(&mut self, world: &World) -> anyhow::Result<()> {
        if self.chance.percent(50) {
            self.kill_vmms(world)?;
        }
        if self.chance.percent(25) {
            return Ok(());
        }
        let daemon = self.daemon.take().context("there is a daemon")?;
        world.outages.set(world.outages.get() + 1);
        daemon.kill()?;
        world.counts.borrow_mut().kills += 1;
        if self.chance.percent(30) {
            self.kill_vmms(world)?;
        }
        if self.chance.percent(30) {
            tokio::time::sleep(Duration::from_millis(self.chance.below(1500))).await;
        }
        let mut daemon = world.node.spawn()?;
        while self.chance.percent(30) {
            tokio::time::sleep(Duration::from_millis(self.chance.below(300))).await;
            daemon.kill()?;
            world.counts.borrow_mut().early_kills += 1;
            world.counts.borrow_mut().kills += 1;
            daemon = world.node.spawn()?;
        }
        let ready = world.node.ready(&mut daemon).await;
        self.daemon = Some(daemon);
        ready?;
        world.counts.borrow_mut().starts += 1;
        world.outages.set(world.outages.get() + 1);
        Ok(())
    }

    fn kill_vmms(&mut self, world: &World) -> anyhow::Result<()> {
        for _ in 0..=self.chance.below(2) {
            let Some(vmm) = self.chance.pick(leavings::vmms(&world.node)?) else { return Ok(()) };
            world.disturbed.borrow_mut().insert(vmm.instance);
            // One that is gone already is none.
            if kill(Pid::from_raw(vmm.pid), Signal::SIGKILL).is_ok() {
                world.counts.borrow_mut().vmm_kills += 1;
            }
        }
        Ok(())
    }

    /// Gives everything back.
    async fn end(&mut self, world: &Rc<World>, users: Vec<User>) -> anyhow::Result<()> {
        let step = Step::new("terminating and deleting everything");
        for user in users {
            user.end().await?;
        }
        let operator = world.node.operator(None)?;
        for base in &world.bases {
            operator.deregister_image(&base.id).await.context("removing an image")?;
        }
        host_is_as_it_should(world, async || Ok(Vec::new()), 0)
            .await
            .context("after everything was deleted")?;
        self.daemon.take().context("there is a daemon")?.end().await?;
        world.node.clear()?;
        step.done();
        Ok(())
    }
}

/// Lets clients work.
fn open(world: &Rc<World>, users: Vec<User>) -> JoinSet<User> {
    world.open.set(true);
    let mut working = JoinSet::new();
    for mut user in users {
        working.spawn_local(async move {
            user.work().await;
            user
        });
    }
    working
}

/// Waits until all clients have their answers.
async fn close(world: &World, working: &mut JoinSet<User>) -> anyhow::Result<Vec<User>> {
    world.open.set(false);
    let mut users = Vec::new();
    let all = async {
        while let Some(user) = working.join_next().await {
            users.push(user.map_err(|error| anyhow!("a client ended: {error}"))?);
        }
        anyhow::Ok(())
    };
    let ended = tokio::time::timeout(PATIENCE, all).await;
    if let Some(broken) = world.broken.borrow_mut().take() {
        return Err(broken);
    }
    let waiting = world.busy.get();
    ended.map_err(|_| anyhow!("{waiting} requests have no answer after {PATIENCE:?}"))??;
    // In an order of which chance can make the same again.
    users.sort_by(|one, other| one.account.cmp(&other.account));
    Ok(users)
}

/// Checks all that must hold.
async fn check(world: &Rc<World>, users: &mut [User]) -> anyhow::Result<()> {
    let look = async || {
        let mut views = vec![base_view(world).await?];
        for user in users.iter_mut() {
            views.push(user.check().await?);
        }
        Ok(views)
    };
    let kernels = if world.sources.initrd.is_some() { 2 } else { 1 };
    host_is_as_it_should(world, look, kernels).await?;
    world.counts.borrow_mut().checks += 1;
    Ok(())
}

/// Images of the operator's own.
async fn base_view(world: &World) -> anyhow::Result<View> {
    let operator = world.node.operator(None)?;
    let mut images = Vec::new();
    for base in &world.bases {
        images.push(operator.get_image(&base.id).await.context("looking for an image")?);
    }
    Ok(View { images, ..View::default() })
}

/// Waits until the host has what there is by `look`, and nothing else.
async fn host_is_as_it_should(
    world: &World,
    mut look: impl AsyncFnMut() -> anyhow::Result<Vec<View>>,
    kernels: usize,
) -> anyhow::Result<()> {
    let mut deadline = None;
    loop {
        let views = look().await?;
        let differences = leavings::differences(&world.node, &views, &world.launched.borrow(), kernels)?;
        if differences.is_empty() {
            return Ok(());
        }
        // Looking may have taken its time itself.
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + HOST_PATIENCE);
        if Instant::now() > deadline {
            bail!(
                "the host does not have what it should, after {HOST_PATIENCE:?}:\n{}",
                differences.join("\n")
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}
