//! Roles of instances: what attaching, detaching and describing have in common. Each instance is done by itself, and its result
//! told; none is in the way of another.

use compute::compute::{ComputeError, InstanceChange};
use compute::resource::Instance;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::shown;

/// The instances that a request names.
pub fn named(call: &Call<'_>) -> Result<Vec<String>, Refusal> {
    let ids = call.parameters.array("InstanceIds")?.filter(|ids| !ids.is_empty());
    ids.ok_or_else(|| Refusal::missing("InstanceIds"))
}

/// Gives each of them a role, or none, if `may` lets it; tells how that went, under the name of the action.
pub async fn change(
    call: &Call<'_>,
    action: &str,
    name: &str,
    role: Option<&str>,
    may: impl Fn(&Instance) -> Result<(), Refusal>,
) -> Result<Value, Refusal> {
    let ids = named(call)?;
    let (mut results, mut failed) = (Vec::with_capacity(ids.len()), 0);
    for id in &ids {
        let done = one(call, id, role, &may).await;
        let (code, message) = match &done {
            Ok(()) => ("200", "success"),
            // The host's trouble is not one instance's.
            Err(refusal) if refusal.status >= 500 => return Err(refusal.clone()),
            Err(refusal) => (&*refusal.code, refusal.message.as_str()),
        };
        failed += usize::from(done.is_err());
        results.push(json!({ "InstanceId": id, "Success": done.is_ok(), "Code": code, "Message": message }));
    }
    let (list, item) = (format!("{action}Results"), format!("{action}Result"));
    Ok(json!({ "RamRoleName": name, "TotalCount": ids.len(), "FailCount": failed, list: { item: results } }))
}

async fn one(
    call: &Call<'_>,
    id: &str,
    role: Option<&str>,
    may: impl Fn(&Instance) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let instance = shown(call, id).await?;
    may(&instance)?;
    let change = InstanceChange { role: Some(role.map(str::to_owned)), ..InstanceChange::default() };
    let changed: Result<_, ComputeError> =
        call.compute().change_instance(call.account(), instance.id, &change).await;
    changed?;
    if role.is_none() {
        // What it was given is good until it ends, and it is given no more of it.
        call.identity().forget_instance_credentials(call.account_id(), instance.id).await?;
    }
    Ok(())
}
