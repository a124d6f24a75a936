//! The core's disks, on the store of files: each call on a thread where waiting for a disk harms nobody, and what is about one
//! volume, snapshot or image one after the other, also when whoever asked first does not wait any more.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use compute::id::{JobId, SnapshotId, VolumeId};
use compute::outside::{
    Beginning, DiskContent, Disks, Done, HostError, ImportedDisk, PresentDisks, Progressing, UrlSource,
};
use compute::store::Answer;
use storage::store::{Content, Fault, ImportError, Store, StoreError, WhileInUse};
use tokio::sync::{OwnedMutexGuard, Semaphore};

use crate::fail;
use crate::fetch::{Fetcher, Options};

/// Most disks that are worked on at a time: more would only wait for the same disk.
const WORKERS: usize = 4;

/// The disks of this host.
pub struct HostDisks {
    store: Arc<Store>,
    fetcher: Fetcher,
    names: Names,
    workers: Arc<Semaphore>,
}

/// A lock for each name that is being worked on.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>);

/// A name that is ours until this is dropped.
struct Held {
    names: Names,
    name: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Names {
    async fn hold(&self, name: String) -> Held {
        let lock = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(name.clone()).or_default())
        };
        let guard = Some(lock.lock_owned().await);
        Held { names: self.clone(), name, guard }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.guard = None;
        let mut all = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            all.remove(&self.name);
        }
    }
}

impl HostDisks {
    /// The disks in this store, with images that are fetched as these options say.
    pub fn new(store: Arc<Store>, options: Options) -> Self {
        let fetcher = Fetcher::new(Arc::clone(&store), options);
        Self { store, fetcher, names: Names::default(), workers: Arc::new(Semaphore::new(WORKERS)) }
    }

    /// Does something about a name. It goes on when the future is dropped, and whoever comes next waits for its end.
    async fn work<T: Send + 'static>(
        &self,
        name: String,
        work: impl FnOnce(&Store) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let held = self.names.hold(name).await;
        let turn = Arc::clone(&self.workers).acquire_owned().await;
        let store = Arc::clone(&self.store);
        let work = tokio::task::spawn_blocking(move || {
            let _until_done = (held, turn);
            work(&store)
        });
        work.await.map_err(|error| HostError::Failed(format!("work on a disk was given up: {error}")))?
    }
}

