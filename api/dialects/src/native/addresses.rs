//! Public addresses.

use compute::compute::ComputeError;
use compute::id::AddressId;
use compute::resource::Address;
use native_api::{
    self as api, AddressTarget, AllocateAddress, AssociateAddress, ErrorBody, Page, PageQuery, SetTags,
};

use super::Call;
use super::answer::{Answer, created, done, ok};
use super::convert::{self, id};
use super::errors::{OrRefuse, Refusal};
use super::request::{after, page_size, token};

/// With the instance that its interface is of.
async fn shown(call: &Call<'_>, address: Address) -> Result<api::Address, ErrorBody> {
    let instance = match address.interface {
        None => None,
        Some(interface) => match call.compute().interface(call.account(), interface).await {
            Ok(interface) => interface.instance,
            Err(ComputeError::NotFound { .. }) => None,
            Err(error) => return Err(error.refusal()),
        },
    };
    Ok(convert::address(address, instance))
}

/// AllocateAddress.
pub async fn allocate(call: &Call<'_>, request: AllocateAddress) -> Result<Answer, ErrorBody> {
    let (name, tags) = (convert::words(request.name), convert::new_tags(&request.tags));
    let address = call.compute().allocate_address(call.account(), None, &name, 0, tags).await.or_refuse()?;
    created(&shown(call, address).await?)
}

/// ListAddresses.
pub async fn list(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed =
        call.compute().addresses(call.account(), after.as_deref(), size, |_| true).await.or_refuse()?;
    let mut items = Vec::with_capacity(listed.items.len());
    for address in listed.items {
        items.push(shown(call, address).await?);
    }
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetAddress.
pub async fn get(call: &Call<'_>, id: AddressId) -> Result<Answer, ErrorBody> {
    let address = call.compute().address(call.account(), id).await.or_refuse()?;
    ok(&shown(call, address).await?)
}

/// AssociateAddress.
pub async fn associate(
    call: &Call<'_>,
    address: AddressId,
    request: AssociateAddress,
) -> Result<Answer, ErrorBody> {
    let interface = match &request.target {
        AddressTarget::NetworkInterface(interface) => id(interface),
        AddressTarget::Instance(instance) => {
            let instance = call.compute().instance(call.account(), id(instance)).await.or_refuse()?;
            let first = instance.interfaces.first().copied();
            first.ok_or_else(|| {
                ComputeError::invalid("target", "is an instance without network interfaces").refusal()
            })?
        }
    };
    let reassociate = request.reassociate;
    let address = call
        .compute()
        .associate_address(call.account(), address, Some(interface), reassociate)
        .await
        .or_refuse()?;
    ok(&shown(call, address).await?)
}

/// DisassociateAddress.
pub async fn disassociate(call: &Call<'_>, id: AddressId) -> Result<Answer, ErrorBody> {
    let address = call.compute().associate_address(call.account(), id, None, true).await.or_refuse()?;
    ok(&shown(call, address).await?)
}

/// ReleaseAddress.
pub async fn release(call: &Call<'_>, id: AddressId) -> Result<Answer, ErrorBody> {
    call.compute().release_address(call.account(), id).await.or_refuse()?;
    done()
}

/// SetAddressTags.
pub async fn set_tags(call: &Call<'_>, id: AddressId, request: SetTags) -> Result<Answer, ErrorBody> {
    let tags = convert::new_tags(&request.tags);
    let address = call.compute().change_address(call.account(), id, None, Some(&tags)).await.or_refuse()?;
    ok(&shown(call, address).await?)
}
