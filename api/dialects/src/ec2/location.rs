//! Where an image to be registered is. A location is a path below the folder that the operator keeps for it, and never leads
//! out of it: no absolute path, no step upwards, no link; or a URL below one of those that the operator allows, so that no
//! caller has the daemon ask addresses of its own network. What is there is an image, or a manifest beside one that says whose
//! it is. Of an image on a server only the beginning is looked at here: a job fetches it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use compute::compute::{ComputeError, NewImage};
use compute::image_url::{ImageUrl, UrlPrefix};
use compute::outside::{Beginning, HostError, ImageSource, UrlSource};
use compute::resource::Architecture;

use super::Call;
use super::errors::Refusal;
use super::manifest::{self, Manifest, invalid};
use crate::server::{BelowError, below};

/// Where images may be that are registered by their location.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The folder below which they are. `None`: none is registered by a path.
    pub folder: Option<PathBuf>,
    /// What the URLs begin with that they are at. None: no image is registered by a URL.
    pub urls: Vec<UrlPrefix>,
}

/// An image that can be imported.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub source: ImageSource,
    /// Whether it is a bare file system, which needs the host's kernel.
    pub is_bare: bool,
    /// What its content must hash to, if the manifest says it.
    pub sha256: Option<String>,
}

/// What file systems begin with: ext2 to ext4, XFS, Btrfs.
const MAGICS: &[(usize, &[u8])] = &[(1080, &[0x53, 0xef]), (0, b"XFSB"), (0x1_0040, b"_BHRfS_M")];
/// Bytes of an image by which it is seen whether it begins as a file system does and not as a disk.
const BEGINNING: usize = 0x1_0048;

/// Looks for what a location leads to.
///
/// # Errors
///
/// It leads nowhere, or to what cannot be an image, or to one of another account, or to where no image may be.
pub async fn find(call: &Call<'_>, location: &str) -> Result<Found, Refusal> {
    let images = &call.inner.images;
    if location.contains("://") {
        return match UrlPrefix::allowed(&images.urls, location) {
            Some(url) => at_url(call, url).await,
            None => {
                let why = "A location is a path as BUCKET/IMAGE.manifest.xml, or a URL below one that this host's \
                           operator allows, without a query.";
                Err(Refusal::new(400, "InvalidParameterValue", why))
            }
        };
    }
    let Some(folder) = images.folder.clone() else {
        return Err(invalid("This host has no folder of images that could be registered. Ask the operator."));
    };
    let (location, account) = (location.to_owned(), call.account().to_owned());
    let looked = tokio::task::spawn_blocking(move || below_folder(&folder, &location, &account));
    looked.await.map_err(|_| Refusal::from(ComputeError::Ending))?
}

impl Found {
    /// The image that it is registered as: with the host's kernel if it has none of its own.
    ///
    /// # Errors
    ///
    /// The host has none.
    pub fn boots(&self, call: &Call<'_>, mut new: NewImage) -> Result<NewImage, Refusal> {
        if self.is_bare {
            let host = call.compute().config().host_kernel.clone().ok_or_else(|| {
                invalid("The image is a bare file system, and this host has no kernel for such. Ask the operator.")
            })?;
            new.kernel = Some((host.kernel, host.initrd, host.cmdline));
        }
        Ok(new)
    }

    /// What machines it is for, where nobody says.
    pub fn architecture(&self) -> Architecture {
        if self.is_bare { Architecture::I386 } else { Architecture::X86_64 }
    }
}

/// What is at a path below the folder. Reads files: not for a thread that others wait for.
fn below_folder(folder: &Path, location: &str, account: &str) -> Result<Found, Refusal> {
    let file = file_below(folder, location)?;
    if !is_manifest(location) {
        return found_file(file, None);
    }
    let bytes =
        beginning(&file, manifest::MAX_BYTES + 1).map_err(|_| invalid("The manifest cannot be read"))?;
    let manifest = Manifest::read(&bytes, account)?;
    let beside = match location.rsplit_once('/') {
        Some((path, _)) => format!("{path}/{}", manifest.name),
        None => manifest.name.clone(),
    };
    let file = file_below(folder, &beside)?;
    manifest.check_size(Some(file.metadata().map_err(|_| nowhere())?.len()))?;
    found_file(file, manifest.sha256)
}

