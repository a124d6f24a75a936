//! DescribeInstanceStatus: whether instances run as they should. Only those that run, unless all are asked for.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html>

use compute::compute::InstanceView;
use compute::id::InstanceId;
use compute::lifecycle::State;

use super::super::filters::Filters;
use super::super::ids::CloudId;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal, states};
use super::describe_instances::listed;
use super::words::{ids, zone_id};

const FILTERS: &[&str] = &[
    "availability-zone",
    "availability-zone-id",
    "instance-state-code",
    "instance-state-name",
    "instance-status.reachability",
    "instance-status.status",
    "system-status.reachability",
    "system-status.status",
];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let filters = Filters::read(parameters, FILTERS)?;
    let named: Vec<InstanceId> = ids(parameters, "InstanceId")?;
    let all = parameters.flag("IncludeAllInstances")?.unwrap_or(false);
    let paging = Paging::read(parameters, !named.is_empty())?;
    let (views, _, more) = listed(call, &named, paging, |view, _| {
        let is_shown = all || states::instance(view.instance.state()).name == "running";
        is_shown && filters.pass(&view.instance.tags, |name| fields(call, view, name))
    })
    .await?;
    let statuses = views.iter().map(|view| status(call, view));
    Ok(next(Tree::new().list("instanceStatusSet", statuses), more.as_deref()))
}

/// Whether the guest, and what is below it, does what it should.
fn health(state: State) -> (&'static str, Option<&'static str>) {
    match state {
        State::Running => ("ok", Some("passed")),
        State::Creating | State::Starting | State::Rebooting => ("initializing", Some("initializing")),
        State::Created | State::Stopping | State::Stopped | State::Locking | State::Locked => {
            ("not-applicable", None)
        }
        State::Terminating | State::Terminated | State::Failed => ("not-applicable", None),
    }
}

fn fields(call: &Call<'_>, view: &InstanceView, name: &str) -> Vec<String> {
    let instance = &view.instance;
    let state = states::instance(instance.state());
    let (status, reachability) = health(instance.state());
    let field = match name {
        "availability-zone" => Some(instance.zone.clone()),
        "availability-zone-id" => Some(zone_id(call, &instance.zone)),
        "instance-state-code" => Some(state.code.to_string()),
        "instance-state-name" => Some(state.name.to_owned()),
        "instance-status.reachability" | "system-status.reachability" => reachability.map(str::to_owned),
        "instance-status.status" | "system-status.status" => Some(status.to_owned()),
        _ => None,
    };
    field.into_iter().collect()
}

fn status(call: &Call<'_>, view: &InstanceView) -> Tree {
    let instance = &view.instance;
    let (status, reachability) = health(instance.state());
    let details = reachability.map(|word| Tree::new().text("name", "reachability").text("status", word));
    let summary = Tree::new().text("status", status);
    let summary = if details.is_some() { summary.list("details", details) } else { summary };
    Tree::new()
        .text("instanceId", instance.id.written())
        .text("availabilityZone", &instance.zone)
        .text("availabilityZoneId", zone_id(call, &instance.zone))
        .tree("instanceState", states::instance(instance.state()).tree())
        .tree("systemStatus", summary.clone())
        .tree("instanceStatus", summary)
}
