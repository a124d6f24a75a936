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
    let is_wanted = |id: InstanceId| ids.is_empty() || wanted.contains(&id);
    let all = compute.instance_views(account, None, usize::MAX, |instance| is_wanted(instance.id)).await?;
    let mut reservations: BTreeMap<ReservationId, Vec<InstanceView>> = BTreeMap::new();
    for view in all.items {
        reservations.entry(view.instance.reservation).or_default().push(view);
    }
    let mut items = Vec::with_capacity(reservations.len());
    for (id, mut views) in reservations {
        views.sort_by_key(|view| (view.instance.launch_index, view.instance.image));
        let reservation = compute.reservation_of(account, id).await?;
        let domains = &compute.config().domains;
        items.push(
            Tree::new()
                .text("reservationId", id.written())
                .text("ownerId", account)
                .and(instance::group_set(&reservation.security_groups))
                .list("instancesSet", views.iter().map(|view| instance::view(domains, view))),
        );
    }
    Ok(Tree::new().list("reservationSet", items))
}
