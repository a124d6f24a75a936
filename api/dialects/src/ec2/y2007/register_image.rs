//! RegisterImage: makes an image of what is at a location; `location` says which locations there are. It answers with the id at
//! once; the image can be launched when its content is imported, and says until then that it is pending.

use std::path::Path;

use compute::compute::NewImage;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, location};

/// Most characters of a name.
const MAX_NAME: usize = 100;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let location = call.parameters.required("ImageLocation")?;
    let found = location::find(call, location).await?;
    let new = NewImage {
        name: name(location),
        architecture: found.architecture(),
        location: location.to_owned(),
        ..NewImage::default()
    };
    let new = found.boots(call, new)?;
    let (image, job) = call.compute().import_image(call.account(), &new, found.source, found.sha256).await?;
    let id = match image {
        Some(image) => image.id.written(),
        None => job.kind.subject(),
    };
    Ok(Tree::new().text("imageId", id))
}

/// Images of then have no names, and the core wants one that no other has: the file's, and a few digits.
fn name(location: &str) -> String {
    let file = Path::new(location).file_name().and_then(|name| name.to_str()).unwrap_or(location);
    let file: String = file.trim_end_matches(".manifest.xml").chars().take(MAX_NAME).collect();
    let digits = uuid::Uuid::new_v4().simple().to_string();
    format!("{file} {}", &digits[..8])
}
