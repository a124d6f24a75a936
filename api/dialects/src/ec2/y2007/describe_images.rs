//! DescribeImages: images that the caller may launch, by id, by owner and by who else may. Several lists together name what is
//! in each.

use compute::id::ImageId;
use compute::identity::AccountId;
use compute::resource::Image;

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::image::view;

/// By whom an image is asked for.
enum Who {
    Caller,
    /// Everybody.
    All,
    /// Whose images the caller was given by name.
    Explicit,
    /// Amazon, which has no images here.
    Amazon,
    Account(String),
}

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let mut ids: Vec<ImageId> = Vec::new();
    for id in call.parameters.list("ImageId")? {
        let id = ImageId::read(&id)?;
        call.compute().any_image(id).await?;
        ids.push(id);
    }
    let owners = who(call, "Owner", &["self", "amazon", "explicit"])?;
    let launchers = who(call, "ExecutableBy", &["self", "all"])?;
    let account = call.account();
    let wanted = |image: &Image| {
        (ids.is_empty() || ids.contains(&image.id))
            && (owners.is_empty() || owners.iter().any(|who| is_of(image, account, who)))
            && (launchers.is_empty() || launchers.iter().any(|who| is_for(image, account, who)))
    };
    let images = call.compute().images(account, None, usize::MAX, wanted).await?.items;
    Ok(Tree::new().list("imagesSet", images.iter().map(view)))
}

/// Accounts and words of a list.
fn who(call: &Call<'_>, list: &str, words: &[&str]) -> Result<Vec<Who>, Refusal> {
    let read = |text: String| match text.as_str() {
        "self" if words.contains(&"self") => Ok(Who::Caller),
        "all" if words.contains(&"all") => Ok(Who::All),
        "explicit" if words.contains(&"explicit") => Ok(Who::Explicit),
        "amazon" if words.contains(&"amazon") => Ok(Who::Amazon),
        account if account.parse::<AccountId>().is_ok() => Ok(Who::Account(text)),
        _ => {
            let text: String = text.chars().take(64).collect();
            Err(Refusal::new(400, "InvalidUserID.Malformed", format!("Invalid user id: \"{text}\"")))
        }
    };
    call.parameters.list(list)?.into_iter().map(read).collect()
}

/// Whether somebody owns an image.
fn is_of(image: &Image, caller: &str, who: &Who) -> bool {
    match who {
        Who::Caller => image.account == caller,
        Who::Explicit => image.account != caller && image.launch_permissions.contains(caller),
        Who::Account(account) => image.account == *account,
        Who::Amazon | Who::All => false,
    }
}

/// Whether an image was given to somebody: to everybody, to the caller by its owner, or to another by the caller.
fn is_for(image: &Image, caller: &str, who: &Who) -> bool {
    match who {
        Who::All => image.public,
        Who::Caller => image.account != caller && image.launch_permissions.contains(caller),
        Who::Account(account) => image.account == caller && image.launch_permissions.contains(account),
        Who::Amazon | Who::Explicit => false,
    }
}
