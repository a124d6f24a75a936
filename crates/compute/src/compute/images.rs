//! Images: imported, made of snapshots, shared, deregistered.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::launch::{MAX_VOLUME_GIB, check_name};
use super::{Compute, ComputeError, Listed, NewImageDisk, NewSnapshot, Token};
use crate::id::{ImageId, SnapshotId};
use crate::outside::{Beginning, HostError, ImageSource, UrlSource};
use crate::resource::{Architecture, Image, ImageBoot, ImageState, Job, JobKind, Resource, Snapshot, Tags};
use crate::store::{Condition, Transaction, put};

/// An image that is asked for.
#[derive(Clone, Debug, Default)]
pub struct NewImage {
    /// A name for people, unique among the account's images.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// What machines it is for.
    pub architecture: Architecture,
    /// The kernel to boot it with; `None` if it is a whole disk.
    pub kernel: Option<(PathBuf, Option<PathBuf>, String)>,
    /// Smallest system disk, in GiB.
    pub min_disk_gib: u64,
    /// Whether everybody may launch it.
    pub public: bool,
    /// Where it came from, for people.
    pub location: String,
    /// Tags.
    pub tags: Tags,
    /// What makes a repetition lead to the same image.
    pub token: Option<Token>,
    /// What the dialect keeps for itself.
    pub dialect: serde_json::Value,
}

/// What is to be changed of an image; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ImageChange {
    /// The name.
    pub name: Option<String>,
    /// Words about it.
    pub description: Option<String>,
    /// Whether everybody may launch it.
    pub public: Option<bool>,
    /// Accounts that may, all of them.
    pub launch_permissions: Option<BTreeSet<String>>,
    /// Accounts that may from now on, too.
    pub permit: BTreeSet<String>,
    /// Accounts that may no more.
    pub forbid: BTreeSet<String>,
    /// Product codes. They can be set once (EC2 ModifyImageAttribute).
    pub product_codes: Option<Vec<String>>,
    /// Tags, all of them.
    pub tags: Option<Tags>,
}

impl Compute {
    /// An image that an account may launch.
    ///
    /// # Errors
    ///
    /// There is none of this id, or not for this account.
    pub async fn image(&self, account: &str, id: ImageId) -> Result<Image, ComputeError> {
        let image = self.get_at::<Image>(&Image::key_of(id), &id.to_string()).await?.value;
        match image.is_for(account) {
            true => Ok(image),
            false => Err(not_found(id)),
        }
    }

    /// An image of whichever account's: for dialects that tell whoever may not from what there is not.
    ///
    /// # Errors
    ///
    /// There is none of this id.
    pub async fn any_image(&self, id: ImageId) -> Result<Image, ComputeError> {
        Ok(self.get_at::<Image>(&Image::key_of(id), &id.to_string()).await?.value)
    }

    pub(super) async fn own_image(
        &self,
        account: &str,
        id: ImageId,
    ) -> Result<crate::store::Kept<Image>, ComputeError> {
        let kept = self.get_at::<Image>(&Image::key_of(id), &id.to_string()).await?;
        match kept.value.account == account {
            true => Ok(kept),
            false => Err(not_found(id)),
        }
    }

    /// Images that an account may launch, and that `wanted` takes.
    ///
    /// # Errors
    ///
    /// `after` is none that this list gave, or the store does not do its part.
    pub async fn images(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        mut wanted: impl FnMut(&Image) -> bool,
    ) -> Result<Listed<Image>, ComputeError> {
        let prefix = format!("{}/", Image::WORD);
        self.list_under(&prefix, after, limit, |image: &Image| image.is_for(account) && wanted(image)).await
    }

    /// An image of an account that was made, or is being made, of a snapshot and is not deregistered: as the disk that its
    /// instances boot from, or as another one.
    ///
    /// # Errors
    ///
    /// The store does not do its part.
    pub async fn image_made_of(
        &self,
        account: &str,
        snapshot: SnapshotId,
    ) -> Result<Option<Image>, ComputeError> {
        let is_of_it = |image: &Image| image.snapshot == Some(snapshot) || image.has_data_of(snapshot);
        self.registered_image(account, is_of_it).await
    }

