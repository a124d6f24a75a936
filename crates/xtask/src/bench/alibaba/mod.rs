//! `cargo xtask bench alibaba`: what Alibaba Cloud's API costs in front of a bothyd with thousands of instances on record. How
//! requests are signed is in `request`; the daemon is as `bench api` has it.

mod request;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hyper::Request;
use hyper::body::Bytes;
use native_api::{CreateAccessKey, InstanceState};
use tokio::task::JoinSet;

use super::api::{self, SETTINGS, launches};
use super::http::Connection;
use super::table::{AIM, Table};
use super::times::{Load, Times};
use crate::build::{self, Profile};
use crate::daemon::{ALIBABA, Node};
use crate::isolation::{self, Folders};
use crate::progress::Step;
use crate::{guest_image, packages, tree};
use request::{Key, Scheme, signed};

/// Measures Alibaba Cloud's API: lists in both styles of pages and with both signatures, and what creating costs more than the
/// native API.
///
/// A bothyd of its own with instances on record that are not started, as in `bench api`. DescribeInstances gives pages of 100,
/// by number, where all are counted, and by token, and by number with a filter, where each record is looked at; one instance is also asked for by its id, as clients do that wait. Each
/// request is signed before its time begins. Every one of them writes its nonce to the store, as none is answered twice.
///
/// Creations are of one instance that is not started, one after the other over one connection, by CreateInstance and by the
/// native API in turns: the dialect's own share is the difference.
#[derive(clap::Args)]
pub struct Arguments {
    /// Instances on record
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=50_000))]
    instances: u32,
    /// How long lists are asked for, for each of their kinds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
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
    instances: u32,
    seconds: u64,
}

/// Connections that ask for lists.
const CONNECTIONS: [u32; 2] = [1, 8];
/// Instances that are created by each API, to be compared.
const CREATIONS: usize = 100;
/// Most that an API of a cloud's dialect may take for a list of 100, in seconds.
const LIST: f64 = 0.010;

/// What is listed.
#[derive(Clone, Copy)]
enum List {
    Numbers,
    Tokens,
    Filtered,
    One,
}

impl List {
    const ALL: [Self; 4] = [Self::Numbers, Self::Tokens, Self::Filtered, Self::One];

    fn name(self) -> &'static str {
        match self {
            Self::Numbers => "page by number",
            Self::Tokens => "page by token",
            Self::Filtered => "page by number, filtered",
            Self::One => "one by its id",
        }
    }
}

