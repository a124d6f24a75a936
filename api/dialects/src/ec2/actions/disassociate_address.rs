//! DisassociateAddress: lets a public address lead nowhere. One that does already is success.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisassociateAddress.html>

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::address::{all, association, by_itself};
use super::refusals::{self, shown};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let address = match (parameters.get("AssociationId"), parameters.get("PublicIp")) {
        (Some(_), Some(_)) => return Err(refusals::combination("AssociationId", "PublicIp")),
        (None, None) => return Err(Refusal::missing("AssociationId")),
        (None, Some(text)) => by_itself(call, text).await?,
        (Some(id), None) => {
            let found = all(call).await?.into_iter().find(|known| association(known).as_deref() == Some(id));
            found.ok_or_else(|| {
                let id = shown(id);
                let why = format!("The association ID '{id}' does not exist");
                Refusal::new(400, "InvalidAssociationID.NotFound", why)
            })?
        }
    };
    call.compute().associate_address(call.account(), address.id, None, true).await?;
    Ok(Tree::done())
}
