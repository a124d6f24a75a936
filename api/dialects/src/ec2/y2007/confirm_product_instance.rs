//! ConfirmProductInstance: whether an instance, whosever it is, runs a product of the caller's. Whoever owns the image that the
//! instance came from may ask.

use compute::compute::ComputeError;
use compute::id::InstanceId;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Protocol, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let code = call.parameters.required("ProductCode")?.to_owned();
    let id = call.parameters.required("InstanceId")?;
    let read = InstanceId::read(id)?;
    let owner = call.compute().account_of(read).ok_or_else(|| Refusal::no_such("instance", id))?;
    let instance = call.compute().instance(&owner, read).await?;
    let is_vendor = match call.compute().any_image(instance.image).await {
        Ok(image) => image.account == call.account(),
        // It was deregistered long ago: then whoever has the product may ask.
        Err(ComputeError::NotFound { .. }) => {
            let account = call.account();
            let has = |image: &compute::resource::Image| {
                image.account == account && image.product_codes.contains(&code)
            };
            !call.compute().images(account, None, 1, has).await?.items.is_empty()
        }
        Err(error) => return Err(error.into()),
    };
    if !is_vendor {
        return Err(Refusal::new(401, "AuthFailure", "Not authorized for the product of this instance"));
    }
    let is_attached = instance.product_codes.contains(&code);
    // Old clients of Query look for another word than the WSDL has.
    let word = match call.protocol {
        Protocol::Query => "result",
        Protocol::Soap => "return",
    };
    Ok(Tree::new().text(word, is_attached).text_if("ownerId", is_attached.then_some(&owner)))
}
