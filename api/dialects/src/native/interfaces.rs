//! Network interfaces.

use std::collections::HashMap;

use compute::compute::{InterfaceChange, NewInterface};
use compute::id::InterfaceId;
use compute::resource::{Address, Interface};
use native_api::{
    self as api, AttachNetworkInterface, CreateNetworkInterface, ErrorBody, Force, NetworkQuery, Page,
    SetTags, UpdateNetworkInterface,
};

use super::Call;
use super::answer::{Answer, created, done, ok};
use super::convert::{self, has_tags, id, is_named};
use super::errors::OrRefuse;
use super::request::{after, page_size, token};
use super::snapshots::tagged;

/// With their public addresses.
async fn shown(call: &Call<'_>, interfaces: Vec<Interface>) -> Result<Vec<api::NetworkInterface>, ErrorBody> {
    let publics = call.compute().addresses_by_interface(call.account()).await.or_refuse()?;
    let publics: HashMap<InterfaceId, Address> = publics;
    let shown = |interface: Interface| {
        let public = publics.get(&interface.id);
        convert::interface(interface, public)
    };
    Ok(interfaces.into_iter().map(shown).collect())
}

async fn one(call: &Call<'_>, interface: Interface) -> Result<api::NetworkInterface, ErrorBody> {
    let mut all = shown(call, vec![interface]).await?;
    Ok(all.pop().expect("there are as many as before"))
}

/// CreateNetworkInterface.
pub async fn create(call: &Call<'_>, request: CreateNetworkInterface) -> Result<Answer, ErrorBody> {
    let new = NewInterface {
        subnet: id(&request.subnet),
        address: request.private_address,
        security_groups: request.security_groups.iter().map(id).collect(),
        name: convert::words(request.name),
        description: convert::words(request.description),
        tags: convert::new_tags(&request.tags),
        token: None,
    };
    let interface = call.compute().create_interface(call.account(), &new).await.or_refuse()?;
    created(&one(call, interface).await?)
}

/// ListNetworkInterfaces.
pub async fn list(call: &Call<'_>, query: NetworkQuery) -> Result<Answer, ErrorBody> {
    let vpc = query.vpc.as_ref().map(id);
    let wanted = |interface: &Interface| {
        vpc.is_none_or(|vpc| interface.vpc == vpc)
            && is_named(&interface.name, query.name.as_ref())
            && has_tags(&interface.tags, &query.tag)
    };
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed =
        call.compute().interfaces(call.account(), after.as_deref(), size, wanted).await.or_refuse()?;
    let items = shown(call, listed.items).await?;
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetNetworkInterface.
pub async fn get(call: &Call<'_>, id: InterfaceId) -> Result<Answer, ErrorBody> {
    let interface = call.compute().interface(call.account(), id).await.or_refuse()?;
    ok(&one(call, interface).await?)
}

/// UpdateNetworkInterface.
pub async fn update(
    call: &Call<'_>,
    interface: InterfaceId,
    request: UpdateNetworkInterface,
) -> Result<Answer, ErrorBody> {
    let change = InterfaceChange {
        words: compute::compute::WordsChange {
            name: request.name.map(Into::into),
            description: request.description.map(Into::into),
            tags: None,
        },
        security_groups: request.security_groups.map(|groups| groups.iter().map(id).collect()),
        ..InterfaceChange::default()
    };
    let interface = call.compute().change_interface(call.account(), interface, &change).await.or_refuse()?;
    ok(&one(call, interface).await?)
}

/// SetNetworkInterfaceTags.
pub async fn set_tags(call: &Call<'_>, id: InterfaceId, request: SetTags) -> Result<Answer, ErrorBody> {
    let change = InterfaceChange { words: tagged(&request), ..InterfaceChange::default() };
    let interface = call.compute().change_interface(call.account(), id, &change).await.or_refuse()?;
    ok(&one(call, interface).await?)
}

/// AttachNetworkInterface.
pub async fn attach(
    call: &Call<'_>,
    interface: InterfaceId,
    request: AttachNetworkInterface,
) -> Result<Answer, ErrorBody> {
    let (instance, goes) = (id(&request.instance), request.delete_with_instance);
    let interface =
        call.compute().attach_interface(call.account(), interface, instance, goes).await.or_refuse()?;
    ok(&one(call, interface).await?)
}

/// DetachNetworkInterface. It is only taken from an instance that has no VM, so that there is nobody to be asked.
pub async fn detach(call: &Call<'_>, id: InterfaceId, _: Force) -> Result<Answer, ErrorBody> {
    let interface = call.compute().detach_interface(call.account(), id).await.or_refuse()?;
    ok(&one(call, interface).await?)
}

/// DeleteNetworkInterface.
pub async fn delete(call: &Call<'_>, id: InterfaceId) -> Result<Answer, ErrorBody> {
    call.compute().delete_interface(call.account(), id).await.or_refuse()?;
    done()
}
