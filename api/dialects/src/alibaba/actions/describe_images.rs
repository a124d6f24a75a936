//! DescribeImages: those that the caller may launch from, by id or name, owner and status.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeimages>

use compute::resource::{Image, ImageState};
use serde_json::{Value, json};

use super::super::ids::{CloudId, some};
use super::super::paging::Paging;
use super::super::{Call, Refusal};
use super::image;
use super::instance::is_like;
use super::tagged::has;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let (parameters, account) = (call.parameters, call.account());
    let names = parameters.list("ImageId")?;
    let ids = names.as_ref().map(|names| some::<compute::id::Image>(names));
    let named = |image: &Image| match (&names, &ids) {
        (Some(names), Some(ids)) => ids.contains(&image.id) || names.contains(&image.name),
        _ => true,
    };
    let snapshot = parameters.get("SnapshotId").map(CloudId::read).transpose()?;
    // As the cloud does, only those that can be launched from are shown unless others are asked for.
    let statuses = parameters.list("Status")?.unwrap_or_else(|| vec!["Available".to_owned()]);
    let mut states = Vec::new();
    for status in &statuses {
        match status.as_str() {
            "Available" => states.push(ImageState::Available),
            "Creating" | "Waiting" | "CreateFailed" => states.push(ImageState::Pending),
            "UnAvailable" | "Deprecated" => {}
            _ => return Err(parameters.invalid("Status")),
        }
    }
    let owner = parameters.get("ImageOwnerAlias");
    if owner.is_some_and(|owner| !["system", "self", "others", "marketplace"].contains(&owner)) {
        return Err(parameters.invalid("ImageOwnerAlias"));
    }
    let owned = |image: &Image| match owner {
        Some("self") => image.account == account,
        Some("system") => image.account != account && image.public,
        Some("others") => image.account != account && !image.public,
        Some(_) => false,
        None => true,
    };
    let name = parameters.get("ImageName");
    let tags = parameters.tag_pairs()?;
    let mut paging = Paging::read(parameters)?;
    let (after, size) = (paging.after.clone(), paging.size);
    let wanted = |image: &Image| {
        paging.takes(
            states.contains(&image.state)
                && named(image)
                && owned(image)
                && name.is_none_or(|name| is_like(&image.name, name))
                && snapshot.is_none_or(|snapshot| image.snapshot == Some(snapshot))
                && has(&image.tags, &tags),
        )
    };
    let listed = call.compute().images(account, after.as_deref(), size, wanted).await?;
    let mut images = Vec::with_capacity(listed.items.len());
    for found in &listed.items {
        images.extend(image::view(call.compute(), account, found).await?);
    }
    let answer = json!({ "RegionId": call.region(), "Images": { "Image": images } });
    Ok(paging.told(answer, listed.next.as_deref()))
}
