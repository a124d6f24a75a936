//! DescribeVolumes: volumes by id and filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumes.html>

use compute::id::VolumeId;
use compute::resource::Volume;

use super::super::filters::Filters;
use super::super::paging::{Pages, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::volume::{FILTERS, fields, view};
use super::words::ids;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let filters = Filters::read(call.parameters, FILTERS)?;
    let named: Vec<VolumeId> = ids(call.parameters, "VolumeId")?;
    let mut pages = Pages::read(call.parameters, !named.is_empty())?;
    for id in &named {
        call.compute().volume(call.account(), *id).await?;
    }
    while let Some((after, most)) = pages.wants() {
        let wanted = |volume: &Volume| {
            (named.is_empty() || named.contains(&volume.id))
                && filters.pass(&volume.tags, |name| fields(call, volume, name).into_iter().collect())
        };
        let listed = call.compute().volumes(call.account(), after.as_deref(), most, wanted).await?;
        pages.add(listed.items, listed.next);
    }
    let (volumes, more) = pages.done();
    let volumes = volumes.iter().map(|volume| view(call, volume));
    Ok(next(Tree::new().list("volumeSet", volumes), more.as_deref()))
}
