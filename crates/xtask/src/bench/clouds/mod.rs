//! `cargo xtask bench alibaba` and `ec2`: what clouds' APIs cost in front of a bothyd with thousands of instances on record, which
//! are not started, as in `bench api`. What each cloud is asked is in a room of its own.

mod alibaba;
mod ec2;
mod words;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use hyper::body::Bytes;
use hyper::http::request::Builder;
use native_api::{Client, CreateAccessKey, InstanceState};
use tokio::task::JoinSet;

use super::api::{self, SETTINGS, launches};
use super::http::Connection;
use super::table::{AIM, Better, Table};
use super::times::{Load, Times};
use crate::build::{self, Profile};
use crate::daemon::Node;
use crate::isolation::{self, Folders};
use crate::progress::Step;
use crate::{guest_image, packages, tree};

/// How a cloud's API is measured.
#[derive(clap::Args)]
pub struct Arguments {
    /// Instances on record
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=50_000))]
    instances: u32,
    /// How long each kind of request is asked
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=240))]
    seconds: u64,
    /// Measure programs that are not optimized: for work on the benchmark itself, not for figures
    #[arg(long)]
    debug_build: bool,
}

/// The second half, isolated.
#[derive(clap::Args)]
pub struct StoryArguments {
    cloud: Cloud,
    bothyd: PathBuf,
    vmm: PathBuf,
    folder: PathBuf,
    instances: u32,
    seconds: u64,
}

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cloud {
    Alibaba,
    Ec2,
}

impl Cloud {
    fn name(self) -> &'static str {
        match self {
            Self::Alibaba => "alibaba",
            Self::Ec2 => "ec2",
        }
    }
}

/// Connections that ask.
const CONNECTIONS: [u32; 2] = [1, 8];
/// Most that a list of 100 may take, and that one instance may, in seconds.
const LIST: f64 = 0.010;

/// Builds, and runs the part that is isolated.
pub fn run(cloud: Cloud, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure(&["iproute2", "nftables", "openssl", "util-linux"])?;
    let profile = if arguments.debug_build { Profile::Debug } else { Profile::Release };
    let bothyd = build::program("bothyd", "bothyd", profile)?;
    let fake = build::program("fake-vmm", "fake-vmm", profile)?;
    let folder = tree::target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let ourselves: OsString = std::env::current_exe().context("finding this program")?.into();
    let mut words = vec![ourselves, "bench-cloud-story".into(), cloud.name().into()];
    words.extend([bothyd, fake, folder].map(OsString::from));
    words.extend([u64::from(arguments.instances), arguments.seconds].map(|n| n.to_string().into()));
    Ok(if isolation::run(&words)?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures.
pub fn tell(arguments: &StoryArguments) -> anyhow::Result<ExitCode> {
    isolation::settle(Folders::Own)?;
    let table = api::runtime()?.block_on(measure(arguments))?;
    let title = format!(
        "{} instances on record; each kind of request for {} s",
        arguments.instances, arguments.seconds
    );
    let name = arguments.cloud.name();
    api::show(name, &title, &table, &arguments.folder.join(format!("bench-{name}.json")))
}

async fn measure(arguments: &StoryArguments) -> anyhow::Result<Table> {
    let disk = tempfile::Builder::new()
        .prefix(arguments.cloud.name())
        .tempdir_in(&arguments.folder)
        .context("making a folder")?;
    let run = tempfile::tempdir_in("/run").context("making a folder")?;
    let more = format!("cgroup = 'none'\n{SETTINGS}");
    let node = Node::new(&arguments.bothyd, &arguments.vmm, disk.path(), run.path(), &more)?;
    let client = node.operator(None)?;
    let daemon = node.start().await?;
    let kernel = guest_image::write(disk.path(), "kernel")?;
    let file_system = guest_image::write(disk.path(), "system")?;
    let boot = guest_image::Boot { kernel: &kernel, initrd: None, cmdline: "quiet" };
    let image =
        guest_image::import(&client, &guest_image::request("bench", &file_system, &boot, None)?).await?;
    let made = client.create_access_key(&CreateAccessKey::default()).await.context("making a key")?;
    let key = Key { id: made.access_key.id.to_string(), secret: made.secret };

    let step = Step::new(format!("{} instances that are not started", arguments.instances));
    let launches = launches::Launches { client: client.clone(), image: image.id.clone(), start: false };
    launches.run(arguments.instances, api::AT_ONCE, &step).await?;
    launches::settled(&client, &[InstanceState::Creating], api::PATIENCE, &step).await?;
    step.done();

    let world = World {
        node,
        client,
        key,
        launches,
        instances: arguments.instances,
        length: Duration::from_secs(arguments.seconds),
    };
    let mut table = Table::new(vec!["bothyd", AIM]);
    match arguments.cloud {
        Cloud::Alibaba => alibaba::measure(&world, &mut table).await?,
        Cloud::Ec2 => ec2::measure(&world, disk.path(), &mut table).await?,
    }
    drop(daemon);
    Ok(table)
}

/// A daemon, and who asks it.
struct World {
    node: Node,
    client: Client,
    key: Key,
    launches: launches::Launches,
    instances: u32,
    length: Duration,
}

/// An access key.
#[derive(Clone)]
struct Key {
    id: String,
    secret: String,
}

/// A request that is signed.
type Signed = (Builder, Bytes);

impl World {
    /// Asks on one connection, and on several at a time, for as long as it is to be, and adds what came of it. `sign` makes the
    /// requests, by their numbers: each before its time begins, as what clients take to sign is not the daemon's.
    async fn ask(
        &self,
        table: &mut Table,
        name: &str,
        address: SocketAddr,
        aim: Option<f64>,
        sign: impl Fn(usize) -> Signed + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let sign = Arc::new(sign);
        for connections in CONNECTIONS {
            let name = format!("{name}, {connections} at a time");
            let step = Step::new(&name);
            let load = load(address, connections, self.length, &sign).await?;
            step.done();
            load.times.add(table, &name, aim);
            table.add_aimed(&name, "1/s", Better::More, load.per_second(), None);
        }
        Ok(())
    }
}

async fn load(
    address: SocketAddr,
    connections: u32,
    length: Duration,
    sign: &Arc<impl Fn(usize) -> Signed + Send + Sync + 'static>,
) -> anyhow::Result<Load> {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for first in 0..connections as usize {
        let sign = Arc::clone(sign);
        clients.spawn(async move {
            let mut connection = Connection::open_at(address).await?;
            let mut times = Vec::new();
            for number in (first..).step_by(connections as usize) {
                let (request, body) = sign(number);
                let asked = Instant::now();
                connection.send(request, body).await.context("asking")?;
                times.push(asked.elapsed());
                if begun.elapsed() > length {
                    break;
                }
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Times::default();
    while let Some(result) = clients.join_next().await {
        times.0.extend(result.context("asking")??);
    }
    Ok(Load { times, took: begun.elapsed() })
}
