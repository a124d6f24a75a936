//! Acting on instances: what start, stop, reboot and terminate have in common. Whatever can be seen to be refused for one of the
//! instances that a request names is refused before anything is done with the others. They answer at once; clients look at the
//! state.

use compute::compute::{ComputeError, Protection};
use compute::id::InstanceId;
use compute::lifecycle::{Action, Event, Refused, State, step};
use compute::resource::Instance;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, states};

/// The instance of this id.
pub async fn known(call: &Call<'_>, id: &str) -> Result<Instance, Refusal> {
    Ok(call.compute().instance(call.account(), InstanceId::read(id)?).await?)
}

/// Those that `InstanceId.n` names, all of them, each once.
pub async fn named(call: &Call<'_>) -> Result<Vec<Instance>, Refusal> {
    let mut instances: Vec<Instance> = Vec::new();
    for id in call.parameters.required_list("InstanceId")? {
        let instance = known(call, &id).await?;
        if instances.iter().all(|known| known.id != instance.id) {
            instances.push(instance);
        }
    }
    Ok(instances)
}

/// Does it with each instance; gives their states before and after.
pub async fn on_all(
    call: &Call<'_>,
    action: impl Fn(&Instance) -> Action,
) -> Result<Vec<(InstanceId, State, State)>, Refusal> {
    let instances = named(call).await?;
    let mut asked = Vec::with_capacity(instances.len());
    for instance in instances {
        let action = action(&instance);
        let is_to_do = check(&instance, action)?;
        asked.push((instance, action, is_to_do));
    }
    let allowance = call.allowance().await?;
    let mut changes = Vec::with_capacity(asked.len());
    for (before, action, is_to_do) in asked {
        let after = if is_to_do {
            let acted =
                call.compute().act(call.account(), before.id, action, allowance, Protection::Respected);
            match acted.await {
                Ok(after) => after.state(),
                // Somebody else did it meanwhile.
                Err(ComputeError::Refused { why, .. }) if is_done(action, why) => {
                    call.compute().instance(call.account(), before.id).await?.state()
                }
                Err(error) => return Err(error.into()),
            }
        } else {
            before.state()
        };
        changes.push((before.id, before.state(), after));
    }
    Ok(changes)
}

/// Whether there is anything to do; an error if it may not be done.
fn check(instance: &Instance, action: Action) -> Result<bool, Refusal> {
    if action == Action::Terminate && instance.protected {
        return Err(ComputeError::Protected { instance: instance.id }.into());
    }
    match step(instance.state(), Event::Asked(action), instance.rules) {
        Ok(_) => Ok(true),
        Err(why) if is_done(action, why) => Ok(false),
        Err(why) => Err(ComputeError::Refused { instance: instance.id, why }.into()),
    }
}

/// To this cloud's clients, what is so already is done.
fn is_done(action: Action, why: Refused) -> bool {
    match why {
        Refused::Already => true,
        Refused::Gone => action == Action::Terminate,
        Refused::Busy | Refused::WrongState | Refused::Locked => false,
    }
}

/// Such changes as today's actions tell them.
pub fn told(changes: Vec<(InstanceId, State, State)>) -> Tree {
    let change = |(id, before, after): (InstanceId, State, State)| {
        Tree::new()
            .text("instanceId", id.written())
            .tree("currentState", states::instance(after).tree())
            .tree("previousState", states::instance(before).tree())
    };
    Tree::new().list("instancesSet", changes.into_iter().map(change))
}
