//! Whether the caller may: asked of the core's policy engine for each resource that a request names, before its handler sees
//! it. A row says which those are.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-ram>

use compute::access::{Request, authorize as decide};
use compute::identity::Role;
use compute::resource::Cloud;

use super::Call;
use super::actions::{Product, Row, Target, image};
use super::errors::Refusal;
use super::ids::CloudId;
use super::parameters::Parameters;

/// Refuses what the caller's policies do not allow.
pub async fn authorize(call: &Call<'_>, row: &Row) -> Result<(), Refusal> {
    let action = format!("{}:{}", row.service(), row.name);
    for target in row.on {
        match *target {
            Target::Used(service, kind, parameters) => {
                authorize_used(call, &action, (service, kind), parameters).await?;
            }
            Target::Every(_) | Target::Named(..) | Target::Tagged => {
                authorize_target(call, &action, row.service(), target).await?;
            }
        }
    }
    Ok(())
}

/// Asks for each that is named; where none is, there is nothing to ask.
async fn authorize_used(
    call: &Call<'_>,
    action: &str,
    (service, kind): (&str, &str),
    parameters: &[&str],
) -> Result<(), Refusal> {
    for id in used(call.parameters, parameters)? {
        ask(call, action, service, kind, &known_id(call, kind, id).await)?;
    }
    Ok(())
}

/// The id that policies know something by. An image can be named by its name as well, and is the same image to them.
async fn known_id(call: &Call<'_>, kind: &str, named: String) -> String {
    match kind {
        "image" => image::find(call, &named).await.map_or(named, |found| found.id.written()),
        _ => named,
    }
}

/// What these parameters name.
fn used(all: &Parameters, parameters: &[&str]) -> Result<Vec<String>, Refusal> {
    let mut ids = Vec::new();
    for parameter in parameters {
        match parameter.split_once(".n.") {
            None => ids.extend(all.list(parameter)?.unwrap_or_default()),
            Some((name, rest)) => {
                for group in all.groups(name)?.into_values() {
                    ids.extend(group.list(rest)?.unwrap_or_default());
                }
            }
        }
    }
    Ok(ids)
}

async fn authorize_target(
    call: &Call<'_>,
    action: &str,
    service: &str,
    target: &Target,
) -> Result<(), Refusal> {
    let (kind, parameters): (&str, &[&str]) = match *target {
        Target::Every(kind) | Target::Used(_, kind, _) => return ask(call, action, service, kind, "*"),
        Target::Named(kind, parameters) => (kind, parameters),
        Target::Tagged => (&call.parameters.required("ResourceType")?.to_ascii_lowercase(), &["ResourceId"]),
    };
    let mut is_named = false;
    for parameter in parameters {
        for id in call.parameters.list(parameter)?.unwrap_or_default() {
            ask(call, action, service, kind, &known_id(call, kind, id).await)?;
            is_named = true;
        }
    }
    // Without a name the handler has nothing to do it with; whoever may not is told that first.
    if is_named { Ok(()) } else { ask(call, action, service, kind, "*") }
}

fn ask(call: &Call<'_>, action: &str, service: &str, kind: &str, id: &str) -> Result<(), Refusal> {
    let resource = resource(call, service, kind, id);
    let request = Request { action, resource: &resource, context: &call.context };
    if decide(&call.caller.access, &request).is_allowed() {
        return Ok(());
    }
    Err(match service {
        "ram" => {
            Refusal::new(403, "NoPermission", format!("You are not authorized to do {action} on {resource}."))
        }
        _ => Refusal::forbidden(action, &resource),
    })
}

/// What policies call a resource of the caller's account. RAM's are of no region.
fn resource(call: &Call<'_>, service: &str, kind: &str, id: &str) -> String {
    let region = if service == Product::Ram.word() { "" } else { call.region() };
    format!("acs:{service}:{region}:{}:{kind}/{id}", call.account())
}

/// The role of this name, if the caller may give it to an instance.
pub async fn pass_role(call: &Call<'_>, role: &str) -> Result<Role, Refusal> {
    let resource = resource(call, "ram", "role", role);
    let request = Request { action: "ram:PassRole", resource: &resource, context: &call.context };
    let (caller, service) = (&call.caller.access, Cloud::Alibaba.service());
    Ok(call.identity().pass_role(caller, &request, call.account_id(), role, service).await?)
}
