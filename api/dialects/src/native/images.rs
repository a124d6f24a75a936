//! Images: made of files of the host or of snapshots, shared, removed.

use compute::compute::{ComputeError, ImageChange, NewImage};
use compute::id::ImageId;
use compute::image_url;
use compute::outside::{ImageSource, UrlSource};
use compute::resource::{Image, ImageState, Job, Resource};
use native_api::{
    self as api, CreateImage, ErrorBody, HostPath, ImageQuery, ImageUrl, ImportImage, ImportSource, Page,
    SetTags, UpdateImage,
};

use super::answer::{Answer, accepted, done, ok};
use super::convert::{self, has_tags, id, is_named};
use super::errors::{OrRefuse, Refusal};
use super::launch::token_of;
use super::request::{after, page_size, token};
use super::{Call, states};

/// The command line of a file system that came without one: the first disk, and the console that we have.
const CMDLINE: &str = "root=/dev/vda rw console=ttyS0";

/// ImportImage.
pub async fn import(call: &Call<'_>, mut request: ImportImage) -> Result<Answer, ErrorBody> {
    let token = request.client_token.take().map(|token| token_of(token, "native/ImportImage", &request));
    let (path, url, sha256, kernel) = match request.source {
        ImportSource::Disk(disk) => (disk.path, disk.url, disk.sha256, None),
        ImportSource::FileSystem(it) => {
            let cmdline = it.cmdline.unwrap_or_else(|| CMDLINE.to_owned());
            let initrd = it.initrd.map(|initrd| String::from(initrd).into());
            (it.path, it.url, it.sha256, Some((String::from(it.kernel).into(), initrd, cmdline)))
        }
    };
    let (source, location) = source(path, url)?;
    let new = NewImage {
        name: request.name.into(),
        description: convert::words(request.description),
        architecture: states::new_architecture(request.architecture),
        kernel,
        location,
        tags: convert::new_tags(&request.tags),
        token,
        ..NewImage::default()
    };
    let made = call.compute().import_image(call.account(), &new, source, sha256.map(Into::into)).await;
    begun(made)
}

/// Where an image comes from, and the same for people.
fn source(path: Option<HostPath>, url: Option<ImageUrl>) -> Result<(ImageSource, String), ErrorBody> {
    match (path, url) {
        (Some(path), None) => {
            let path = String::from(path);
            Ok((ImageSource::File(path.clone().into()), path))
        }
        (None, Some(url)) => {
            let url = image_url::ImageUrl::parse(url.as_str())
                .map_err(|error| ComputeError::invalid("url", error.to_string()).refusal())?;
            let location = url.to_string();
            Ok((ImageSource::Url(UrlSource { url, within: Vec::new() }), location))
        }
        (None, None) | (Some(_), Some(_)) => {
            Err(ComputeError::invalid("source", "has either a path or a url").refusal())
        }
    }
}

/// CreateImage.
pub async fn create(call: &Call<'_>, mut request: CreateImage) -> Result<Answer, ErrorBody> {
    let token = request.client_token.take().map(|token| token_of(token, "native/CreateImage", &request));
    let snapshot = id(&request.snapshot);
    let new = NewImage {
        name: request.name.into(),
        description: convert::words(request.description),
        location: request.snapshot.to_string(),
        tags: convert::new_tags(&request.tags),
        token,
        ..NewImage::default()
    };
    begun(call.compute().image_of_snapshot(call.account(), &new, snapshot, &[]).await)
}

fn begun(made: Result<(Option<Image>, Job), ComputeError>) -> Result<Answer, ErrorBody> {
    let (image, job) = made.or_refuse()?;
    let bytes = image.and_then(|image| image.disk).map(|disk| disk.bytes);
    let job = convert::job(job, bytes).expect("jobs that make images are shown");
    accepted(&job)
}

/// ListImages.
pub async fn list(call: &Call<'_>, query: ImageQuery) -> Result<Answer, ErrorBody> {
    let wanted = |image: &Image| {
        image.state != ImageState::Deregistered
            && is_named(&image.name, query.name.as_ref())
            && query.owner.as_ref().is_none_or(|owner| owner.as_str() == image.account)
            // Tags are their owner's.
            && (query.tag.is_empty() || image.account == call.account() && has_tags(&image.tags, &query.tag))
    };
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.compute().images(call.account(), after.as_deref(), size, wanted).await.or_refuse()?;
    let mut items = Vec::with_capacity(listed.items.len());
    for image in listed.items {
        items.extend(shown(call, image).await?);
    }
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// With its job, as long as that is on record.
async fn shown(call: &Call<'_>, mut image: Image) -> Result<Option<api::Image>, ErrorBody> {
    if let Some(job) = image.job.filter(|_| image.account == call.account()) {
        match call.compute().job(call.account(), job).await {
            Ok(_) => {}
            Err(ComputeError::NotFound { .. }) => image.job = None,
            Err(error) => return Err(error.refusal()),
        }
    }
    Ok(convert::image(image, call.account()))
}

async fn answer(call: &Call<'_>, image: Image) -> Result<Answer, ErrorBody> {
    let id = image.id;
    match shown(call, image).await? {
        Some(image) => ok(&image),
        None => Err(gone(id)),
    }
}

fn gone(id: ImageId) -> ErrorBody {
    ComputeError::NotFound { what: Image::NAME, id: id.to_string() }.refusal()
}

/// GetImage.
pub async fn get(call: &Call<'_>, id: ImageId) -> Result<Answer, ErrorBody> {
    let image = call.compute().image(call.account(), id).await.or_refuse()?;
    answer(call, image).await
}

/// One's own, and not deregistered: others may be launched, not changed.
async fn own(call: &Call<'_>, id: ImageId) -> Result<Image, ErrorBody> {
    let image = call.compute().image(call.account(), id).await.or_refuse()?;
    let is_there = image.account == call.account() && image.state != ImageState::Deregistered;
    if is_there { Ok(image) } else { Err(gone(id)) }
}

/// UpdateImage.
pub async fn update(call: &Call<'_>, id: ImageId, request: UpdateImage) -> Result<Answer, ErrorBody> {
    own(call, id).await?;
    let change = ImageChange {
        name: request.name.map(Into::into),
        description: request.description.map(Into::into),
        public: request.public,
        launch_permissions: request.launch_permissions.map(|all| all.into_iter().map(Into::into).collect()),
        product_codes: request.product_codes.map(|all| all.into_iter().map(Into::into).collect()),
        tags: None,
        ..ImageChange::default()
    };
    let image = call.compute().change_image(call.account(), id, &change).await.or_refuse()?;
    answer(call, image).await
}

/// SetImageTags.
pub async fn set_tags(call: &Call<'_>, id: ImageId, request: SetTags) -> Result<Answer, ErrorBody> {
    own(call, id).await?;
    let change = ImageChange { tags: Some(convert::new_tags(&request.tags)), ..ImageChange::default() };
    let image = call.compute().change_image(call.account(), id, &change).await.or_refuse()?;
    answer(call, image).await
}

/// DeregisterImage.
pub async fn deregister(call: &Call<'_>, id: ImageId) -> Result<Answer, ErrorBody> {
    own(call, id).await?;
    call.compute().delete_image(call.account(), id).await.or_refuse()?;
    done()
}
