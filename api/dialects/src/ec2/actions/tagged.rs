//! Resources that have tags: found by their ids, whose words tell their kinds, and their tags looked at and changed.

use compute::compute::{
    ComputeError, ImageChange, InstanceChange, InterfaceChange, VolumeChange, WordsChange,
};
use compute::id::{
    AddressId, ImageId, InstanceId, InterfaceId, KeyPairId, SecurityGroupId, SnapshotId, SubnetId, VolumeId,
    VpcId,
};
use compute::resource::Tags;

use super::super::ids::CloudId;
use super::super::{Call, Refusal};
use super::image;

/// Something that tags can be hung on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagged {
    Instance(InstanceId),
    Image(ImageId),
    Volume(VolumeId),
    Snapshot(SnapshotId),
    SecurityGroup(SecurityGroupId),
    Subnet(SubnetId),
    Vpc(VpcId),
    Address(AddressId),
    Interface(InterfaceId),
    KeyPair(KeyPairId),
}

/// The tag that is a resource's name for people, which the core has a place for.
const NAME: &str = "Name";

/// Most characters of the core's name.
const MAX_NAME: usize = 128;

impl Tagged {
    /// What has this id.
    ///
    /// # Errors
    ///
    /// It is the id of nothing that can have tags.
    pub fn read(id: &str) -> Result<Self, Refusal> {
        Ok(match id.split('-').next().unwrap_or_default() {
            "i" => Self::Instance(CloudId::read(id)?),
            "ami" => Self::Image(CloudId::read(id)?),
            "vol" => Self::Volume(CloudId::read(id)?),
            "snap" => Self::Snapshot(CloudId::read(id)?),
            "sg" => Self::SecurityGroup(CloudId::read(id)?),
            "subnet" => Self::Subnet(CloudId::read(id)?),
            "vpc" => Self::Vpc(CloudId::read(id)?),
            "eipalloc" => Self::Address(CloudId::read(id)?),
            "eni" => Self::Interface(CloudId::read(id)?),
            "key" => Self::KeyPair(CloudId::read(id)?),
            _ => {
                let id: String = id.chars().take(64).collect();
                return Err(Refusal::new(400, "InvalidID", format!("The ID '{id}' is not valid")));
            }
        })
    }

    /// Its tags.
    pub async fn tags(self, call: &Call<'_>) -> Result<Tags, Refusal> {
        let (compute, account) = (call.compute(), call.account());
        Ok(match self {
            Self::Instance(id) => compute.instance(account, id).await?.tags,
            // They are its owner's.
            Self::Image(id) => image::own(call, &id.written()).await?.tags,
            Self::Volume(id) => compute.volume(account, id).await?.tags,
            Self::Snapshot(id) => compute.snapshot(account, id).await?.tags,
            Self::SecurityGroup(id) => compute.security_group(account, id).await?.tags,
            Self::Subnet(id) => compute.subnet(account, id).await?.tags,
            Self::Vpc(id) => compute.vpc(account, id).await?.tags,
            Self::Address(id) => compute.address(account, id).await?.tags,
            Self::Interface(id) => compute.interface(account, id).await?.tags,
            Self::KeyPair(id) => compute.key_pair_of(account, id).await?.tags,
        })
    }

    /// Gives it these tags, and no others.
    pub async fn set(self, call: &Call<'_>, tags: Tags) -> Result<(), Refusal> {
        let (compute, account) = (call.compute(), call.account());
        let words = || WordsChange { tags: Some(tags.clone()), ..WordsChange::default() };
        let done: Result<(), ComputeError> = match self {
            Self::Instance(id) => {
                let name = tags.0.get(NAME).map(|name| name.chars().take(MAX_NAME).collect());
                let change = InstanceChange { tags: Some(tags), name, ..InstanceChange::default() };
                compute.change_instance(account, id, &change).await.map(drop)
            }
            Self::Image(id) => {
                let change = ImageChange { tags: Some(tags), ..ImageChange::default() };
                compute.change_image(account, id, &change).await.map(drop)
            }
            Self::Volume(id) => {
                let change = VolumeChange { tags: Some(tags), ..VolumeChange::default() };
                compute.change_volume(account, id, &change).await.map(drop)
            }
            Self::Snapshot(id) => compute.change_snapshot(account, id, &words()).await.map(drop),
            Self::SecurityGroup(id) => compute.change_security_group(account, id, &words()).await.map(drop),
            Self::Subnet(id) => compute.change_subnet(account, id, &words()).await.map(drop),
            Self::Vpc(id) => compute.change_vpc(account, id, &words()).await.map(drop),
            Self::Address(id) => compute.change_address(account, id, None, Some(&tags)).await.map(drop),
            Self::Interface(id) => {
                let change = InterfaceChange { words: words(), security_groups: None };
                compute.change_interface(account, id, &change).await.map(drop)
            }
            Self::KeyPair(id) => compute.tag_key_pair(account, id, &tags).await.map(drop),
        };
        Ok(done?)
    }
}

/// The resources that a request about tags names, each with the tags that it has, once.
pub async fn named(call: &Call<'_>) -> Result<Vec<(Tagged, Tags)>, Refusal> {
    let mut named: Vec<(Tagged, Tags)> = Vec::new();
    for id in call.parameters.required_list("ResourceId")? {
        let one = Tagged::read(&id)?;
        if named.iter().all(|(known, _)| *known != one) {
            named.push((one, one.tags(call).await?));
        }
    }
    Ok(named)
}
