//! The manifest of an image: a document beside it that says which file it is and whose.

use super::errors::Refusal;
use super::soap::document::Document;

/// Most bytes of a manifest.
pub const MAX_BYTES: usize = 64 << 10;

/// What a manifest says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The file, beside the manifest.
    pub name: String,
    /// The file's bytes, if it says how many.
    pub size: Option<u64>,
    /// What its content must hash to, if it says so.
    pub sha256: Option<String>,
}

/// The refusal of what is no image, or no manifest of one.
pub fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidManifest", why)
}

impl Manifest {
    /// Reads one, which has to be of this account.
    ///
    /// # Errors
    ///
    /// It is none, or of another account.
    pub fn read(bytes: &[u8], account: &str) -> Result<Self, Refusal> {
        if bytes.len() > MAX_BYTES {
            return Err(invalid(format!("The manifest has more than {MAX_BYTES} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("The manifest cannot be read"))?;
        let (manifest, user) = parse(text)?;
        if user.replace('-', "") != account {
            return Err(Refusal::new(401, "AuthFailure", "User is not AMI creator"));
        }
        if manifest.name.contains('/') {
            return Err(invalid("The manifest's image is to be beside it"));
        }
        Ok(manifest)
    }

    /// Refuses an image that has another length than its manifest says.
    ///
    /// # Errors
    ///
    /// It has.
    pub fn check_size(&self, length: Option<u64>) -> Result<(), Refusal> {
        match (self.size, length) {
            (Some(size), Some(length)) if size != length => {
                Err(invalid(format!("The image has {length} bytes, which is not what its manifest says")))
            }
            _ => Ok(()),
        }
    }
}

/// What a manifest says, and whose it is.
fn parse(text: &str) -> Result<(Manifest, String), Refusal> {
    let document = Document::read(text).map_err(|_| invalid("The manifest is no XML"))?;
    let root = document.root();
    if root.name() != "manifest" {
        return Err(invalid("The document is no manifest"));
    }
    let image = root.child("image").ok_or_else(|| invalid("The manifest names no image"))?;
    if image.child("parts").is_some() || image.child("ec2_encrypted_key").is_some() {
        return Err(invalid("The image is in encrypted parts, of which this host can make none"));
    }
    let text = |name: &str| image.child(name).map(|child| child.text().trim().to_owned());
    let needed = |name: &str| {
        let text = text(name).filter(|text| !text.is_empty());
        text.ok_or_else(|| invalid(format!("The manifest says no {name} of the image")))
    };
    let size = match text("size") {
        None => None,
        Some(size) => Some(size.parse().map_err(|_| invalid("The image's size is no number"))?),
    };
    let digest = image.child("digest").filter(|digest| digest.attribute("algorithm") == Some("SHA256"));
    let sha256 = digest.map(|digest| digest.text().trim().to_ascii_lowercase());
    let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if sha256.as_ref().is_some_and(|text| !is_digest(text)) {
        return Err(invalid("The image's digest is none of SHA256"));
    }
    Ok((Manifest { name: needed("name")?, size, sha256 }, needed("user")?))
}
