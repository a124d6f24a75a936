//! DescribeSnapshots: an account's own snapshots by id, owner and filters, in pages. Nobody can give others the right to use one
//! here.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html>

use compute::id::SnapshotId;
use compute::resource::Snapshot;

use super::super::filters::Filters;
use super::super::paging::{Pages, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal, states};
use super::snapshot::{FILTERS, fields, view};
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let filters = Filters::read(parameters, FILTERS)?;
    let named: Vec<SnapshotId> = ids(parameters, "SnapshotId")?;
    let mut pages = Pages::read(parameters, !named.is_empty())?;
    let (owners, users) = (parameters.list("Owner")?, parameters.list("RestorableBy")?);
    let is_me = |word: &String| word == "self" || word == call.account();
    let is_mine =
        (owners.is_empty() || owners.iter().any(is_me)) && (users.is_empty() || users.iter().any(is_me));
    for id in &named {
        let snapshot = call.compute().snapshot(call.account(), *id).await?;
        if states::snapshot(snapshot.state).is_none() {
            return Err(Refusal::no_such("snapshot", &id.to_string()));
        }
    }
    while let Some((after, most)) = pages.wants() {
        let wanted = |snapshot: &Snapshot| {
            is_mine
                && states::snapshot(snapshot.state).is_some()
                && (named.is_empty() || named.contains(&snapshot.id))
                && filters.pass(&snapshot.tags, |name| fields(snapshot, name).into_iter().collect())
        };
        let listed = call.compute().snapshots(call.account(), after.as_deref(), most, wanted).await?;
        pages.add(listed.items, listed.next);
    }
    let (snapshots, more) = pages.done();
    Ok(next(Tree::new().list("snapshotSet", snapshots.iter().map(view)), more.as_deref()))
}
