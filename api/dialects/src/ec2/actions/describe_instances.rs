//! DescribeInstances: instances by id and filters, in their reservations, in pages. Those that are terminated are shown for a
//! while.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>

use compute::compute::InstanceView;
use compute::id::InstanceId;

use super::super::filters::Filters;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::instance::{self, Around, FILTERS};
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let filters = Filters::read(call.parameters, FILTERS)?;
    let named: Vec<InstanceId> = ids(call.parameters, "InstanceId")?;
    let paging = Paging::read(call.parameters, !named.is_empty())?;
    let (views, around, more) = listed(call, &named, paging, |view, around| {
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
    paging: Paging,
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
    let (mut views, mut after) = (Vec::new(), paging.after);
    let mut around = Around::of(call, &[]).await?;
    // As many as are wanted, and each time that too few of them pass, twice as many as before.
    let mut some = paging.size;
    loop {
        let listed = compute.instance_views(account, after.as_deref(), some, |_| true).await?;
        some = some.saturating_mul(2);
        around.add(call, &listed.items).await?;
        views.extend(listed.items.into_iter().filter(|view| wanted(view, &around)));
        after = listed.next;
        if views.len() > paging.size {
            views.truncate(paging.size);
            after = views.last().map(|view: &InstanceView| view.instance.id.to_string());
        }
        if after.is_none() || views.len() >= paging.size {
            return Ok((views, around, after));
        }
    }
}