fn found_file(file: PathBuf, sha256: Option<String>) -> Result<Found, Refusal> {
    let bytes = beginning(&file, BEGINNING).map_err(|_| invalid("The image cannot be read"))?;
    Ok(Found { source: ImageSource::File(file), is_bare: is_file_system(&bytes), sha256 })
}

/// What is at a URL that is allowed.
async fn at_url(call: &Call<'_>, url: ImageUrl) -> Result<Found, Refusal> {
    if !is_manifest(url.file_name()) {
        return found_url(call, url, &Manifest::default()).await;
    }
    let beginning = peek(call, &source(call, url.clone()), manifest::MAX_BYTES + 1).await?;
    let manifest = Manifest::read(&beginning.bytes, call.account())?;
    let image = url.beside(&manifest.name).ok_or_else(nowhere)?;
    found_url(call, image, &manifest).await
}

async fn found_url(call: &Call<'_>, url: ImageUrl, manifest: &Manifest) -> Result<Found, Refusal> {
    let source = source(call, url);
    let beginning = peek(call, &source, BEGINNING).await?;
    manifest.check_size(beginning.of)?;
    let is_bare = is_file_system(&beginning.bytes);
    Ok(Found { source: ImageSource::Url(source), is_bare, sha256: manifest.sha256.clone() })
}

/// Also what is allowed must not lead on to what is not.
fn source(call: &Call<'_>, url: ImageUrl) -> UrlSource {
    UrlSource { url, within: call.inner.images.urls.clone() }
}

async fn peek(call: &Call<'_>, source: &UrlSource, bytes: usize) -> Result<Beginning, Refusal> {
    match call.compute().peek(source, bytes).await {
        Ok(beginning) => Ok(beginning),
        Err(HostError::Refused(why)) => Err(invalid(why)),
        Err(error) => Err(ComputeError::Host(error).into()),
    }
}

fn is_manifest(location: &str) -> bool {
    location.ends_with(".xml")
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
            let why = "A location is a path as BUCKET/IMAGE.manifest.xml, and leads out of no folder.";
            Err(Refusal::new(400, "InvalidParameterValue", why))
        }
    }
}

fn beginning(file: &Path, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut there = Vec::new();
    File::open(file)?.take(bytes as u64).read_to_end(&mut there)?;
    Ok(there)
}

/// Whether a file begins as a file system does and not as a disk.
fn is_file_system(beginning: &[u8]) -> bool {
    MAGICS.iter().any(|(offset, magic)| beginning.get(*offset..).is_some_and(|rest| rest.starts_with(magic)))
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
        let found = below_folder(&inside, "bucket/a.img", ACCOUNT).unwrap();
        assert_eq!(found.source, ImageSource::File(inside.canonicalize().unwrap().join("bucket/a.img")));
        assert!(!found.is_bare);
        for (location, code) in [
            ("bucket/../../secret", "InvalidParameterValue"),
            ("/etc/passwd", "InvalidParameterValue"),
            ("bucket//a.img", "InvalidParameterValue"),
            ("bucket/.hidden", "InvalidParameterValue"),
            ("file:///etc/passwd", "InvalidParameterValue"),
            ("", "InvalidParameterValue"),
            ("bucket/a.img\0", "InvalidParameterValue"),
            ("bucket", "InvalidManifest"),
            ("bucket/b.img", "InvalidManifest"),
            ("bucket/link.img", "InvalidManifest"),
            ("up/secret", "InvalidManifest"),
        ] {
            assert_eq!(below_folder(&inside, location, ACCOUNT).unwrap_err().code, code, "{location:?}");
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
            below_folder(folder.path(), "a.manifest.xml", account)
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
