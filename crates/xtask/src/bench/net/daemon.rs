//! What callers and guests of a real daemon wait for: requests that change a security group's rule, by how many instances are
//! in the group, and requests to the metadata service. The VMMs are fakes, which have taps and no guests; so it is asked on the
//! sockets that VMMs relay to.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use hyper::Request;
use native_api::{
    Client, Direction, NetworkQuery, Peer, PortRange, Protocol, SecurityGroup, SecurityRule,
    UpdateSecurityRules,
};
use tokio::task::JoinSet;

use super::super::api::{self, launches::Launches};
use super::super::http::Connection;
use super::super::table::{Better, Table};
use super::super::times::{Load, Times};
use super::aims::{Arguments, MEMBERS, METADATA_AIM, UPDATE_AIM};
use crate::daemon::Node;
use crate::guest_image;
use crate::progress::Step;

/// Changes of a rule.
const UPDATES: u16 = 20;
/// Guests that ask for metadata, and connections of each of them.
const ASKING: [(usize, usize); 3] = [(1, 1), (1, 8), (16, 4)];
/// How long they do.
const LENGTH: Duration = Duration::from_secs(5);
/// For what they ask: one value, and a list.
const PATHS: [&str; 2] = ["/latest/meta-data/instance-id", "/latest/meta-data/"];

/// All of it, by one daemon.
pub async fn measure(arguments: &Arguments, table: &mut Table) -> anyhow::Result<()> {
    let disk = tempfile::Builder::new().prefix("net").tempdir_in(&arguments.folder);
    let disk = disk.context("making a folder")?;
    let run = tempfile::tempdir_in("/run").context("making a folder")?;
    let settings = format!("cgroup = 'none'\n{}", api::SETTINGS);
    let node = Node::new(&arguments.bothyd, &arguments.vmm, disk.path(), run.path(), &settings)?;
    let client = node.operator(None)?;
    let step = Step::new("bothyd, with an image");
    let _daemon = node.start().await?;
    let kernel = guest_image::write(disk.path(), "kernel")?;
    let file_system = guest_image::write(disk.path(), "system")?;
    let boot = guest_image::Boot { kernel: &kernel, initrd: None, cmdline: "quiet" };
    let image =
        guest_image::import(&client, &guest_image::request("bench", &file_system, &boot, None)?).await?;
    step.done();

    let launches = Launches { client: client.clone(), image: image.id, start: true };
    let mut running = 0;
    for members in MEMBERS {
        let step = Step::new(format!("launches, up to {members} instances"));
        launches.run(members - running, api::AT_ONCE, &step).await?;
        running = members;
        api::all_run(&client, running, api::PATIENCE, &step).await?;
        step.done();
        let step = Step::new(format!("rules of {members} instances"));
        let times = updates(&client).await?;
        times.add_few(table, &format!("request to change a rule, {members} instances"), Some(UPDATE_AIM));
        step.done();
    }

    let folder = node.run.join("metadata");
    let sockets = std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    let sockets: Vec<PathBuf> =
        sockets.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>().context("listing sockets")?;
    for (guests, connections) in ASKING {
        let all = guests * connections;
        let step = Step::new(format!("metadata for {guests} guests, {all} connections"));
        let load = metadata(&sockets[..guests], connections).await?;
        step.done();
        let name = format!("metadata, {all} connections");
        load.times.add(table, &name, Some(METADATA_AIM));
        table.add_aimed(&name, "1/s", Better::More, load.per_second(), None);
    }
    Ok(())
}

/// Gives a rule and takes the one before, in the group that all are in who were launched without a word about groups.
async fn updates(client: &Client) -> anyhow::Result<Times> {
    let groups = client.list_security_groups(&NetworkQuery::default()).await.context("listing groups")?;
    let group: SecurityGroup =
        groups.items.into_iter().find(|group| group.is_default).context("there is no default group")?;
    let mut times = Times::default();
    for round in 0..UPDATES {
        let update = UpdateSecurityRules { add: vec![rule(round + 1)?], remove: vec![rule(round)?] };
        let asked = Instant::now();
        client.update_security_group_rules(&group.id, &update).await.context("changing a rule")?;
        times.0.push(asked.elapsed());
    }
    Ok(times)
}

fn rule(number: u16) -> anyhow::Result<SecurityRule> {
    let port = (1000 + u64::from(number)).try_into().context("naming a port")?;
    Ok(SecurityRule {
        direction: Direction::Ingress,
        protocol: Protocol::Tcp,
        ports: Some(PortRange { from: port, to: port }),
        peer: Peer::Cidr("0.0.0.0/0".parse().context("naming everybody")?),
        verdict: Default::default(),
        priority: Default::default(),
        description: None,
    })
}

/// Asks on so many connections to each of the sockets.
async fn metadata(sockets: &[PathBuf], connections: usize) -> anyhow::Result<Load> {
    let (begun, mut clients) = (Instant::now(), JoinSet::new());
    for socket in sockets {
        for _ in 0..connections {
            clients.spawn(ask(socket.clone(), begun + LENGTH));
        }
    }
    let mut times = Times::default();
    while let Some(result) = clients.join_next().await {
        times.0.extend(result.context("asking for metadata")??);
    }
    Ok(Load { times, took: begun.elapsed() })
}

async fn ask(socket: PathBuf, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(&socket).await?;
    let seconds = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let token = Request::put("/latest/api/token").header(seconds.0, seconds.1);
    let token = connection.ask(token).await.context("asking for a token")?;
    let mut times = Vec::new();
    for path in PATHS.into_iter().cycle() {
        let request = Request::get(path).header("x-aws-ec2-metadata-token", &token[..]);
        let asked = Instant::now();
        connection.ask(request).await.with_context(|| format!("asking for {path}"))?;
        times.push(asked.elapsed());
        if Instant::now() > until {
            break;
        }
    }
    Ok(times)
}
