//! DescribeInstances: instances of the caller's, in their reservations. One that is somebody else's is left out; one that is
//! nobody's is refused.

use std::collections::BTreeMap;

use compute::compute::InstanceView;
use compute::id::{InstanceId, ReservationId};

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::instance;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let (compute, account) = (call.compute(), call.account());
    let mut wanted: Vec<InstanceId> = Vec::new();
    let ids = call.parameters.list("InstanceId")?;
    for id in &ids {
        let read = InstanceId::read(id)?;
        if compute.account_of(read).is_none() {
            return Err(Refusal::no_such("instance", id));
        }
        wanted.push(read);
    }
    let views = match ids.is_empty() {
        true => compute.instance_views(account, None, usize::MAX, |_| true).await?.items,
        // Clients that wait ask again and again: none is read but theirs.
        false => {
            wanted.sort_unstable();
            wanted.dedup();
            compute.instance_views_of(account, &wanted, |_| true).await?
        }
    };
    let mut reservations: BTreeMap<ReservationId, Vec<InstanceView>> = BTreeMap::new();
    for view in views {
        reservations.entry(view.instance.reservation).or_default().push(view);
    }
    let mut known = compute.reservations_of(account, reservations.keys().copied()).await?;
    let mut items = Vec::with_capacity(reservations.len());
    for (id, mut views) in reservations {
        views.sort_by_key(|view| (view.instance.launch_index, view.instance.image));
        let groups = known.remove(&id).map(|reservation| reservation.security_groups).unwrap_or_default();
        let domains = &compute.config().domains;
        items.push(
            Tree::new()
                .text("reservationId", id.written())
                .text("ownerId", account)
                .and(instance::group_set(&groups))
                .list("instancesSet", views.iter().map(|view| instance::view(domains, view))),
        );
    }
    Ok(Tree::new().list("reservationSet", items))
}
