//! ModifyImageAttribute: gives the right to launch an image of the caller's, takes it away, or says what product it is, which
//! can be said once.

use std::collections::BTreeSet;

use compute::compute::ImageChange;
use compute::identity::AccountId;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::image::{Attribute, attribute, own};

/// Longest product code.
const MAX_CODE: usize = 64;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id = call.parameters.required("ImageId")?;
    let change = match attribute(call)? {
        Attribute::LaunchPermission => permissions(call)?,
        Attribute::ProductCodes => product_code(call)?,
    };
    let image = own(call, id).await?;
    call.compute().change_image(call.account(), image.id, &change).await?;
    Ok(Tree::done())
}

fn wrong_item(text: &str) -> Refusal {
    let text: String = text.chars().take(64).collect();
    let why = format!("Invalid attribute item value \"{text}\"");
    Refusal::new(400, "InvalidAMIAttributeItemValue", why)
}

fn none_of(call: &Call<'_>, names: &[&str], attribute: &str) -> Result<(), Refusal> {
    for name in names {
        if !call.parameters.list(name)?.is_empty() {
            let why = format!("The parameter {name} may not be used with the attribute {attribute}");
            return Err(Refusal::combination(why));
        }
    }
    Ok(())
}

fn permissions(call: &Call<'_>) -> Result<ImageChange, Refusal> {
    let parameters = call.parameters;
    none_of(call, &["ProductCode"], "launchPermission")?;
    parameters.required("OperationType")?;
    let is_to_add = parameters.choice("OperationType", &[("add", true), ("remove", false)])? == Some(true);
    let mut groups = parameters.list("UserGroup")?;
    groups.extend(parameters.list("Group")?);
    let users: BTreeSet<String> = parameters.list("UserId")?.into_iter().collect();
    if users.is_empty() && groups.is_empty() {
        return Err(parameters.missing("UserId"));
    }
    if let Some(group) = groups.iter().find(|group| *group != "all") {
        return Err(wrong_item(group));
    }
    if let Some(user) = users.iter().find(|user| user.parse::<AccountId>().is_err()) {
        return Err(wrong_item(user));
    }
    let public = (!groups.is_empty()).then_some(is_to_add);
    let change = ImageChange { public, ..ImageChange::default() };
    Ok(match is_to_add {
        true => ImageChange { permit: users, ..change },
        false => ImageChange { forbid: users, ..change },
    })
}

fn product_code(call: &Call<'_>) -> Result<ImageChange, Refusal> {
    none_of(call, &["UserId", "UserGroup", "Group"], "productCodes")?;
    let codes = call.parameters.required_list("ProductCode")?;
    if codes.len() > 1 {
        return Err(Refusal::combination("An image has at most one product code."));
    }
    let is_code =
        |code: &String| code.len() <= MAX_CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match codes.iter().find(|code| !is_code(code)) {
        Some(code) => Err(wrong_item(code)),
        None => Ok(ImageChange { product_codes: Some(codes), ..ImageChange::default() }),
    }
}
