//! A host's daemon from its start to its end: everything is opened, what was left is taken over, then requests are taken. Its
//! end ends no guest.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use anyhow::Context;
use compute::compute::{Compute, HostClock, Outside};
use compute::identity::Identity;
use compute::outside::{Machines, Tell};
use dialects::native::{self, HostFacts};
use dialects::{alibaba, ec2, server};
use hostnet::{Network, Vpcs, VpcsConfig};
use storage::store::{Limits, Store};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::disks::HostDisks;
use crate::machines::HostMachines;
use crate::metadata::MetadataSockets;
use crate::networks::HostNetworks;
use crate::records::SqliteStore;
use crate::routers::{NAME_PORT, SERVICES};
use crate::vmms::{CgroupChoice, Vmms, VmmsConfig, raise_descriptor_limit};
use crate::{capacity, fail, fetch, host_key, listen};

/// How often expired sessions are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// The record store's file, in the state folder.
const RECORDS: &str = "records.sqlite";

/// Runs the daemon until it is told to end.
///
/// # Errors
///
/// It cannot begin: what was missing is said. No guest was touched then.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let descriptors = raise_descriptor_limit().context("cannot raise the limit of open files")?;
    log::info!("bothyd {} on {}, {descriptors} files at most", env!("CARGO_PKG_VERSION"), config.node);
    make_folder(&config.state_folder)?;
    make_folder(&config.run_folder)?;
    if let Some(folder) = config.host_key.parent() {
        make_folder(folder)?;
    }
    fail::point("node.folders_made");
    let records = SqliteStore::open(&config.state_folder.join(RECORDS)).context("the record store")?;
    let records = Arc::new(records);
    fail::point("node.records_opened");
    let keys = host_key::open_or_create(&config.host_key).context("the host key")?;
    let limits = Limits {
        max_image_bytes: config.images.max_gib << 30,
        import_timeout: Duration::from_secs(config.images.import_seconds),
        ..Limits::default()
    };
    let store = Store::open(&config.state_folder, limits).context("the store of images and volumes")?;
    let store = Arc::new(store);
    fail::point("node.store_opened");
    let reflink = store.reflinks();
    let networks = Arc::new(networks(&config).await?);
    fail::point("node.network_opened");
    let capacity = capacity::promised(&config.capacity, &store)?;

    let total = Duration::from_secs(config.images.fetch_seconds);
    let fetching = fetch::Options { total, ..fetch::Options::default() };

    // VMMs tell the core what they see, and the core asks them: one of the two has to be first.
    let core: Arc<OnceLock<Weak<Compute>>> = Arc::default();
    let vmms = vmms(&config, told(Arc::clone(&core))).await.context("the VMMs")?;
    fail::point("node.vmms_opened");
    let volumes = config.state_folder.join("volumes");
    let metadata = MetadataSockets::new(config.run_folder.join("metadata")).context("the run folder")?;
    let metadata = Arc::new(metadata);
    let (vmms, run_folder) = (Arc::new(vmms), &config.run_folder);
    let machines = HostMachines::new(vmms, networks.clone(), Arc::clone(&metadata), volumes, run_folder);
    let machines = machines.context("the run folder")?;
    let machines = Arc::new(machines);
    let outside = Outside {
        store: records.clone(),
        machines: machines.clone(),
        networks: networks.clone(),
        disks: Arc::new(HostDisks::new(store, fetching)),
        clock: Arc::new(HostClock),
        keys: keys.clone(),
    };
    let compute = Compute::new(core_config(&config, capacity)?, outside);
    let _ = core.set(Arc::downgrade(&compute));
    let identity = Arc::new(Identity::new(records, keys));
    metadata.answer_by(metadata::Service::new(
        Arc::clone(&compute),
        Arc::clone(&identity),
        metadata::Config::default(),
    ));
    let names = names::Config { resolvers: resolvers(&config), limits: names::Limits::default() };
    let names = names::Service::open(&compute, names).await.context("the name service")?;
    networks.serve_routers(names);
    compute.recover().await.context("taking over what was left")?;
    fail::point("node.recovered");
    machines.remove_stray_taps().await.context("removing stray taps")?;
    fail::point("node.strays_removed");
    log::info!("took over what was left; may promise {capacity:?}");

    tokio::spawn(Arc::clone(&compute).run_timer());
    tokio::spawn(sweep_sessions(Arc::clone(&identity)));
    let facts = HostFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        vmm_version: vmm_version(&config.vmm),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        started_at: jiff::Timestamp::now(),
        reflink,
    };
    let (limits, images) = (server::Limits::default(), config.alibaba.images.clone());
    let alibaba = alibaba::Service::open(Arc::clone(&compute), Arc::clone(&identity), limits, images);
    let alibaba = alibaba.await.context("Alibaba Cloud's API")?;
    tokio::spawn(alibaba.clone().run_sweeper());
    let images = ec2::Images { folder: config.ec2.images.clone(), urls: config.ec2.url_prefixes()? };
    let limits = server::Limits::default();
    let ec2 = ec2::Service::open(Arc::clone(&compute), Arc::clone(&identity), limits, images);
    let ec2 = ec2.await.context("EC2's API")?;
    tokio::spawn(ec2.clone().run_sweeper());
    let service = native::Service::new(compute, identity, facts, native::Limits::default());
    let listeners = listen::open(&config.api).await.context("the API")?;
    let account = service.ensure_default_account().await;
    account.map_err(|error| anyhow::anyhow!("{error}")).context("the default account")?;
    fail::point("node.account_made");
    ready(&listeners);
    fail::point("node.ready");
    listeners.serve(service, alibaba, ec2, ended()).await;
    networks.close_routers();
    metadata.close();
    log::info!("ends; guests go on");
    Ok(())
}

