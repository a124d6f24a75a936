//! DescribeInstances: instances by id and filters, in their reservations, in pages. Those that are terminated are shown for a
//! while.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>

use compute::compute::InstanceView;
use compute::id::InstanceId;

use super::super::filters::Filters;
use super::super::paging::{Pages, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::instance::{self, Around, FILTERS};
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let filters = Filters::read(call.parameters, FILTERS)?;
    let named: Vec<InstanceId> = ids(call.parameters, "InstanceId")?;
    let pages = Pages::read(call.parameters, !named.is_empty())?;
    let (views, around, more) = listed(call, &named, pages, |view, around| {
        filters.pass(&view.instance.tags, |name| instance::fields(call, view, around, name))
    })
    .await?;
    let reservations = instance::reservations(call, &views, &around);
    Ok(next(Tree::new().list("reservationSet", reservations), more.as_deref()))
}

/// The instances that are named, or all, as far as they are wanted; with what is around them, and where to go on.
pub async fn listed(
    call: &Call<'_>,
    named: &[InstanceId],
    mut pages: Pages<InstanceView>,
    wanted: impl Fn(&InstanceView, &Around) -> bool,
) -> Result<(Vec<InstanceView>, Around, Option<String>), Refusal> {
    let (compute, account) = (call.compute(), call.account());
    if !named.is_empty() {
        for id in named {
            compute.instance(account, *id).await?;
        }
        let views = compute.instance_views_of(account, named, |_| true).await?;
        let around = Around::of(call, &views).await?;
        let views = views.into_iter().filter(|view| wanted(view, &around)).collect();
        return Ok((views, around, None));
    }
    while let Some((after, most)) = pages.wants() {
        let listed = compute.instance_views(account, after.as_deref(), most, |_| true).await?;
        let around = Around::of(call, &listed.items).await?;
        pages.add(listed.items.into_iter().filter(|view| wanted(view, &around)), listed.next);
    }
    let (views, more) = pages.done();
    let around = Around::of(call, &views).await?;
    Ok((views, around, more))
}
