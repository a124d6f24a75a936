//! What Alibaba Cloud's API needs of the host.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ReadConfigError, check_folder};

/// Where its images come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alibaba {
    /// The folder below which images are that ImportImage can be asked for: each folder in it is a bucket, and each file below
    /// that an object. They are for every account. A caller gets at nothing else: steps upwards, links and URLs are refused.
    /// Only the operator should be able to write there. Left out: no image can be imported so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
}

impl Alibaba {
    pub(super) fn check(&self) -> Result<(), ReadConfigError> {
        check_folder("alibaba.images", self.images.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_in_a_folder_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        for images in [None, Some(folder.path().to_owned())] {
            Alibaba { images }.check().unwrap();
        }
        for images in ["images", "/nowhere", "/proc/self/exe"] {
            let error = Alibaba { images: Some(images.into()) }.check().unwrap_err().to_string();
            assert!(error.contains("alibaba.images") && error.contains(images), "{error}");
        }
    }
}