    /// An image of an account whose instances get data disks of a snapshot, and that is not deregistered.
    pub(super) async fn image_with_data_of(
        &self,
        account: &str,
        snapshot: SnapshotId,
    ) -> Result<Option<Image>, ComputeError> {
        self.registered_image(account, |image| image.has_data_of(snapshot)).await
    }

    async fn registered_image(
        &self,
        account: &str,
        wanted: impl Fn(&Image) -> bool,
    ) -> Result<Option<Image>, ComputeError> {
        let is_one = |image: &Image| {
            image.account == account && image.state != ImageState::Deregistered && wanted(image)
        };
        Ok(self.images(account, None, 1, is_one).await?.items.pop())
    }

    /// Makes an image of a file, on the host or on a server.
    ///
    /// # Errors
    ///
    /// Something makes no sense, or the account has an image of this name.
    pub async fn import_image(
        self: &Arc<Self>,
        account: &str,
        new: &NewImage,
        source: ImageSource,
        sha256: Option<String>,
    ) -> Result<(Option<Image>, Job), ComputeError> {
        if let Some(result) = self.used_token(account, new.token.as_ref()).await? {
            return self.asked_before(account, &result).await;
        }
        let image = self.new_image(account, new, None).await?;
        let kind = JobKind::ImportImage { image: image.id, source, sha256 };
        self.begin_image(account, image, kind, new.token.as_ref(), Transaction::default()).await
    }

    /// The first bytes of what a server has: what kind of image it is can be seen by them.
    ///
    /// # Errors
    ///
    /// It is not there, or does not come within seconds.
    pub async fn peek(&self, source: &UrlSource, bytes: usize) -> Result<Beginning, HostError> {
        self.disks.peek(source, bytes).await
    }

    /// Makes an image of a snapshot, whose instances get data disks too. It boots as the image did that the snapshot's disk was
    /// made of, if that is still there.
    ///
    /// # Errors
    ///
    /// As `import_image`, or there is no such snapshot or it is not whole, or two data disks have one name.
    pub async fn image_of_snapshot(
        self: &Arc<Self>,
        account: &str,
        new: &NewImage,
        snapshot: SnapshotId,
        data: &[NewImageDisk],
    ) -> Result<(Option<Image>, Job), ComputeError> {
        if let Some(result) = self.used_token(account, new.token.as_ref()).await? {
            return self.asked_before(account, &result).await;
        }
        let _referring = self.references.read().await;
        let snapshot = self.completed_snapshot(account, snapshot).await?;
        self.copy_image(account, new, &snapshot, data, Transaction::default()).await
    }

    /// Makes an image of a volume, by a snapshot that is taken of it and stays. Those of data disks are taken one after the
    /// other, and only then any is read. The token is the image's.
    ///
    /// # Errors
    ///
    /// As `image_of_snapshot`, or there is no such volume or it is being made or removed.
    pub async fn image_of_volume(
        self: &Arc<Self>,
        account: &str,
        new: &NewImage,
        snapshot: &NewSnapshot,
        data: &[NewImageDisk],
    ) -> Result<(Option<Image>, Job), ComputeError> {
        if let Some(result) = self.used_token(account, new.token.as_ref()).await? {
            return self.asked_before(account, &result).await;
        }
        let _referring = self.references.read().await;
        let (snapshot, with) = self.new_snapshot(account, snapshot).await?;
        self.copy_image(account, new, &snapshot, data, with).await
    }

