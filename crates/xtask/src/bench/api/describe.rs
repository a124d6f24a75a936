//! Lists of instances, page by page, over connections that stay open. The answers are read and not looked into, so that it is
//! the daemon's time that is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use native_api::{Client, InstanceQuery};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::{Load, Times};
use crate::daemon::Node;

/// Asks for all pages in turn, again and again, on so many connections at a time.
pub async fn lists(node: &Node, client: &Client, connections: u32, length: Duration) -> anyhow::Result<Load> {
    let targets = Arc::new(pages(client).await?);
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for index in 0..connections as usize {
        let first = index * targets.len() / connections as usize;
        clients.spawn(ask(node.socket().to_owned(), Arc::clone(&targets), first, begun + length));
    }
    let mut times = Times::default();
    while let Some(result) = clients.join_next().await {
        times.0.extend(result.context("asking for lists")??);
    }
    Ok(Load { times, took: begun.elapsed() })
}

/// The path of each page.
async fn pages(client: &Client) -> anyhow::Result<Vec<String>> {
    let mut targets = vec!["/v1/instances?page_size=100".to_owned()];
    let mut query = InstanceQuery { page_size: Some(100.try_into()?), ..InstanceQuery::default() };
    while let Some(token) = client.list_instances(&query).await.context("listing")?.next_page_token {
        targets.push(format!("/v1/instances?page_size=100&page_token={token}"));
        query.page_token = Some(token);
    }
    // The last one is seldom full.
    if targets.len() > 1 {
        targets.pop();
    }
    Ok(targets)
}

async fn ask(
    socket: PathBuf,
    targets: Arc<Vec<String>>,
    first: usize,
    until: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(&socket).await?;
    let mut times = Vec::new();
    for target in targets.iter().cycle().skip(first) {
        let asked = Instant::now();
        connection.get(target).await?;
        times.push(asked.elapsed());
        if Instant::now() > until {
            break;
        }
    }
    Ok(times)
}

/// A connection that stays open.
struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    async fn open(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).await.context("connecting to the daemon")?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.context("connecting to the daemon")?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn get(&mut self, target: &str) -> anyhow::Result<()> {
        let request = Request::get(target).header("host", "bothy").body(Full::default());
        self.0.ready().await.context("waiting for the connection")?;
        let answer = self.0.send_request(request.context("asking")?).await.context("asking for a list")?;
        ensure!(answer.status().is_success(), "a list was refused: {}", answer.status());
        answer.into_body().collect().await.context("reading a list")?;
        Ok(())
    }
}
