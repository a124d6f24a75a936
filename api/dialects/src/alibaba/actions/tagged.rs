//! Resources that have tags: found by the cloud's names for their kinds, and their tags looked at and changed.

use compute::compute::{ComputeError, ImageChange, InstanceChange, VolumeChange, WordsChange};
use compute::id::{ImageId, SecurityGroupId, SnapshotId, SubnetId, VolumeId, VpcId};
use compute::resource::Tags;
use serde_json::{Value, json};

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::act;

/// A kind of resource that tags can be hung on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Instance,
    Disk,
    Snapshot,
    Image,
    SecurityGroup,
    KeyPair,
    Vpc,
    VSwitch,
}

const KINDS: &[(&str, Kind)] = &[
    ("instance", Kind::Instance),
    ("disk", Kind::Disk),
    ("snapshot", Kind::Snapshot),
    ("image", Kind::Image),
    ("securitygroup", Kind::SecurityGroup),
    ("keypair", Kind::KeyPair),
    ("VPC", Kind::Vpc),
    ("VSWITCH", Kind::VSwitch),
];

impl Kind {
    /// The kind that a request is about.
    pub fn read(call: &Call<'_>) -> Result<Self, Refusal> {
        call.parameters.choice("ResourceType", KINDS)?.ok_or_else(|| Refusal::missing("ResourceType"))
    }

    /// The cloud's name for it.
    pub fn word(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// The tags of one.
    pub async fn tags(self, call: &Call<'_>, id: &str) -> Result<Tags, Refusal> {
        let (compute, account) = (call.compute(), call.account());
        Ok(match self {
            Self::Instance => act::shown(call, id).await?.tags,
            Self::Disk => compute.volume(account, VolumeId::read(id)?).await?.tags,
            Self::Snapshot => compute.snapshot(account, SnapshotId::read(id)?).await?.tags,
            Self::Image => {
                let image = compute.image(account, ImageId::read(id)?).await?;
                // They are its owner's.
                if image.account != account { Tags::default() } else { image.tags }
            }
            Self::SecurityGroup => compute.security_group(account, SecurityGroupId::read(id)?).await?.tags,
            Self::KeyPair => compute.key_pair(account, id).await?.tags,
            Self::Vpc => compute.vpc(account, VpcId::read(id)?).await?.tags,
            Self::VSwitch => compute.subnet(account, SubnetId::read(id)?).await?.tags,
        })
    }

    /// Gives one these tags, and no others.
    pub async fn set(self, call: &Call<'_>, id: &str, tags: Tags) -> Result<(), Refusal> {
        let (compute, account) = (call.compute(), call.account());
        let words = || WordsChange { tags: Some(tags.clone()), ..WordsChange::default() };
        let done: Result<(), ComputeError> = match self {
            Self::Instance => {
                let id = act::shown(call, id).await?.id;
                let change = InstanceChange { tags: Some(tags), ..InstanceChange::default() };
                compute.change_instance(account, id, &change).await.map(drop)
            }
            Self::Disk => {
                let change = VolumeChange { tags: Some(tags), ..VolumeChange::default() };
                compute.change_volume(account, VolumeId::read(id)?, &change).await.map(drop)
            }
            Self::Snapshot => {
                compute.change_snapshot(account, SnapshotId::read(id)?, &words()).await.map(drop)
            }
            Self::Image => {
                let change = ImageChange { tags: Some(tags), ..ImageChange::default() };
                compute.change_image(account, ImageId::read(id)?, &change).await.map(drop)
            }
            Self::SecurityGroup => {
                compute.change_security_group(account, SecurityGroupId::read(id)?, &words()).await.map(drop)
            }
            Self::KeyPair => {
                let pair = compute.key_pair(account, id).await?;
                compute.tag_key_pair(account, pair.id, &tags).await.map(drop)
            }
            Self::Vpc => compute.change_vpc(account, VpcId::read(id)?, &words()).await.map(drop),
            Self::VSwitch => compute.change_subnet(account, SubnetId::read(id)?, &words()).await.map(drop),
        };
        Ok(done?)
    }
}

/// The resources that a request about tags names.
pub fn named(call: &Call<'_>) -> Result<Vec<String>, Refusal> {
    let ids = call.parameters.list("ResourceId")?.filter(|ids| !ids.is_empty());
    ids.ok_or_else(|| Refusal::missing("ResourceId"))
}

/// Whether there are all these tags, some by their keys alone.
pub fn has(tags: &Tags, wanted: &[(String, Option<String>)]) -> bool {
    wanted.iter().all(|(key, value)| {
        tags.0.get(key).is_some_and(|found| value.as_ref().is_none_or(|value| found == value))
    })
}

/// Tags as lists show them.
pub fn view(tags: &Tags) -> Vec<Value> {
    tags.0.iter().map(|(key, value)| json!({ "TagKey": key, "TagValue": value })).collect()
}
