//! ResetImageAttribute: nobody but its owner may launch an image any more.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ResetImageAttribute.html>

use std::collections::BTreeSet;

use compute::compute::ImageChange;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::image::own;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let id = parameters.required("ImageId")?;
    match parameters.required("Attribute")? {
        "launchPermission" => {}
        _ => return Err(parameters.invalid("Attribute")),
    }
    let image = own(call, id).await?;
    let change = ImageChange {
        public: Some(false),
        launch_permissions: Some(BTreeSet::new()),
        ..ImageChange::default()
    };
    call.compute().change_image(call.account(), image.id, &change).await?;
    Ok(Tree::done())
}
