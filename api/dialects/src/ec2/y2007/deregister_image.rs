//! DeregisterImage: an image of the caller's, of which nothing can be launched from now on.

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::image::own;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let image = own(call, call.parameters.required("ImageId")?).await?;
    call.compute().delete_image(call.account(), image.id).await?;
    Ok(Tree::done())
}
