//! DescribeImages: images that the caller may launch, by id, owner, who may launch them, and filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>

use compute::id::ImageId;
use compute::identity::AccountId;
use compute::resource::{Image, Tags};

use super::super::filters::Filters;
use super::super::paging::{Pages, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal, states};
use super::image::{FILTERS, fields, view, visible};
use super::words::ids;

/// Owners that are no accounts here, and have no images.
const ELSEWHERE: &[&str] = &["amazon", "aws-backup-vault", "aws-marketplace"];

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let filters = Filters::read(parameters, FILTERS)?;
    let named: Vec<ImageId> = ids(parameters, "ImageId")?;
    let mut pages = Pages::read(parameters, !named.is_empty())?;
    let owners = users(call, "Owner", ELSEWHERE)?;
    let launchers = users(call, "ExecutableBy", &["all"])?;
    for id in &named {
        visible(call, &id.to_string()).await?;
    }
    while let Some((after, most)) = pages.wants() {
        let wanted = |image: &Image| {
            let tags = if image.account == call.account() { &image.tags } else { &Tags::default() };
            states::image(image.state).is_some()
                && (named.is_empty() || named.contains(&image.id))
                && (owners.is_empty() || owners.contains(&image.account))
                && (launchers.is_empty() || launchers.iter().any(|who| is_for(image, call.account(), who)))
                && filters.pass(tags, |name| fields(image, name))
        };
        let listed = call.compute().images(call.account(), after.as_deref(), most, wanted).await?;
        pages.add(listed.items, listed.next);
    }
    let (images, more) = pages.done();
    let images = images.iter().map(|image| view(call, image));
    Ok(next(Tree::new().list("imagesSet", images), more.as_deref()))
}

/// Whether an image was given to somebody: everybody, the caller by its owner, or another by the caller.
fn is_for(image: &Image, caller: &str, who: &str) -> bool {
    match who {
        "all" => image.public,
        _ => image.launch_permissions.contains(who) && (image.account == caller || who == caller),
    }
}

/// Accounts of a list, with `self` for the caller's, and some words.
fn users(call: &Call<'_>, name: &str, words: &[&str]) -> Result<Vec<String>, Refusal> {
    let user = |text: String| match text.as_str() {
        "self" => Ok(call.account().to_owned()),
        text if words.contains(&text) || text.parse::<AccountId>().is_ok() => Ok(text.to_owned()),
        text => {
            let text: String = text.chars().take(64).collect();
            Err(Refusal::new(400, "InvalidUserID.Malformed", format!("Invalid user id: \"{text}\"")))
        }
    };
    call.parameters.list(name)?.into_iter().map(user).collect()
}
