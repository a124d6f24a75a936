//! ResetImageAttribute: from now on only the owner may launch an image. What product it is stays.

use std::collections::BTreeSet;

use compute::compute::ImageChange;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::image::{Attribute, attribute, own};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id = call.parameters.required("ImageId")?;
    if attribute(call)? == Attribute::ProductCodes {
        return Err(call.parameters.invalid("Attribute"));
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
