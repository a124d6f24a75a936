//! Whether the caller may: asked of the core's policy engine for each resource that a request names, before its handler sees
//! it. A row says which those are.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>

use compute::access::{Request, authorize as decide};
use compute::identity::Role;
use compute::resource::Cloud;

use super::Call;
use super::actions::{Row, Target};
use super::errors::Refusal;

/// Ids by which tags are written and taken away, with the kind of what they are of.
const TAGGED: &[(&str, &str)] = &[
    ("ami", "image"),
    ("eipalloc", "elastic-ip"),
    ("eni", "network-interface"),
    ("i", "instance"),
    ("key", "key-pair"),
    ("sg", "security-group"),
    ("snap", "snapshot"),
    ("subnet", "subnet"),
    ("vol", "volume"),
    ("vpc", "vpc"),
];

/// Refuses what the caller's policies do not allow.
pub fn authorize(call: &Call<'_>, row: &Row) -> Result<(), Refusal> {
    let action = format!("{}:{}", row.api.word(), row.name);
    for target in row.on {
        match *target {
            Target::All => ask(call, &action, "*")?,
            Target::Every(kind) => ask(call, &action, &resource(call, kind, "*"))?,
            Target::Named(kind, parameters) | Target::Given(kind, parameters) => {
                let mut ids = Vec::new();
                for parameter in parameters {
                    match parameter.split_once(".*.") {
                        None => ids.extend(call.parameters.list(parameter)?),
                        Some((list, name)) => {
                            for item in call.parameters.groups(list)? {
                                ids.extend(item.list(name)?);
                            }
                        }
                    }
                }
                // Without a name the handler has nothing to do it with; whoever may not is told that first.
                if ids.is_empty() && matches!(target, Target::Named(..)) {
                    ids.push("*".to_owned());
                }
                for id in ids {
                    ask(call, &action, &resource(call, kind, &id))?;
                }
            }
            Target::Items(kind, list, name) => {
                let items = call.parameters.groups(list)?;
                let named = items.iter().map(|item| item.get(name).unwrap_or("*"));
                for id in named.chain(items.is_empty().then_some("*")) {
                    ask(call, &action, &resource(call, kind, id))?;
                }
            }
            Target::Tagged => {
                for id in call.parameters.list("ResourceId")? {
                    let kind = TAGGED.iter().find(|(word, _)| id.split('-').next() == Some(word));
                    ask(call, &action, &resource(call, kind.map_or("*", |(_, kind)| kind), &id))?;
                }
            }
        }
    }
    // What is made with tags is tagged too, which may be allowed to others only.
    for group in call.parameters.groups("TagSpecification")? {
        let kind = group.required("ResourceType")?;
        ask(call, "ec2:CreateTags", &resource(call, kind, "*"))?;
    }
    Ok(())
}

/// Refuses an action on a resource, for handlers that find it only by looking.
pub fn ask(call: &Call<'_>, action: &str, resource: &str) -> Result<(), Refusal> {
    let request = Request { action, resource, context: &call.context };
    if decide(&call.caller.access, &request).is_allowed() {
        return Ok(());
    }
    Err(Refusal::unauthorized())
}

/// What policies call a resource. Images and snapshots, which others may use, are named without the account.
pub fn resource(call: &Call<'_>, kind: &str, id: &str) -> String {
    let account = if matches!(kind, "image" | "snapshot") { "" } else { call.account() };
    format!("arn:aws:ec2:{}:{account}:{kind}/{id}", call.region())
}

/// The role of this name, if the caller may give it to an instance.
pub async fn pass_role(call: &Call<'_>, role: &str) -> Result<Role, Refusal> {
    let resource = format!("arn:aws:iam::{}:role/{role}", call.account());
    let request = Request { action: "iam:PassRole", resource: &resource, context: &call.context };
    let (caller, service) = (&call.caller.access, Cloud::Ec2.service());
    Ok(call.identity().pass_role(caller, &request, call.account_id(), role, service).await?)
}
