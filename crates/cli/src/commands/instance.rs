//! Instances: list, show, start, stop, reboot, terminate.

use std::time::Duration;

use jiff::Timestamp;
use native_api::{
    ChargeState, Force, Instance, InstanceId, InstanceQuery, InstanceState, Operation, Period, TagFilter,
};

use super::{Wait, each};
use crate::failure::{Exit, Failure};
use crate::output::{age, maybe, several, tags, word};
use crate::{Context, names};

/// List instances
#[derive(clap::Args)]
pub struct List {
    /// Those that are terminated too
    #[arg(short, long)]
    all: bool,
    /// Only those in this state; may be given several times
    #[arg(long, value_parser = state)]
    state: Vec<InstanceState>,
    /// Only those with this tag, KEY or KEY=VALUE; may be given several times
    #[arg(long)]
    tag: Vec<TagFilter>,
}

/// Show an instance
#[derive(clap::Args)]
pub struct Show {
    /// The instance, by name or id
    instance: String,
}

/// Instances to start or terminate.
#[derive(clap::Args)]
pub struct Several {
    /// The instances, by name or id
    #[arg(required = true)]
    instances: Vec<String>,
    #[command(flatten)]
    wait: Wait,
}

/// Instances to stop or reboot.
#[derive(clap::Args)]
pub struct MaybeForced {
    /// The instances, by name or id
    #[arg(required = true)]
    instances: Vec<String>,
    /// Do not ask the guest: pull the plug
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

/// Lists.
pub async fn list(context: &Context, arguments: &List) -> Result<(), Failure> {
    let query = InstanceQuery {
        state: arguments.state.clone(),
        tag: arguments.tag.clone(),
        ..InstanceQuery::default()
    };
    let mut instances: Vec<Instance> = context.client.all(Operation::ListInstances, &query).await?;
    if !arguments.all && arguments.state.is_empty() {
        instances.retain(|instance| instance.state != InstanceState::Terminated);
    }
    table(context, &instances)
}

/// Prints instances as a table.
pub fn table(context: &Context, instances: &[Instance]) -> Result<(), Failure> {
    let now = Timestamp::now();
    let headers = ["ID", "NAME", "STATE", "TYPE", "ADDRESS", "PUBLIC", "IMAGE", "AGE"];
    context.output.list(
        instances,
        |instance| instance.id.to_string(),
        headers,
        |instance| {
            [
                instance.id.to_string(),
                maybe(instance.name.as_ref()),
                word(&instance.state),
                instance.instance_type.to_string(),
                maybe(instance.private_address.as_ref()),
                maybe(instance.public_address.as_ref()),
                instance.image.to_string(),
                age(instance.created_at, now),
            ]
        },
    )
}

/// Shows one.
pub async fn show(context: &Context, arguments: &Show) -> Result<(), Failure> {
    let id = names::instance(&context.client, &arguments.instance).await?;
    let instance = context.client.get_instance(&id).await?;
    let disks = instance.disks.iter().map(|disk| {
        let fate = if disk.delete_with_instance { "deleted with it" } else { "kept" };
        format!("{}  {}  {} GiB, {fate}", disk.device, disk.volume, disk.size_gib)
    });
    let interfaces = instance.network_interfaces.iter().map(|interface| {
        let groups = several(&interface.security_groups);
        let public = interface.public_address.map(|address| format!(", public {address}"));
        format!(
            "{}  {}{}  {}  in {} of {}, groups {groups}",
            interface.id,
            interface.private_address,
            public.unwrap_or_default(),
            interface.mac,
            interface.subnet,
            interface.vpc
        )
    });
    let state = match &instance.state_reason {
        Some(reason) => format!("{}: {reason}", word(&instance.state)),
        None => word(&instance.state),
    };
    let rules = &instance.rules;
    context.output.one(
        &instance,
        instance.id.as_str(),
        &[
            ("id", instance.id.to_string()),
            ("name", maybe(instance.name.as_ref())),
            ("state", state),
            (
                "type",
                format!("{}: {} vCPUs, {} MiB", instance.instance_type, instance.vcpus, instance.memory_mib),
            ),
            ("image", instance.image.to_string()),
            ("key pair", maybe(instance.key_pair.as_ref())),
            ("host name", instance.host_name.to_string()),
            ("zone", instance.zone.to_string()),
            ("disks", disks.collect::<Vec<_>>().join("\n")),
            ("interfaces", interfaces.collect::<Vec<_>>().join("\n")),
            ("role", maybe(instance.role.as_ref())),
            ("cloud", cloud(&instance)),
            ("tags", tags(&instance.tags)),
            (
                "rules",
                format!(
                    "power off: {}, failure: {}, host reboot: {}",
                    word(&rules.on_power_off),
                    word(&rules.on_failure),
                    word(&rules.after_host_reboot)
                ),
            ),
            ("charge", charge(&instance.charge)),
            ("launched", instance.created_at.to_string()),
            ("started", maybe(instance.started_at.as_ref())),
            ("terminated", maybe(instance.terminated_at.as_ref())),
            ("reservation", instance.reservation.to_string()),
        ],
    )
}

fn cloud(instance: &Instance) -> String {
    let drive = if instance.config_drive { ", with a config drive" } else { "" };
    format!("{}{drive}", word(&instance.cloud))
}

fn charge(charge: &ChargeState) -> String {
    let period = |period: &Period| match period {
        Period::Weeks(count) => format!("{count} weeks"),
        Period::Months(count) => format!("{count} months"),
    };
    match charge {
        ChargeState::PayAsYouGo(terms) => match terms.release_at {
            Some(at) => format!("as you go, terminated at {at}"),
            None => "as you go".into(),
        },
        ChargeState::Subscription(terms) => match &terms.auto_renew {
            Some(renew) => format!("until {}, then renewed by {}", terms.expires_at, period(renew)),
            None => format!("until {}", terms.expires_at),
        },
    }
}

/// Starts.
pub async fn start(context: &Context, arguments: &Several) -> Result<(), Failure> {
    act(context, &arguments.instances, &arguments.wait, InstanceState::Running, async |id: &InstanceId| {
        Ok(context.client.start_instance(id).await?)
    })
    .await
}

/// Stops.
pub async fn stop(context: &Context, arguments: &MaybeForced) -> Result<(), Failure> {
    let force = Force { force: arguments.force };
    act(context, &arguments.instances, &arguments.wait, InstanceState::Stopped, async |id: &InstanceId| {
        Ok(context.client.stop_instance(id, &force).await?)
    })
    .await
}

/// Reboots.
pub async fn reboot(context: &Context, arguments: &MaybeForced) -> Result<(), Failure> {
    let force = Force { force: arguments.force };
    act(context, &arguments.instances, &arguments.wait, InstanceState::Running, async |id: &InstanceId| {
        Ok(context.client.reboot_instance(id, &force).await?)
    })
    .await
}

/// Terminates.
pub async fn terminate(context: &Context, arguments: &Several) -> Result<(), Failure> {
    act(context, &arguments.instances, &arguments.wait, InstanceState::Terminated, async |id: &InstanceId| {
        Ok(context.client.terminate_instance(id).await?)
    })
    .await
}

/// Does something to each, first to all, then waits for each.
async fn act(
    context: &Context,
    instances: &[String],
    wait: &Wait,
    wanted: InstanceState,
    mut ask: impl AsyncFnMut(&InstanceId) -> Result<Instance, Failure>,
) -> Result<(), Failure> {
    let (mut asked, mut result) = each(instances, async |text: &String| {
        let id = names::instance(&context.client, text).await?;
        ask(&id).await
    })
    .await;
    if wait.wait {
        let (reached, waited) = each(&asked, async |instance: &Instance| {
            wait_for(context, &instance.id, wanted, wait.limit()).await
        })
        .await;
        asked = reached;
        result = result.and(waited);
    }
    if !asked.is_empty() || context.output.json {
        table(context, &asked)?;
    }
    result
}

/// Waits until an instance is in a state, or in one that does not lead there by itself.
pub async fn wait_for(
    context: &Context,
    id: &InstanceId,
    wanted: InstanceState,
    limit: Duration,
) -> Result<Instance, Failure> {
    let spinner = context.output.spinner(&format!("waiting until {id} is {}", word(&wanted)));
    let look = async || {
        let instance = context.client.get_instance(id).await?;
        spinner.set_message(format!("{id}: {}", word(&instance.state)));
        Ok(instance)
    };
    let what = format!("{} of {id}", word(&wanted));
    let is_over = |instance: &Instance| instance.state == wanted || ends(instance.state, wanted);
    let seen = context.client.wait_until(&what, limit, look, is_over).await;
    spinner.finish_and_clear();
    let instance = seen?;
    if instance.state == wanted {
        return Ok(instance);
    }
    let reason = instance.state_reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let message = format!("{id} is {} instead of {}{reason}", word(&instance.state), word(&wanted));
    Err(Failure::new(Exit::Failed, message, format!("see bothy console --history {id}")))
}

/// Whether nothing but a new request leads from `state` to `wanted`.
fn ends(state: InstanceState, wanted: InstanceState) -> bool {
    use InstanceState::{Created, Failed, Locked, Running, Stopped, Terminated};
    match state {
        Terminated => true,
        Failed | Locked | Created => wanted != Terminated,
        Stopped => wanted == Running,
        _ => false,
    }
}

fn state(text: &str) -> Result<InstanceState, String> {
    serde_json::from_value(text.into()).map_err(|_| {
        "expected creating, created, starting, running, rebooting, stopping, stopped, locking, locked, terminating, \
         terminated or failed"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_where_nothing_more_happens() {
        use InstanceState::{Failed, Running, Stopped, Stopping, Terminated, Terminating};
        assert!(ends(Failed, Running) && ends(Terminated, Running) && ends(Stopped, Running));
        assert!(!ends(Stopping, Stopped) && !ends(Terminating, Terminated) && !ends(Stopped, Terminated));
        assert!(!ends(Failed, Terminated), "it was asked to be terminated");
    }
}
