//! `bothy types`, `bothy host` and `bothy version`.

use native_api::{Amounts, ClientError, InstanceType, Operation, PageQuery};

use crate::failure::Failure;
use crate::output::bytes;
use crate::{Context, Global};

/// Lists instance types.
pub async fn types(context: &Context) -> Result<(), Failure> {
    let types: Vec<InstanceType> =
        context.client.all(Operation::ListInstanceTypes, &PageQuery::default()).await?;
    let headers = ["TYPE", "VCPUS", "MIB", "EPHEMERAL GIB", "INTERFACES", "VOLUMES"];
    context.output.list(
        &types,
        |one| one.name.to_string(),
        headers,
        |one| {
            [
                one.name.to_string(),
                one.vcpus.to_string(),
                one.memory_mib.to_string(),
                one.ephemeral_gib.to_string(),
                one.max_network_interfaces.to_string(),
                one.max_volumes.to_string(),
            ]
        },
    )
}

/// Shows the host.
pub async fn host(context: &Context) -> Result<(), Failure> {
    let host = context.client.get_host().await?;
    let amounts = |amounts: &Amounts| {
        let instances = amounts.instances.map(|count| format!("{count} instances, ")).unwrap_or_default();
        format!(
            "{instances}{} vCPUs, {} MiB memory, {} GiB disk",
            amounts.vcpus, amounts.memory_mib, amounts.disk_gib
        )
    };
    context.output.one(
        &host,
        &host.name,
        &[
            ("name", host.name.clone()),
            ("zone", host.zone.to_string()),
            ("capacity", amounts(&host.capacity)),
            ("used", amounts(&host.used)),
            ("disk left", bytes(host.disk_free_bytes)),
            ("reflinks", if host.reflink { "yes" } else { "no" }.into()),
            ("bothyd", host.version.clone()),
            ("bothy-vmm", host.vmm_version.clone()),
            ("kernel", host.kernel.clone()),
            ("started", host.started_at.to_string()),
        ],
    )
}

/// Shows versions; a daemon that is not there is no failure.
pub async fn version(global: &Global) -> Result<(), Failure> {
    let output = global.output();
    let ours = env!("CARGO_PKG_VERSION");
    let theirs = match global.client() {
        Ok(client) => match client.get_health().await {
            Ok(health) => Some(health.version),
            Err(ClientError::Connect { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        Err(_) => None,
    };
    let versions = serde_json::json!({ "bothy": ours, "bothyd": theirs });
    let daemon = theirs.unwrap_or_else(|| format!("not reached at {}", global.endpoint));
    output.one(&versions, ours, &[("bothy", ours.to_owned()), ("bothyd", daemon)])
}