    /// Begins to make an image of a snapshot, whose own record may be among what is written `with` it. References are held.
    async fn copy_image(
        self: &Arc<Self>,
        account: &str,
        new: &NewImage,
        snapshot: &Snapshot,
        data: &[NewImageDisk],
        mut with: Transaction,
    ) -> Result<(Option<Image>, Job), ComputeError> {
        let mut image = self.image_like(account, new, snapshot).await?;
        let taken = self.data_disks(account, &mut image, data, &mut with).await?;
        let kind = JobKind::CopyImage { image: image.id, snapshot: snapshot.id, data: taken, take: false };
        self.begin_image(account, image, kind, new.token.as_ref(), with).await
    }

    /// An image of what a snapshot has.
    async fn image_like(
        &self,
        account: &str,
        new: &NewImage,
        snapshot: &Snapshot,
    ) -> Result<Image, ComputeError> {
        let mut image = self.new_image(account, new, Some(snapshot.id)).await?;
        image.min_disk_gib = image.min_disk_gib.max(snapshot.size_mib.div_ceil(1024));
        let origin = match snapshot.image {
            Some(origin) => self.image(account, origin).await.ok(),
            None => None,
        };
        if new.kernel.is_none()
            && let Some(origin) = origin
        {
            (image.architecture, image.boot) = (origin.architecture, origin.boot);
        }
        Ok(image)
    }

    async fn new_image(
        &self,
        account: &str,
        new: &NewImage,
        snapshot: Option<SnapshotId>,
    ) -> Result<Image, ComputeError> {
        check_name("name", &new.name)?;
        new.tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        if new.name.is_empty() {
            return Err(ComputeError::invalid("name", "is missing: an image needs one"));
        }
        if new.min_disk_gib > MAX_VOLUME_GIB {
            return Err(ComputeError::invalid("min_disk_gib", format!("is more than {MAX_VOLUME_GIB}")));
        }
        Ok(Image {
            id: ImageId::draw(),
            account: account.to_owned(),
            name: new.name.clone(),
            description: new.description.clone(),
            architecture: new.architecture,
            disk: None,
            boot: match new.kernel.clone() {
                None => ImageBoot::Disk {},
                Some((kernel, initrd, cmdline)) => ImageBoot::Kernel { kernel, initrd, cmdline },
            },
            min_disk_gib: new.min_disk_gib,
            state: ImageState::Pending,
            public: new.public,
            launch_permissions: BTreeSet::new(),
            product_codes: Vec::new(),
            job: None,
            snapshot,
            data_disks: Vec::new(),
            location: new.location.clone(),
            tags: new.tags.clone(),
            created: self.clock.now(),
            deregistered: None,
            dialect: new.dialect.clone(),
        })
    }

