//! Where an image to be registered is. A location is a path below the folder that the operator keeps for it, and never leads
//! out of it: no absolute path, no step upwards, no link, no URL. What is there is an image, or a manifest beside one that says
//! whose it is.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::super::errors::Refusal;
use super::super::soap::document::Document;
use crate::server::{BelowError, below};

/// Most bytes of a manifest.
const MAX_MANIFEST: u64 = 64 << 10;

/// An image that can be imported.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub file: PathBuf,
    /// Whether it is a bare file system, which needs the host's kernel.
    pub is_bare: bool,
    /// What its content must hash to, if the manifest says it.
    pub sha256: Option<String>,
}

/// What a manifest says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Manifest {
    name: String,
    user: String,
    size: Option<u64>,
    sha256: Option<String>,
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidManifest", why)
}

/// Looks for what a location leads to. Reads files: not for a thread that others wait for.
///
/// # Errors
///
/// It leads nowhere, or to what cannot be an image, or to one of another account.
pub fn find(folder: &Path, location: &str, account: &str) -> Result<Found, Refusal> {
    let file = file_below(folder, location)?;
    let is_manifest = file.extension().is_some_and(|extension| extension == "xml");
    if !is_manifest {
        return found(file, None);
    }
    let manifest = read(&file)?;
    if manifest.user.replace('-', "") != account {
        return Err(Refusal::new(401, "AuthFailure", "User is not AMI creator"));
    }
    if manifest.name.contains('/') {
        return Err(invalid("The manifest's image is to be beside it"));
    }
    let beside = match location.rsplit_once('/') {
        Some((path, _)) => format!("{path}/{}", manifest.name),
        None => manifest.name.clone(),
    };
    let file = file_below(folder, &beside)?;
    let length = file.metadata().map_err(|_| nowhere())?.len();
    if manifest.size.is_some_and(|size| size != length) {
        return Err(invalid(format!("The image has {length} bytes, which is not what its manifest says")));
    }
    found(file, manifest.sha256)
}

fn nowhere() -> Refusal {
    invalid("There is no image at this location")
}

/// The file at a path below the folder.
fn file_below(folder: &Path, location: &str) -> Result<PathBuf, Refusal> {
    match below(folder, location) {
        Ok(path) if path.is_file() => Ok(path),
        Ok(_) | Err(BelowError::Nowhere) => Err(nowhere()),
        Err(BelowError::Malformed) => {
            let why = "A location is a path as BUCKET/IMAGE.manifest.xml; URLs are not followed.";
            Err(Refusal::new(400, "InvalidParameterValue", why))
        }
    }
}

fn found(file: PathBuf, sha256: Option<String>) -> Result<Found, Refusal> {
    let is_bare = is_file_system(&file).map_err(|_| invalid("The image cannot be read"))?;
    Ok(Found { file, is_bare, sha256 })
}

/// Whether a file begins as a file system does and not as a disk: ext2 to ext4, XFS, Btrfs.
fn is_file_system(file: &Path) -> std::io::Result<bool> {
    const MAGICS: &[(u64, &[u8])] = &[(1080, &[0x53, 0xef]), (0, b"XFSB"), (0x1_0040, b"_BHRfS_M")];
    let mut file = File::open(file)?;
    for (offset, magic) in MAGICS {
        file.seek(SeekFrom::Start(*offset))?;
        let mut there = Vec::new();
        file.by_ref().take(magic.len() as u64).read_to_end(&mut there)?;
        if there == *magic {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(file: &Path) -> Result<Manifest, Refusal> {
    let mut text = String::new();
    let opened = File::open(file).map_err(|_| nowhere())?;
    let unreadable = |_| invalid("The manifest cannot be read");
    opened.take(MAX_MANIFEST).read_to_string(&mut text).map_err(unreadable)?;
    parse(&text)
}

fn parse(text: &str) -> Result<Manifest, Refusal> {
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
    Ok(Manifest { name: needed("name")?, user: needed("user")?, size, sha256 })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const ACCOUNT: &str = "123456789012";

    fn manifest(more: &str) -> String {
        format!(
            "<manifest><version>3</version><image><name>a.img</name><user>{ACCOUNT}</user>{more}</image></manifest>"
        )
    }

    #[test]
    fn a_location_never_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("images"), folder.path().join("secret"));
        fs::create_dir_all(inside.join("bucket")).unwrap();
        fs::write(&outside, b"secret").unwrap();
        fs::write(inside.join("bucket/a.img"), vec![0; 4096]).unwrap();
        fs::write(inside.join("bucket/.hidden"), b"x").unwrap();
        symlink(&outside, inside.join("bucket/link.img")).unwrap();
        symlink(folder.path(), inside.join("up")).unwrap();
        let found = find(&inside, "bucket/a.img", ACCOUNT).unwrap();
        assert!(found.file.ends_with("images/bucket/a.img") && !found.is_bare);
        for (location, code) in [
            ("bucket/../../secret", "InvalidParameterValue"),
            ("/etc/passwd", "InvalidParameterValue"),
            ("bucket//a.img", "InvalidParameterValue"),
            ("bucket/.hidden", "InvalidParameterValue"),
            ("http://example.com/a.img", "InvalidParameterValue"),
            ("file:///etc/passwd", "InvalidParameterValue"),
            ("", "InvalidParameterValue"),
            ("bucket/a.img\0", "InvalidParameterValue"),
            ("bucket", "InvalidManifest"),
            ("bucket/b.img", "InvalidManifest"),
            ("bucket/link.img", "InvalidManifest"),
            ("up/secret", "InvalidManifest"),
        ] {
            assert_eq!(find(&inside, location, ACCOUNT).unwrap_err().code, code, "{location:?}");
        }
    }

    #[test]
    fn a_manifest_says_whose_an_image_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut bare = vec![0; 4096];
        bare[1080..1082].copy_from_slice(&[0x53, 0xef]);
        fs::write(folder.path().join("a.img"), bare).unwrap();
        let at = |text: &str, account: &str| {
            fs::write(folder.path().join("a.manifest.xml"), text).unwrap();
            find(folder.path(), "a.manifest.xml", account)
        };
        assert!(at(&manifest("<size>4096</size>"), ACCOUNT).unwrap().is_bare);
        assert_eq!(at(&manifest(""), "210987654321").unwrap_err().code, "AuthFailure");
        for bad in [
            "",
            "no XML",
            "<a/>",
            "<manifest/>",
            "<manifest><image><name>a.img</name></image></manifest>",
            &manifest("<size>1</size>"),
            &manifest("<size>much</size>"),
            &manifest("<parts count=\"1\"/>"),
            &manifest("<digest algorithm=\"SHA256\">x</digest>"),
            &manifest("").replace("a.img", "../a.img"),
            "<!DOCTYPE manifest [<!ENTITY x \"y\">]><manifest>&x;</manifest>",
        ] {
            let code = at(bad, ACCOUNT).unwrap_err().code;
            assert_eq!(code, "InvalidManifest", "{bad}");
        }
    }
}
