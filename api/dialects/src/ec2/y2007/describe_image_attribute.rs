//! DescribeImageAttribute: who may launch an image of the caller's, or what product it is.

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::image::{Attribute, attribute, own};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let id = call.parameters.required("ImageId")?;
    let attribute = attribute(call)?;
    let image = own(call, id).await?;
    let tree = Tree::new().text("imageId", image.id.written());
    Ok(match attribute {
        Attribute::LaunchPermission => {
            let all = image.public.then(|| Tree::new().text("group", "all"));
            let users = image.launch_permissions.iter().map(|user| Tree::new().text("userId", user));
            tree.list("launchPermission", all.into_iter().chain(users))
        }
        Attribute::ProductCodes => {
            let codes = image.product_codes.iter().map(|code| Tree::new().text("productCode", code));
            tree.list("productCodes", codes)
        }
    })
}
