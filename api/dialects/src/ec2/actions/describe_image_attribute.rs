//! DescribeImageAttribute: one attribute of one image. Who may launch it is told to its owner alone.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageAttribute.html>

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::image::{devices, own};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let id = parameters.required("ImageId")?;
    let attribute = parameters.required("Attribute")?;
    let image = own(call, id).await?;
    let tree = Tree::new().text("imageId", image.id.written());
    Ok(match attribute {
        "description" => tree.tree("description", Tree::new().text("value", image.description)),
        "kernel" => tree.tree("kernel", Tree::new()),
        "ramdisk" => tree.tree("ramdisk", Tree::new()),
        "launchPermission" => {
            let all = image.public.then(|| Tree::new().text("group", "all"));
            let users = image.launch_permissions.iter().map(|user| Tree::new().text("userId", user));
            tree.list("launchPermission", all.into_iter().chain(users))
        }
        "productCodes" => {
            let code = |code: &String| Tree::new().text("productCode", code).text("type", "marketplace");
            tree.list("productCodes", image.product_codes.iter().map(code))
        }
        "blockDeviceMapping" => tree.list("blockDeviceMapping", devices(&image)),
        "sriovNetSupport" => tree.tree("sriovNetSupport", Tree::new()),
        "bootMode" => tree.tree("bootMode", Tree::new().text("value", "legacy-bios")),
        _ => return Err(parameters.invalid("Attribute")),
    })
}