/// Builds, and runs the part that is isolated.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure(&["iproute2", "nftables", "util-linux"])?;
    let profile = if arguments.debug_build { Profile::Debug } else { Profile::Release };
    let bothyd = build::program("bothyd", "bothyd", profile)?;
    let fake = build::program("fake-vmm", "fake-vmm", profile)?;
    let folder = tree::target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let ourselves: OsString = std::env::current_exe().context("finding this program")?.into();
    let mut words = vec![ourselves, "bench-alibaba-story".into()];
    words.extend([bothyd, fake, folder].map(OsString::from));
    words.extend([u64::from(arguments.instances), arguments.seconds].map(|n| n.to_string().into()));
    Ok(if isolation::run(&words)?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures.
pub fn tell(arguments: &StoryArguments) -> anyhow::Result<ExitCode> {
    isolation::settle(Folders::Own)?;
    let table = api::runtime()?.block_on(measure(arguments))?;
    let title = format!("{} instances on record; lists for {} s", arguments.instances, arguments.seconds);
    super::api::show("alibaba", &title, &table, &arguments.folder.join("bench-alibaba.json"))
}

async fn measure(arguments: &StoryArguments) -> anyhow::Result<Table> {
    let disk = tempfile::Builder::new()
        .prefix("alibaba")
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

    let mut table = Table::new(vec!["bothyd", AIM]);
    let length = Duration::from_secs(arguments.seconds);
    for list in List::ALL {
        let pages = Arc::new(pages(&key, list, arguments.instances).await?);
        for scheme in Scheme::ALL {
            for connections in CONNECTIONS {
                let name = format!("{}, {}, {connections} at a time", list.name(), scheme.name());
                let step = Step::new(&name);
                let load = lists(&key, scheme, &pages, connections, length).await?;
                step.done();
                load.times.add(&mut table, &name, Some(LIST));
                table.add_aimed(&name, "1/s", super::table::Better::More, load.per_second(), None);
            }
        }
    }
    let step = Step::new(format!("{CREATIONS} creations by each API"));
    let text = image.id.to_string();
    let number = text.split_once('-').map_or(text.as_str(), |(_, number)| number);
    let (ours, native) = creations(&node, &key, &format!("m-{number}"), &launches).await?;
    step.done();
    let share = ours.percentile(50) - native.percentile(50);
    ours.add(&mut table, "CreateInstance", None);
    native.add(&mut table, "launch by the native API", None);
    table.add_aimed("the dialect's share of CreateInstance", "ms", super::table::Better::Less, share, None);
    drop(daemon);
    Ok(table)
}

type Parameters = Vec<(&'static str, String)>;

/// The parameters of each page of a list.
async fn pages(key: &Key, list: List, instances: u32) -> anyhow::Result<Vec<Parameters>> {
    let numbered = |number: u32| vec![("PageNumber", number.to_string()), ("PageSize", "100".to_owned())];
    let mut connection = Connection::open_at(ALIBABA).await?;
    Ok(match list {
        List::Numbers => (1..=instances / 100).map(numbered).collect(),
        // All pass, but that is not known before each was looked at.
        List::Filtered => (1..=instances / 100)
            .map(|number| [numbered(number), vec![("InstanceName", "*".to_owned())]].concat())
            .collect(),
        List::Tokens => {
            let mut pages = vec![vec![("MaxResults", "100".to_owned())]];
            for _ in 1..instances / 100 {
                let last = pages.last().map(Vec::as_slice).unwrap_or_default();
                let answer = describe(&mut connection, key, Scheme::Rpc, last).await?;
                let token = answer["NextToken"].as_str().unwrap_or_default().to_owned();
                ensure!(!token.is_empty(), "there are fewer instances than were launched");
                pages.push(vec![("MaxResults", "100".to_owned()), ("NextToken", token)]);
            }
            pages
        }
        List::One => {
            let first = [("PageSize", "100".to_owned())];
            let answer = describe(&mut connection, key, Scheme::Rpc, &first).await?;
            let found = answer["Instances"]["Instance"].as_array().context("a list has instances")?;
            let ids = found.iter().filter_map(|one| one["InstanceId"].as_str());
            ids.map(|id| vec![("InstanceIds", format!("[\"{id}\"]"))]).collect()
        }
    })
}

fn borrowed<'a>(parameters: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    parameters.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

async fn describe(
    connection: &mut Connection,
    key: &Key,
    scheme: Scheme,
    parameters: &[(&'static str, String)],
) -> anyhow::Result<serde_json::Value> {
    let request = signed(scheme, key, "DescribeInstances", &borrowed(parameters));
    serde_json::from_slice(&connection.ask(request).await?).context("reading a list")
}

/// Asks for all pages in turn, again and again, on so many connections at a time.
async fn lists(
    key: &Key,
    scheme: Scheme,
    pages: &Arc<Vec<Parameters>>,
    connections: u32,
    length: Duration,
) -> anyhow::Result<Load> {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for index in 0..connections as usize {
        let first = index * pages.len() / connections as usize;
        let (key, pages) = (key.clone(), Arc::clone(pages));
        clients.spawn(async move {
            let mut connection = Connection::open_at(ALIBABA).await?;
            let mut times = Vec::new();
            for page in pages.iter().cycle().skip(first) {
                let request = signed(scheme, &key, "DescribeInstances", &borrowed(page));
                let asked = Instant::now();
                connection.ask(request).await.context("asking for a list")?;
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
        times.0.extend(result.context("asking for lists")??);
    }
    Ok(Load { times, took: begun.elapsed() })
}

/// How long creations take by CreateInstance and by the native API, in turns.
async fn creations(
    node: &Node,
    key: &Key,
    image: &str,
    launches: &launches::Launches,
) -> anyhow::Result<(Times, Times)> {
    let native_request =
        serde_json::to_vec(&launches::request(&launches.image, false)?).context("a launch")?;
    let native_request = Bytes::from(native_request);
    let (mut to_ours, mut to_native) =
        (Connection::open_at(ALIBABA).await?, Connection::open(node.socket()).await?);
    let (mut ours, mut native) = (Times::default(), Times::default());
    for _ in 0..CREATIONS {
        let parameters = [("ImageId", image), ("InstanceType", "tiny")];
        let request = signed(Scheme::Rpc, key, "CreateInstance", &parameters);
        let asked = Instant::now();
        to_ours.ask(request).await.context("creating")?;
        ours.0.push(asked.elapsed());
        let request = Request::post("/v1/instances").header("content-type", "application/json");
        let asked = Instant::now();
        to_native.send(request, native_request.clone()).await.context("launching")?;
        native.0.push(asked.elapsed());
    }
    Ok((ours, native))
}