impl Disks for HostDisks {
    fn create<'a>(
        &'a self,
        volume: VolumeId,
        bytes: u64,
        content: &'a DiskContent,
    ) -> Answer<'a, Result<(), HostError>> {
        let content = content.clone();
        Box::pin(self.work(volume.to_string(), move |store| {
            let snapshot;
            let content = match &content {
                DiskContent::Blank => Content::Blank,
                DiskContent::Image { sha256 } => Content::Image { sha256 },
                DiskContent::Snapshot { snapshot: id } => {
                    snapshot = id.to_string();
                    Content::Snapshot { snapshot: &snapshot }
                }
                DiskContent::Ephemeral { public_key } => {
                    Content::Ephemeral { public_key: public_key.as_deref() }
                }
                DiskContent::Swap => Content::Swap,
            };
            let id = volume.to_string();
            fail::around("disk.creating", "disk.created", || store.create_volume(&id, bytes, &content))
                .map_err(refused)
        }))
    }

    fn grow(&self, volume: VolumeId, bytes: u64) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.work(volume.to_string(), move |store| {
            let id = volume.to_string();
            fail::around("disk.growing", "disk.grown", || store.grow_volume(&id, bytes)).map_err(refused)
        }))
    }

    fn delete(&self, volume: VolumeId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.work(volume.to_string(), move |store| {
            let id = volume.to_string();
            fail::around("disk.deleting", "disk.deleted", || store.delete_volume(&id)).map_err(refused)
        }))
    }

    fn snapshots_at_once(&self) -> bool {
        self.store.reflinks()
    }

    fn snapshot(&self, volume: VolumeId, snapshot: SnapshotId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.work(snapshot.to_string(), move |store| {
            // The core has paused whoever writes, where that is needed.
            let quiet = WhileInUse::Quiet;
            let (volume, snapshot) = (volume.to_string(), snapshot.to_string());
            fail::around("snapshot.taking", "snapshot.taken", || store.snapshot(&volume, &snapshot, quiet))
                .map_err(refused)
        }))
    }

    fn delete_snapshot(&self, snapshot: SnapshotId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.work(snapshot.to_string(), move |store| {
            let id = snapshot.to_string();
            fail::around("snapshot.deleting", "snapshot.deleted", || store.delete_snapshot(&id))
                .map_err(refused)
        }))
    }

    fn import<'a>(
        &'a self,
        file: &'a Path,
        expected_sha256: Option<&'a str>,
        progress: Progressing,
    ) -> Answer<'a, Result<ImportedDisk, HostError>> {
        let (file, expected) = (file.to_owned(), expected_sha256.map(str::to_owned));
        Box::pin(self.work(format!("import {}", file.display()), move |store| {
            let mut told = |bytes, of| {
                fail::point("image.converting");
                progress(Done { bytes, of });
            };
            let imported = fail::around("image.importing", "image.imported", || {
                store.import(&file, expected.as_deref(), &mut told)
            });
            let imported = imported.map_err(not_imported)?;
            Ok(ImportedDisk { sha256: imported.sha256, bytes: imported.bytes })
        }))
    }

    fn peek<'a>(&'a self, source: &'a UrlSource, bytes: usize) -> Answer<'a, Result<Beginning, HostError>> {
        Box::pin(self.fetcher.peek(source, bytes))
    }

    fn fetch<'a>(
        &'a self,
        job: JobId,
        source: &'a UrlSource,
        progress: Progressing,
    ) -> Answer<'a, Result<PathBuf, HostError>> {
        Box::pin(async move { self.fetcher.fetch(job, source, &progress).await })
    }

    fn delete_fetched(&self, job: JobId) -> Answer<'_, Result<(), HostError>> {
        Box::pin(self.fetcher.delete(job))
    }

    fn image_of(
        &self,
        snapshot: SnapshotId,
        progress: Progressing,
    ) -> Answer<'_, Result<ImportedDisk, HostError>> {
        Box::pin(self.work(snapshot.to_string(), move |store| {
            let mut told = |bytes, of| progress(Done { bytes, of });
            let id = snapshot.to_string();
            let imported = fail::around("image.copying", "image.copied", || store.image_of(&id, &mut told));
            let imported = imported.map_err(refused)?;
            Ok(ImportedDisk { sha256: imported.sha256, bytes: imported.bytes })
        }))
    }

    fn delete_image<'a>(&'a self, sha256: &'a str) -> Answer<'a, Result<(), HostError>> {
        let sha256 = sha256.to_owned();
        Box::pin(self.work(sha256.clone(), move |store| {
            fail::around("image.deleting", "image.deleted", || store.delete_image(&sha256)).map_err(refused)
        }))
    }

    fn keep_file<'a>(&'a self, file: &'a Path) -> Answer<'a, Result<PathBuf, HostError>> {
        let file = file.to_owned();
        Box::pin(self.work(format!("keep {}", file.display()), move |store| {
            fail::around("kernel.keeping", "kernel.kept", || store.keep_kernel(&file)).map_err(refused)
        }))
    }

    fn delete_file<'a>(&'a self, kept: &'a Path) -> Answer<'a, Result<(), HostError>> {
        let kept = kept.to_owned();
        Box::pin(self.work(kept.display().to_string(), move |store| {
            fail::around("kernel.deleting", "kernel.deleted", || store.delete_kernel(&kept)).map_err(refused)
        }))
    }

    fn present(&self) -> Answer<'_, Result<PresentDisks, HostError>> {
        Box::pin(self.work("all".to_owned(), |store| {
            let present = store.present().map_err(refused)?;
            // Names that are none of ours were left out already.
            Ok(PresentDisks {
                volumes: present.volumes.iter().filter_map(|id| id.parse().ok()).collect(),
                snapshots: present.snapshots.iter().filter_map(|id| id.parse().ok()).collect(),
                images: present.images,
                files: present.kernels,
                fetched: present.downloads.iter().filter_map(|id| id.parse().ok()).collect(),
            })
        }))
    }

    fn free_bytes(&self) -> Answer<'_, Result<u64, HostError>> {
        Box::pin(self.work("all".to_owned(), |store| store.free_bytes().map_err(refused)))
    }
}

/// Why the store did not do something, for the core.
pub(crate) fn refused(error: StoreError) -> HostError {
    host_error(error.fault(), &error)
}

fn not_imported(error: ImportError) -> HostError {
    host_error(error.fault(), &error)
}

/// With all its causes, as nobody sees them afterwards.
fn host_error(fault: Fault, error: &dyn std::error::Error) -> HostError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    match fault {
        Fault::Exhausted => HostError::Exhausted(text),
        Fault::Refused => HostError::Refused(text),
        Fault::Failed => HostError::Failed(text),
    }
}
