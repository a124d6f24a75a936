//! Lists of instances, page by page, over connections that stay open. The answers are read and not looked into, so that it is
//! the daemon's time that is measured.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hyper::Request;
use native_api::{Client, InstanceQuery};
use tokio::task::JoinSet;

use super::super::http::Connection;
use super::super::times::{Load, Times};
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
        connection.ask(Request::get(target)).await.context("asking for a list")?;
        times.push(asked.elapsed());
        if Instant::now() > until {
            break;
        }
    }
    Ok(times)
}