    async fn begin_image(
        self: &Arc<Self>,
        account: &str,
        mut image: Image,
        kind: JobKind,
        token: Option<&Token>,
        with: Transaction,
    ) -> Result<(Option<Image>, Job), ComputeError> {
        let name = name_key(&image);
        let job = self.new_job(account, kind);
        image.job = Some(job.id);
        let mut transaction = with;
        transaction.conditions.extend([Condition::Absent(image.key()), Condition::Absent(name.clone())]);
        transaction.writes.extend([put(image.key(), &image), put(name.clone(), &image.id)]);
        let result = vec![image.id.to_string(), job.id.to_string()];
        if let Some((condition, write)) = self.use_token(account, token, result)? {
            // Before the name: of two that are the same, the second finds the token, not its own name.
            transaction.conditions.insert(0, condition);
            transaction.writes.push(write);
        }
        match self.begin(job, transaction).await {
            Ok(job) => Ok((Some(image), job)),
            Err(ComputeError::Contended { key }) if key == name => {
                Err(ComputeError::Exists { what: Image::NAME, name: image.name })
            }
            // The same request came twice at once.
            Err(error @ ComputeError::Contended { .. }) => match self.used_token(account, token).await? {
                Some(result) => self.asked_before(account, &result).await,
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// What a token led to, as it is now: of an image that could not be made, only the job is left.
    async fn asked_before(
        &self,
        account: &str,
        result: &[String],
    ) -> Result<(Option<Image>, Job), ComputeError> {
        let word = |index: usize| result.get(index).map(String::as_str).unwrap_or_default();
        let missing = |_| ComputeError::NotFound { what: Image::NAME, id: word(0).to_owned() };
        let image = match self.own_image(account, word(0).parse().map_err(missing)?).await {
            Ok(image) => Some(image.value),
            Err(ComputeError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok((image, self.get_owned::<Job>(account, word(1)).await?.value))
    }

    /// Changes what can be changed of an image.
    ///
    /// # Errors
    ///
    /// There is none of this id, it is another account's, the account has another one of this name, or something makes no
    /// sense.
    pub async fn change_image(
        &self,
        account: &str,
        id: ImageId,
        change: &ImageChange,
    ) -> Result<Image, ComputeError> {
        if let Some(tags) = &change.tags {
            tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
        }
        if let Some(name) = &change.name {
            check_name("name", name)?;
        }
        self.own_image(account, id).await?;
        let mut new_name = None;
        let changed = self
            .change::<Image, ()>(&Image::key_of(id), &id.to_string(), |image| {
                let mut besides = super::records::Besides::default();
                let change = change.clone();
                if let Some(name) = change.name.filter(|name| *name != image.name) {
                    besides.writes.push(crate::store::Write::Delete(name_key(image)));
                    image.name = name;
                    let key = name_key(image);
                    besides.conditions.push(Condition::Absent(key.clone()));
                    besides.writes.push(put(key.clone(), &id));
                    new_name = Some(key);
                }
                if let Some(description) = change.description {
                    image.description = description;
                }
                if let Some(public) = change.public {
                    image.public = public;
                }
                if let Some(permissions) = change.launch_permissions {
                    image.launch_permissions = permissions;
                }
                image.launch_permissions.extend(change.permit);
                image.launch_permissions.retain(|account| !change.forbid.contains(account));
                if let Some(codes) = change.product_codes {
                    if !image.product_codes.is_empty() && image.product_codes != codes {
                        return Err(ComputeError::invalid("product_codes", "can be set once, and were"));
                    }
                    image.product_codes = codes;
                }
                if let Some(tags) = change.tags {
                    image.tags = tags;
                }
                Ok(((), besides))
            })
            .await;
        match changed {
            Ok(((), image)) => Ok(image),
            Err(ComputeError::Contended { key }) if Some(&key) == new_name.as_ref() => {
                let name = change.name.clone().unwrap_or_default();
                Err(ComputeError::Exists { what: Image::NAME, name })
            }
            Err(error) => Err(error),
        }
    }

    /// Deregisters an image, and removes what is on it. Instances that were launched from it do not need it. That it was there
    /// is on record for a while.
    ///
    /// # Errors
    ///
    /// There is none of this id, it is another account's, or it is being made.
    pub async fn delete_image(self: &Arc<Self>, account: &str, id: ImageId) -> Result<Job, ComputeError> {
        let _removing = self.references.write().await;
        let mut kept = self.own_image(account, id).await?;
        if kept.value.state != ImageState::Available {
            let state = format!("{:?}", kept.value.state).to_lowercase();
            return Err(ComputeError::WrongState {
                what: Image::NAME,
                id: id.to_string(),
                state,
                wanted: "available",
            });
        }
        let conditions = vec![kept.unmodified()];
        kept.value.state = ImageState::Deregistered;
        kept.value.deregistered = Some(self.clock.now());
        let writes = vec![put(kept.key.clone(), &kept.value)];
        let job = self.new_job(account, JobKind::DeleteImage { image: id });
        self.begin(job, Transaction { conditions, writes }).await
    }
}

/// Where an image's name is kept, so that it is unique.
pub(super) fn name_key(image: &Image) -> crate::store::Key {
    crate::resource::named_key("image-name", &image.account, &image.name)
}

fn not_found(id: ImageId) -> ComputeError {
    ComputeError::NotFound { what: Image::NAME, id: id.to_string() }
}