async fn networks(config: &Config) -> anyhow::Result<HostNetworks> {
    let network = hostnet::Config {
        cidr: config.network.cidr,
        prefix: config.network.prefix.clone(),
        table: config.network.table.clone(),
        pool: config.network.public_addresses.clone(),
        services: SERVICES.to_vec(),
        ..hostnet::Config::default()
    };
    let vpcs = VpcsConfig {
        folder: config.run_folder.join("netns"),
        prefix: config.network.prefix.clone(),
        table: config.network.table.clone(),
        transfer: config.network.transfer,
        pool: config.network.public_addresses.clone(),
        services: SERVICES.to_vec(),
        ..VpcsConfig::default()
    };
    let host = Network::open(network).await.context("the guests' network")?;
    let vpcs = Vpcs::open(vpcs).await.context("the networks of VPCs")?;
    Ok(HostNetworks::new(host, vpcs))
}

/// What the VMM's program says of itself; empty if it does not.
fn vmm_version(program: &Path) -> String {
    let output = std::process::Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().last().unwrap_or_default().to_owned()
}

/// Ends every VM of this host, and removes what daemons made on it but their state.
///
/// # Errors
///
/// A daemon is at work, or the host does not do its part.
pub async fn clear(config: Config) -> anyhow::Result<()> {
    let vmms = Arc::new(vmms(&config, Arc::new(|_, _| {})).await.context("the VMMs")?);
    let networks = Arc::new(networks(&config).await?);
    let metadata = Arc::new(MetadataSockets::new(config.run_folder.join("metadata"))?);
    let run_folder = &config.run_folder;
    let machines =
        HostMachines::new(vmms.clone(), Arc::clone(&networks), metadata, PathBuf::new(), run_folder)?;
    fail::point("clear.opened");
    for instance in machines.present().await? {
        machines.kill(instance).await?;
        fail::point("clear.killed");
        machines.clean_up(instance).await?;
        fail::point("clear.cleaned");
        log::info!("{instance} has no VM on this host any more");
    }
    drop(machines);
    vmms.clear().context("the cgroup of all VMMs")?;
    fail::point("clear.cgroup_removed");
    // Also what belongs to no instance.
    let networks = Arc::into_inner(networks).context("the networks are in use")?;
    networks.close().await.context("the guests' networks")?;
    fail::point("clear.network_closed");
    let removed = match std::fs::remove_dir_all(&config.run_folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("the run folder"),
        Ok(()) | Err(_) => Ok(()),
    };
    fail::point("clear.folder_removed");
    removed
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).with_context(|| format!("cannot make the folder {}", path.display()))
}

/// What the VMMs tell, for a core that is not there yet.
fn told(core: Arc<OnceLock<Weak<Compute>>>) -> Tell {
    Arc::new(move |instance, sight| {
        if let Some(compute) = core.get().and_then(Weak::upgrade) {
            compute.saw(instance, sight);
        }
    })
}

async fn vmms(config: &Config, tell: Tell) -> anyhow::Result<Vmms> {
    let cgroup = match config.cgroup.as_str() {
        "auto" => CgroupChoice::Auto,
        "systemd" => CgroupChoice::Systemd,
        "none" => CgroupChoice::None,
        folder => CgroupChoice::Cgroup2(PathBuf::from(folder)),
    };
    let vmms = VmmsConfig {
        run_folder: config.run_folder.join("vmms"),
        console_folder: config.state_folder.join("consoles"),
        cgroup,
        ..VmmsConfig::new(config.vmm.clone())
    };
    Ok(Vmms::open(vmms, tell).await?)
}

/// Whom the name service asks.
fn resolvers(config: &Config) -> names::Resolvers {
    let chosen = config.network.resolvers.clone();
    Box::new(move || {
        let all = if chosen.is_empty() { hostnet::resolvers() } else { chosen.clone() };
        all.into_iter().map(|address| SocketAddr::new(address, NAME_PORT)).collect()
    })
}

fn core_config(
    config: &Config,
    capacity: compute::capacity::Amounts,
) -> anyhow::Result<compute::compute::Config> {
    Ok(compute::compute::Config {
        node: config.node.clone(),
        catalog: config.catalog(),
        capacity,
        allowance: config.allowance(),
        network: config.network.cidr,
        dns: config.network.dns.clone(),
        ntp: config.network.ntp.clone(),
        domains: config.domains()?,
        mtu: config.network.mtu,
        public_addresses: config.network.public_addresses.clone(),
        limits: config.lifecycle_limits(),
        charging: config.charging(),
        host_kernel: config.ec2.host_kernel(),
    })
}

/// Removes sessions that are over.
async fn sweep_sessions(identity: Arc<Identity>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        loop {
            match identity.sweep_expired(jiff::Timestamp::now()).await {
                Ok(swept) if swept.more => {}
                Ok(_) => break,
                Err(error) => {
                    log::error!("cannot remove expired sessions: {error}");
                    break;
                }
            }
        }
    }
}

/// Tells systemd, if it waits, that requests are taken.
fn ready(listeners: &listen::Listeners) {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        log::debug!("nobody waits for the daemon's start: {error}");
    }
    let [native, alibaba, ec2] = listeners.addresses();
    log::info!("ready; on the network at {native:?}, Alibaba Cloud's API at {alibaba:?}, EC2's at {ec2:?}");
}

/// When the daemon is told to end.
async fn ended() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        log::error!("signals cannot be waited for: the daemon ends only when it is killed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
