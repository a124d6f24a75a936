//! ModifyImageAttribute: who may launch an image, what is said of it, and its product codes, which can be set once.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyImageAttribute.html>

use std::collections::BTreeSet;

use compute::compute::ImageChange;
use compute::identity::AccountId;

use super::super::parameters::Parameters;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::create_snapshot::MAX_DESCRIPTION;
use super::image::own;

/// Who is given or loses the right to launch.
#[derive(Default)]
struct Permissions {
    /// Everybody.
    all: bool,
    accounts: Vec<String>,
}

impl Permissions {
    fn is_empty(&self) -> bool {
        !self.all && self.accounts.is_empty()
    }
}

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let id = parameters.required("ImageId")?;
    let (add, remove) = permissions(parameters)?;
    let description = description(parameters)?;
    let codes = parameters.list("ProductCode")?;
    let image = own(call, id).await?;
    let mut change = ImageChange { description, ..ImageChange::default() };
    if !codes.is_empty() {
        change.product_codes = Some(codes);
    }
    if !(add.is_empty() && remove.is_empty()) {
        let mut accounts: BTreeSet<String> = image.launch_permissions;
        accounts.extend(add.accounts);
        for account in &remove.accounts {
            accounts.remove(account);
        }
        change.public = Some((image.public || add.all) && !remove.all);
        change.launch_permissions = Some(accounts);
    }
    if change.description.is_none() && change.product_codes.is_none() && change.launch_permissions.is_none() {
        return Err(Refusal::combination("No attributes specified."));
    }
    call.compute().change_image(call.account(), image.id, &change).await?;
    Ok(Tree::done())
}

/// Those to add and those to remove, in either style.
fn permissions(parameters: &Parameters) -> Result<(Permissions, Permissions), Refusal> {
    let (mut add, mut remove) = (Permissions::default(), Permissions::default());
    let launch = parameters.group("LaunchPermission");
    for (name, to) in [("Add", &mut add), ("Remove", &mut remove)] {
        for item in launch.groups(name)? {
            for name in ["OrganizationArn", "OrganizationalUnitArn"] {
                if item.get(name).is_some() {
                    return Err(Refusal::unsupported(&item.full(name)));
                }
            }
            match (item.get("Group"), item.get("UserId")) {
                (Some(group), None) => to.all |= group_all(group)?,
                (None, Some(user)) => to.accounts.push(account(user)?),
                (Some(_), Some(_)) | (None, None) => return Err(item.missing("UserId")),
            }
        }
    }
    let (users, groups) = (parameters.list("UserId")?, parameters.list("UserGroup")?);
    if users.is_empty() && groups.is_empty() {
        return Ok((add, remove));
    }
    parameters.required("OperationType")?;
    let is_to_add = parameters.choice("OperationType", &[("add", true), ("remove", false)])?;
    let to = if is_to_add == Some(true) { &mut add } else { &mut remove };
    for user in users {
        to.accounts.push(account(&user)?);
    }
    for group in groups {
        to.all |= group_all(&group)?;
    }
    Ok((add, remove))
}

fn wrong_item(text: &str) -> Refusal {
    let text: String = text.chars().take(64).collect();
    let why = format!("Invalid attribute item value \"{text}\" for item type.");
    Refusal::new(400, "InvalidAMIAttributeItemValue", why)
}

fn group_all(group: &str) -> Result<bool, Refusal> {
    if group == "all" { Ok(true) } else { Err(wrong_item(group)) }
}

fn account(user: &str) -> Result<String, Refusal> {
    user.parse::<AccountId>().map(|_| user.to_owned()).map_err(|_| wrong_item(user))
}

/// The new description, by its own parameter, or by `Attribute` and `Value`.
fn description(parameters: &Parameters) -> Result<Option<String>, Refusal> {
    let by_name =
        |name: &str| parameters.iter().find(|(given, _)| *given == name).map(|(_, value)| value.to_owned());
    let description = match by_name("Description.Value").or_else(|| by_name("Description")) {
        None if parameters.get("Attribute") == Some("description") => {
            Some(by_name("Value").ok_or_else(|| parameters.missing("Value"))?)
        }
        found => found,
    };
    match &description {
        Some(text) if text.chars().count() > MAX_DESCRIPTION => Err(parameters.invalid("Description")),
        Some(_) | None => Ok(description),
    }
}
