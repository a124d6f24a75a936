//! DescribeNetworkInterfaces: network interfaces by id and filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html>

use compute::id::InterfaceId;
use compute::resource::Interface;

use super::super::filters::Filters;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::interface::{FILTERS, Known, fields, view};
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let ids: Vec<InterfaceId> = ids(parameters, "NetworkInterfaceId")?;
    let filters = Filters::read(parameters, FILTERS)?;
    let paging = Paging::read(parameters, !ids.is_empty())?;
    for id in &ids {
        call.compute().interface(call.account(), *id).await?;
    }
    let known = Known::of(call).await?;
    let wanted = |interface: &Interface| {
        let is_asked = ids.is_empty() || ids.contains(&interface.id);
        is_asked && filters.pass(&interface.tags, |name| fields(call, interface, &known, name))
    };
    let listed =
        call.compute().interfaces(call.account(), paging.after.as_deref(), paging.size, wanted).await?;
    let views = listed.items.iter().map(|interface| view(call, interface, &known));
    Ok(next(Tree::new().list("networkInterfaceSet", views), listed.next.as_deref()))
}
