//! RegisterImage: makes an image of what is at a location; `manifest` says which locations there are. It answers with the id
//! at once; the image can be launched when its content is imported, and says until then that it is pending.

use std::path::{Path, PathBuf};

use compute::compute::{ComputeError, NewImage};
use compute::resource::{Architecture, Tags};
use serde_json::Value;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::manifest;

/// Most characters of a name.
const MAX_NAME: usize = 100;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let location = call.parameters.required("ImageLocation")?.to_owned();
    let Some(folder) = call.inner.images.clone() else {
        let why = "This host has no folder of images that could be registered. Ask the operator.";
        return Err(Refusal::new(400, "InvalidManifest", why));
    };
    let found = find(folder, location.clone(), call.account().to_owned()).await?;
    let kernel = match found.is_bare {
        false => None,
        true => {
            let host = call.compute().config().host_kernel.clone().ok_or_else(|| {
                let why = "The image is a bare file system, and this host has no kernel for such. Ask the operator.";
                Refusal::new(400, "InvalidManifest", why)
            })?;
            Some((host.kernel, host.initrd, host.cmdline))
        }
    };
    let new = NewImage {
        name: name(&location),
        description: String::new(),
        architecture: if found.is_bare { Architecture::I386 } else { Architecture::X86_64 },
        kernel,
        min_disk_gib: 0,
        public: false,
        location,
        tags: Tags::default(),
        token: None,
        dialect: Value::Null,
    };
    let (image, job) = call.compute().import_image(call.account(), &new, found.file, found.sha256).await?;
    let id = match image {
        Some(image) => image.id.written(),
        None => job.kind.subject(),
    };
    Ok(Tree::new().text("imageId", id))
}

async fn find(folder: PathBuf, location: String, account: String) -> Result<manifest::Found, Refusal> {
    let looked = tokio::task::spawn_blocking(move || manifest::find(&folder, &location, &account));
    looked.await.map_err(|_| Refusal::from(ComputeError::Ending))?
}

/// Images of then have no names, and the core wants one that no other has: the file's, and a few digits.
fn name(location: &str) -> String {
    let file = Path::new(location).file_name().and_then(|name| name.to_str()).unwrap_or(location);
    let file: String = file.trim_end_matches(".manifest.xml").chars().take(MAX_NAME).collect();
    let digits = uuid::Uuid::new_v4().simple().to_string();
    format!("{file} {}", &digits[..8])
}
