//! Resources that have tags, found by their ids, whose words tell their kinds; and their tags changed, of all that a request
//! names or of none.

use compute::compute::{ComputeError, InstanceChange, TagChange, Taggable};
use compute::resource::Tags;

use super::super::ids::CloudId;
use super::super::{Call, Refusal};

/// The tag that is a resource's name for people, which the core has a place for where instances are listed.
const NAME: &str = "Name";

/// Most characters of the core's name.
const MAX_NAME: usize = 128;

/// What has this id.
///
/// # Errors
///
/// It is the id of nothing that can have tags.
fn read(id: &str) -> Result<Taggable, Refusal> {
    Ok(match id.split('-').next().unwrap_or_default() {
        "i" => Taggable::Instance(CloudId::read(id)?),
        "ami" => Taggable::Image(CloudId::read(id)?),
        "vol" => Taggable::Volume(CloudId::read(id)?),
        "snap" => Taggable::Snapshot(CloudId::read(id)?),
        "sg" => Taggable::SecurityGroup(CloudId::read(id)?),
        "subnet" => Taggable::Subnet(CloudId::read(id)?),
        "vpc" => Taggable::Vpc(CloudId::read(id)?),
        "eipalloc" => Taggable::Address(CloudId::read(id)?),
        "eni" => Taggable::Interface(CloudId::read(id)?),
        "key" => Taggable::KeyPair(CloudId::read(id)?),
        _ => {
            let id: String = id.chars().take(64).collect();
            return Err(Refusal::new(400, "InvalidID", format!("The ID '{id}' is not valid")));
        }
    })
}

/// The resources that a request about tags names.
pub fn named(call: &Call<'_>) -> Result<Vec<Taggable>, Refusal> {
    call.parameters.required_list("ResourceId")?.iter().map(|id| read(id)).collect()
}

/// Changes the tags of resources.
pub async fn change(call: &Call<'_>, resources: &[Taggable], change: &TagChange) -> Result<(), Refusal> {
    call.compute().tag(call.account(), resources, change).await?;
    match change {
        TagChange::Add(tags) => rename(call, resources, tags).await,
        TagChange::Remove(_) | TagChange::RemoveAll => Ok(()),
    }
}

/// Calls instances by the name that was hung on them.
async fn rename(call: &Call<'_>, resources: &[Taggable], tags: &Tags) -> Result<(), Refusal> {
    let Some(name) = tags.0.get(NAME) else { return Ok(()) };
    let name: String = name.chars().take(MAX_NAME).collect();
    for resource in resources {
        let Taggable::Instance(id) = resource else { continue };
        let change = InstanceChange { name: Some(name.clone()), ..InstanceChange::default() };
        match call.compute().change_instance(call.account(), *id, &change).await {
            // It has its tag, or is gone by now: what people see in a list is no reason to refuse that.
            Ok(_) | Err(ComputeError::Refused { .. } | ComputeError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
