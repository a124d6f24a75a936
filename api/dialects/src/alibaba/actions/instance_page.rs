//! A page of instances, in either style. No more records are read than it takes: clients that wait ask for one instance again
//! and again, others for page after page of all.

use compute::compute::InstanceView;
use compute::id::InstanceId;
use compute::resource::Instance;

use super::super::paging::Paging;
use super::super::{Call, Refusal};

/// So many are read one by one, rather than all that there are.
const FEW: usize = 100;

/// Which instances a list is of.
pub enum Of {
    /// All that are not released.
    All,
    /// Some of these.
    These(Vec<InstanceId>),
    /// Those of all that pass.
    Passing,
}

/// The instances of a page, and where the next one begins. Of those that the list is of, `wanted` takes some.
pub async fn page(
    call: &Call<'_>,
    paging: &mut Paging,
    of: Of,
    wanted: impl Fn(&Instance) -> bool,
) -> Result<(Vec<InstanceView>, Option<String>), Refusal> {
    let (compute, account, size) = (call.compute(), call.account(), paging.size);
    match (paging.skipped(), of) {
        (Some(skipped), Of::All) => {
            let (count, page) = compute.instance_view_page(account, skipped, size).await?;
            paging.counted(count);
            Ok((page, None))
        }
        (Some(_), Of::These(few)) if few.len() <= FEW => {
            let takes = |instance: &Instance| paging.takes(wanted(instance));
            Ok((compute.instance_views_of(account, &few, takes).await?, None))
        }
        (None, Of::These(few)) if few.len() <= FEW => {
            let after = paging.after.as_ref().map(|after| after.parse::<InstanceId>());
            let after = after.transpose().map_err(|_| call.parameters.invalid("NextToken"))?;
            let few: Vec<InstanceId> =
                few.into_iter().filter(|id| after.is_none_or(|after| *id > after)).collect();
            let mut found = compute.instance_views_of(account, &few, wanted).await?;
            let is_last = found.len() <= size;
            found.truncate(size);
            let next = found.last().filter(|_| !is_last).map(|last| last.instance.id.to_string());
            Ok((found, next))
        }
        (_, Of::All | Of::These(_) | Of::Passing) => {
            let after = paging.after.clone();
            let takes = |instance: &Instance| paging.takes(wanted(instance));
            let listed = compute.instance_views(account, after.as_deref(), size, takes).await?;
            Ok((listed.items, listed.next))
        }
    }
}
