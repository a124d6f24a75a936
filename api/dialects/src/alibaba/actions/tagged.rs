//! Resources that have tags: found by the cloud's names for their kinds, and their tags looked at and changed.

use compute::compute::{TagChange, Taggable};
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

    /// One, as the core knows it.
    async fn find(self, call: &Call<'_>, id: &str) -> Result<Taggable, Refusal> {
        Ok(match self {
            Self::Instance => Taggable::Instance(act::shown(call, id).await?.id),
            Self::Disk => Taggable::Volume(CloudId::read(id)?),
            Self::Snapshot => Taggable::Snapshot(CloudId::read(id)?),
            Self::Image => Taggable::Image(CloudId::read(id)?),
            Self::SecurityGroup => Taggable::SecurityGroup(CloudId::read(id)?),
            Self::KeyPair => Taggable::KeyPair(call.compute().key_pair(call.account(), id).await?.id),
            Self::Vpc => Taggable::Vpc(CloudId::read(id)?),
            Self::VSwitch => Taggable::Subnet(CloudId::read(id)?),
        })
    }
}

/// Changes the tags of all resources that a request names, or of none.
pub async fn change(call: &Call<'_>, change: &TagChange) -> Result<(), Refusal> {
    let kind = Kind::read(call)?;
    let mut resources = Vec::new();
    for id in named(call)? {
        resources.push(kind.find(call, &id).await?);
    }
    Ok(call.compute().tag(call.account(), &resources, change).await?)
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
