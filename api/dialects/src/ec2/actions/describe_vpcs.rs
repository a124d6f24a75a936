//! DescribeVpcs: VPCs by id and filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>

use compute::id::VpcId;

use super::super::filters::Filters;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::vpc::{FILTERS, fields, view};
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let ids: Vec<VpcId> = ids(parameters, "VpcId")?;
    let filters = Filters::read(parameters, FILTERS)?;
    let paging = Paging::read(parameters, !ids.is_empty())?;
    for id in &ids {
        call.compute().vpc(call.account(), *id).await?;
    }
    let mut all = call.compute().vpcs(call.account(), None, usize::MAX).await?.items;
    all.retain(|vpc| {
        (ids.is_empty() || ids.contains(&vpc.id)) && filters.pass(&vpc.tags, |name| fields(vpc, name))
    });
    let (page, more) = paging.cut(all, |vpc| vpc.id.to_string());
    Ok(next(Tree::new().list("vpcSet", page.iter().map(view)), more.as_deref()))
}
