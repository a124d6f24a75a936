//! Alibaba Cloud's API: lists in both styles of pages and with both signatures, and what creating costs more than the native API.
//! How requests are signed is in `request`.

mod request;

use std::time::Instant;

use anyhow::{Context, ensure};
use hyper::Request;
use hyper::body::Bytes;

use super::super::api::launches;
use super::super::http::Connection;
use super::super::table::{Better, Table};
use super::super::times::Times;
use super::{Key, LIST, World};
use crate::daemon::ALIBABA;
use crate::progress::Step;
use request::{Scheme, signed};

/// Instances that are created by each API, to be compared.
const CREATIONS: usize = 100;

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

/// Measures it.
pub async fn measure(world: &World, table: &mut Table) -> anyhow::Result<()> {
    for list in List::ALL {
        let pages = pages(&world.key, list, world.instances).await?;
        for scheme in Scheme::ALL {
            let name = format!("{}, {}", list.name(), scheme.name());
            let (key, pages) = (world.key.clone(), pages.clone());
            let sign = move |number: usize| {
                let page = &pages[number % pages.len()];
                (signed(scheme, &key, "DescribeInstances", &borrowed(page)), Bytes::new())
            };
            world.ask(table, &name, ALIBABA, Some(LIST), sign).await?;
        }
    }
    let step = Step::new(format!("{CREATIONS} creations by each API"));
    let (ours, native) = creations(world).await?;
    step.done();
    let share = ours.percentile(50) - native.percentile(50);
    ours.add(table, "CreateInstance", None);
    native.add(table, "launch by the native API", None);
    table.add_aimed("the dialect's share of CreateInstance", "ms", Better::Less, share, None);
    Ok(())
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

/// How long creations take by CreateInstance and by the native API, in turns.
async fn creations(world: &World) -> anyhow::Result<(Times, Times)> {
    let image = world.launches.image.to_string();
    let image = format!("m-{}", image.split_once('-').map_or(image.as_str(), |(_, number)| number));
    let native_request =
        serde_json::to_vec(&launches::request(&world.launches.image, false)?).context("a launch")?;
    let native_request = Bytes::from(native_request);
    let (mut to_ours, mut to_native) =
        (Connection::open_at(ALIBABA).await?, Connection::open(world.node.socket()).await?);
    let (mut ours, mut native) = (Times::default(), Times::default());
    for _ in 0..CREATIONS {
        let parameters = [("ImageId", image.as_str()), ("InstanceType", "tiny")];
        let request = signed(Scheme::Rpc, &world.key, "CreateInstance", &parameters);
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
