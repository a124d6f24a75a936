//! Fetches images from servers into files of the store, and looks at their beginnings. Nothing that comes is parsed here: it is
//! written down, and read by the confined process that reads all images.
//!
//! A download goes on where it was when its connection broke or the daemon died, if the server says that its file is still the
//! same (an entity tag, RFC 9110, 13.1.5); else it begins anew. A file that is not whole never gets its name.

mod client;
mod download;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use compute::id::JobId;
use compute::outside::{Beginning, HostError, Progressing, UrlSource};
use reqwest::header::{HeaderValue, RANGE};
use rustls::RootCertStore;
use storage::store::{Store, StoreError};
use tokio::sync::Semaphore;

use client::{Client, Failure, body_bytes};

/// How servers are asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whom to trust. `None`: whom the host trusts, as it is then.
    pub roots: Option<RootCertStore>,
    /// Whether to go by the proxies that the environment names.
    pub proxies: bool,
    /// Longest time for a connection, and without a byte.
    pub idle: Duration,
    /// Longest time for a whole download.
    pub total: Duration,
    /// Longest time for a look at a beginning.
    pub peek: Duration,
    /// First time to wait before a server is asked again; each further one is twice as long.
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            roots: None,
            proxies: true,
            idle: Duration::from_secs(60),
            total: Duration::from_secs(24 * 3600),
            peek: Duration::from_secs(10),
            pause: Duration::from_secs(1),
        }
    }
}

/// Most downloads at a time: more would share the same line.
const DOWNLOADS: usize = 8;

/// Fetches into one store.
pub struct Fetcher {
    store: Arc<Store>,
    options: Options,
    turns: Semaphore,
}

impl Fetcher {
    /// A fetcher into this store.
    pub fn new(store: Arc<Store>, options: Options) -> Self {
        Self { store, options, turns: Semaphore::new(DOWNLOADS) }
    }

    /// The file that a server has, once it is there whole.
    ///
    /// # Errors
    ///
    /// The server does not give it, or there is no room for it. What came stays, until it is deleted.
    pub async fn fetch(
        &self,
        job: JobId,
        source: &UrlSource,
        progress: &Progressing,
    ) -> Result<PathBuf, HostError> {
        let name = job.to_string();
        let there = self.in_store(move |store| store.downloaded(&name)).await?;
        if let Some(path) = there {
            return Ok(path);
        }
        let _turn = self.turns.acquire().await;
        let whole = download::whole(self, job, source, progress);
        match tokio::time::timeout(self.options.total, whole).await {
            Ok(fetched) => fetched,
            Err(_) => {
                let hours = self.options.total.as_secs_f64() / 3600.0;
                Err(refused(source, &format!("it is not there after {hours:.1} hours")))
            }
        }
    }

    /// Removes what there is for a job.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub async fn delete(&self, job: JobId) -> Result<(), HostError> {
        self.in_store(move |store| store.delete_download(&job.to_string())).await
    }

    /// The first bytes of what a server has.
    ///
    /// # Errors
    ///
    /// The server refuses them, or fails to give them within seconds.
    pub async fn peek(&self, source: &UrlSource, bytes: usize) -> Result<Beginning, HostError> {
        let looked = tokio::time::timeout(self.options.peek, self.beginning(source, bytes)).await;
        // Whoever asks may be no operator: that a server cannot be reached is for the log.
        let failed = |why: &str| HostError::Failed(format!("cannot look at {}: {why}", source.url));
        match looked {
            Ok(Ok(beginning)) => Ok(beginning),
            Ok(Err(Failure::Passing(why))) => Err(failed(&why)),
            Ok(Err(failure)) => Err(failure.into_error(source)),
            Err(_) => Err(failed(&format!("no answer within {} seconds", self.options.peek.as_secs()))),
        }
    }

    async fn beginning(&self, source: &UrlSource, bytes: usize) -> Result<Beginning, Failure> {
        let client = Client::new(source, &self.options)?;
        // A server that knows no ranges sends all of it, of which no more is read.
        let range = format!("bytes=0-{}", bytes.saturating_sub(1));
        let range =
            HeaderValue::from_str(&range).map_err(|_| Failure::passing("a range that cannot be sent"))?;
        let mut response = client.get([(RANGE, range)]).await?;
        let of = body_bytes(&response).total();
        let mut there = Vec::new();
        while there.len() < bytes {
            let Some(chunk) = response.chunk().await.map_err(|error| Failure::of(&error))? else { break };
            there.extend_from_slice(&chunk[..chunk.len().min(bytes - there.len())]);
        }
        Ok(Beginning { bytes: there, of })
    }

    /// Does something in the store, on a thread where waiting for a disk harms nobody.
    async fn in_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HostError> {
        let store = Arc::clone(&self.store);
        let work = tokio::task::spawn_blocking(move || work(&store).map_err(crate::disks::refused));
        work.await.map_err(|error| HostError::Failed(format!("work on a download was given up: {error}")))?
    }
}

fn refused(source: &UrlSource, why: &str) -> HostError {
    HostError::Refused(format!("cannot fetch {}: {why}", source.url))
}
