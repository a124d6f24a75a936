//! Acting on an instance: what start, stop, reboot and delete have in common. They answer at once; clients look at the status.

use compute::compute::{ComputeError, Protection};
use compute::id::InstanceId;
use compute::lifecycle::{Action, State};
use compute::resource::Instance;

use super::super::ids::CloudId;
use super::super::{Call, Refusal, states};

/// The instance of this id. One that is released is none any more.
pub async fn shown(call: &Call<'_>, id: &str) -> Result<Instance, Refusal> {
    let instance = call.compute().instance(call.account(), InstanceId::read(id)?).await?;
    match states::instance(instance.state()) {
        Some(_) => Ok(instance),
        None => Err(Refusal::not_found("instance")),
    }
}

/// The one that `InstanceId` names.
pub async fn named(call: &Call<'_>) -> Result<Instance, Refusal> {
    shown(call, call.parameters.required("InstanceId")?).await
}

/// Those that a list names, all of them.
pub async fn all(call: &Call<'_>, ids: &[String]) -> Result<Vec<Instance>, Refusal> {
    let mut instances = Vec::with_capacity(ids.len());
    for id in ids {
        instances.push(shown(call, id).await?);
    }
    Ok(instances)
}

/// Refuses what the cloud allows in none but these states, in its words.
pub fn check(instance: &Instance, allowed: &[&str]) -> Result<(), Refusal> {
    match (instance.state(), states::instance(instance.state())) {
        (State::Creating, Some(status)) if !allowed.contains(&status) => Err(Refusal::new(
            403,
            "IncorrectInstanceStatus.Initializing",
            "The specified instance status does not support this operation.",
        )),
        (_, Some(status)) if allowed.contains(&status) => Ok(()),
        (_, Some(_)) => Err(Refusal::wrong_status()),
        (_, None) => Err(Refusal::not_found("instance")),
    }
}

/// Does it, where its state allows that, or says that it would have been done.
pub async fn act(
    call: &Call<'_>,
    instance: &Instance,
    action: Action,
    allowed: &[&str],
) -> Result<(), Refusal> {
    check(instance, allowed)?;
    if call.dry_run()? {
        if action == Action::Terminate && instance.protected {
            return Err(ComputeError::Protected { instance: instance.id }.into());
        }
        compute::lifecycle::step(instance.state(), compute::lifecycle::Event::Asked(action), instance.rules)?;
        return Err(Refusal::dry_run());
    }
    let (allowance, protection) = (call.allowance().await?, Protection::Respected);
    call.compute().act(call.account(), instance.id, action, allowance, protection).await?;
    Ok(())
}
