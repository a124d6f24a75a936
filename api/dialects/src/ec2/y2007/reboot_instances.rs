//! RebootInstances: reboots instances of the caller's, all of them or none. It is asked of them and not waited for; one that
//! has ended is passed over, and one that is about to be booted is booted anyway.

use compute::compute::{ComputeError, Protection};
use compute::lifecycle::{Action, Event, Refused, State, step};

use super::super::actions::act;
use super::super::xml::Tree;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let mut instances = act::named(call).await?;
    instances.retain(|instance| !matches!(instance.state(), State::Terminating | State::Terminated));
    let refused = |error: ComputeError| match error {
        ComputeError::Refused { why: Refused::Already | Refused::Busy | Refused::Gone, .. } => Ok(()),
        error => Err(Refusal::from(error)),
    };
    for instance in &instances {
        if let Err(why) = step(instance.state(), Event::Asked(Action::Reboot), instance.rules) {
            refused(ComputeError::Refused { instance: instance.id, why })?;
        }
    }
    let allowance = call.allowance().await?;
    for instance in instances {
        let (compute, account) = (call.compute(), call.account());
        let acted = compute.act(account, instance.id, Action::Reboot, allowance, Protection::Respected);
        if let Err(error) = acted.await {
            refused(error)?;
        }
    }
    Ok(Tree::done())
}
