//! Images as 2007 has them, and who may do what with one: whoever may not is told so where the image is named alone, and sees
//! nothing of it in lists.

use compute::id::ImageId;
use compute::resource::{Image, ImageState};

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::instance::product_codes;

/// The image that is named so, whosever it is.
async fn any(call: &Call<'_>, id: &str) -> Result<Image, Refusal> {
    Ok(call.compute().any_image(ImageId::read(id)?).await?)
}

fn not_authorized(id: &str) -> Refusal {
    Refusal::new(401, "AuthFailure", format!("Not authorized for image: {id}"))
}

fn unavailable(id: &str, state: ImageState) -> Option<Refusal> {
    let why = match state {
        ImageState::Available => return None,
        ImageState::Pending => "is not available yet",
        ImageState::Deregistered => "was deregistered",
    };
    Some(Refusal::new(400, "InvalidAMIID.Unavailable", format!("The image '{id}' {why}")))
}

/// An image of the caller's own, which alone can be changed.
pub async fn own(call: &Call<'_>, id: &str) -> Result<Image, Refusal> {
    let image = any(call, id).await?;
    if image.account != call.account() {
        return Err(not_authorized(id));
    }
    match image.state {
        // What is still being made has its attributes already.
        ImageState::Pending | ImageState::Available => Ok(image),
        ImageState::Deregistered => Err(unavailable(id, image.state).unwrap_or_else(|| not_authorized(id))),
    }
}

/// An image that the caller may launch, and can.
pub async fn launchable(call: &Call<'_>, id: &str) -> Result<Image, Refusal> {
    let image = any(call, id).await?;
    if !image.is_for(call.account()) {
        return Err(not_authorized(id));
    }
    match unavailable(id, image.state) {
        Some(refusal) => Err(refusal),
        None => Ok(image),
    }
}

/// What is shown of an image, in the order of `DescribeImagesResponseItemType`.
pub fn view(image: &Image) -> Tree {
    let state = match image.state {
        ImageState::Pending => "pending",
        ImageState::Available => "available",
        ImageState::Deregistered => "deregistered",
    };
    let location = match image.location.as_str() {
        "" => format!("{}/{}", image.account, image.name),
        location => location.to_owned(),
    };
    Tree::new()
        .text("imageId", image.id.written())
        .text("imageLocation", location)
        .text("imageState", state)
        .text("imageOwnerId", &image.account)
        .text("isPublic", image.public)
        .and(product_codes(&image.product_codes))
}

/// What can be said of an image besides what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Who may launch it.
    LaunchPermission,
    /// What product it is.
    ProductCodes,
}

/// The attribute that a request is about.
pub fn attribute(call: &Call<'_>) -> Result<Attribute, Refusal> {
    call.parameters.required("Attribute")?;
    let words =
        [("launchPermission", Attribute::LaunchPermission), ("productCodes", Attribute::ProductCodes)];
    let attribute = call.parameters.choice("Attribute", &words)?;
    attribute.ok_or_else(|| call.parameters.missing("Attribute"))
}
