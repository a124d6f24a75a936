//! The record of a job: something that was acknowledged and takes long. It is on record before it is begun, and is begun
//! again by a daemon that was killed; it ends done, or failed with its reason.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Resource, owned_key};
use crate::id::{ImageId, JobId, SnapshotId, VolumeId};
use crate::outside::{Done, ImageSource};
use crate::store::Key;

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JobKind {
    /// Makes an image of a file.
    ImportImage {
        /// The image.
        image: ImageId,
        /// The file.
        source: ImageSource,
        /// What its hash is to be.
        #[serde(default)]
        sha256: Option<String>,
    },
    /// Makes an image of a snapshot.
    CopyImage {
        /// The image.
        image: ImageId,
        /// The snapshot.
        snapshot: SnapshotId,
        /// Snapshots of the image's data disks that are taken with it.
        #[serde(default)]
        data: Vec<SnapshotId>,
        /// The snapshot was only made for the image, and goes with this job.
        #[serde(default)]
        take: bool,
    },
    /// Removes an image.
    DeleteImage {
        /// The image.
        image: ImageId,
    },
    /// Makes a volume.
    CreateVolume {
        /// The volume.
        volume: VolumeId,
    },
    /// Makes a volume larger.
    GrowVolume {
        /// The volume.
        volume: VolumeId,
        /// To this size.
        size_mib: u64,
        /// From this one, which it keeps if that fails.
        from_mib: u64,
    },
    /// Removes a volume.
    DeleteVolume {
        /// The volume.
        volume: VolumeId,
    },
    /// Takes a snapshot.
    CreateSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The volume.
        volume: VolumeId,
    },
    /// Removes a snapshot.
    DeleteSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
    },
}

impl JobKind {
    /// Whether it may end as failed. What removes is tried until it is done: giving it up would leave something behind.
    pub fn may_fail(&self) -> bool {
        match self {
            Self::ImportImage { .. } | Self::CopyImage { .. } | Self::CreateVolume { .. } => true,
            Self::GrowVolume { .. } | Self::CreateSnapshot { .. } => true,
            Self::DeleteImage { .. } | Self::DeleteVolume { .. } | Self::DeleteSnapshot { .. } => false,
        }
    }

    /// The id of what it works on.
    pub fn subject(&self) -> String {
        match self {
            Self::ImportImage { image, .. } | Self::CopyImage { image, .. } => image.to_string(),
            Self::DeleteImage { image } => image.to_string(),
            Self::CreateVolume { volume } | Self::GrowVolume { volume, .. } => volume.to_string(),
            Self::DeleteVolume { volume } => volume.to_string(),
            Self::CreateSnapshot { snapshot, .. } | Self::DeleteSnapshot { snapshot } => snapshot.to_string(),
        }
    }

    /// The same without what is only needed to do it: signatures in URLs.
    #[must_use]
    pub fn ended(mut self) -> Self {
        if let Self::ImportImage { source: ImageSource::Url(source), .. } = &mut self {
            source.url = source.url.without_query();
        }
        self
    }

    /// The name of what it does, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ImportImage { .. } => "import_image",
            Self::CopyImage { .. } => "copy_image",
            Self::DeleteImage { .. } => "delete_image",
            Self::CreateVolume { .. } => "create_volume",
            Self::GrowVolume { .. } => "grow_volume",
            Self::DeleteVolume { .. } => "delete_volume",
            Self::CreateSnapshot { .. } => "create_snapshot",
            Self::DeleteSnapshot { .. } => "delete_snapshot",
        }
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JobState {
    /// It is being done, or will be.
    Running {
        /// How far, where that can be said.
        done: Done,
    },
    /// It is done.
    Succeeded {},
    /// It could not be done.
    Failed(JobError),
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobError {
    /// For programs: `refused`, `exhausted`, `failed`.
    pub code: String,
    /// In a line.
    pub message: String,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The account.
    pub account: String,
    /// The host that does it.
    pub node: String,
    /// What it does.
    pub kind: JobKind,
    /// How far it is.
    pub state: JobState,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Timestamp>,
}

impl Resource for Job {
    const NAME: &'static str = "job";
    const WORD: &'static str = "job";

    fn key(&self) -> Key {
        owned_key(Self::WORD, &self.account, &self.id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sources_are_kept_as_paths_and_as_urls() {
        for (source, ended) in [
            (json!("/srv/a.img"), json!("/srv/a.img")),
            (
                json!({ "url": "https://a.example/b?signature=secret" }),
                json!({ "url": "https://a.example/b" }),
            ),
            (
                json!({ "url": "https://a.example/b", "within": ["https://a.example/"] }),
                json!({ "url": "https://a.example/b", "within": ["https://a.example/"] }),
            ),
        ] {
            let kept =
                json!({ "import_image": { "image": "ami-00000001", "source": source, "sha256": null } });
            let kind: JobKind = serde_json::from_value(kept.clone()).unwrap();
            assert_eq!(serde_json::to_value(&kind).unwrap(), kept);
            let kept = serde_json::to_value(kind.ended()).unwrap();
            assert_eq!(kept["import_image"]["source"], ended);
        }
        let bad =
            json!({ "import_image": { "image": "ami-00000001", "source": { "url": "file:///etc/passwd" } } });
        assert!(serde_json::from_value::<JobKind>(bad).is_err());
    }
}
