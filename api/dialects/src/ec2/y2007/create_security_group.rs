//! CreateSecurityGroup: a group to whose members nothing is let through yet.

use compute::compute::NewSecurityGroup;
use compute::resource::Tags;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::group::DEFAULT;

/// Longest description.
const MAX_DESCRIPTION: usize = 255;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let name = call.parameters.required("GroupName")?;
    let description = call.parameters.required("GroupDescription")?;
    if name.eq_ignore_ascii_case(DEFAULT) {
        let why = format!("The security group '{DEFAULT}' is reserved");
        return Err(Refusal::new(400, "InvalidGroup.Reserved", why));
    }
    if description.chars().count() > MAX_DESCRIPTION || description.chars().any(char::is_control) {
        return Err(call.parameters.invalid("GroupDescription"));
    }
    let new = NewSecurityGroup {
        name: name.to_owned(),
        description: description.to_owned(),
        vpc: None,
        rules: None,
        tags: Tags::default(),
    };
    call.compute().create_security_group(call.account(), &new).await?;
    Ok(Tree::done())
}
