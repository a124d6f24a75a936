//! DescribeSubnets: subnets by id and filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>

use compute::id::SubnetId;
use compute::resource::Subnet;

use super::super::filters::Filters;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::subnet::{FILTERS, fields, view};
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let ids: Vec<SubnetId> = ids(parameters, "SubnetId")?;
    let filters = Filters::read(parameters, FILTERS)?;
    let paging = Paging::read(parameters, !ids.is_empty())?;
    for id in &ids {
        call.compute().subnet(call.account(), *id).await?;
    }
    let wanted = |subnet: &Subnet| {
        (ids.is_empty() || ids.contains(&subnet.id))
            && filters.pass(&subnet.tags, |name| fields(call, subnet, name))
    };
    let listed = call.compute().subnets(call.account(), paging.after.as_deref(), paging.size, wanted).await?;
    let subnets = listed.items.iter().map(|subnet| view(call, subnet));
    Ok(next(Tree::new().list("subnetSet", subnets), listed.next.as_deref()))
}
