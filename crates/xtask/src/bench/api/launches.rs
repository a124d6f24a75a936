//! Launches by several clients at a time, each of one instance, and waiting for what they lead to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use native_api::{
    Client, Count, ImageId, Instance, InstanceQuery, InstanceState, LaunchRequest, Operation, Rules,
};
use tokio::task::JoinSet;

use super::super::times::{Load, Times};
use super::LOOK;
use crate::progress::Step;

/// Launches of one image.
#[derive(Clone)]
pub struct Launches {
    pub client: Client,
    pub image: ImageId,
    /// Whether they are started.
    pub start: bool,
}

impl Launches {
    /// That many, by so many clients.
    pub async fn run(&self, count: u32, clients: u32, step: &Step) -> anyhow::Result<Load> {
        let (begun, done) = (Instant::now(), Arc::new(AtomicU32::new(0)));
        let request = Arc::new(request(&self.image, self.start)?);
        let mut all = JoinSet::new();
        for _ in 0..clients {
            let (client, request, done) = (self.client.clone(), Arc::clone(&request), Arc::clone(&done));
            all.spawn(async move {
                let mut times = Vec::new();
                while done.fetch_add(1, Ordering::Relaxed) < count {
                    let asked = Instant::now();
                    client.launch_instances(&request).await.context("launching")?;
                    times.push(asked.elapsed());
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Times::default();
        let mut look = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                _ = look.tick() => step.say(&done.load(Ordering::Relaxed).min(count).to_string()),
                result = all.join_next() => match result {
                    Some(result) => times.0.extend(result.context("launching")??),
                    None => break,
                },
            }
        }
        Ok(Load { times, took: begun.elapsed() })
    }
}

/// A launch of the smallest type.
pub fn request(image: &ImageId, start: bool) -> anyhow::Result<LaunchRequest> {
    let one = 1.try_into().context("one is a count")?;
    Ok(LaunchRequest {
        image: image.clone(),
        instance_type: "tiny".parse().context("naming the type")?,
        count: Some(Count { min: one, max: one }),
        key_pair: None,
        name: None,
        user_data: None,
        host_name: None,
        system_disk: None,
        data_disks: Vec::new(),
        network_interfaces: Vec::new(),
        subnet: None,
        private_address: None,
        security_groups: Vec::new(),
        public_address: None,
        tags: native_api::Tags::default(),
        rules: Rules { start, ..Rules::default() },
        charge: native_api::Charge::default(),
        role: None,
        metadata_options: Default::default(),
        cloud: Default::default(),
        config_drive: false,
        client_token: None,
        dry_run: false,
    })
}

/// Waits until no instance is in one of these states.
pub async fn settled(
    client: &Client,
    states: &[InstanceState],
    limit: Duration,
    step: &Step,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let left = count(client, states).await?;
        if left == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{left} instances are still {states:?} after {limit:?}");
        step.say(&format!("{left} to go"));
        tokio::time::sleep(LOOK).await;
    }
}

/// How many instances are in one of these states.
pub async fn count(client: &Client, states: &[InstanceState]) -> anyhow::Result<usize> {
    let query = InstanceQuery { state: states.to_vec(), ..InstanceQuery::default() };
    let all: Vec<Instance> = client.all(Operation::ListInstances, &query).await.context("listing")?;
    Ok(all.len())
}
