//! Amazon EC2's API: DescribeInstances by clients of today, which sign by version 4 and get pages, and by those of 2007, which sign by
//! version 1 or send SOAP, and get all there is at once. How requests are made is in `query` and `soap`.

mod query;
mod soap;

use std::path::Path;

use anyhow::{Context, ensure};
use hyper::body::Bytes;

use super::super::http::Connection;
use super::super::table::Table;
use super::{Key, LIST, World};
use crate::daemon::EC2;

/// Instances on a page.
const PAGE: usize = 100;

/// Measures it; the key that signs SOAP is made in the folder.
pub async fn measure(world: &World, folder: &Path, table: &mut Table) -> anyhow::Result<()> {
    let (pages, ids) = pages(world).await?;
    let key = &world.key;

    let v4 = |lists: Vec<Vec<(&'static str, String)>>| {
        let key = key.clone();
        move |number: usize| query::version_4(&key, "DescribeInstances", &lists[number % lists.len()])
    };
    let each: Vec<_> = ids.iter().map(|id| vec![("InstanceId.1", id.clone())]).collect();
    world.ask(table, "page of 100, version 4", EC2, Some(LIST), v4(pages)).await?;
    world.ask(table, "one by its id, version 4", EC2, Some(LIST), v4(each.clone())).await?;

    let v1 = |lists: Vec<Vec<(&'static str, String)>>| {
        let key = key.clone();
        move |number: usize| query::version_1(&key, "DescribeInstances", &lists[number % lists.len()])
    };
    world.ask(table, "all, version 1", EC2, None, v1(vec![Vec::new()])).await?;
    world.ask(table, "one by its id, version 1", EC2, Some(LIST), v1(each)).await?;

    let signer = soap::Signer::make(folder)?;
    world.client.upload_certificate(&signer.certificate()?).await.context("registering a certificate")?;
    let elements: Vec<_> = ids
        .iter()
        .map(|id| format!("<instancesSet><item><instanceId>{id}</instanceId></item></instancesSet>"))
        .collect();
    let by_soap = |lists: Vec<String>| {
        let signer = signer.clone();
        move |number: usize| signer.signed(number, "DescribeInstances", &lists[number % lists.len()])
    };
    let all = "<instancesSet></instancesSet>".to_owned();
    world.ask(table, "all, SOAP", EC2, None, by_soap(vec![all])).await?;
    world.ask(table, "one by its id, SOAP", EC2, Some(LIST), by_soap(elements)).await
}

/// The parameters of each page of all instances, and the ids on the first.
async fn pages(world: &World) -> anyhow::Result<(Vec<Vec<(&'static str, String)>>, Vec<String>)> {
    let mut connection = Connection::open_at(EC2).await?;
    let (mut pages, mut ids) = (Vec::new(), Vec::new());
    let mut page = vec![("MaxResults", PAGE.to_string())];
    for number in 0..world.instances as usize / PAGE {
        let answer = ask(&mut connection, &world.key, &page).await?;
        let answer = String::from_utf8_lossy(&answer);
        let found = between(&answer, "<instanceId>", "</instanceId>");
        ensure!(found.len() == PAGE, "{} instances on page {number}", found.len());
        if number == 0 {
            ids = found.into_iter().map(str::to_owned).collect();
        }
        pages.push(page.clone());
        if let Some(token) = between(&answer, "<nextToken>", "</nextToken>").first() {
            page = vec![("MaxResults", PAGE.to_string()), ("NextToken", (*token).to_owned())];
        }
    }
    Ok((pages, ids))
}

async fn ask(
    connection: &mut Connection,
    key: &Key,
    parameters: &[(&'static str, String)],
) -> anyhow::Result<Bytes> {
    let (request, body) = query::version_4(key, "DescribeInstances", parameters);
    connection.send(request, body).await.context("asking for a list")
}

/// The texts between two marks.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}
